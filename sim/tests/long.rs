//! Counters far from zero, addresses that carry, rings of every size: what short runs never reach.
#![allow(clippy::unwrap_used)]

mod common;

use common::{BASE3_NARROW, DEFAULT, EIGHT, NARROW, Random, SMALLEST};
use conformance::Operator;
use rand_core::SeedableRng;
use testbench::device::VerilatedDevice;
use tmv::config::UnitConfig;
use tmv::conformance;
use tmv::descriptor::Descriptor;
use tmv::device::Device;
use tmv::driver::Driver;
use tmv::regs;
use verilated::{ModelLibrary, PowerUp, Trace};
use zynq_memory::{Faults, MemoryConfig, ReadFault, SLVERR};

type Bench = conformance::Bench<VerilatedDevice>;

fn device(unit: &UnitConfig, memory: MemoryConfig) -> VerilatedDevice {
    let mut device = common::device(unit, memory);
    device.set_patience(20_000_000);
    device
}

/// Queues `op` in every place of the ring, except that only the last one raises an interrupt.
fn fill(bench: &mut Bench, op: &Operator) {
    let quiet = Descriptor { irq: false, ..op.descriptor }.encode();
    let size = 1u32 << bench.log2;
    for _ in 1..size {
        bench.queue_bytes(&quiet);
    }
    bench.queue(op);
}

/// More descriptors than a 16-bit number counts, in the largest ring: tags, head, tail and doorbells wrap.
#[test]
fn soak() {
    let mut bench = Bench::with_ring(device(&SMALLEST, MemoryConfig { bytes: 4 << 20, ..common::memory() }), 15);
    let op = bench.operator(&mut Random::seed_from_u64(1), 3, 7, 1);
    let mut cycles = 0u64;
    for turn in 0..3u32 {
        let first = bench.queued;
        fill(&mut bench, &op);
        bench.finish();
        assert_eq!(bench.read(regs::RING_HEAD), u32::from(bench.queued), "turn {turn}");
        let mut before = None;
        for number in (0..1u32 << 15).map(|i| first.wrapping_add(i as u16)) {
            let record = bench.record(number);
            assert_eq!((record.status, record.tag), (1 << 31, number), "turn {turn}");
            let length = record.end_cycle.wrapping_sub(record.start_cycle);
            assert!((1..2_000).contains(&length), "descriptor {number} took {length} cycles");
            if let Some(end) = before.replace(record.end_cycle) {
                cycles += u64::from(record.end_cycle.wrapping_sub(end));
            }
        }
        bench.check(&op, bench.queued.wrapping_sub(1));
    }
    // Busy cycles: those between ends, and a little before the first end of each turn.
    let busy = u64::from(bench.read(regs::BUSY_CYCLES));
    assert!(busy > cycles && busy < cycles + 3_000 && busy > 1 << 21, "{busy} busy cycles, {cycles} in records");
    let weights = 3 * (1 << 15) * 8 * op.descriptor.row_beats as u32;
    assert_eq!((bench.read(regs::PORT_BEATS), bench.read(regs::PORT_BUSY)), (weights, weights));
    let doorbell = u32::from(bench.queued.wrapping_sub(1));
    bench.write(regs::RING_TAIL, doorbell);
    assert_eq!(bench.expect_error(regs::ERR_BAD_DOORBELL), (15, u64::from(doorbell)));
    bench.soft_reset();
    bench.run(&[op]);
}

/// Rings of every size: filled to the last place, twice, then one too many.
#[test]
fn rings_of_every_size() {
    for log2 in 0..15 {
        let mut bench = Bench::with_ring(device(&SMALLEST, MemoryConfig { bytes: 4 << 20, ..common::memory() }), log2);
        let op = bench.operator(&mut Random::seed_from_u64(2), 2, 5, 1);
        bench.run(std::slice::from_ref(&op));
        for _ in 0..2 {
            fill(&mut bench, &op);
            bench.finish();
            for place in 0..1u16 << log2 {
                let number = bench.queued.wrapping_sub(1 + place);
                assert_eq!(bench.record(number).tag, number, "ring of 2^{log2}");
            }
        }
        let tail = bench.queued.wrapping_add((1 << log2) + 1);
        bench.write(regs::RING_TAIL, u32::from(tail));
        assert_eq!(bench.expect_error(regs::ERR_BAD_DOORBELL), (15, u64::from(tail)), "ring of 2^{log2}");
    }
}

