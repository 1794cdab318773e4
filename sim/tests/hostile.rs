//! Answers that belong to no burst, resets of the unit alone, memories that never answer: what a Zynq can do to a unit.
//! The unit names the error, moves no counter, and works again after a soft reset.
#![allow(clippy::unwrap_used)]

mod common;

use common::{DEFAULT, NARROW, Random, SMALLEST, below, for_seeds, pick, restless};
use conformance::Operator;
use rand_core::SeedableRng;
use testbench::device::VerilatedDevice;
use tmv::config::UnitConfig;
use tmv::conformance;
use tmv::device::{Device, DeviceError};
use tmv::driver::Driver;
use tmv::regs;
use verilated::{PowerUp, Trace};
use zynq_memory::{Faults, MemoryConfig};

type Bench = conformance::Bench<VerilatedDevice>;

/// A unit without the bound checkers, because they stop the simulation when a slave breaks the protocol.
fn device(unit: &UnitConfig, memory: MemoryConfig) -> VerilatedDevice {
    let mut spec = testbench::model::unit_spec(unit, Trace::Off).unwrap();
    spec.checkers.clear();
    spec.label += ", no checkers";
    let mut device = common::device_of(&common::model(&spec), unit, memory, PowerUp::Random, 1);
    device.set_patience(50_000);
    device.axi_memory().allow_resets();
    device
}

fn bench(unit: &UnitConfig, memory: MemoryConfig) -> Bench {
    Bench::new(device(unit, MemoryConfig { bytes: 1 << 20, ..memory }))
}

/// Two operators. The second shares the activations of the first.
fn operators(bench: &mut Bench, rng: &mut Random) -> Vec<Operator> {
    let (lanes, tokens) = (bench.info.lanes(), bench.info.max_tokens());
    let rows = 8 * bench.info.ports + 3;
    let first = bench.operator(rng, rows, 2 * lanes, tokens);
    let second = bench.sharing(rng, &first, 8);
    vec![first, second]
}

/// Gives the unit answers on the pins `valid`, one in each of `cycles` cycles, and clocks it.
fn answer(bench: &mut Bench, valid: &str, value: u64, rid: u64, cycles: usize) {
    let [valid, id] = [valid, "m_axi_rid"].map(|name| bench.device.model().pin(name).unwrap());
    let bresp = bench.device.model().pin("m_axi_bresp").unwrap();
    let model = bench.device.model();
    model.set(bresp, 0);
    model.set(valid, value);
    model.set(id, rid);
    for _ in 0..cycles {
        model.cycle().unwrap();
    }
    model.set(valid, 0);
    model.set(id, 0);
}

/// The counters of every port, and the outstanding bursts of front end and writer.
fn counters(bench: &mut Bench) -> Vec<u32> {
    let ports = 0..bench.info.ports as u32;
    let all = ports.flat_map(|p| (0..7).map(move |i| regs::PORT_BUSY + p * regs::PORT_BUSY_STRIDE + 4 * i));
    let mut found: Vec<u32> = all.map(|offset| bench.read(offset)).collect();
    found.push(bench.read(regs::STATUS) & (regs::STATUS_FRONTEND_BURSTS | regs::STATUS_WRITE_BURSTS));
    found
}

/// Answers to a unit that asked for nothing: read beats on any port and with any ID, and write responses.
#[test]
fn answers_that_nobody_asked_for() {
    for unit in [NARROW, SMALLEST] {
        let mut bench = bench(&unit, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(1));
        bench.run(&ops);
        let ports = unit.ports;
        let reads = (0..ports).flat_map(|p| [("m_axi_rvalid", 1 << p, 0, p), ("m_axi_rvalid", 1 << p, 1 << p, p)]);
        for (pin, value, id, port) in reads.chain([("m_axi_bvalid", 1, 0, 14)]) {
            for count in [1, 2, 40] {
                let before = counters(&mut bench);
                answer(&mut bench, pin, value, id, count);
                let source = if port == 0 && id == 1 { 15 } else { port as u8 };
                assert_eq!(bench.expect_error(regs::ERR_STRAY_RESPONSE).0, source, "{pin}, {count} times");
                assert_eq!(counters(&mut bench), before, "{pin}, {count} times");
                bench.soft_reset();
                bench.run(&ops);
            }
        }
    }
}

