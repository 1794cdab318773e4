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
