//! The memory model against measurements on boards: streams of plain reads on the ports, without the unit.
//!
//! Sources of the measurements: `sim boards` and docs/memory-model.md.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{BASE3, Random};
use cost::board::{Board, DdrMode};
use golden::TernaryMatrix;
use rand_core::{Rng, SeedableRng};
use tmv::driver::Driver;
use zynq_memory::{MemoryConfig, Results, Stream, Timing, bandwidth, stream};

fn timing(board: &Board, ps_gb_per_s: f64) -> Timing {
    board.ddr_timing(DdrMode::Modelled, board.family.ports.value, board.clock_mhz.value, ps_gb_per_s)
}

/// GB/s that streams of reads get together, one on each of the ports `active` of the board `name`.
fn reading(name: &str, active: &[usize], ps_gb_per_s: f64) -> f64 {
    let board = Board::find(name).unwrap();
    let (ports, port_bytes) = (board.family.ports.value, board.family.port_bits / 8);
    bandwidth(&timing(board, ps_gb_per_s), ports, port_bytes, active).unwrap() * board.clock_mhz.value / 1e3
}

#[track_caller]
fn within(what: &str, found: f64, measured: f64, tolerance: f64) {
    let off = found / measured - 1.0;
    println!("{what}: {found:.2}, measured {measured:.2}, {:+.1}%", off * 100.0);
    assert!(off.abs() <= tolerance, "{what}: {found:.2}, measured {measured:.2}, {:+.1}%", off * 100.0);
}

/// The source does not say which three ports were used. HP1 and HP2 share a controller port, so the test does not use
/// both.
#[test]
fn a_kv260_reads_as_fast_as_measured() {
    for (ports, measured) in [(&[0][..], 3.96), (&[0, 3], 7.89), (&[0, 1, 3], 11.63), (&[0, 1, 2, 3], 13.33)] {
        within(&format!("{} ports, GB/s", ports.len()), reading("kv260", ports, 0.0), measured, 0.03);
    }
}

/// Sequential reads on all four ports.
#[test]
fn a_7_series_reads_as_fast_as_measured() {
    for (board, theory) in [("zedboard", 4.264), ("zc706", 4.264), ("pynq-z2", 2.1)] {
        within(&format!("{board}, GB/s"), reading(board, &[0, 1, 2, 3], 0.0), 0.97 * theory, 0.03);
    }
    within("zedboard, HP0 and HP1, GB/s", reading("zedboard", &[0, 1], 0.0), 1.2 * 2.0, 0.03);
}

#[test]
fn a_zcu102_reads_as_fast_as_measured() {
    within("zcu102, GB/s", reading("zcu102", &[0, 1, 2, 3], 0.0), 0.75 * 17.07, 0.03);
}

/// The weights of a token of 2B-4T on a KV260, as a published system arranges them: four runs per layer, each in four
/// equal quarters, one per port. `result_bytes` is the size of a result write. Returns milliseconds, and GB/s of each
/// port.
fn published_system(result_bytes: usize) -> (f64, Vec<f64>) {
    let board = Board::find("kv260").unwrap();
    let timing = timing(board, 0.0);
    let (mut cycles, mut at, mut rates) = (0, 0, Vec::new());
    // Rows, and bytes of a row at 80 weights per beat, of the four runs: q, k, v; o; gate, up; down.
    for (rows, row_bytes) in [(3840u64, 512u64), (2560, 512), (13824, 512), (2560, 1392)] {
        let quarter = rows * row_bytes / 4;
        let streams: Vec<Stream> =
            (0..4).map(|p| Stream { port: p as usize, begin: at + p * quarter, bytes: quarter }).collect();
        at += 4 * quarter;
        let results = Results { bytes: result_bytes, every: row_bytes * result_bytes as u64 / 4 };
        let streamed = stream(&timing, 4, 16, &streams, Some(results)).unwrap();
        cycles += streamed.cycles;
        let ns = streamed.ends.iter().min().unwrap() * 4;
        rates = streamed.together.iter().map(|b| *b as f64 / ns as f64).collect();
    }
    ((30 * cycles) as f64 / 250e3, rates)
}

