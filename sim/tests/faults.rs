//! Faults of memory and host. Each fault ends in its named error or has no effect; it never ends in a hang or a wrong
//! number.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{BASE3, BASE3_NARROW, DEFAULT, EIGHT, NARROW, Random, SMALLEST, below, for_seeds, pick, restless};
use conformance::Operator;
use rand_core::{Rng, SeedableRng};
use testbench::device::VerilatedDevice;
use tmv::config::UnitConfig;
use tmv::conformance;
use tmv::descriptor::{Descriptor, Selection};
use tmv::device::{Device, DeviceError};
use tmv::driver::Driver;
use tmv::regs;
use zynq_memory::{DECERR, Faults, MemoryConfig, OKAY, ReadFault, SLVERR, Timing, WriteFault};

type Bench = conformance::Bench<VerilatedDevice>;

fn bench(unit: &UnitConfig, memory: MemoryConfig) -> Bench {
    let mut device = common::device(unit, MemoryConfig { bytes: 1 << 20, ..memory });
    device.set_patience(50_000);
    Bench::new(device)
}

/// Two operators. The second shares the activations of the first.
fn operators(bench: &mut Bench, rng: &mut Random) -> Vec<Operator> {
    let (lanes, vectors) = (bench.info.lanes(), bench.info.max_tokens());
    let rows = 8 * bench.info.ports + 3;
    let first = bench.operator(rng, rows, 2 * lanes, vectors);
    let second = bench.sharing(rng, &first, 8);
    vec![first, second]
}

/// Queues the operators and rings the doorbell once. Returns their numbers in the ring.
fn start(bench: &mut Bench, ops: &[Operator]) -> Vec<u16> {
    let numbers = ops.iter().map(|op| bench.queue(op)).collect();
    bench.ring();
    numbers
}

/// After a fault, resets the unit and checks that it works again.
fn recovers(bench: &mut Bench, ops: &[Operator]) {
    *bench.device.axi_memory().faults() = Faults::default();
    bench.soft_reset();
    bench.run(ops);
}

/// Runs with `faults` and expects an error with `code`, at the address where the memory injected the fault. Returns
/// the source of the error.
fn expect(unit: &UnitConfig, memory: &MemoryConfig, faults: &Faults, code: u8) -> u8 {
    let mut rng = Random::seed_from_u64(7);
    let mut bench = bench(unit, MemoryConfig { faults: faults.clone(), ..memory.clone() });
    let ops = operators(&mut bench, &mut rng);
    start(&mut bench, &ops);
    let (source, address) = bench.expect_error(code);
    assert_eq!(Some(address), bench.device.axi_memory().faulted(), "address of the error, {faults:?}");
    while bench.read(regs::STATUS) & regs::STATUS_DRAINING != 0 {}
    let head = bench.read(regs::RING_HEAD) as usize;
    for (number, op) in ops.iter().enumerate() {
        let done = bench.record(number as u16).status != 0;
        assert!(done || number >= head, "RING_HEAD counts an operator without a record, {faults:?}");
        // A refused record may be in memory in part.
        let counted = number < head || faults.write.is_some();
        assert!(!done || counted, "RING_HEAD does not count an operator with a record, {faults:?}");
        assert!(!done || bench.results(op) == op.expected, "a completed operator has wrong results, {faults:?}");
    }
    recovers(&mut bench, &ops);
    source
}

/// The number of beats that the operators of [`operators`] read on each port, and the number that they write.
fn beats(unit: &UnitConfig) -> (Vec<u64>, u64) {
    let mut bench = bench(unit, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(7));
    bench.run(&ops);
    let port = |p: u32| regs::PORT_BEATS + p * regs::PORT_BUSY_STRIDE;
    let mut reads: Vec<u64> = (0..unit.ports as u32).map(|p| u64::from(bench.read(port(p)))).collect();
    // The counters count weight beats only. Port 0 also carries descriptors and activations.
    let d = ops[0].descriptor;
    let others = ops.len() * 64 + d.tokens * d.row_beats * bench.info.lanes();
    reads[0] += (others / bench.info.port_bytes) as u64;
    let bytes: usize = ops.iter().map(|op| op.descriptor.result_bytes() + 16).sum();
    (reads, (bytes / (unit.port_bits / 8)) as u64)
}

/// For every read beat of a short run, on every port: a bad response, and a misplaced RLAST.
fn every_read_beat(unit: &UnitConfig) {
    let (reads, _) = beats(unit);
    for (port, count) in reads.into_iter().enumerate() {
        assert!(count > 0, "port {port} reads nothing");
        for beat in 0..count {
            for (fault, code) in [
                (ReadFault::Response(SLVERR), regs::ERR_READ_SLVERR),
                (ReadFault::Response(DECERR), regs::ERR_READ_DECERR),
                (ReadFault::FlipLast, regs::ERR_READ_LAST),
            ] {
                let faults = Faults { read: Some((port, beat, fault)), ..Faults::default() };
                let source = usize::from(expect(unit, &common::memory(), &faults, code));
                assert!(source == port || (port == 0 && source == 15), "{faults:?} reported by {source}");
            }
        }
    }
}

#[test]
fn every_read_beat_default() {
    every_read_beat(&DEFAULT);
}

#[test]
fn every_read_beat_smallest() {
    every_read_beat(&SMALLEST);
}

#[test]
fn every_read_beat_narrow() {
    every_read_beat(&NARROW);
}

#[test]
fn every_write_beat() {
    for unit in [DEFAULT, SMALLEST] {
        for beat in 0..beats(&unit).1 {
            for (resp, code) in [(SLVERR, regs::ERR_WRITE_SLVERR), (DECERR, regs::ERR_WRITE_DECERR)] {
                let faults = Faults { write: Some((beat, WriteFault::Response(resp))), ..Faults::default() };
                assert_eq!(expect(&unit, &common::memory(), &faults, code), 14, "{faults:?}");
            }
        }
    }
}

