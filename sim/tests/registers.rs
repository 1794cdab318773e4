//! The Verilated unit passes the conformance suite, and further tests that need access to the bus.
#![allow(clippy::unwrap_used)]

mod common;

use rand_core::Rng;
use tmv::device::Device;
use tmv::regs;
use tmv::{conformance, conformance_suite};

macro_rules! unit {
    ($name:ident, $config:expr) => {
        mod $name {
            use super::*;

            fn fresh() -> testbench::device::VerilatedDevice {
                let memory = zynq_memory::MemoryConfig { bytes: 1 << 20, ..common::memory() };
                let mut device = common::device(&$config, memory);
                device.set_patience(5_000);
                device
            }

            conformance_suite!(fresh());
        }
    };
}

unit!(default_unit, common::DEFAULT);
unit!(smallest_unit, common::SMALLEST);
unit!(narrow_unit, common::NARROW);
unit!(base3_unit, common::BASE3);

/// A master that gives address and data in any order, and takes answers late.
mod rude_master {
    use super::*;

    fn fresh() -> testbench::device::VerilatedDevice {
        let memory = zynq_memory::MemoryConfig { bytes: 1 << 20, ..common::memory() };
        let mut device = common::device(&common::NARROW, memory);
        device.set_patience(5_000);
        device.set_rude(1);
        device
    }

    conformance_suite!(fresh());
}

const OKAY: u8 = 0;

/// A write with partial strobes is refused and changes nothing, in any register.
#[test]
fn partial_strobes() {
    let mut device = common::device(&common::DEFAULT, common::memory());
    for (name, offset, access) in regs::REGISTERS {
        for strobes in 0..15 {
            assert_eq!(device.axil_write(*offset, 0, strobes).unwrap(), OKAY, "{name}, strobes {strobes:04b}");
            assert_eq!(conformance::take_refused(&mut device), Some((*offset, true)), "{name}, strobes {strobes:04b}");
        }
        if *access == "rw" {
            let expected = if *offset == regs::WATCHDOG { regs::WATCHDOG_RESET } else { 0 };
            assert_eq!(device.axil_read(*offset).unwrap(), (expected, OKAY), "{name}");
        }
    }
    assert_eq!(device.read_register(regs::STATUS).unwrap(), 0);
}

/// Random accesses against a model of the registers.
#[test]
fn random_accesses() {
    common::for_seeds(3, |_, rng| {
        let mut device = common::device(&common::DEFAULT, common::memory());
        let mut expected = [
            (regs::IRQ_ENABLE, 0x7, 0),
            (regs::WATCHDOG, u32::MAX, 1 << 20),
            (regs::RING_BASE_LO, u32::MAX, 0),
            (regs::RING_BASE_HI, 0xff, 0),
            (regs::RING_LOG2, 0xf, 0u32),
        ];
        for _ in 0..2000 {
            let (offset, mask, value) = &mut expected[common::below(rng, 5)];
            let (data, strobes) =
                (rng.next_u32(), if rng.next_u32() % 4 == 0 { rng.next_u32() as u8 & 0xf } else { 0xf });
            match rng.next_u32() % 3 {
                0 => assert_eq!(device.axil_read(*offset).unwrap(), (*value, OKAY)),
                1 => {
                    let data = if rng.next_u32() % 4 == 0 { data } else { data & *mask };
                    let good = strobes == 0xf && data & !*mask == 0;
                    assert_eq!(device.axil_write(*offset, data, strobes).unwrap(), OKAY);
                    assert_eq!(conformance::take_refused(&mut device), (!good).then_some((*offset, true)));
                    *value = if good { data } else { *value };
                }
                _ => (0..common::below(rng, 4)).for_each(|_| device.step().unwrap()),
            }
        }
    });
}

