//! The result of a run on the unit.

use bitnet::config::Linear;
use serde::{Deserialize, Serialize};
use tmv::counters::PortCounters;

use crate::compare::Mismatch;

/// The result of one operator of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorOutcome {
    /// The operator.
    pub linear: Linear,
    /// Number of outputs compared.
    pub outputs: usize,
    /// Number of outputs that differ from golden.
    pub mismatches: usize,
    /// The first few differing outputs.
    pub first: Vec<Mismatch>,
    /// Rows of the weights that were read, over all passes over the weights.
    pub rows_read: u64,
    /// Columns of the weights that were read, over all passes over the weights.
    pub columns_read: u64,
    /// Cycles from the completion of the previous operator of the run (or the start of the run) to the completion of
    /// this operator, summed over all passes over the weights.
    pub cycles: u64,
    /// For each pass over the weights, the cycle since power-up in which the pass completed.
    pub ends: Vec<u64>,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Index in the stream of runs.
    pub index: usize,
    /// The forward pass, from 0.
    pub pass: usize,
    /// SHA-256 of activations and expected accumulators.
    pub sha256: String,
    /// The decoder layer.
    pub layer: usize,
    /// One entry per operator.
    pub operators: Vec<OperatorOutcome>,
    /// Cycles in which the unit was busy.
    pub busy_cycles: u64,
    /// Counters of each port.
    pub ports: Vec<PortCycles>,
    /// Number of simulated cycles.
    pub simulated_cycles: u64,
    /// CPU seconds that the simulation took.
    pub seconds: f64,
    /// Description of the injected fault, if any.
    pub injected: Option<String>,
}

/// [`PortCounters`] in the form that journals and reports use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCycles {
    /// Cycles in which a weight beat met a word of activations.
    pub busy: u32,
    /// Cycles spent waiting for weights.
    pub stall_data: u32,
    /// Cycles spent waiting for activations.
    pub stall_x: u32,
    /// Cycles spent waiting for the previous result to be collected.
    pub stall_result: u32,
    /// Read beats received.
    pub beats: u32,
    /// Read bursts issued.
    pub bursts: u32,
}

impl From<PortCounters> for PortCycles {
    fn from(counters: PortCounters) -> Self {
        let PortCounters { busy, stall_data, stall_x, stall_result, beats, bursts } = counters;
        Self { busy, stall_data, stall_x, stall_result, beats, bursts }
    }
}

impl PortCycles {
    /// Cycles spent waiting for weights, activations or collection, added up.
    pub fn stalls(&self) -> u64 {
        u64::from(self.stall_data) + u64::from(self.stall_x) + u64::from(self.stall_result)
    }
}