/// Random faults under random stalls.
#[test]
fn random_faults() {
    for_seeds(60, |_, rng| {
        let unit = pick(rng, &[DEFAULT, NARROW, BASE3, EIGHT]);
        let (reads, writes) = beats(&unit);
        let memory = restless(rng);
        let port = below(rng, unit.ports);
        let mut faults = Faults::default();
        let code = match rng.next_u32() % 4 {
            0 => {
                faults.write = Some((below(rng, writes as usize) as u64, WriteFault::Response(SLVERR)));
                regs::ERR_WRITE_SLVERR
            }
            // Under stalls the ports share the work differently, but each port gets one of the first four blocks.
            kind => {
                let beat = below(rng, reads[port].min(16) as usize) as u64;
                let (fault, code) = [
                    (ReadFault::Response(DECERR), regs::ERR_READ_DECERR),
                    (ReadFault::FlipLast, regs::ERR_READ_LAST),
                    (ReadFault::Response(SLVERR), regs::ERR_READ_SLVERR),
                ][kind as usize - 1];
                faults.read = Some((port, beat, fault));
                code
            }
        };
        expect(&unit, &memory, &faults, code);
    });
}

/// If a channel stops for good, the unit reports WATCHDOG within its limit, and drains when the channel moves again.
/// A channel that had already finished its work has no effect. Returns whether the watchdog reported an error.
fn starve(unit: &UnitConfig, faults: Faults) -> bool {
    const LIMIT: u32 = 300;
    let mut rng = Random::seed_from_u64(8);
    let mut bench = bench(unit, common::memory());
    let ops = operators(&mut bench, &mut rng);
    bench.write(regs::WATCHDOG, LIMIT);
    let now = bench.device.cycles() + 20;
    let later = |from: u64| from + now;
    *bench.device.axi_memory().faults() = Faults {
        starve_read_address: faults.starve_read_address.map(|(p, from)| (p, later(from))),
        starve_read_data: faults.starve_read_data.map(|(p, from)| (p, later(from))),
        starve_write: faults.starve_write.map(later),
        ..Faults::default()
    };
    let numbers = start(&mut bench, &ops);
    let begin = bench.device.cycles();
    if bench.wait() == regs::IRQ_ENABLE_DONE {
        // The channel had already finished its work.
        while bench.read(regs::RING_HEAD) != u32::from(bench.queued) && bench.wait() == regs::IRQ_ENABLE_DONE {}
    }
    let bitten = bench.read(regs::STATUS) & regs::STATUS_ERROR != 0;
    if !bitten {
        ops.iter().zip(numbers).for_each(|(op, number)| bench.check(op, number));
    } else {
        assert_eq!(bench.error().0, regs::ERR_WATCHDOG, "{faults:?}");
        let took = bench.device.cycles() - begin;
        assert!(took < 5_000 + u64::from(LIMIT), "{took} cycles until the watchdog, {faults:?}");
        assert_eq!(bench.read(regs::IRQ_ENABLE), 7, "registers stay readable");
    }
    recovers(&mut bench, &ops);
    bitten
}

#[test]
fn starvation() {
    for unit in [DEFAULT, NARROW] {
        let mut cases = Vec::new();
        for from in [0, 1, 5, 17, 40, 41, 42, 60, 90, 150, 400] {
            for port in 0..unit.ports {
                cases.push((from, Faults { starve_read_address: Some((port, from)), ..Faults::default() }));
                cases.push((from, Faults { starve_read_data: Some((port, from)), ..Faults::default() }));
            }
            cases.push((from, Faults { starve_write: Some(from), ..Faults::default() }));
        }
        for (from, faults) in cases {
            let bitten = starve(&unit, faults.clone());
            assert!(bitten || from > 5, "the watchdog slept through {faults:?}");
            assert!(!bitten || from < 400, "the run was over before {faults:?}");
        }
    }
}

/// Weights that meet many tokens keep the bus silent for longer than the watchdog's limit. Computing counts as
/// progress.
#[test]
fn computing_is_progress() {
    let mut bench = bench(&BASE3_NARROW, common::memory());
    let tokens = BASE3_NARROW.max_tokens();
    let lanes = bench.info.lanes();
    let op = bench.operator(&mut Random::seed_from_u64(11), 8, 100 * lanes, tokens);
    bench.write(regs::WATCHDOG, 28);
    bench.run(std::slice::from_ref(&op));
}

/// So does the walk through columns that are not read, which takes a cycle for each, and through rows.
#[test]
fn looking_for_work_is_progress() {
    let mut bench = bench(&DEFAULT, common::memory());
    let mut rng = Random::seed_from_u64(13);
    let columns = bench.columns(&mut rng, 8, 3_000, |col| col > 2_990);
    let gate = bench.recording(&mut rng, 2_000, 9, |_| false);
    let up = bench.skipping(&mut rng, &gate, &gate, Selection::Skip);
    bench.write(regs::WATCHDOG, 150);
    bench.run(&[columns, gate, up]);
}

/// The longest silence of a run is the memory's latency, on whichever channel. A watchdog with this limit lets the
/// run pass; a limit one cycle shorter reports an error. Therefore a handshake counts as progress in its own cycle,
/// and an idle channel never counts as progress.
#[test]
fn latency_is_the_longest_silence() {
    const LATENCY: u32 = 200;
    for (limit, bites) in [(LATENCY, false), (LATENCY - 1, true)] {
        let timing = Timing::ideal(u64::from(LATENCY));
        let mut bench = bench(&DEFAULT, MemoryConfig { timing, ..common::memory() });
        let ops = operators(&mut bench, &mut Random::seed_from_u64(12));
        bench.write(regs::WATCHDOG, limit);
        if bites {
            start(&mut bench, &ops);
            assert_eq!(bench.expect_error(regs::ERR_WATCHDOG), (15, 0));
        } else {
            bench.run(&ops);
        }
    }
}