/// The counters of a run: a soft reset keeps them, CLEAR_COUNTERS clears them, and the cycle counter continues.
#[test]
fn counters() {
    let mut device = common::device(&common::DEFAULT, common::memory());
    let start = device.read_register(regs::CYCLE_LO).unwrap();
    let before = device.cycles();
    device.step().unwrap();
    let now = device.read_register(regs::CYCLE_LO).unwrap();
    assert_eq!(u64::from(now - start), device.cycles() - before);

    let mut bench = conformance::Bench::new(device);
    let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(1);
    let op = bench.operator(&mut rng, 64, 256, 2);
    let before = bench.read(regs::CYCLE_LO);
    bench.run(std::slice::from_ref(&op));
    let ports = bench.info.ports as u32;
    let port = |p: u32, register: u32| register + p * regs::PORT_BUSY_STRIDE;
    let busy: u32 = (0..ports).map(|p| bench.read(port(p, regs::PORT_BUSY))).sum();
    let beats: u32 = (0..ports).map(|p| bench.read(port(p, regs::PORT_BEATS))).sum();
    let weights = 64 * op.descriptor.row_beats as u32;
    assert_eq!(busy, weights, "every weight beat is consumed once");
    assert_eq!(beats, weights, "every weight beat is received once");
    let record = bench.record(0);
    let run_cycles = record.end_cycle.wrapping_sub(record.start_cycle);
    assert!((1..10_000).contains(&run_cycles), "{record:?}");
    let run_start = bench.read(regs::RUN_START);
    assert!(run_start.wrapping_sub(before) < 10_000, "{before}, run {run_start}");
    assert_eq!(record.start_cycle, run_start, "both are the cycle in which the fetch of the descriptor begins");
    // Each read returns its own data: not the data of the previous register, and zero for a port that does not exist.
    assert_eq!(bench.read(regs::ID), regs::ID_VALUE);
    assert!(bench.read(port(0, regs::PORT_BUSY)) > 0);
    for nothing in [port(ports, regs::PORT_BUSY), regs::PORT_BUSY + 28] {
        assert_eq!(bench.device.axil_read(nothing).unwrap(), (0, OKAY));
        assert_eq!(conformance::take_refused(&mut bench.device), Some((nothing, false)));
    }
    assert!(bench.read(regs::BUSY_CYCLES) >= run_cycles);
    let counted = [port(0, regs::PORT_BUSY), regs::BUSY_CYCLES];
    let kept = counted.map(|register| bench.read(register));
    bench.soft_reset();
    assert_eq!(counted.map(|register| bench.read(register)), kept, "counters across a soft reset");
    bench.write(regs::CONTROL, regs::CONTROL_CLEAR_COUNTERS);
    for p in 0..ports {
        for register in (regs::PORT_BUSY..regs::PORT_BUSY + 28).step_by(4) {
            assert_eq!(bench.read(port(p, register)), 0);
        }
    }
    assert_eq!(bench.read(regs::BUSY_CYCLES), 0);
    assert!(bench.read(regs::CYCLE_LO).wrapping_sub(record.end_cycle) < 100_000);
}

/// Each stall is counted by its cause. For each cause there is a run in which it is the longest on every port.
#[test]
fn stalls_by_cause() {
    let slow = |latency: u64| {
        let mut timing = zynq_memory::Timing::ideal(latency);
        timing.queue = 1;
        zynq_memory::MemoryConfig { timing, ..common::memory() }
    };
    // Rows, columns in beats, tokens. Weights that come slowly; activations of eight tokens for one row block on each
    // port; results of eight tokens for every beat.
    let runs = [
        ("data", common::SMALLEST, slow(60), (64, 8, 1)),
        ("activations", common::BASE3_NARROW, common::memory(), (16, 40, 8)),
        ("results", common::SMALLEST, common::memory(), (400, 1, 1)),
    ];
    for (index, (cause, unit, memory, (rows, beats, tokens))) in runs.into_iter().enumerate() {
        let mut bench = conformance::Bench::new(common::device(&unit, memory));
        let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(2);
        let op = bench.operator(&mut rng, rows, beats * bench.info.lanes(), tokens);
        bench.run(&[op]);
        for port in 0..unit.ports as u32 {
            let at = port * regs::PORT_BUSY_STRIDE;
            let stalls =
                [regs::PORT_STALL_DATA, regs::PORT_STALL_X, regs::PORT_STALL_RESULT].map(|r| bench.read(r + at));
            let longest = (0..3).max_by_key(|i| stalls[*i]);
            assert!(longest == Some(index) && stalls[index] > 20, "{cause}, port {port}: {stalls:?}");
        }
    }
}