/// Addresses carry across 4 GiB, and across 2^39, within one operator: in its activations, its weights, its results and
/// its ring. All else is below.
#[test]
fn carries_within_an_operator() {
    for unit in [DEFAULT, NARROW, BASE3_NARROW] {
        for carry in [1u64 << 32, 1 << 39, 1 << 20, 1 << 24] {
            for what in ["activations", "weights", "results", "ring"] {
                let memory = MemoryConfig { base: carry - (1 << 18), bytes: 1 << 19, ..common::memory() };
                let mut bench = Bench::with_ring(device(&unit, memory), if what == "ring" { 3 } else { 4 });
                let (lanes, tokens) = (bench.info.lanes(), bench.info.max_tokens());
                let mut rng = Random::seed_from_u64(3);
                let mut op = bench.operator(&mut rng, 40, 5 * lanes, tokens);
                let d = &mut op.descriptor;
                // Half of it below: not a whole number of rows, blocks or lines.
                let bytes = match what {
                    "activations" => tokens * d.x_stride,
                    "weights" => 5 * d.w_stride,
                    _ => d.result_bytes(),
                };
                let below = carry - ((bytes as u64 / 2) & !63) - if bytes > 256 { 64 } else { 0 };
                let base = carry - (1 << 18);
                let mut copy = |from: u64| {
                    let (from, to) = ((from - base) as usize, (below - base) as usize);
                    bench.device.memory().copy_within(from..from + bytes, to);
                };
                match what {
                    "activations" => {
                        copy(d.x_addr);
                        d.x_addr = below;
                    }
                    "weights" => {
                        copy(d.w_addr);
                        d.w_addr = below;
                    }
                    "results" => d.y_addr = below,
                    _ => {
                        bench.write(regs::RING_BASE_LO, (carry - 64) as u32);
                        bench.write(regs::RING_BASE_HI, ((carry - 64) >> 32) as u32);
                        for number in 0..2u64 {
                            let at = (carry - 64 + 64 * number - base) as usize;
                            bench.device.memory()[at..at + 64].copy_from_slice(&op.descriptor.encode());
                        }
                        bench.queued = 2;
                        bench.finish();
                        let at = (carry + 48 - base) as usize;
                        assert_eq!(bench.device.memory()[at..at + 4], [0, 0, 0, 0x80], "{unit:?}, ring at {carry:#x}");
                        assert_eq!(bench.results(&op), op.expected, "{unit:?}, ring at {carry:#x}");
                        continue;
                    }
                }
                assert!(below < carry && below + bytes as u64 > carry);
                bench.run(&[op]);
            }
        }
    }
}

/// Blocks and tokens that are 4 GiB apart, less a little: the address of the second one carries.
#[test]
fn carries_of_strides() {
    for base in [0x1_0000_0000u64 - (1 << 16), (1 << 33) - (1 << 16)] {
        let memory = MemoryConfig { base, bytes: 1 << 17, ..common::memory() };
        let mut bench = Bench::new(device(&NARROW, memory));
        let op = bench.operator(&mut Random::seed_from_u64(4), 16, 20, 2);
        let d = op.descriptor;
        // The second block and the second token are at the same places as the first ones, seen from above: a carry out
        // of bit 31 must not be lost, so these addresses are outside the memory.
        for bad in [Descriptor { w_stride: 0xffff_ffc0, ..d }, Descriptor { x_stride: 0xffff_ffc0, ..d }] {
            bench.queue_bytes(&bad.encode());
            bench.ring();
            let (_, address) = bench.expect_error(regs::ERR_READ_DECERR);
            let first = if bad.w_stride > 1 << 31 { d.w_addr } else { d.x_addr };
            assert_eq!(address, first + 0xffff_ffc0);
            bench.soft_reset();
        }
        bench.run(&[op]);
    }
}

/// The address of an error after many bursts, on each port: the table of addresses has wrapped often.
#[test]
fn error_address_after_many_bursts() {
    for unit in [DEFAULT, NARROW, SMALLEST, EIGHT] {
        let mut bench = Bench::new(device(&unit, common::memory()));
        let op = bench.operator(&mut Random::seed_from_u64(5), 1500 * unit.ports, 3 * bench.info.lanes(), 1);
        for (port, beat) in (0..unit.ports).flat_map(|port| [1_001, 2_222, 3_333].map(|beat| (port, beat))) {
            let from = bench.device.axi_memory().read_beats(port);
            bench.device.axi_memory().faults().read = Some((port, from + beat, ReadFault::Response(SLVERR)));
            bench.queue(&op);
            bench.ring();
            let (source, address) = bench.expect_error(regs::ERR_READ_SLVERR);
            assert_eq!((usize::from(source), Some(address)), (port, bench.device.axi_memory().faulted()));
            *bench.device.axi_memory().faults() = Faults::default();
            bench.soft_reset();
        }
    }
}