/// A slave does not answer: the error is named, and DRAINING stays set until the slave answers.
#[test]
fn draining_waits_for_the_memory() {
    let mut bench = bench(&DEFAULT, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(9));
    bench.write(regs::WATCHDOG, 200);
    bench.device.axi_memory().faults().starve_read_data = Some((0, 0));
    start(&mut bench, &ops);
    bench.expect_error(regs::ERR_WATCHDOG);
    for _ in 0..5_000 {
        bench.device.step().unwrap();
    }
    let expected = regs::STATUS_ERROR | regs::STATUS_DRAINING;
    assert_eq!(bench.read(regs::STATUS) & expected, expected);
    bench.write(regs::CONTROL, regs::CONTROL_SOFT_RESET);
    assert_eq!(bench.read(regs::STATUS) & regs::STATUS_DRAINING, regs::STATUS_DRAINING);
    recovers(&mut bench, &ops);
}

/// With the watchdog off, no error is reported, and a late answer gives correct results.
#[test]
fn patience_without_watchdog() {
    let mut bench = bench(&DEFAULT, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(10));
    bench.write(regs::WATCHDOG, 0);
    bench.device.axi_memory().faults().starve_read_address = Some((1, 0));
    let numbers = start(&mut bench, &ops);
    for _ in 0..10_000 {
        bench.device.step().unwrap();
    }
    assert_eq!(bench.read(regs::STATUS), regs::STATUS_BUSY);
    // Each port gets one of the five blocks, or two; the second port never got its first beat.
    assert!(bench.read(regs::PORT_OUTSTANDING + regs::PORT_OUTSTANDING_STRIDE) > 0);
    *bench.device.axi_memory().faults() = Faults::default();
    bench.finish();
    ops.iter().zip(numbers).for_each(|(op, number)| bench.check(op, number));
}

/// A channel pauses at any place in a run: the results are the same, only later. The other ports finish their blocks
/// first.
#[test]
fn pauses_change_nothing() {
    for unit in [DEFAULT, NARROW, BASE3] {
        for from in [0, 9, 25, 40, 60, 90] {
            for channel in 0..2 * unit.ports + 1 {
                let mut bench = bench(&unit, common::memory());
                let ops = operators(&mut bench, &mut Random::seed_from_u64(12));
                let (port, from) = (channel / 2, bench.device.cycles() + 20 + from);
                *bench.device.axi_memory().faults() = Faults {
                    starve_read_address: (port < unit.ports && channel % 2 == 0).then_some((port, from)),
                    starve_read_data: (channel % 2 == 1).then_some((port, from)),
                    starve_write: (port == unit.ports).then_some(from),
                    ..Faults::default()
                };
                let numbers = start(&mut bench, &ops);
                for _ in 0..1_000 {
                    bench.device.step().unwrap();
                }
                *bench.device.axi_memory().faults() = Faults::default();
                bench.finish();
                ops.iter().zip(numbers).for_each(|(op, number)| bench.check(op, number));
            }
        }
    }
}

/// Errors of two ports, also in the same cycle: one of them is reported, with its own address.
#[test]
fn errors_of_two_ports() {
    for unit in [DEFAULT, NARROW, EIGHT] {
        let mut bench = bench(&unit, common::memory());
        let mut rng = Random::seed_from_u64(13);
        let (last, lanes, beat_bytes) = (unit.ports - 1, bench.info.lanes(), bench.info.port_bytes);
        for first_bad in 0..24 {
            let op = bench.operator(&mut rng, 8 * unit.ports, 4 * lanes, 1);
            // As many blocks as ports, so each port gets one.
            let block = |block: usize| op.descriptor.w_addr + (block * op.descriptor.w_stride) as u64;
            for (index, bad) in [(0, first_bad), (last, 12)] {
                // Negative but zero is an illegal weight. It is in this beat and all later beats.
                for image in bench.bytes(block(index), 32 * beat_bytes).chunks_exact_mut(beat_bytes).skip(bad) {
                    let (nz, neg) = image.split_at_mut(beat_bytes / 2);
                    (nz[0], neg[0]) = (0, 1);
                }
            }
            start(&mut bench, std::slice::from_ref(&op));
            let (source, address) = bench.expect_error(regs::ERR_BAD_WEIGHT);
            assert!(usize::from(source) <= last, "reported by {source}");
            let expected = [(0, first_bad), (last, 12)].map(|(index, bad)| block(index) + (bad * beat_bytes) as u64);
            assert!(expected.contains(&address), "{address:#x} is not the first bad beat of a block: {expected:x?}");
            let good = bench.operator(&mut rng, 9, lanes, 1);
            recovers(&mut bench, &[good]);
        }
    }
}

/// A soft reset shortly before, with, and after an error: the unit drains and works again.
#[test]
fn soft_reset_beside_an_error() {
    let mut rng = Random::seed_from_u64(14);
    for delay in 0..150 {
        let mut bench = bench(&NARROW, common::memory());
        let ops = operators(&mut bench, &mut rng);
        bench.device.axi_memory().faults().read = Some((1, 3, ReadFault::Response(SLVERR)));
        start(&mut bench, &ops);
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        bench.write(regs::CONTROL, regs::CONTROL_SOFT_RESET);
        recovers(&mut bench, &ops);
    }
}

/// A soft reset shortly before, with, and after an error of the front end. No burst in flight separates this error
/// from the end of the reset.
#[test]
fn soft_reset_beside_a_bad_descriptor() {
    for delay in 0..120 {
        let mut bench = bench(&NARROW, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(21));
        let bad = Descriptor { out_features: 0, ..ops[0].descriptor };
        bench.queue_bytes(&bad.encode());
        bench.ring();
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        recovers(&mut bench, &ops);
    }
}