/// A write response that comes in any cycle of a run, before its burst is complete: the unit takes no data as written
/// that the memory does not have.
#[test]
fn a_write_response_too_early() {
    let mut named = 0;
    for delay in 0..200 {
        let mut bench = bench(&NARROW, MemoryConfig { late_writes: true, ..common::memory() });
        let op = bench.operator(&mut Random::seed_from_u64(2), 19, 40, 1);
        let number = bench.queue(&op);
        bench.ring();
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        // One cycle of the unit without the memory, so nothing else happens in it.
        let quiet = ["m_axi_rvalid", "m_axi_arready", "m_axi_awready", "m_axi_wready"];
        let quiet = quiet.map(|name| bench.device.model().pin(name).unwrap());
        let kept = quiet.map(|pin| bench.device.model().get(pin));
        quiet.iter().for_each(|pin| bench.device.model().set(*pin, 0));
        let bvalid = bench.device.model().pin("m_axi_bvalid").unwrap();
        let genuine = bench.device.model().get(bvalid) != 0;
        if genuine {
            continue;
        }
        answer(&mut bench, "m_axi_bvalid", 1, 0, 1);
        quiet.iter().zip(kept).for_each(|(pin, value)| bench.device.model().set(*pin, value));
        let source = bench.wait();
        if source & regs::IRQ_ENABLE_ERROR != 0 {
            assert_eq!(bench.error().0, regs::ERR_STRAY_RESPONSE, "delay {delay}");
            named += 1;
        } else {
            // The response came between the last beat and its own response, so it looks genuine.
            bench.check(&op, number);
        }
    }
    assert!(named > 50, "only {named} responses were called stray");
}

/// The programmable logic is reset while bursts are in flight, and the memory is not. Answers that come after the reset
/// end in an error with a name, or in nothing if all came during the reset. Then the unit works.
#[test]
fn reset_of_the_unit_alone() {
    let (mut stray, mut clean) = (0, 0);
    for_seeds(60, |_, rng| {
        let unit = pick(rng, &[NARROW, SMALLEST]);
        let mut bench = bench(&unit, MemoryConfig { stall: 0, data_first: false, ..restless(rng) });
        let ops = operators(&mut bench, rng);
        for _ in 0..4 {
            ops.iter().for_each(|op| _ = bench.queue(op));
            bench.ring();
            for _ in 0..below(rng, 500) {
                bench.device.step().unwrap();
            }
            let cycles = pick(rng, &[2, 5, 20, 300]);
            if bench.device.reset_unit_alone(cycles).unwrap() {
                // The memory waits for write data: docs/handoff.md says that only a reset of the memory's port helps.
                bench.device.axi_memory().reset();
            }
            for _ in 0..200 {
                bench.device.step().unwrap();
            }
            bench.set_up();
            let status = bench.read(regs::STATUS);
            assert_eq!(status & !regs::STATUS_ERROR, 0, "{status:#x}: the unit never becomes quiet");
            if status == 0 {
                clean += 1;
            } else {
                assert_eq!(bench.error().0, regs::ERR_STRAY_RESPONSE);
                stray += 1;
            }
            bench.soft_reset();
            bench.run(&ops);
        }
    });
    assert!(std::env::var_os("TMV_SEED").is_some() || stray > 20 && clean > 20, "{stray} stray, {clean} clean");
}

/// A memory that never answers a read or a write. The driver says which bursts are missing, ABORT ends the wait, and
/// after a reset of the memory the unit works.
#[test]
fn abort_after_a_memory_that_never_answers() {
    for (starve, name) in [
        (Faults { starve_read_data: Some((1, 0)), ..Faults::default() }, "ports"),
        (Faults { starve_read_data: Some((0, 0)), ..Faults::default() }, "front end"),
        (Faults { starve_write: Some(0), ..Faults::default() }, "writes"),
    ] {
        let mut driver = Driver::open(device(&NARROW, common::memory())).unwrap();
        let matrix = common::ternary(&mut Random::seed_from_u64(3), 64, 96);
        let weights = driver.load(&matrix).unwrap();
        driver.device().write_register(regs::WATCHDOG, 200).unwrap();
        *driver.device().axi_memory().faults() = starve;
        let error = driver.run(&[weights], &[1; 96], 1).unwrap_err();
        assert!(matches!(error, DeviceError::Unit { code: regs::ERR_WATCHDOG, .. }), "{name}: {error}");
        let error = driver.reset().unwrap_err();
        let DeviceError::ResetTimeout { outstanding, .. } = &error else { panic!("{name}: {error}") };
        let found = [outstanding.ports[1] > 0, outstanding.front_end > 0, outstanding.writes > 0];
        assert!(found[["ports", "front end", "writes"].iter().position(|n| *n == name).unwrap()], "{name}: {error}");
        assert!(error.to_string().contains("bursts without an answer: front end"), "{error}");

        driver.abort().unwrap();
        *driver.device().axi_memory().faults() = Faults::default();
        driver.device().axi_memory().reset();
        driver.device().reset().unwrap();
        driver.reset().unwrap();
        let run = driver.run(&[weights], &[1; 96], 1).unwrap();
        assert_eq!(run.operators[0].accumulators, golden::matvec::reference(&matrix, &[1; 96]));
    }
}