/// The counters of each port are those of the handshakes on its pins: beats and bursts of weights.
#[test]
fn counters_of_each_port() {
    let mut bench = conformance::Bench::new(common::device(&common::DEFAULT, common::memory()));
    let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(3);
    let op = bench.operator(&mut rng, 90, 7 * bench.info.lanes(), 1);
    let names = ["m_axi_rvalid", "m_axi_rid", "m_axi_arvalid", "m_axi_arready", "m_axi_arid"];
    let pins = names.map(|name| bench.device.model().pin(name).unwrap());
    let ports = common::DEFAULT.ports;
    let (mut beats, mut bursts) = (vec![0; ports], vec![0; ports]);
    let number = bench.queue(&op);
    bench.ring();
    for _ in 0..2_000 {
        let [rvalid, rid, arvalid, arready, arid] = pins.map(|pin| bench.device.model().get(pin));
        // Beats were applied for the edge that the model has taken; an address is taken at the next edge.
        for port in 0..ports {
            beats[port] += u32::try_from((rvalid & !rid) >> port & 1).unwrap();
            bursts[port] += u32::try_from((arvalid & arready & !arid) >> port & 1).unwrap();
        }
        bench.device.step().unwrap();
    }
    bench.finish();
    bench.check(&op, number);
    let found = |bench: &mut conformance::Bench<_>, register| -> Vec<u32> {
        (0..ports as u32).map(|p| bench.read(register + p * regs::PORT_BUSY_STRIDE)).collect()
    };
    assert_eq!(found(&mut bench, regs::PORT_BEATS), beats);
    assert_eq!(found(&mut bench, regs::PORT_BURSTS), bursts);
    assert_eq!(found(&mut bench, regs::PORT_OUTSTANDING), vec![0; ports]);
    assert!(beats.iter().all(|n| *n > 0) && beats.iter().sum::<u32>() == 96 * 7);
}

/// END_CYCLE is the cycle of the operator's last result, even if the bus accepts the completion record late.
#[test]
fn end_cycle() {
    common::for_seeds(40, |_, rng| {
        let unit = common::pick(rng, &[common::DEFAULT, common::NARROW]);
        let mut bench = conformance::Bench::new(common::device(&unit, common::restless(rng)));
        let bvalid = bench.device.model().pin("m_axi_bvalid").unwrap();
        // One row block and one token give one burst of results, then the completion record.
        let op = bench.operator(rng, 8, 64, 1);
        bench.queue(&op);
        let ahead = (bench.device.cycles() as u32).wrapping_sub(bench.read(regs::CYCLE_LO));
        bench.ring();
        while bench.device.model().get(bvalid) == 0 {
            bench.device.step().unwrap();
        }
        let acknowledged = (bench.device.cycles() as u32).wrapping_sub(ahead);
        bench.finish();
        assert_eq!(bench.record(0).end_cycle, acknowledged);
    });
}

/// When the channels of a register access become valid, in cycles from now; what is written; what is read.
struct Access {
    aw: u32,
    w: u32,
    ar: u32,
    write: Option<(u32, u32, u8)>,
    read: Option<u32>,
}

/// Performs a write and a read beside each other. Pins of a channel that is not valid carry anything, as those of an
/// interconnect do that serves others. Returns what was read.
fn access(device: &mut testbench::device::VerilatedDevice, rng: &mut common::Random, access: &Access) -> u32 {
    let pins = ["awvalid", "awready", "awaddr", "wvalid", "wready", "wdata", "wstrb", "bvalid", "arvalid", "arready"]
        .map(|name| device.model().pin(&format!("s_axil_{name}")).unwrap());
    let [awvalid, awready, awaddr, wvalid, wready, wdata, wstrb, bvalid, arvalid, arready] = pins;
    let [araddr, rvalid, rdata] =
        ["araddr", "rvalid", "rdata"].map(|name| device.model().pin(&format!("s_axil_{name}")).unwrap());
    let mut left = [access.write.is_some(), access.write.is_some(), access.read.is_some()];
    let (mut answers, mut found) = (u32::from(left[0]) + u32::from(left[2]), 0);
    for cycle in 0..100 {
        if answers == 0 {
            return found;
        }
        let model = device.model();
        let now = [access.aw, access.w, access.ar].map(|from| cycle >= from);
        let valid = [0, 1, 2].map(|channel| left[channel] && now[channel]);
        let (address, data, strobes) = access.write.unwrap_or_default();
        for (channel, pin, value, width) in [
            (0, awaddr, u64::from(address), 12),
            (1, wdata, u64::from(data), 32),
            (1, wstrb, u64::from(strobes), 4),
            (2, araddr, u64::from(access.read.unwrap_or_default()), 12),
        ] {
            model.set(pin, if valid[channel] { value } else { rng.next_u64() & ((1 << width) - 1) });
        }
        for (channel, (pin, ready)) in
            [(awvalid, awready), (wvalid, wready), (arvalid, arready)].into_iter().enumerate()
        {
            model.set(pin, u64::from(valid[channel]));
            left[channel] &= !(valid[channel] && model.get(ready) != 0);
        }
        if model.get(bvalid) != 0 {
            answers -= 1;
        }
        if model.get(rvalid) != 0 {
            (answers, found) = (answers - 1, model.get(rdata) as u32);
        }
        device.step().unwrap();
    }
    panic!("an access has no answer");
}