/// A soft reset is requested twice. It ends once, and the next error stays.
#[test]
fn soft_reset_twice() {
    for delay in 0..120 {
        let mut bench = bench(&NARROW, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(25));
        start(&mut bench, &ops);
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        bench.write(regs::CONTROL, regs::CONTROL_SOFT_RESET);
        bench.soft_reset();
        bench.queue_bytes(&Descriptor { out_features: 0, ..ops[0].descriptor }.encode());
        bench.ring();
        bench.expect_error(regs::ERR_BAD_DESCRIPTOR);
        for _ in 0..100 {
            bench.device.step().unwrap();
        }
        assert_eq!(bench.error().0, regs::ERR_BAD_DESCRIPTOR, "delay {delay}: the error is gone");
    }
}

/// The host does not react to an error for longer than the watchdog's limit. The following soft reset still gives a
/// fresh start.
#[test]
fn soft_reset_long_after_an_error() {
    let mut bench = bench(&NARROW, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(22));
    bench.write(regs::WATCHDOG, 100);
    bench.device.axi_memory().faults().read = Some((1, 3, ReadFault::Response(SLVERR)));
    start(&mut bench, &ops);
    bench.expect_error(regs::ERR_READ_SLVERR);
    for _ in 0..1_000 {
        bench.device.step().unwrap();
    }
    recovers(&mut bench, &ops);
}

/// While the unit drains for a soft reset, it ignores the doorbell, because it would forget the request.
#[test]
fn draining_is_deaf() {
    let mut bench = bench(&DEFAULT, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(23));
    bench.device.axi_memory().faults().starve_read_data = Some((0, 0));
    start(&mut bench, &ops);
    for _ in 0..200 {
        bench.device.step().unwrap();
    }
    bench.write(regs::CONTROL, regs::CONTROL_SOFT_RESET);
    let tail = bench.read(regs::RING_TAIL);
    bench.write(regs::RING_TAIL, tail + 1);
    assert_eq!(conformance::take_refused(&mut bench.device), Some((regs::RING_TAIL, true)));
    let status = bench.read(regs::STATUS) & (regs::STATUS_BUSY | regs::STATUS_ERROR | regs::STATUS_DRAINING);
    assert_eq!(status, regs::STATUS_BUSY | regs::STATUS_DRAINING);
    assert_eq!(bench.read(regs::RING_TAIL), tail);
    recovers(&mut bench, &ops);
}

/// From a soft reset on, ERROR is never set without DRAINING, in any cycle. So a host that waits for the end of
/// draining cannot mistake the previous error for a new one.
#[test]
fn error_ends_with_draining() {
    let mut bench = bench(&DEFAULT, common::memory());
    for delay in 0..20 {
        bench.queue_bytes(&[0; 64]);
        bench.ring();
        bench.expect_error(regs::ERR_BAD_DESCRIPTOR);
        while bench.read(regs::STATUS) & regs::STATUS_DRAINING != 0 {}
        bench.write(regs::CONTROL, regs::CONTROL_SOFT_RESET);
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        let status = bench.read(regs::STATUS);
        assert_ne!(status & (regs::STATUS_ERROR | regs::STATUS_DRAINING), regs::STATUS_ERROR, "after {delay} cycles");
        assert!(delay < 10 || status == 0, "{status:#x} after {delay} cycles");
        bench.soft_reset();
    }
}

/// An interrupt is cleared at about the time it is raised. It is lost only if it was raised before the clearing.
#[test]
fn interrupt_beside_its_clearing() {
    let mut lost = Vec::new();
    for delay in 0..200 {
        let mut bench = bench(&NARROW, common::memory());
        let op = bench.operator(&mut Random::seed_from_u64(15), 4, 20, 1);
        start(&mut bench, &[op]);
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        let done = bench.read(regs::RING_HEAD) == 1;
        bench.write(regs::IRQ_STATUS, regs::IRQ_ENABLE_DONE);
        let before = bench.read(regs::RING_HEAD) == 1;
        while bench.read(regs::RING_HEAD) != 1 {}
        let pending = bench.read(regs::IRQ_STATUS) & regs::IRQ_ENABLE_DONE != 0;
        assert!(pending || before, "delay {delay}: an interrupt that came after the clearing is lost");
        assert!(!pending || !done, "delay {delay}: an interrupt that came before the clearing stays");
        lost.push(!pending);
    }
    assert!(lost.is_sorted() && lost.contains(&true) && lost.contains(&false), "{lost:?}");
}

/// An error, and a refused access, are cleared at about the time they come. Each is lost only if it came before.
#[test]
fn error_beside_its_clearing() {
    let mut lost = Vec::new();
    for delay in 0..160 {
        let mut bench = bench(&NARROW, common::memory());
        bench.queue_bytes(&[0; 64]);
        bench.ring();
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        let done = bench.read(regs::STATUS) & regs::STATUS_ERROR != 0;
        bench.write(regs::IRQ_STATUS, regs::IRQ_ENABLE_ERROR);
        let before = bench.read(regs::STATUS) & regs::STATUS_ERROR != 0;
        while bench.read(regs::STATUS) & (regs::STATUS_ERROR | regs::STATUS_DRAINING) != regs::STATUS_ERROR {}
        let pending = bench.read(regs::IRQ_STATUS) == regs::IRQ_ENABLE_ERROR;
        assert!(pending || before, "delay {delay}: an error that came after the clearing is lost");
        assert!(!pending || !done, "delay {delay}: an error that came before the clearing stays");
        lost.push(!pending);
    }
    assert!(lost.is_sorted() && lost.contains(&true) && lost.contains(&false), "{lost:?}");
}

