//! The results of a sweep.

use serde::Serialize;

/// A unit on a board, with its speed by formula and its LUTs.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Name of the board.
    pub board: String,
    /// AXI read ports.
    pub ports: usize,
    /// Width of a port in bits.
    pub port_bits: usize,
    /// Activation vectors.
    pub vectors: usize,
    /// Groups of activation vectors.
    pub groups: usize,
    /// Weight codec.
    pub codec: String,
    /// Clock of the unit.
    pub clock_mhz: f64,
    /// Rate that plain readers, which do nothing but read, get from the memory; `None` for the ideal memory.
    pub reader_gb_per_s: Option<f64>,
    /// Bytes of weights that the unit reads for a token in decode, all layers.
    pub weight_bytes: u64,
    /// Cycles of the linears for a token in decode, all layers.
    pub decode_cycles: u64,
    /// Tokens per second in decode, linears alone.
    pub decode_tokens_per_s: f64,
    /// Tokens per second in prefill, linears alone.
    pub prefill_tokens_per_s: f64,
    /// LUTs of the unit; `None` without synthesised points for an estimate.
    pub luts: Option<u32>,
    /// Whether exactly this unit was synthesised.
    pub luts_measured: bool,
    /// Share of the device's LUTs.
    pub lut_share: Option<f64>,
    /// Whether the point is on the Pareto front: no other point of its board has fewer LUTs and is as fast, or has as
    /// many LUTs and is faster.
    pub pareto: bool,
}

/// A point of the sweep that was simulated.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// The unit.
    pub unit: String,
    /// Number of tokens.
    pub tokens: usize,
    /// Number of outputs compared.
    pub outputs: usize,
    /// Number of outputs that differ from golden.
    pub mismatches: usize,
    /// Simulated cycles of a layer.
    pub cycles: u64,
    /// Cycles of a layer by the formula.
    pub predicted_cycles: u64,
    /// Relative error of the formula: (predicted - simulated) / simulated.
    pub error: f64,
}

/// All results of a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// Version of the JSON format.
    pub schema_version: u32,
    /// The command that repeats the sweep.
    pub command: String,
    /// Name of the model.
    pub model: String,
    /// Tokens of the prompt in prefill.
    pub prefill_tokens: usize,
    /// One entry per unit.
    pub points: Vec<Point>,
    /// The points that were simulated.
    pub samples: Vec<Sample>,
    /// The assumptions behind the numbers.
    pub assumptions: Vec<String>,
    /// Always `projected, not measured on a board`.
    pub status: String,
}

/// Marks the points on the Pareto front: no other point of the same board is at least as good in LUTs, decode and
/// prefill and better in one of them.
pub fn mark_front(points: &mut [Point]) {
    let sized = points.iter().all(|p| p.luts.is_some());
    // Rates that differ by less than a thousandth count as equal. If any point lacks LUTs, a size computed from the
    // parameters replaces the LUTs of all points.
    let key = |p: &Point| {
        let rate = |x: f64| -(x.ln() * 1e3).round();
        let size = p.luts.filter(|_| sized).map_or((p.ports * p.port_bits * p.vectors + p.groups) as f64, f64::from);
        [size, rate(p.decode_tokens_per_s), rate(p.prefill_tokens_per_s)]
    };
    let keys: Vec<_> = points.iter().map(|p| (p.board.clone(), key(p))).collect();
    for (point, (board, own)) in points.iter_mut().zip(&keys) {
        let better = |k: &[f64; 3]| k != own && k.iter().zip(own).all(|(a, b)| a <= b);
        point.pareto = !keys.iter().any(|(other, k)| other == board && better(k));
    }
}