/// The memory answers after all, when the unit has aborted.
#[test]
fn answers_after_an_abort() {
    for seed in 0..20 {
        let mut bench = bench(&NARROW, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(seed));
        bench.device.axi_memory().faults().starve_read_data = Some((1, 0));
        ops.iter().for_each(|op| _ = bench.queue(op));
        bench.ring();
        for _ in 0..400 {
            bench.device.step().unwrap();
        }
        assert!(bench.read(regs::PORT_OUTSTANDING + regs::PORT_OUTSTANDING_STRIDE) > 0);
        bench.write(regs::CONTROL, regs::CONTROL_ABORT);
        while bench.read(regs::STATUS) != 0 {}
        bench.set_up();
        *bench.device.axi_memory().faults() = Faults::default();
        assert_eq!(bench.expect_error(regs::ERR_STRAY_RESPONSE).0, 1);
        for _ in 0..200 {
            bench.device.step().unwrap();
        }
        bench.soft_reset();
        bench.run(&ops);
    }
}

/// An abort in any cycle of a run. Answers of before it end in an error with a name.
#[test]
fn abort_in_mid_run() {
    let mut aborted = 0;
    for delay in (0..400).step_by(3) {
        let mut bench = bench(&SMALLEST, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(4));
        ops.iter().for_each(|op| _ = bench.queue(op));
        bench.ring();
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        bench.write(regs::CONTROL, regs::CONTROL_ABORT);
        for _ in 0..40 {
            bench.device.step().unwrap();
        }
        bench.device.axi_memory().reset();
        let error = bench.read(regs::STATUS) & regs::STATUS_ERROR != 0;
        assert!(!error || bench.error().0 == regs::ERR_STRAY_RESPONSE, "delay {delay}: {:?}", bench.error());
        aborted += usize::from(!error);
        bench.soft_reset();
        bench.run(&ops);
    }
    assert!(aborted > 50, "{aborted}");
}

/// A doorbell that is refused while the unit works: the operators in flight end with the error, none runs twice.
#[test]
fn bad_doorbell_in_mid_run() {
    for delay in (0..300).step_by(7) {
        let mut bench = bench(&NARROW, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(5));
        let numbers: Vec<u16> = ops.iter().map(|op| bench.queue(op)).collect();
        bench.ring();
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        let done = bench.read(regs::RING_HEAD);
        // One fewer than queued: it was allowed once, and takes a descriptor back now.
        bench.write(regs::RING_TAIL, 1);
        assert_eq!(bench.expect_error(regs::ERR_BAD_DOORBELL), (15, 1), "delay {delay}");
        let head = bench.read(regs::RING_HEAD);
        assert!((done..=2).contains(&head), "delay {delay}: head {head}, was {done}");
        ops.iter().zip(numbers).take(head as usize).for_each(|(op, number)| bench.check(op, number));
        bench.soft_reset();
        bench.run(&ops);
    }
}

/// The ring is written in any cycle around a doorbell. The write is refused, or the unit uses the new ring for all.
#[test]
fn ring_beside_its_doorbell() {
    for delay in 0..60 {
        let mut bench = bench(&DEFAULT, common::memory());
        let op = bench.operator(&mut Random::seed_from_u64(6), 8, 60, 1);
        let number = bench.queue(&op);
        bench.ring();
        for _ in 0..delay {
            bench.device.step().unwrap();
        }
        let (base, elsewhere) = (bench.read(regs::RING_BASE_LO), bench.device.memory_base() as u32 + (1 << 18));
        bench.write(regs::RING_BASE_LO, elsewhere);
        let refused = conformance::take_refused(&mut bench.device);
        assert_eq!(refused, Some((regs::RING_BASE_LO, true)), "delay {delay}");
        assert_eq!(bench.read(regs::RING_BASE_LO), base);
        bench.finish();
        bench.check(&op, number);
    }
}

