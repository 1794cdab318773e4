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

const OKAY: u8 = 0;
const SLVERR: u8 = 2;

/// A write with partial strobes is refused and changes nothing, in any register.
#[test]
fn partial_strobes() {
    let mut device = common::device(&common::DEFAULT, common::memory());
    for (name, offset, access) in regs::REGISTERS {
        for strobes in 0..15 {
            assert_eq!(
                device.axil_write(*offset, 0xffff_ffff, strobes).unwrap(),
                SLVERR,
                "{name}, strobes {strobes:04b}"
            );
        }
        if *access == "rw" {
            let expected = if *offset == regs::WATCHDOG { 1 << 20 } else { 0 };
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
            (regs::IRQ_ENABLE, 0x3, 0),
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
                    let full = strobes == 0xf;
                    let resp = if full { OKAY } else { SLVERR };
                    assert_eq!(device.axil_write(*offset, data, strobes).unwrap(), resp);
                    *value = if full { data & *mask } else { *value };
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
    assert!(record.start_cycle < record.end_cycle);
    let run_start = bench.read(regs::RUN_START);
    assert!(before <= run_start, "{before}, run {run_start}");
    assert_eq!(record.start_cycle, run_start, "both are the cycle in which the fetch of the descriptor begins");
    // Each read returns its own data: not the data of the previous register, and SLVERR for a port that does not
    // exist.
    assert_eq!((bench.read(regs::ID), bench.read(regs::CYCLE_HI)), (regs::ID_VALUE, 0));
    assert!(bench.read(port(0, regs::PORT_BUSY)) > 0);
    assert_eq!(bench.device.axil_read(port(ports, regs::PORT_BUSY)).unwrap(), (0, SLVERR));
    assert_eq!(bench.device.axil_read(regs::PORT_BUSY + 24).unwrap(), (0, SLVERR));
    assert!(bench.read(regs::BUSY_CYCLES) >= record.end_cycle - record.start_cycle);
    let counted = [port(0, regs::PORT_BUSY), regs::BUSY_CYCLES];
    let kept = counted.map(|register| bench.read(register));
    bench.soft_reset();
    assert_eq!(counted.map(|register| bench.read(register)), kept, "counters across a soft reset");
    bench.write(regs::CONTROL, regs::CONTROL_CLEAR_COUNTERS);
    for p in 0..ports {
        for register in (regs::PORT_BUSY..regs::PORT_BUSY + 24).step_by(4) {
            assert_eq!(bench.read(port(p, register)), 0);
        }
    }
    assert_eq!(bench.read(regs::BUSY_CYCLES), 0);
    assert!(bench.read(regs::CYCLE_LO) > record.end_cycle);
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
        let ahead = bench.device.cycles() - u64::from(bench.read(regs::CYCLE_LO));
        bench.ring();
        while bench.device.model().get(bvalid) == 0 {
            bench.device.step().unwrap();
        }
        let acknowledged = bench.device.cycles() - ahead;
        bench.finish();
        assert_eq!(u64::from(bench.record(0).end_cycle) - acknowledged, 0);
    });
}