/// KEEP_X with activations of another shape, by every bit of the number of activations and of tokens.
#[test]
fn keep_x_of_another_shape() {
    for unit in [DEFAULT, NARROW] {
        let mut bench = bench(&unit, common::memory());
        let (most, longest) = (bench.info.max_tokens(), bench.info.max_in_features());
        let mut rng = Random::seed_from_u64(24);
        let first = bench.operator(&mut rng, 8, (longest - 1) & 0x5555, 1 + most / 2);
        let d = first.descriptor;
        let with = |in_features: usize, tokens: usize| {
            let row_beats = unit.codec.row_beats(in_features, unit.port_bits / 8);
            Descriptor { keep_x: true, in_features, row_beats, tokens, w_stride: 1 << 20, ..d }
        };
        let lengths = (0..16).map(|bit| with(d.in_features ^ 1 << bit, d.tokens));
        let counts = (0..4).map(|bit| with(d.in_features, d.tokens ^ 1 << bit));
        let fits = |d: &Descriptor| (1..=longest).contains(&d.in_features) && (1..=most).contains(&d.tokens);
        let others: Vec<Descriptor> = lengths.chain(counts).filter(fits).collect();
        assert!(others.len() >= 12);
        for other in others {
            bench.run(std::slice::from_ref(&first));
            let number = bench.queue_bytes(&other.encode());
            bench.ring();
            assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR), (15, bench.slot(number)), "{other:?}");
            bench.soft_reset();
        }
        bench.run(std::slice::from_ref(&first));
        bench.run(&[Operator { descriptor: Descriptor { keep_x: true, ..d }, ..first }]);
    }
}

/// Ringing the doorbell again with the same tail starts nothing, whether the unit is busy or not.
#[test]
fn ringing_twice_is_ringing_once() {
    let mut bench = bench(&DEFAULT, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(16));
    let numbers = start(&mut bench, &ops);
    bench.ring();
    bench.finish();
    ops.iter().zip(numbers).for_each(|(op, number)| bench.check(op, number));
    let beats = bench.read(regs::PORT_BEATS);
    let (head, results) = (bench.read(regs::RING_HEAD), ops[0].descriptor);
    bench.bytes(results.y_addr, results.result_bytes()).fill(0x77);
    bench.ring();
    for _ in 0..2_000 {
        bench.device.step().unwrap();
    }
    assert_eq!((bench.read(regs::STATUS), bench.read(regs::RING_HEAD)), (0, head));
    assert_eq!(bench.read(regs::PORT_BEATS), beats, "weights were read again");
    assert!(bench.bytes(results.y_addr, results.result_bytes()).iter().all(|byte| *byte == 0x77));
}

/// The largest number of rows that a descriptor can request. One more is refused (`bad_descriptors`).
#[test]
fn most_rows() {
    let mut device = common::device(&DEFAULT, MemoryConfig { bytes: 32 << 20, ..common::memory() });
    device.set_patience(2_000_000);
    let mut bench = Bench::new(device);
    let mut rng = Random::seed_from_u64(17);
    // Every bit of the number of blocks, then the largest number, then a small one.
    for rows in [(1 << 19) - 8, 1 << 19, 1] {
        let op = bench.operator(&mut rng, rows, 1, 1);
        bench.run(&[op]);
    }
}

/// Activations, weights and results begin at every 64-byte step of a 4 KiB page. The bound checker watches the
/// bursts.
#[test]
fn around_4_kib() {
    for unit in [DEFAULT, NARROW, BASE3] {
        let mut bench = bench(&unit, common::memory());
        let mut rng = Random::seed_from_u64(18);
        for offset in (0..4096).step_by(64) {
            let used = bench.allocate(0);
            bench.allocate((offset + 4096 - used as usize % 4096) % 4096);
            let op = bench.operator(&mut rng, 11, 3 * bench.info.lanes(), 2);
            assert_eq!(op.descriptor.x_addr % 4096, offset as u64);
            bench.run(&[op]);
        }
    }
}

/// A memory of 1 MiB. In its middle, all but the lowest bits of the address change.
fn across(memory: MemoryConfig) -> MemoryConfig {
    MemoryConfig { base: (1 << 39) - (1 << 19), ..memory }
}

/// Allocates the rest of the lower half of the memory of [`across`].
fn upper_half(bench: &mut Bench) {
    let used = bench.allocate(0) - bench.device.memory_base();
    bench.allocate((1 << 19) - used as usize);
}

/// Every bit of the addresses of activations, weights and results changes within a run.
#[test]
fn high_addresses() {
    for unit in [DEFAULT, SMALLEST, NARROW, BASE3, EIGHT] {
        for_seeds(4, |_, rng| {
            let mut bench = bench(&unit, across(restless(rng)));
            let below = operators(&mut bench, rng);
            upper_half(&mut bench);
            let above = operators(&mut bench, rng);
            assert!(below[0].descriptor.x_addr < 1 << 39 && above[0].descriptor.x_addr >= 1 << 39);
            // Activations and weights in the upper half, results in the lower half.
            let mut crossed = above[0].clone();
            crossed.descriptor.y_addr = below[0].descriptor.y_addr;
            bench.run(&[below[0].clone(), above[0].clone(), above[1].clone()]);
            bench.run(&[crossed, above[0].clone()]);
            bench.run(&[below[0].clone(), below[1].clone()]);
        });
    }
}

/// A ring that crosses the highest address bit. Strides of any size, for one token and one block.
#[test]
fn long_rings_and_strides() {
    for unit in [DEFAULT, SMALLEST] {
        let memory = MemoryConfig { base: (1 << 39) - 4096, bytes: 1 << 20, ..common::memory() };
        let mut device = common::device(&unit, memory);
        device.set_patience(50_000);
        let (mut bench, mut rng) = (Bench::with_ring(device, 7), Random::seed_from_u64(19));
        let op = bench.operator(&mut rng, 8, 5, 1);
        for round in 0..150 {
            let mut op = op.clone();
            if round % 2 == 0 {
                (op.descriptor.x_stride, op.descriptor.w_stride) = (0xffff_ffc0, 0xffff_ffc0);
            }
            bench.run(&[op]);
        }
    }
}