/// A beat that comes before its address was taken, or with the ID of another stream, is no data: the unit names the
/// error and counts nothing.
#[test]
fn read_beats_of_no_burst() {
    let mut early = 0;
    for (id, from) in (0..12).flat_map(|i| [(0, 20 + 7 * i), (1, 20 + 7 * i)]) {
        let mut bench = bench(&NARROW, common::memory());
        let op = bench.operator(&mut Random::seed_from_u64(7), 64, 3 * bench.info.lanes(), 1);
        let from = bench.device.cycles() + from;
        let faults = bench.device.axi_memory().faults();
        // With ID 0 the address of port 1 waits; with ID 1 it was taken, and its beats do not come.
        if id == 0 {
            faults.starve_read_address = Some((1, from));
        } else {
            faults.starve_read_data = Some((1, from));
        }
        bench.queue(&op);
        bench.ring();
        for _ in 0..400 {
            bench.device.step().unwrap();
        }
        let outstanding = bench.read(regs::PORT_OUTSTANDING + regs::PORT_OUTSTANDING_STRIDE);
        let arvalid = bench.device.model().pin("m_axi_arvalid").unwrap();
        if outstanding == 0 || (id == 0 && bench.device.model().get(arvalid) >> 1 & 1 == 0) {
            continue;
        }
        early += 1;
        // Beats that were used, beats, bursts, outstanding bursts. The stalls go on.
        let counted = |bench: &mut Bench| {
            let found = counters(bench);
            [7, 11, 12, 13].map(|index| found[index])
        };
        let before = counted(&mut bench);
        answer(&mut bench, "m_axi_rvalid", 2, 2 * id, 1);
        assert_eq!(bench.expect_error(regs::ERR_STRAY_RESPONSE).0, 1, "ID {id}, from {from}");
        assert_eq!(counted(&mut bench), before, "ID {id}, from {from}");
        *bench.device.axi_memory().faults() = Faults::default();
        bench.soft_reset();
        bench.run(&[op]);
    }
    assert!(early >= 10, "{early}");
}

/// The same on port 0, whose addresses wait in the register of its two streams.
#[test]
fn read_beats_before_the_address_of_port_0() {
    let mut early = 0;
    for from in (0..160).step_by(3) {
        let mut bench = bench(&NARROW, common::memory());
        let op = bench.operator(&mut Random::seed_from_u64(7), 64, 3 * bench.info.lanes(), 1);
        let from = bench.device.cycles() + from;
        bench.device.axi_memory().faults().starve_read_address = Some((0, from));
        bench.queue(&op);
        bench.ring();
        for _ in 0..400 {
            bench.device.step().unwrap();
        }
        let [arvalid, arid] = ["m_axi_arvalid", "m_axi_arid"].map(|name| bench.device.model().pin(name).unwrap());
        if bench.device.model().get(arvalid) & 1 == 0 {
            continue;
        }
        early += 1;
        let id = bench.device.model().get(arid) & 1;
        let beats = bench.read(regs::PORT_BEATS);
        answer(&mut bench, "m_axi_rvalid", 1, id, 1);
        let source = if id == 1 { 15 } else { 0 };
        assert_eq!(bench.expect_error(regs::ERR_STRAY_RESPONSE).0, source, "ID {id}, from {from}");
        assert_eq!(bench.read(regs::PORT_BEATS), beats, "ID {id}, from {from}");
        *bench.device.axi_memory().faults() = Faults::default();
        bench.soft_reset();
        bench.run(&[op]);
    }
    assert!(early >= 10, "{early}");
}