/// A master that moves on: after a handshake, address and data are those of others. Reads and writes beside each other.
#[test]
fn a_master_that_moves_on() {
    common::for_seeds(3, |_, rng| {
        let mut device = common::device(&common::NARROW, common::memory());
        let mut kept = [(regs::WATCHDOG, regs::WATCHDOG_RESET), (regs::RING_BASE_LO, 0)];
        for _ in 0..500 {
            let (target, source) = (common::below(rng, 2), common::below(rng, 2));
            let [aw, w, ar] = [0; 3].map(|_: u32| common::below(rng, 8) as u32);
            let before = kept[source].1;
            let (value, strobes) = (rng.next_u32(), common::pick(rng, &[15, 15, 7, 8, 1]));
            let (write, read) = (Some((kept[target].0, value, strobes)), Some(kept[source].0));
            let found = access(&mut device, rng, &Access { aw, w, ar, write, read });
            if strobes == 15 {
                kept[target].1 = value;
            }
            assert!([before, kept[source].1].contains(&found), "read {found:#x}, {before:#x} before");
            let refused = (strobes != 15).then_some((kept[target].0, true));
            assert_eq!(conformance::take_refused(&mut device), refused, "strobes {strobes:04b}");
            let unknown = 0x800 + 4 * common::below(rng, 200) as u32;
            let found = access(&mut device, rng, &Access { aw, w, ar, write: None, read: Some(unknown) });
            assert_eq!((found, conformance::take_refused(&mut device)), (0, Some((unknown, false))));
        }
        for (register, value) in kept {
            assert_eq!(device.read_register(register).unwrap(), value);
        }
    });
}

/// A read and a write that are refused at about the same time: the unit remembers one of them, not a mixture. An access
/// that is refused while the one before is cleared is remembered by its own name, or not at all.
#[test]
fn accesses_refused_at_once() {
    let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(4);
    let mut device = common::device(&common::NARROW, common::memory());
    for (ar, w) in (0..9).map(|ar| (ar, 4)).chain((0..9).map(|w| (4, w))) {
        let (read, write) = (Some(0xffc), Some((regs::ID, 1, 15)));
        access(&mut device, &mut rng, &Access { aw: 4, w, ar, write, read });
        let found = conformance::take_refused(&mut device).unwrap();
        assert!([(0xffc, false), (regs::ID, true)].contains(&found), "{found:x?}, read {ar}, write {w}");

        access(&mut device, &mut rng, &Access { aw: 0, w: 0, ar: 0, write: None, read: Some(0xff8) });
        let write = Some((regs::IRQ_STATUS, regs::IRQ_ENABLE_BAD_ACCESS, 15));
        access(&mut device, &mut rng, &Access { aw: 4, w, ar, write, read });
        let found = conformance::take_refused(&mut device);
        assert!([None, Some((0xffc, false))].contains(&found), "{found:x?}, read {ar}, clearing {w}");
    }
}

/// The cycle counter has no reset. If all its bits are one at power-up, the first carry must pass through all 64, so that
/// both halves become zero.
#[test]
fn the_cycle_counter_carries() {
    for power_up in [verilated::PowerUp::Ones, verilated::PowerUp::Zeros] {
        let library = common::unit(&common::NARROW);
        let mut device = common::device_of(&library, &common::NARROW, common::memory(), power_up, 1);
        let mut read = |register| device.read_register(register).unwrap();
        let (low, high) = (read(regs::CYCLE_LO), read(regs::CYCLE_HI));
        assert!(low < read(regs::CYCLE_LO) && low < 1_000 && high == 0, "{low:#x} {high:#x}");
    }
}

/// RUN_START is the cycle in which an idle unit got work. A doorbell while it works does not move it. Each record has
/// the cycles of its own operator.
#[test]
fn run_start_of_a_busy_unit() {
    let mut bench = conformance::Bench::new(common::device(&common::NARROW, common::memory()));
    let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(5);
    let op = bench.operator(&mut rng, 60, 100, 1);
    let numbers = [0; 3].map(|_: u8| {
        let number = bench.queue(&op);
        bench.ring();
        number
    });
    bench.finish();
    let starts = numbers.map(|number| bench.record(number).start_cycle);
    let ends = numbers.map(|number| bench.record(number).end_cycle);
    assert_eq!(bench.read(regs::RUN_START), starts[0]);
    let after = |later: u32, earlier: u32| later.wrapping_sub(earlier) < 1 << 31 && later != earlier;
    for i in 1..3 {
        assert!(after(starts[i], starts[i - 1]) && after(ends[i], ends[i - 1]) && after(ends[i], starts[i]));
    }
}

