//! The results of a run: one structure, from which text, JSON and page are made.

use bitnet::config::Linear;
use cost::projection::{Inputs, Projection};
use serde::{Deserialize, Serialize};
use testbench::injection::Injection;
use testbench::outcome::{Outcome, PortCycles};
use testbench::recorder::Zeros;

use crate::nonlinear::Nonlinear;
use crate::sections::{BuildSection, MemorySection, ModelSection, ProfileSection, UnitSection};
use crate::shard::Shard;

/// Version of the JSON format. Within a version, keys are only added.
pub const SCHEMA_VERSION: u32 = 2;

/// All results of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command that repeats the run.
    pub command: String,
    /// The settings of the run.
    #[serde(flatten)]
    pub identity: Identity,
    /// The shard that was verified; `None` if not restricted to a shard.
    pub shard: Option<Shard>,
    /// Whether everything that was to be verified was verified.
    pub complete: bool,
    /// Number of runs of the unit over all shards.
    pub runs_in_all: usize,
    /// The CPU that the unit is compared with.
    pub cpu_profile: ProfileSection,
    /// What the user has to know about the files of the model, a sentence each.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// The injected fault, if any.
    pub injected: Option<String>,
    /// One entry per operator, in the order of execution.
    pub operators: Vec<OperatorRow>,
    /// Sums over the operators.
    pub totals: Totals,
    /// One entry per run of the unit.
    pub runs: Vec<RunRow>,
    /// Outputs that differ: the first few of each operator.
    pub differences: Vec<Difference>,
    /// The result of the forward pass on golden's arithmetic.
    pub forward: Option<Forward>,
    /// Zeros in the feed-forward parts of the layers, as golden counted them.
    #[serde(default)]
    pub zeros: Vec<Zeros>,
    /// The operators between the BitLinears, if a simulated core ran them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonlinear: Option<Nonlinear>,
    /// The inputs of the projection of a whole token, besides the run.
    #[serde(default)]
    pub projection_inputs: Option<Inputs>,
    /// The projection from the run to a whole token; only for runs of whole layers.
    #[serde(default)]
    pub projection: Option<Projection>,
    /// Cycles, speed, time and memory of the simulation itself.
    pub simulation: Simulation,
    /// The assumptions of the projection.
    pub assumptions: Vec<String>,
    /// Always `projected, not measured on a board`.
    pub status: String,
}

/// The value of [`Report::status`].
pub const STATUS: &str = "projected, not measured on a board";

/// The settings that must agree between reports that are joined, and between a journal and the run that resumes from
/// it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Program and RTL.
    pub build: BuildSection,
    /// Seed of all random numbers.
    pub seed: u64,
    /// The weights and the forward pass.
    pub model: ModelSection,
    /// The unit.
    pub unit: UnitSection,
    /// The memory.
    pub memory: MemorySection,
    /// The operators that were selected.
    pub selected: Vec<Linear>,
    /// The requested fault, if any.
    pub inject: Option<Injection>,
    /// Whether rows of `up_proj` and columns of `down_proj` that are multiplied by zero are skipped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skip_zeros: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The results of one operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorRow {
    /// The decoder layer.
    pub layer: usize,
    /// Name of the operator, such as `self_attn.q_proj`.
    pub name: Linear,
    /// Number of input features, K.
    pub in_features: usize,
    /// Number of output features, N.
    pub out_features: usize,
    /// Number of tokens.
    pub tokens: usize,
    /// Number of outputs compared.
    pub outputs: usize,
    /// Number of outputs that differ from golden.
    pub mismatches: usize,
    /// Cycles from the completion of the previous operator of the run (or the start of the run) to the completion of
    /// this operator.
    pub cycles: u64,
    /// Weight beats divided by ports.
    pub ideal_cycles: u64,
    /// Cycles in which the engines of the ports waited for weights, activations or results, summed over the ports.
    /// The unit counts them per run; the count of a run is divided among its operators in proportion to their cycles.
    pub stall_cycles: u64,
    /// Bytes of the weight image.
    pub weight_bytes: usize,
    /// Rows of the weights that were read: all of them in each pass over the weights, unless rows were skipped.
    #[serde(default)]
    pub rows_read: Option<u64>,
    /// Columns of the weights that were read: all of them in each pass over the weights, unless columns were skipped.
    #[serde(default)]
    pub columns_read: Option<u64>,
    /// Projected milliseconds on the unit.
    pub fpga_ms: f64,
    /// Milliseconds on the CPU.
    pub cpu_ms: Option<f64>,
    /// `cpu_ms` divided by `fpga_ms`.
    pub speedup: Option<f64>,
}