/// An answer to a unit that was stopped by an error: the unit keeps the first error, and raises no interrupt.
#[test]
fn answers_to_a_stopped_unit() {
    for (pin, value, id) in
        [("m_axi_rvalid", 1, 0), ("m_axi_rvalid", 1, 1), ("m_axi_rvalid", 2, 0), ("m_axi_bvalid", 1, 0)]
    {
        let mut bench = bench(&NARROW, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(8));
        bench.queue_bytes(&[0; 64]);
        bench.ring();
        bench.expect_error(regs::ERR_BAD_DESCRIPTOR);
        while bench.read(regs::STATUS) & regs::STATUS_DRAINING != 0 {}
        let before = bench.error();
        answer(&mut bench, pin, value, id, 3);
        for _ in 0..20 {
            bench.device.step().unwrap();
        }
        assert_eq!((bench.error(), bench.read(regs::IRQ_STATUS)), (before, 0), "{pin} {value}, ID {id}");
        bench.soft_reset();
        bench.run(&ops);
    }
}

/// Several errors in one cycle: the front end comes first, then the ports from 0 on. Beside an error of the writer the
/// source is one of both, never a mixture.
#[test]
fn several_errors_at_once() {
    let mut bench = bench(&DEFAULT, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(9));
    for valid in 1..16u64 {
        for id in 0..2 {
            answer(&mut bench, "m_axi_rvalid", valid, id, 1);
            let first = valid.trailing_zeros() as u8;
            let expected = if first == 0 && id == 1 { 15 } else { first };
            assert_eq!(bench.expect_error(regs::ERR_STRAY_RESPONSE).0, expected, "ports {valid:04b}, ID {id}");
            bench.soft_reset();
        }
    }
    let mut sources = Vec::new();
    for delay in 0..6 {
        answer(&mut bench, "m_axi_rvalid", 2, 0, 1);
        for _ in 0..delay {
            bench.device.model().cycle().unwrap();
        }
        answer(&mut bench, "m_axi_bvalid", 1, 0, 1);
        sources.push(bench.expect_error(regs::ERR_STRAY_RESPONSE).0);
        bench.soft_reset();
    }
    assert!(
        sources.iter().all(|source| [1, 14].contains(source)) && sources.is_sorted_by(|a, b| a >= b),
        "{sources:?}"
    );
    bench.run(&ops);
}

/// Bits of CONTROL that are written together all take effect: an abort that asks for it clears the counters, and does
/// not wait.
#[test]
fn control_bits_together() {
    for control in 1..8 {
        let mut bench = bench(&NARROW, common::memory());
        let ops = operators(&mut bench, &mut Random::seed_from_u64(10));
        let waits = control & (regs::CONTROL_ABORT | regs::CONTROL_SOFT_RESET) != 0;
        let from = bench.device.cycles() + 120;
        bench.device.axi_memory().faults().starve_read_data = Some((1, from));
        ops.iter().for_each(|op| _ = bench.queue(op));
        bench.ring();
        for _ in 0..600 {
            bench.device.step().unwrap();
        }
        let before = bench.read(regs::PORT_BEATS);
        assert!(before > 0);
        bench.write(regs::CONTROL, control);
        for _ in 0..50 {
            bench.device.step().unwrap();
        }
        let cleared = bench.read(regs::PORT_BEATS) < before;
        assert_eq!(cleared, control & regs::CONTROL_CLEAR_COUNTERS != 0, "CONTROL {control:03b}");
        let status = bench.read(regs::STATUS) & (regs::STATUS_BUSY | regs::STATUS_DRAINING);
        let expected = match control & regs::CONTROL_ABORT != 0 {
            true => 0,
            false if waits => regs::STATUS_BUSY | regs::STATUS_DRAINING,
            false => regs::STATUS_BUSY,
        };
        assert_eq!(status, expected, "CONTROL {control:03b}");
        bench.device.axi_memory().reset();
        *bench.device.axi_memory().faults() = Faults::default();
        bench.write(regs::CONTROL, regs::CONTROL_ABORT);
        bench.soft_reset();
        bench.run(&ops);
    }
}

/// Each of eight ports has its own number as the source of an error.
#[test]
fn sources_of_eight_ports() {
    let unit = UnitConfig { ports: 8, vectors: 1, groups: 8, ..NARROW };
    let mut bench = bench(&unit, common::memory());
    let ops = operators(&mut bench, &mut Random::seed_from_u64(11));
    bench.run(&ops);
    for port in 0..8 {
        answer(&mut bench, "m_axi_rvalid", 1 << port, 0, 1);
        assert_eq!(bench.expect_error(regs::ERR_STRAY_RESPONSE).0, port);
        bench.soft_reset();
    }
    bench.run(&ops);
}
