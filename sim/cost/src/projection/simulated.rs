//! The part of a run of whole layers that a projection needs.

use bitnet::config::Linear;

use super::records::PortTime;

/// A simulated linear of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedLinear {
    /// The decoder layer.
    pub layer: usize,
    /// The linear.
    pub linear: Linear,
    /// Cycles of the linear.
    pub cycles: u64,
}

/// A simulated run.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// Tokens of the pass.
    pub tokens: usize,
    /// The linears in the order of execution, layer by layer.
    pub operators: Vec<SimulatedLinear>,
    /// Milliseconds of all linears with the highest and with the lowest rate that such a memory has been observed to
    /// deliver.
    pub linear_ms_band: Option<[f64; 2]>,
    /// The cycles of each port, by activity.
    pub ports: Vec<PortTime>,
}

impl Simulated {
    /// Number of simulated layers.
    pub fn layers(&self) -> usize {
        self.operators.len() / Linear::ALL.len()
    }

    /// Whether the run consists of all linears of at least one whole layer, and of nothing else.
    pub fn is_whole(&self) -> bool {
        let whole = |rows: &[SimulatedLinear]| rows.iter().map(|o| o.linear).eq(Linear::ALL);
        self.layers() > 0 && self.operators.chunk_by(|a, b| a.layer == b.layer).all(whole)
    }
}
