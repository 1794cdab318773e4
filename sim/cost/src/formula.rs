//! Cycles without simulation: a formula for design sweeps, checked against the RTL.
//!
//! The time of a run is the larger of two times. The first is its weight beats divided by ports. The second is the
//! time in which plain readers, which do nothing but read, get its weights from the DRAM; traffic of activations and
//! results makes this time longer, as far as the DRAM has no time to spare. The formula adds the work that nothing
//! overlaps: the first descriptor, the first beats, the last results, and the activations of the first pass. The
//! coefficients were taken from simulations. `sim sweep` prints the error of a sample, and `sim/tests/sweep.rs` bounds
//! the error.

use bitnet::config::{Linear, ModelConfig};
use tmv::config::UnitConfig;
use tmv::descriptor::ROW_BLOCK;
use zynq_memory::{Dram, Timing};

use crate::time::share_out;

/// Sequential memory latencies of a run: descriptor, activations, weights, results, completion record; plus the
/// unit's pipeline.
const LATENCIES: f64 = 5.5;
/// Cycles for each beat of the first pass's activations. Port 0 delivers them, at most one beat per cycle.
const CYCLES_A_BEAT: f64 = 1.2;
/// Bus turnarounds for each burst of results. Some turnarounds are hidden, but writes also change rows.
const TURNS_A_BURST: f64 = 1.1;
/// Exponent of the DRAM's utilisation. It sets how sharply the DRAM's other traffic begins to matter when readers
/// approach the DRAM's limit.
const SHARPNESS: f64 = 5.5;

/// Cycles of the linears of a decoder layer, in runs that share activations. The memory gives `bytes_per_cycle` to
/// plain readers; `None` means as much as the ports can take.
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

/// Cycles of one run of [`layer_cycles`]. `run` is the run's operators.
fn run_cycles(
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
    let weights: usize = rows().map(|rows| passes * unit.weight_bytes(rows, cols)).sum();
    let results: usize = rows().map(|rows| rows.next_multiple_of(ROW_BLOCK) * 4 * tokens).sum();
    // Extra time of the DRAM for activations and results, as a share of the time for reading weights.
    let besides = timing.dram.as_ref().map_or(0.0, |d: &Dram| {
        let bytes = results as f64 + x_beats(tokens) * port_bytes as f64;
        let bursts = results as f64 / (16 * port_bytes) as f64;
        let turns = TURNS_A_BURST * bursts * (d.read_to_write + d.write_to_read);
        let used = rate / d.bytes_per_cycle / (1.0 - d.refresh / d.refresh_interval);
        used.powf(SHARPNESS) * (bytes + turns * d.bytes_per_cycle) / weights as f64
    });
    start + (beats as f64).max(weights as f64 / rate * (1.0 + besides))
}

/// Cycles of each linear of a decoder layer. The cycles of each run are divided among its linears in proportion to
/// their beats.
pub(crate) fn linear_cycles(
    unit: &UnitConfig,
    config: &ModelConfig,
    tokens: usize,
    timing: &Timing,
    clock_mhz: f64,
    gb_per_s: Option<f64>,
) -> Vec<f64> {
    let rate = gb_per_s.map(|gb| gb * 1e3 / clock_mhz);
    let of_run = |run: &&[Linear]| {
        let ideal = run.iter().map(|l| unit.ideal_cycles(l.out_features(config), l.in_features(config), tokens));
        share_out(run_cycles(unit, config, run, tokens, timing, rate).round() as u64, &ideal.collect::<Vec<_>>())
    };
    Linear::GROUPS.iter().flat_map(of_run).map(|cycles| cycles as f64).collect()
}