/// A descriptor that is both bad and misaligned is reported as bad.
#[test]
fn bad_and_misaligned() {
    let mut bench = bench(&DEFAULT, common::memory());
    let op = bench.operator(&mut Random::seed_from_u64(20), 8, 64, 1);
    let bad = Descriptor { out_features: 0, y_addr: op.descriptor.y_addr + 1, ..op.descriptor };
    bench.queue_bytes(&bad.encode());
    bench.ring();
    assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR), (15, bench.slot(0)));
    recovers(&mut bench, &[op]);
}

/// An illegal weight in any block, and so on any port, at low and high addresses.
#[test]
fn bad_weights_on_every_port() {
    for unit in [DEFAULT, NARROW, BASE3, EIGHT] {
        let mut rng = Random::seed_from_u64(21);
        let mut bench = bench(&unit, across(common::memory()));
        let mut reporters = BTreeSet::new();
        for half in 0..2 {
            for bad in 0..2 * unit.ports {
                bench.allocate(below(&mut rng, 24 << 10));
                let op = bench.operator(&mut rng, 16 * unit.ports, 2 * bench.info.lanes(), 1);
                let beat = below(&mut rng, 16) * bench.info.port_bytes;
                let address = op.descriptor.w_addr + (bad * op.descriptor.w_stride + beat) as u64;
                let beat = bench.info.port_bytes;
                bench.bytes(address, beat).fill(0xff);
                let planes = bench.info.port_bytes / 2;
                if unit.codec == golden::Codec::Weights2b {
                    bench.bytes(address, planes).fill(0);
                }
                start(&mut bench, &[op]);
                let (source, found) = bench.expect_error(regs::ERR_BAD_WEIGHT);
                assert_eq!(found, address, "block {bad}, reported by {source}");
                reporters.insert(source);
                let good = bench.operator(&mut rng, 9, 20, 1);
                recovers(&mut bench, &[good]);
            }
            if half == 0 {
                upper_half(&mut bench);
            }
        }
        assert!(reporters.into_iter().eq(0..unit.ports as u8), "every port meets a bad block");
    }
}

/// Addresses outside the memory: the unit reports DECERR with the address.
#[test]
fn addresses_outside_memory() {
    for unit in [DEFAULT, NARROW, EIGHT] {
        let (mut bench, mut rng) = (bench(&unit, common::memory()), Random::seed_from_u64(23));
        let op = bench.operator(&mut rng, 8 * unit.ports, 2 * bench.info.lanes(), 1);
        let (base, d) = (bench.device.memory_base(), op.descriptor);
        for round in 0..90 {
            let outside = (rng.next_u64() % (1 << 40)) & !63;
            if outside.abs_diff(base) <= 1 << 21 || outside >= (1 << 40) - (1 << 21) {
                continue;
            }
            let (bad, code, reporters) = match round % 3 {
                0 => (Descriptor { x_addr: outside, ..d }, regs::ERR_READ_DECERR, 15..16),
                1 => (Descriptor { w_addr: outside, ..d }, regs::ERR_READ_DECERR, 0..unit.ports as u8),
                _ => (Descriptor { y_addr: outside, ..d }, regs::ERR_WRITE_DECERR, 14..15),
            };
            bench.queue_bytes(&bad.encode());
            bench.ring();
            let (source, address) = bench.expect_error(code);
            assert!(reporters.contains(&source), "{bad:?}: reported by {source}");
            // For weights, the reported address is the first beat of the block that is answered first.
            let block = if source < 14 { d.w_stride as u64 } else { 1 << 40 };
            assert!(address >= outside && (address - outside) % block == 0, "{bad:?}: {address:#x}");
            recovers(&mut bench, std::slice::from_ref(&op));
        }
    }
}

/// The memory is so slow that as many bursts are in flight as the unit allows.
#[test]
fn slow_memory() {
    for unit in [DEFAULT, NARROW] {
        let mut timing = Timing::ideal(600);
        timing.queue = 32;
        let mut bench = bench(&unit, MemoryConfig { timing, ..common::memory() });
        let mut rng = Random::seed_from_u64(22);
        let op = bench.operator(&mut rng, 600, 70, 2);
        bench.run(&[op]);
    }
}

/// A soft reset in any cycle of a run: bursts in flight are drained, and the next run is correct.
#[test]
fn soft_reset_in_mid_run() {
    for_seeds(60, |_, rng| {
        let unit = pick(rng, &[DEFAULT, NARROW, SMALLEST]);
        let mut bench = bench(&unit, restless(rng));
        let ops = operators(&mut bench, rng);
        for _ in 0..5 {
            start(&mut bench, &ops);
            for _ in 0..below(rng, 800) {
                bench.device.step().unwrap();
            }
            bench.soft_reset();
            if rng.next_u32() & 1 == 0 {
                bench.run(&ops);
            }
        }
        bench.run(&ops);
    });
}

/// A hardware reset in any cycle, of the unit and the interconnect together.
#[test]
fn hardware_reset_in_mid_burst() {
    for_seeds(60, |_, rng| {
        let unit = pick(rng, &[DEFAULT, NARROW, SMALLEST]);
        let mut bench = bench(&unit, restless(rng));
        let ops = operators(&mut bench, rng);
        for _ in 0..5 {
            start(&mut bench, &ops);
            for _ in 0..below(rng, 800) {
                bench.device.step().unwrap();
            }
            bench.device.axi_memory().reset();
            bench.device.reset().unwrap();
            conformance::check_reset_values(&mut bench.device);
            bench.set_up();
            bench.run(&ops);
        }
    });
}

/// A hardware reset clears an error, from any source.
#[test]
fn hardware_reset_after_an_error() {
    let mut bench = bench(&DEFAULT, common::memory());
    bench.queue_bytes(&[0; 64]);
    bench.ring();
    assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR).0, 15);
    bench.device.reset().unwrap();
    conformance::check_reset_values(&mut bench.device);
}