/// Rings for an operator whose read data the memory holds back. The watchdog must bite in time for `limit`, and not
/// before.
fn expect_watchdog(bench: &mut Bench, op: &Operator, limit: u32) {
    bench.device.axi_memory().faults().starve_read_data = Some((0, 0));
    bench.queue(op);
    bench.ring();
    let start = bench.device.cycles();
    assert_eq!(bench.expect_error(regs::ERR_WATCHDOG), (15, 0));
    let took = bench.device.cycles() - start;
    assert!(took > u64::from(limit) && took < u64::from(limit) + 100, "{took} cycles, limit {limit}");
}

/// A watchdog with a limit of more than 16 bits bites. The unit works again after it.
#[test]
fn watchdog_far_from_zero() {
    const LIMIT: u32 = 200_000;
    let mut bench = Bench::new(device(&SMALLEST, common::memory()));
    let op = bench.operator(&mut Random::seed_from_u64(6), 8, 20, 1);
    bench.write(regs::WATCHDOG, LIMIT);
    expect_watchdog(&mut bench, &op, LIMIT);
    *bench.device.axi_memory().faults() = Faults::default();
    bench.soft_reset();
    bench.run(&[op]);
}

/// The low half of the cycle counter wraps: between its two reads, and within an operator.
#[test]
fn the_cycle_counter_wraps() {
    let mut spec = testbench::model::unit_spec(&SMALLEST, Trace::Off).unwrap();
    spec.defines.insert("TMV_CYCLE_START".into(), "64'h0000_0005_ffff_fc00".into());
    spec.label += ", cycles from 6 x 2^32 - 1024";
    let device = common::device_of(&common::model(&spec), &SMALLEST, common::memory(), PowerUp::Random, 1);
    let mut bench = Bench::new(device);
    let op = bench.operator(&mut Random::seed_from_u64(8), 600, 100, 1);
    let begin = bench.read(regs::CYCLE_LO);
    assert!(begin >= 0xffff_fc00, "{begin:#x}");
    for _ in 0..1024 {
        bench.device.step().unwrap();
    }
    assert_eq!(bench.read(regs::CYCLE_HI), 5, "the half that belongs to the last read of CYCLE_LO");
    assert!(bench.read(regs::CYCLE_LO) < 1024);
    assert_eq!(bench.read(regs::CYCLE_HI), 6);

    // Another unit, whose operator is at work when the counter wraps. Its cycles are those of any other run.
    let run = |library: &ModelLibrary| {
        let device = common::device_of(library, &SMALLEST, common::memory(), PowerUp::Random, 1);
        let mut driver = Driver::open(device).unwrap();
        let weights = driver.load(&op.matrix).unwrap();
        let run = driver.run(&[weights], &op.x, 1).unwrap();
        assert_eq!(run.operators[0].accumulators, op.expected);
        let end = driver.device().read_register(regs::CYCLE_LO).unwrap();
        (run.operators[0].cycles, run.cycles, end)
    };
    let (cycles, busy, end) = run(&common::model(&spec));
    assert!(end < 0x8000_0000 && cycles > 1024, "{cycles} cycles until {end:#x}: the counter did not wrap in the run");
    assert_eq!((cycles, busy), {
        let (cycles, busy, _) = run(&common::unit(&SMALLEST));
        (cycles, busy)
    });
}

/// As many results as a descriptor can have: most rows for most tokens.
#[test]
fn most_results() {
    let mut bench = Bench::new(device(&DEFAULT, MemoryConfig { bytes: 64 << 20, ..common::memory() }));
    let tokens = bench.info.max_tokens();
    let op = bench.operator(&mut Random::seed_from_u64(7), 1 << 19, 2, tokens);
    bench.run(&[op]);
}

/// The counters of a port in a run of more than 2^16 blocks: each cycle of the run is one of work or of one stall.
#[test]
fn counters_of_a_long_run() {
    let mut bench = Bench::new(device(&SMALLEST, MemoryConfig { bytes: 32 << 20, ..common::memory() }));
    let op = bench.operator(&mut Random::seed_from_u64(8), 1 << 19, 2, 1);
    bench.run(&[op]);
    let record = bench.record(0);
    let cycles = record.end_cycle.wrapping_sub(record.start_cycle);
    let found = [regs::PORT_BUSY, regs::PORT_BEATS, regs::PORT_BURSTS].map(|register| bench.read(register));
    assert_eq!(found, [1 << 19, 1 << 19, 1 << 16]);
    let stalls = [regs::PORT_STALL_DATA, regs::PORT_STALL_X, regs::PORT_STALL_RESULT].map(|r| bench.read(r));
    let idle = cycles - (1 << 19) - stalls.iter().sum::<u32>();
    assert!(idle < 1_000, "{cycles} cycles, stalls {stalls:?}");
}