/// Sums over the operators.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Totals {
    /// Number of outputs compared.
    pub outputs: usize,
    /// Number of outputs that differ from golden.
    pub mismatches: usize,
    /// Cycles of all operators.
    pub cycles: u64,
    /// Weight beats divided by ports.
    pub ideal_cycles: u64,
    /// Cycles of waiting, summed over the ports.
    pub stall_cycles: u64,
    /// Bytes of all weight images.
    pub weight_bytes: usize,
    /// Projected milliseconds of the linears.
    pub linear_fpga_ms: f64,
    /// `linear_fpga_ms`, scaled to the highest and to the lowest rate that such a memory has been observed to
    /// deliver.
    pub linear_fpga_ms_band: Option<[f64; 2]>,
    /// Rate at which the unit read weights.
    pub weight_gb_per_s: f64,
    /// `weight_gb_per_s` divided by the rate of plain readers, which do nothing but read.
    pub reader_share: Option<f64>,
    /// Milliseconds of the linears on the CPU.
    pub linear_cpu_ms: Option<f64>,
    /// `linear_cpu_ms` divided by `linear_fpga_ms`.
    pub linear_speedup: Option<f64>,
    /// Projected milliseconds of the linears, the driver calls, and the other operators on the profiled CPU. Only for
    /// runs of whole layers.
    pub layer_ms_with_host_nonlinear: Option<f64>,
    /// `layer_ms_with_host_nonlinear` with the largest driver overhead reported for published systems.
    pub layer_ms_with_largest_overhead: Option<f64>,
    /// Milliseconds of the other operators on the profiled CPU.
    pub host_nonlinear_ms: Option<f64>,
    /// Milliseconds of the layers on the CPU alone.
    pub layer_cpu_ms: Option<f64>,
    /// Number of driver calls.
    pub driver_calls: usize,
    /// Assumed overhead of a driver call.
    pub driver_overhead_us: f64,
}

/// One run of the unit: operators that share their activations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRow {
    /// Index among the runs of all shards.
    pub index: usize,
    /// The decoder layer.
    pub layer: usize,
    /// The operators of the run.
    pub operators: Vec<Linear>,
    /// Cycles in which the unit was busy.
    pub busy_cycles: u64,
    /// Counters of each port.
    pub ports: Vec<PortCycles>,
}

/// An output that differs from golden's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The decoder layer.
    pub layer: usize,
    /// The operator.
    pub operator: Linear,
    /// The output feature.
    pub row: usize,
    /// The token.
    pub token: usize,
    /// The cycle since power-up in which the operator's pass over the weights was complete.
    pub cycle: u64,
    /// Golden's accumulator.
    pub expected: i32,
    /// The unit's accumulator.
    pub got: i32,
}

/// The result of the forward pass on golden's arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// SHA-256 of the logits, or of the residual stream after the layer, as little-endian fp32.
    pub sha256: String,
    /// The most likely next token; only after a run of all layers.
    pub next_token: Option<u32>,
}

/// Cycles, speed, time and memory of the simulation itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Simulation {
    /// Seconds from the start of the program to the report.
    pub wall_s: f64,
    /// Simulated cycles per CPU second of one thread.
    pub cycles_per_second: f64,
    /// Number of simulated cycles, all runs.
    pub simulated_cycles: u64,
    /// Number of simulating threads.
    pub jobs: usize,
    /// Number of runs taken from a journal instead of being simulated.
    pub resumed_runs: usize,
    /// Seconds of the forward pass on golden's arithmetic, which runs in parallel with the simulation.
    pub golden_s: f64,
    /// Peak memory of the process, mapped files included; `None` if the system does not report it.
    pub peak_resident_bytes: Option<u64>,
    /// Peak memory of the process without mapped files, sampled after each run.
    pub peak_anonymous_bytes: Option<u64>,
    /// Seconds from the request for the Verilator model until the model is loaded. The weights are made during this
    /// time.
    pub model_build_s: f64,
    /// Whether the Verilator model came from the cache.
    pub model_cached: bool,
}

impl RunRow {
    /// The row of the verified run `run`.
    pub fn of(run: &Outcome) -> Self {
        Self {
            index: run.index,
            layer: run.layer,
            operators: run.operators.iter().map(|o| o.linear).collect(),
            busy_cycles: run.busy_cycles,
            ports: run.ports.clone(),
        }
    }
}

/// The first few differing outputs of `run`, on a unit that processes `max_tokens` tokens in a pass over the weights.
pub fn differences(run: &Outcome, max_tokens: usize) -> Vec<Difference> {
    let all = run.operators.iter().flat_map(|o| o.first.iter().map(move |m| (o, m)));
    let all = all.map(|(o, m)| Difference {
        layer: run.layer,
        operator: o.linear,
        row: m.row,
        token: m.token,
        cycle: o.ends.get(m.token / max_tokens).copied().unwrap_or_default(),
        expected: m.expected,
        got: m.got,
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use testbench::compare::Mismatch;
    use testbench::outcome::OperatorOutcome;

    use super::*;

    fn difference(token: usize, cycle: u64) -> Difference {
        Difference { layer: 3, operator: Linear::K, row: 5, token, cycle, expected: 7, got: -7 }
    }

    #[test]
    fn a_token_is_complete_with_its_pass() {
        let mismatch = |token| Mismatch { token, row: 5, expected: 7, got: -7 };
        let operator = OperatorOutcome {
            linear: Linear::K,
            rows_read: 0,
            columns_read: 0,
            cycles: 0,
            ends: vec![100, 200],
            outputs: 10,
            mismatches: 3,
            first: vec![mismatch(0), mismatch(3), mismatch(4)],
        };
        let outcome = Outcome {
            index: 0,
            pass: 0,
            sha256: String::new(),
            layer: 3,
            operators: vec![operator],
            busy_cycles: 0,
            ports: vec![],
            simulated_cycles: 0,
            seconds: 0.0,
            injected: None,
        };
        assert_eq!(differences(&outcome, 4), [difference(0, 100), difference(3, 100), difference(4, 200)]);
    }
}
