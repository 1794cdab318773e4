//! Weights that are read while activations are late: as many as there is room for, shared out evenly.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{BASE3, NARROW, Random};
use conformance::{Bench, Operator};
use cost::board::{Board, DdrMode};
use rand_core::SeedableRng;
use testbench::device::VerilatedDevice;
use tmv::conformance;
use tmv::regs;
use zynq_memory::{Faults, MemoryConfig};

/// Beats of the weight queue of a 128-bit port.
const QUEUE: u32 = 4096;

fn counters(bench: &mut Bench<VerilatedDevice>, first: u32) -> Vec<u32> {
    (0..bench.info.ports as u32).map(|port| bench.read(first + port * regs::PORT_BEATS_STRIDE)).collect()
}

/// An o_proj on a KV260: cycles from the doorbell that says that its activations are there, and beats of each port, before
/// that doorbell and in all.
fn o_proj(late: bool) -> (u32, Vec<u32>, Vec<u32>) {
    let board = Board::find("kv260").unwrap();
    let timing = board.ddr_timing(DdrMode::Modelled, 4, board.clock_mhz.value, 0.0);
    let memory = MemoryConfig { bytes: 4 << 20, timing, ..common::memory() };
    let mut bench = Bench::new(common::device(&BASE3, memory));
    let op = bench.operator(&mut Random::seed_from_u64(1), 2560, 2560, 1);
    let number = bench.queue(&op);
    if late {
        bench.ring_late(1);
        // Long enough for four full queues.
        for _ in 0..3_000 {
            assert_eq!(bench.read(regs::RING_HEAD), 0);
        }
    }
    let before = counters(&mut bench, regs::PORT_BEATS);
    let start = bench.read(regs::CYCLE_LO);
    bench.finish();
    bench.check(&op, number);
    let end = bench.record(number).end_cycle;
    (end.wrapping_sub(start), before, counters(&mut bench, regs::PORT_BEATS))
}

/// The queues are full when the activations come, and then a port needs a cycle for a beat. HP1 and HP2 get fewer beats from
/// memory; if they had fewer blocks for that, the others would end late.
#[test]
fn weights_are_read_ahead() {
    let (cycles, before, _) = o_proj(false);
    assert_eq!(before, [0; 4]);
    let (ahead, before, beats) = o_proj(true);
    assert_eq!(before, [QUEUE; 4]);
    assert_eq!(beats.iter().sum::<u32>(), 2560 * 32);
    println!("{cycles} cycles, {ahead} with weights read ahead; beats of each port {beats:?}");
    assert!(f64::from(ahead) < 0.89 * f64::from(cycles), "{ahead} cycles, {cycles} without reading ahead");
    let (most, least) = (beats.iter().max().unwrap(), beats.iter().min().unwrap());
    assert!(most - least <= 6 * 256, "blocks are not shared out evenly: {beats:?}");
}

fn waiting(memory: MemoryConfig) -> (Bench<VerilatedDevice>, Operator) {
    let mut bench = Bench::new(common::device(&NARROW, memory));
    let op = bench.operator(&mut Random::seed_from_u64(2), 400, 300, 1);
    bench.write(regs::WATCHDOG, 1_000);
    bench.queue(&op);
    bench.ring_late(1);
    (bench, op)
}

/// The watchdog does not bite a unit that waits for activations, and it bites as before when these are there.
#[test]
fn the_watchdog_waits_for_activations() {
    let (mut bench, op) = waiting(common::memory());
    for _ in 0..10_000 {
        assert_eq!(bench.read(regs::STATUS) & regs::STATUS_ERROR, 0);
    }
    bench.finish();
    bench.check(&op, 0);
}

/// A memory that never answers is noticed, although activations are late.
#[test]
fn the_watchdog_bites_while_activations_are_late() {
    // Descriptors and activations come through port 0.
    let faults = Faults { starve_read_data: Some((1, 0)), ..Faults::default() };
    let (mut bench, _) = waiting(MemoryConfig { faults, ..common::memory() });
    bench.expect_error(regs::ERR_WATCHDOG);
}