/// The counters of stalls beyond 2^16, each of its own port.
#[test]
fn long_stalls() {
    const PAUSE: u32 = 70_000;
    // The port that pauses, from when on, and the stall of port 1.
    for (port, from, register) in [(1, 900, regs::PORT_STALL_DATA), (0, 200, regs::PORT_STALL_X)] {
        let mut bench = Bench::new(device(&NARROW, common::memory()));
        let op = bench.operator(&mut Random::seed_from_u64(9), 80, 100 * bench.info.lanes(), 2);
        let from = bench.device.cycles() + from;
        bench.device.axi_memory().faults().starve_read_data = Some((port, from));
        bench.write(regs::WATCHDOG, 0);
        let number = bench.queue(&op);
        bench.ring();
        for _ in 0..PAUSE {
            bench.device.step().unwrap();
        }
        *bench.device.axi_memory().faults() = Faults::default();
        bench.finish();
        bench.check(&op, number);
        for stall in [regs::PORT_STALL_DATA, regs::PORT_STALL_X, regs::PORT_STALL_RESULT] {
            let found = bench.read(stall + regs::PORT_BUSY_STRIDE);
            let long = found > PAUSE - 5_000;
            assert!(long == (stall == register) && (long || found < 10_000), "{stall:#05x}: {found}");
        }
    }
}

/// The watchdog bites with its reset value, and with a limit of more than 20 bits. A limit with the top bit does not.
#[test]
fn watchdog_limits() {
    for limit in [regs::WATCHDOG_RESET, (1 << 21) + 3] {
        let mut bench = Bench::new(device(&SMALLEST, common::memory()));
        let op = bench.operator(&mut Random::seed_from_u64(10), 8, 20, 1);
        if limit != regs::WATCHDOG_RESET {
            bench.write(regs::WATCHDOG, limit);
        }
        expect_watchdog(&mut bench, &op, limit);
    }
    for limit in [1 << 31, u32::MAX] {
        let mut bench = Bench::new(device(&SMALLEST, common::memory()));
        let op = bench.operator(&mut Random::seed_from_u64(10), 8, 20, 1);
        bench.write(regs::WATCHDOG, limit);
        bench.run(&[op]);
    }
}

/// A doorbell that takes descriptors back, while the tail has wrapped at 2^16 and the head has not.
#[test]
fn doorbells_around_the_wrap() {
    for tail in [0, 1, 5] {
        let mut bench = Bench::with_ring(device(&SMALLEST, MemoryConfig { bytes: 4 << 20, ..common::memory() }), 15);
        let op = bench.operator(&mut Random::seed_from_u64(11), 1, 1, 1);
        fill(&mut bench, &op);
        bench.finish();
        let quiet = Descriptor { irq: false, ..op.descriptor }.encode();
        for _ in 0..(1 << 15) - 5 {
            bench.queue_bytes(&quiet);
        }
        bench.queue(&op);
        bench.finish();
        assert_eq!(bench.queued, u16::MAX - 3);
        let long = bench.operator(&mut Random::seed_from_u64(12), 300, 70, 1);
        while bench.queued != tail {
            bench.queue(&long);
        }
        bench.ring();
        let back = tail.wrapping_sub(1);
        bench.write(regs::RING_TAIL, u32::from(back));
        assert_eq!(bench.expect_error(regs::ERR_BAD_DOORBELL), (15, u64::from(back)), "tail {tail}");
        bench.soft_reset();
        bench.run(&[op]);
    }
}

/// Activations load while the operators before are computed, also while one of them keeps its activations.
#[test]
fn activations_load_behind_kept_ones() {
    let mut bench = Bench::new(device(&NARROW, common::memory()));
    let mut rng = Random::seed_from_u64(13);
    let lanes = bench.info.lanes();
    let first = bench.operator(&mut rng, 8, 100 * lanes, 2);
    let kept = bench.sharing(&mut rng, &first, 200);
    let next = bench.operator(&mut rng, 8, 100 * lanes, 2);
    let load = (2 * 100 * lanes / bench.info.port_bytes) as u32;
    bench.run(&[first, kept, next]);
    let [kept, next] = [1, 2].map(|number| bench.record(number).end_cycle);
    // A block of its weights is 800 beats of one port; its activations would take as long again.
    let behind = next.wrapping_sub(kept);
    assert!(behind < 800 + load / 2, "the next operator ends {behind} cycles later, its activations take {load}");
}
