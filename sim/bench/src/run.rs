//! A run of the unit: operators that share their activations, and the outputs golden expects.

use std::sync::Arc;

use bitnet::config::Linear;
use bitnet::skip::Skips;
use bitnet::weights::LayerWeights;
use sha2::{Digest, Sha256};

/// One run of the unit, with the outputs golden expects.
pub struct Run {
    /// Index in the stream. Runs that another shard verifies or that are not selected count too.
    pub index: usize,
    /// Whether this is the first run that this process verifies.
    pub first: bool,
    /// The forward pass, from 0.
    pub pass: usize,
    /// The decoder layer.
    pub layer: usize,
    /// Operators that share the activations; at least one.
    pub operators: Vec<Linear>,
    /// The weights of the layer.
    pub weights: Arc<LayerWeights>,
    /// Activations, `[tokens, in_features]`, row-major.
    pub x_q: Vec<i8>,
    /// Number of tokens, the rows of `x_q`.
    pub tokens: usize,
    /// Golden's accumulators for each operator, each `[tokens, out_features]`, row-major.
    pub expected: Vec<Vec<i32>>,
    /// What the weights lie for: what can be skipped in a pass of one token.
    pub skips: Skips,
    /// Whether rows of `up_proj` are skipped in this run.
    pub skips_rows: bool,
}

impl Run {
    /// Layer and operators as text: `layer 14, self_attn.q_proj, self_attn.k_proj`.
    pub fn describe(&self) -> String {
        format!("layer {}, {}", self.layer, self.operators.iter().map(|l| l.name()).collect::<Vec<_>>().join(", "))
    }

    /// SHA-256 of the activations and the expected accumulators.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let codes: Vec<u8> = self.x_q.iter().map(|x| *x as u8).collect();
        hash.update(&codes);
        for expected in &self.expected {
            hash.update(expected.iter().flat_map(|acc| acc.to_le_bytes()).collect::<Vec<_>>());
        }
        hex::encode(hash.finalize())
    }
}
