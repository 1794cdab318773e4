//! Cycles without simulation: a formula for design sweeps, checked against the RTL.
//!
//! A run is as fast as the slower of two: its weight beats, divided by ports; or its weights as plain readers get them,
//! slowed down by activations and results as far as the DRAM has no time to spare for them. In front of that
//! comes what nothing overlaps: the first descriptor, the first beats, the last results, and the activations of the
//! first pass. The coefficients were read off simulations; `sim sweep` prints the error of a sample and
//! `sim/tests/sweep.rs` bounds it.

use host::config::{Linear, ModelConfig};
use host::descriptor::ROW_BLOCK;

use crate::bench::weight_bytes;
use crate::memory::{Dram, Timing};
use crate::unit::UnitConfig;

/// Latencies of the memory one after the other: descriptor, activations, weights, results, record; and the pipeline.
const LATENCIES: f64 = 5.5;
/// Cycles for each beat of the first pass's activations, of which port 0 brings one a cycle.
const CYCLES_A_BEAT: f64 = 1.2;
/// Turns of the bus for each burst of results: not all of them are hidden, and rows change too.
const TURNS_A_BURST: f64 = 1.1;
/// How sharply the DRAM's other work begins to matter as readers come near to what it can do.
const SHARPNESS: f64 = 5.5;

/// Cycles of the linears of a decoder layer, in runs that share activations, on a memory that gives `bytes_per_cycle`
/// to plain readers (none: as much as the ports take).
pub fn layer_cycles(
    unit: &UnitConfig,
    config: &ModelConfig,
    tokens: usize,
    timing: &Timing,
    bytes_per_cycle: Option<f64>,
) -> f64 {
    let runs = Linear::GROUPS.iter().map(|run| run_cycles(unit, config, run, tokens, timing, bytes_per_cycle));
    runs.sum()
}

/// Cycles of one run of [`layer_cycles`].
pub(crate) fn run_cycles(
    unit: &UnitConfig,
    config: &ModelConfig,
    run: &[Linear],
    tokens: usize,
    timing: &Timing,
    bytes_per_cycle: Option<f64>,
) -> f64 {
    let port_bytes = unit.port_bits / 8;
    let (cols, passes) = (run[0].in_features(config), tokens.div_ceil(unit.max_tokens()));
    let rows = || run.iter().map(|l| l.out_features(config));
    let x_beats =
        |tokens: usize| (tokens * unit.codec.row_beats(cols, port_bytes) * unit.info().lanes() / port_bytes) as f64;
    let start = LATENCIES * timing.latency as f64 + CYCLES_A_BEAT * x_beats(tokens.min(unit.max_tokens()));
    let beats: u64 = rows().map(|rows| unit.ideal_cycles(rows, cols, tokens)).sum();
    let Some(rate) = bytes_per_cycle else { return beats as f64 + start };
    let weights: usize = rows().map(|rows| passes * weight_bytes(unit, rows, cols)).sum();
    let results: usize = rows().map(|rows| rows.next_multiple_of(ROW_BLOCK) * 4 * tokens).sum();
    // What the DRAM does besides reading weights, as a share of that.
    let besides = timing.dram.as_ref().map_or(0.0, |d: &Dram| {
        let bytes = results as f64 + x_beats(tokens) * port_bytes as f64;
        let bursts = results as f64 / (16 * port_bytes) as f64;
        let turns = TURNS_A_BURST * bursts * (d.read_to_write + d.write_to_read);
        let used = rate / d.bytes_per_cycle / (1.0 - d.refresh / d.refresh_interval);
        used.powf(SHARPNESS) * (bytes + turns * d.bytes_per_cycle) / weights as f64
    });
    start + (beats as f64).max(weights as f64 / rate * (1.0 + besides))
}