#[test]
fn a_published_system_takes_as_long_as_measured() {
    let (small, ports) = published_system(64);
    println!(
        "with results of 64 bytes, GB/s on HP0 to HP3: {ports:.2?}, measured 2.94 on HP1 and HP2, 3.7 to 3.9 on the others"
    );
    within("weights of a token, ms", small, 32.8, 0.10);
    let (large, _) = published_system(256);
    // The published system writes 1 to 4 KB. A burst here has 256 bytes.
    println!("{large:.2} ms with results of 256 bytes: {:+.1}%, measured +7.4%", 100.0 * (small / large - 1.0));
    assert!(large < 0.98 * small);
}

/// Measured on a KV260: 14.0 GB/s for ports and processors together.
#[test]
fn processors_take_their_share() {
    let ps = 2.0;
    within("ports and processors, GB/s", reading("kv260", &[0, 1, 2, 3], ps) + ps, 14.0, 0.10);
}

#[test]
fn a_flat_memory_delivers_its_rate() {
    let board = Board::find("kv260").unwrap();
    let timing = board.ddr_timing(DdrMode::Flat(11.2), 4, 250.0, 0.0);
    within("GB/s", bandwidth(&timing, 4, 16, &[0, 1, 2, 3]).unwrap() / 4.0, 11.2, 0.01);
}

/// Cycles of o_proj (one token, base 3) on the unit, which deals row blocks out to its ports, and beats of each port.
fn dealt_out(timing: &Timing) -> (u64, Vec<u32>) {
    let memory = MemoryConfig { bytes: 4 << 20, timing: timing.clone(), ..common::memory() };
    let mut driver = Driver::open(common::device(&BASE3, memory)).unwrap();
    let mut rng = Random::seed_from_u64(1);
    let mut plane = || (0..2560 * 40).map(|_| rng.next_u64()).collect::<Vec<_>>();
    let matrix = TernaryMatrix::from_planes(2560, 2560, plane(), plane()).unwrap();
    let x: Vec<i8> = (0..2560).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let weights = driver.load(&matrix).unwrap();
    let run = driver.run(&[weights], &x, 1).unwrap();
    assert!(run.operators[0].accumulators == golden::matvec::matvec(&matrix, &x));
    (run.cycles, run.ports.iter().map(|port| port.beats).collect())
}

/// Cycles for reading the weights of o_proj in four equal quarters, one per port, without any other traffic.
fn equal_quarters(timing: &Timing) -> u64 {
    let bytes = 2560 * 512 / 4;
    let streams: Vec<Stream> = (0..4).map(|port| Stream { port, begin: port as u64 * bytes, bytes }).collect();
    stream(timing, 4, 16, &streams, None).unwrap().cycles
}

/// With unequal ports, equal quarters take as long as the slowest port. The unit loses only the rate that the slow
/// ports lack.
#[test]
fn dealing_out_beats_equal_shares() {
    let board = Board::find("kv260").unwrap();
    for (what, shared, least_gain) in [
        ("as fitted", None, 0.0),
        ("HP1 and HP2 at 2.94 GB/s each, as measured there", Some(5.88), 0.08),
        ("HP1 and HP2 at 1.5 GB/s each", Some(3.0), 0.4),
    ] {
        let mut timing = timing(board, 0.0);
        let dram = timing.dram.as_mut().unwrap();
        if let Some(rate) = shared {
            dram.controller_ports[1].bytes_per_cycle = rate * 4.0;
        }
        let ((cycles, beats), quarters) = (dealt_out(&timing), equal_quarters(&timing));
        println!("{what}: {cycles} cycles, beats of each port {beats:?}; equal quarters {quarters} without results");
        assert!(
            quarters as f64 > (1.0 + least_gain) * cycles as f64,
            "{what}: {cycles} cycles, equal quarters {quarters}"
        );
        assert_eq!(beats.iter().sum::<u32>(), 2560 * 32);
    }
}