/// PORT_BEATS counts beats when they arrive, PORT_BUSY when they are used: here, weights wait for activations.
#[test]
fn beats_count_when_they_arrive() {
    let mut bench = conformance::Bench::new(common::device(&common::NARROW, common::memory()));
    let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(6);
    let op = bench.operator(&mut rng, 64, 100 * bench.info.lanes(), 1);
    let from = bench.device.cycles() + 200;
    bench.device.axi_memory().faults().starve_read_data = Some((0, from));
    let number = bench.queue(&op);
    bench.ring();
    for _ in 0..2_000 {
        bench.device.step().unwrap();
    }
    let [beats, busy] = [regs::PORT_BEATS, regs::PORT_BUSY].map(|r| bench.read(r + regs::PORT_BUSY_STRIDE));
    assert!(beats >= 256 && busy == 0, "{beats} beats, {busy} used");
    *bench.device.axi_memory().faults() = zynq_memory::Faults::default();
    bench.finish();
    bench.check(&op, number);
}

/// The registers show as many outstanding bursts as can be: each stream has eight in flight at some time.
#[test]
fn outstanding_bursts_to_the_limit() {
    let mut timing = zynq_memory::Timing::ideal(600);
    timing.queue = 32;
    let memory = zynq_memory::MemoryConfig { timing, bytes: 8 << 20, ..common::memory() };
    let mut bench = conformance::Bench::new(common::device(&common::NARROW, memory));
    let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(7);
    let op = bench.operator(&mut rng, 900, 40 * bench.info.lanes(), 2);
    let number = bench.queue(&op);
    bench.ring();
    let mut most = [0; 4];
    while bench.read(regs::RING_HEAD) != u32::from(bench.queued) {
        let status = bench.read(regs::STATUS);
        let ports = [0, regs::PORT_OUTSTANDING_STRIDE].map(|at| bench.read(regs::PORT_OUTSTANDING + at));
        let field = |mask: u32| (status & mask) >> mask.trailing_zeros();
        let found = [ports[0], ports[1], field(regs::STATUS_FRONTEND_BURSTS), field(regs::STATUS_WRITE_BURSTS)];
        most = [0, 1, 2, 3].map(|i| most[i].max(found[i]));
    }
    assert_eq!(most, [8; 4], "ports, front end, writer");
    bench.check(&op, number);
}

/// An event in the cycle in which its source is cleared stays pending, a cycle before it is cleared.
#[test]
fn events_in_the_cycle_of_their_clearing() {
    // Clears a source with both channels at once. Returns the cycles until the interrupt is low.
    fn clear(device: &mut testbench::device::VerilatedDevice, source: u32, limit: u64) -> u64 {
        let pins = ["awaddr", "wdata", "wstrb", "awvalid", "wvalid"];
        let pins = pins.map(|name| device.model().pin(&format!("s_axil_{name}")).unwrap());
        let irq = device.model().pin("irq_o").unwrap();
        for (pin, value) in pins.into_iter().zip([u64::from(regs::IRQ_STATUS), u64::from(source), 15, 1, 1]) {
            device.model().set(pin, value);
        }
        for cycle in 1..=limit {
            device.step().unwrap();
            device.model().set(pins[3], 0);
            device.model().set(pins[4], 0);
            if limit == 100 && device.model().get(irq) == 0 {
                return cycle;
            }
        }
        limit
    }
    for source in [regs::IRQ_ENABLE_DONE, regs::IRQ_ENABLE_ERROR] {
        let started = || {
            let mut bench = conformance::Bench::new(common::device(&common::NARROW, common::memory()));
            let mut rng = <common::Random as rand_core::SeedableRng>::seed_from_u64(8);
            let op = bench.operator(&mut rng, 4, 20, 1);
            if source == regs::IRQ_ENABLE_DONE {
                bench.queue(&op);
            } else {
                bench.queue_bytes(&[0; 64]);
            }
            bench.ring();
            bench.ring.device
        };
        let mut device = started();
        let irq = device.model().pin("irq_o").unwrap();
        let begin = device.cycles();
        while device.model().get(irq) == 0 {
            device.step().unwrap();
        }
        let event = device.cycles() - begin;
        let clearing = clear(&mut device, source, 100);
        assert!(event > 20 && clearing < 10, "event after {event} cycles, clearing {clearing}");
        for delay in event - clearing - 5..event - clearing + 5 {
            let mut device = started();
            for _ in 0..delay {
                device.step().unwrap();
            }
            clear(&mut device, source, 40);
            let pending = device.read_register(regs::IRQ_STATUS).unwrap() & source != 0;
            assert_eq!(
                pending,
                delay + clearing <= event,
                "source {source}: cleared {delay} + {clearing}, came {event}"
            );
        }
    }
}