/// A busy host in the middle of a run: it queues more descriptors, reads registers, clears counters, and makes
/// accesses that are refused.
#[test]
fn registers_while_busy() {
    for_seeds(30, |_, rng| {
        let unit = pick(rng, &[DEFAULT, NARROW, BASE3]);
        let mut bench = bench(&unit, restless(rng));
        let ops: Vec<Operator> = (0..3).flat_map(|_| operators(&mut bench, rng)).collect();
        let mut numbers = Vec::new();
        while numbers.len() < ops.len() || bench.read(regs::RING_HEAD) != u32::from(bench.queued) {
            match rng.next_u32() % 8 {
                0 | 1 if numbers.len() < ops.len() => {
                    numbers.push(bench.queue(&ops[numbers.len()]));
                    bench.ring();
                }
                2 => {
                    bench.write(regs::CONTROL, regs::CONTROL_CLEAR_COUNTERS);
                    // CLEAR_COUNTERS clears the counters once; they then continue to count.
                    let busy = bench.read(regs::STATUS) & regs::STATUS_BUSY != 0;
                    assert!(!busy || bench.read(regs::BUSY_CYCLES) > 0);
                }
                3 => bench.write(regs::STATUS, rng.next_u32()),
                4 => assert_eq!(bench.device.axil_write(regs::CONTROL, 1, 7).unwrap(), OKAY),
                5 => bench.ring(),
                _ => {
                    let (_, offset, _) = regs::REGISTERS[below(rng, regs::REGISTERS.len())];
                    bench.read(offset);
                }
            }
        }
        assert_eq!(bench.error().0, 0);
        conformance::take_refused(&mut bench.device);
        ops.iter().zip(numbers).for_each(|(op, number)| bench.check(op, number));
    });
}

/// A flipped bit in the weights or the results changes the output: the comparison with golden works.
#[test]
fn flipped_bits_show() {
    for_seeds(30, |_, rng| {
        let mut bench = bench(&DEFAULT, common::memory());
        let op = bench.operator(rng, 40, 200, 3);
        bench.run(std::slice::from_ref(&op));

        // A weight changes from 0 to +1, or from +1 to 0.
        let (beat_bytes, lanes) = (bench.info.port_bytes, bench.info.lanes());
        let (row, col) = loop {
            let (row, col) = (below(rng, 40), below(rng, 200));
            // An activation of zero would hide the flip.
            if op.matrix.get(row, col) >= 0 && op.x[col] != 0 {
                break (row, col);
            }
        };
        let beat = row / 8 * op.descriptor.w_stride + (col / lanes * 8 + row % 8) * beat_bytes;
        let at = op.descriptor.w_addr + (beat + col % lanes / 8) as u64;
        bench.bytes(at, 1)[0] ^= 1 << (col % 8);
        bench.queue(&op);
        bench.finish();
        let found = bench.results(&op);
        let wrong: Vec<usize> = (0..found.len()).filter(|i| found[*i] != op.expected[*i]).collect();
        assert!(wrong.contains(&row) && wrong.iter().all(|i| i % 40 == row), "weight [{row}, {col}]: {wrong:?}");
        bench.bytes(at, 1)[0] ^= 1 << (col % 8);

        // A bit of a result changes.
        let (bit, beat) = (below(rng, 128) as u8, below(rng, op.descriptor.result_bytes() / 16) as u64);
        let written = 2 * (op.descriptor.result_bytes() as u64 / 16 + 1);
        bench.device.axi_memory().faults().write = Some((written + beat, WriteFault::FlipBit(bit)));
        bench.queue(&op);
        bench.finish();
        let found = bench.results(&op);
        let wrong = (0..found.len()).filter(|i| found[*i] != op.expected[*i]).count();
        assert_eq!(wrong, 1, "bit {bit} of beat {beat}");
    });
}

/// If draining cannot end, the driver still reports the error that stopped the unit.
#[test]
fn the_driver_names_the_error() {
    let mut driver = Driver::open(common::device(&DEFAULT, common::memory())).unwrap();
    let matrix = common::ternary(&mut Random::seed_from_u64(11), 64, 128);
    let weights = driver.load(&matrix).unwrap();
    driver.device().write_register(regs::WATCHDOG, 200).unwrap();
    driver.device().axi_memory().faults().starve_read_data = Some((0, 0));
    let error = driver.run(&[weights], &[1; 128], 1).unwrap_err();
    assert!(matches!(error, DeviceError::Unit { code: regs::ERR_WATCHDOG, .. }), "{error}");
    *driver.device().axi_memory().faults() = Faults::default();
    driver.reset().unwrap();
    let run = driver.run(&[weights], &[1; 128], 1).unwrap();
    assert_eq!(run.operators[0].accumulators, golden::matvec::reference(&matrix, &[1; 128]));
}

/// The address of an error when as many bursts are in flight as the unit allows, of reads and of writes.
#[test]
fn error_address_of_a_full_table() {
    for unit in [DEFAULT, NARROW] {
        let mut timing = Timing::ideal(600);
        timing.queue = 32;
        let memory = MemoryConfig { timing, ..common::memory() };
        let reads = (0..unit.ports).flat_map(|port| [40, 110, 150].map(|beat| (Some((port, beat)), None)));
        for (read, write) in reads.chain([0, 20, 60, 100, 130, 200].map(|beat| (None, Some(beat)))) {
            let mut bench = bench(&unit, memory.clone());
            let op = bench.operator(&mut Random::seed_from_u64(26), 600, 70, 2);
            *bench.device.axi_memory().faults() = Faults {
                read: read.map(|(port, beat)| (port, beat, ReadFault::Response(SLVERR))),
                write: write.map(|beat| (beat, WriteFault::Response(SLVERR))),
                ..Faults::default()
            };
            bench.queue(&op);
            bench.ring();
            let code = if read.is_some() { regs::ERR_READ_SLVERR } else { regs::ERR_WRITE_SLVERR };
            let (_, address) = bench.expect_error(code);
            assert_eq!(Some(address), bench.device.axi_memory().faulted(), "{read:?}, {write:?}");
            recovers(&mut bench, &[op]);
        }
    }
}

/// A beat with several errors: data of a bad response, or of a broken burst, are no weights that could be wrong.
#[test]
fn errors_of_one_beat() {
    for unit in [DEFAULT, NARROW, BASE3] {
        for (fault, code) in [
            (ReadFault::Response(SLVERR), regs::ERR_READ_SLVERR),
            (ReadFault::Response(DECERR), regs::ERR_READ_DECERR),
            (ReadFault::FlipLast, regs::ERR_READ_LAST),
        ] {
            for beat in 0..16 {
                let mut bench = bench(&unit, common::memory());
                let op = bench.operator(&mut Random::seed_from_u64(27), 8 * unit.ports, 2 * bench.info.lanes(), 1);
                let (d, port) = (op.descriptor, unit.ports - 1);
                // As many blocks as ports, so the last port gets the last block. Negative but zero, or bytes of 255.
                let block = bench.bytes(d.w_addr + (port * d.w_stride) as u64, d.w_stride);
                block.chunks_exact_mut(unit.port_bits / 16).enumerate().for_each(|(i, half)| {
                    half.fill(if unit.codec == golden::Codec::Weights2b && i % 2 == 0 { 0 } else { 0xff });
                });
                bench.device.axi_memory().faults().read = Some((port, beat, fault));
                bench.queue(&op);
                bench.ring();
                // The first beat is illegal too, so a later fault comes too late.
                let code = if beat == 0 { code } else { regs::ERR_BAD_WEIGHT };
                assert_eq!(bench.expect_error(code), (port as u8, d.w_addr + (port * d.w_stride) as u64), "{fault:?}");
            }
        }
    }
}

/// A host that polls does not keep the watchdog quiet.
#[test]
fn a_polled_watchdog_bites() {
    const LIMIT: u32 = 300;
    for starved in [
        Faults { starve_read_address: Some((1, 0)), ..Faults::default() },
        Faults { starve_read_data: Some((0, 0)), ..Faults::default() },
        Faults { starve_write: Some(0), ..Faults::default() },
    ] {
        let mut bench = bench(&NARROW, MemoryConfig { faults: starved.clone(), ..common::memory() });
        let ops = operators(&mut bench, &mut Random::seed_from_u64(28));
        bench.write(regs::WATCHDOG, LIMIT);
        start(&mut bench, &ops);
        let begin = bench.device.cycles();
        for turn in 0.. {
            match turn % 3 {
                0 => bench.write(regs::IRQ_ENABLE, 7),
                1 => _ = bench.read(regs::PORT_BEATS),
                _ if bench.read(regs::STATUS) & regs::STATUS_ERROR != 0 => break,
                _ => {}
            }
            assert!(bench.device.cycles() - begin < 5_000, "the watchdog sleeps: {starved:?}");
        }
        assert_eq!(bench.error().0, regs::ERR_WATCHDOG, "{starved:?}");
        recovers(&mut bench, &ops);
    }
}

/// Work of any port is progress: the second port still computes when the first one has finished and the bus is silent.
#[test]
fn computing_on_any_port_is_progress() {
    let mut bench = bench(&BASE3_NARROW, common::memory());
    let (tokens, lanes) = (BASE3_NARROW.max_tokens(), bench.info.lanes());
    let op = bench.operator(&mut Random::seed_from_u64(29), 16, 100 * lanes, tokens);
    bench.write(regs::WATCHDOG, 28);
    bench.device.axi_memory().faults().starve_read_data = Some((1, 0));
    let number = bench.queue(&op);
    bench.ring();
    while bench.read(regs::PORT_BUSY) < 1_500 {}
    *bench.device.axi_memory().faults() = Faults::default();
    bench.finish();
    bench.check(&op, number);
}

/// The memory takes no results for so long that the window fills up, from any place in a run.
#[test]
fn a_long_pause_of_the_writes() {
    for unit in [DEFAULT, SMALLEST, BASE3_NARROW] {
        for from in [40, 70, 100, 130, 160, 200, 250, 300, 400] {
            let mut bench = bench(&unit, common::memory());
            let (lanes, tokens) = (bench.info.lanes(), bench.info.max_tokens());
            let op = bench.operator(&mut Random::seed_from_u64(30), 8 * 140, lanes, tokens);
            let start = bench.device.cycles() + 20;
            bench.device.axi_memory().faults().starve_write = Some(start + from);
            let number = bench.queue(&op);
            bench.ring();
            for _ in 0..5_000 {
                bench.device.step().unwrap();
            }
            *bench.device.axi_memory().faults() = Faults::default();
            bench.finish();
            bench.check(&op, number);
        }
    }
}

/// The same while an operator skips rows: places for results with zeros between them run out too.
#[test]
fn a_long_pause_of_the_writes_of_skipped_rows() {
    for unit in [DEFAULT, SMALLEST, BASE3_NARROW] {
        for from in [60, 200, 700] {
            let mut bench = bench(&unit, common::memory());
            let (mut rng, lanes) = (Random::seed_from_u64(31), bench.info.lanes());
            let gate = bench.recording(&mut rng, 8 * 140, lanes, |row| row % 9 == 0);
            let up = bench.skipping(&mut rng, &gate, &gate, Selection::Skip);
            bench.run(std::slice::from_ref(&gate));
            let start = bench.device.cycles();
            bench.device.axi_memory().faults().starve_write = Some(start + from);
            let number = bench.queue(&up);
            bench.ring();
            for _ in 0..5_000 {
                bench.device.step().unwrap();
            }
            *bench.device.axi_memory().faults() = Faults::default();
            bench.finish();
            bench.check(&up, number);
        }
    }
}
