//! The records of a projection: one structure with every number. Text and pages are made from it.

use bitnet::config::Linear;
use serde::{Deserialize, Serialize};

use crate::baseline::CpuBaseline;
use crate::peers::{Core, Part, Published};

/// The inputs of a projection besides the run: the vocabulary of the model and the CPUs to compare with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Rows of the output head.
    pub vocab_size: usize,
    /// CPU profiles; the built-in profile comes first.
    pub baselines: Vec<CpuBaseline>,
    /// A layer on a simulated soft core, if there is one.
    #[serde(default)]
    pub soft_core: Option<SoftCore>,
}

/// A layer's operators on a simulated soft core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoftCore {
    /// Name of the core.
    pub name: String,
    /// Clock of the core.
    pub clock_mhz: f64,
    /// Tokens of the simulated layer.
    pub tokens: usize,
    /// Tokens in the cache before them.
    pub context: usize,
    /// The operators: name, cycles.
    pub operators: Vec<(String, u64)>,
    /// Cycles of a layer's BitLinears beside the operators, if both ran on units that share the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub products: Option<u64>,
    /// Cycles of the final norm and the output head for one token, if they ran too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
}

/// The projection from a run to a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// A statement about which parts of the work overlap in time.
    pub overlap: String,
    /// Assumed overhead of a driver call.
    pub driver_overhead_us: f64,
    /// The smallest and the largest overhead of a driver call reported for published systems.
    pub driver_overhead_band_us: [f64; 2],
    /// Decoder layers of the model.
    pub layers: usize,
    /// Layers that were simulated.
    pub simulated_layers: usize,
    /// Models of the cores that the board contains or has room for.
    pub cores: Vec<Core>,
    /// The simulated phase, and the other of prefill and decode by formula.
    pub phases: Vec<Phase>,
    /// The total speed-up if only the linears get faster.
    pub amdahl: Vec<Amdahl>,
    /// The bound of each operator: memory, lanes or operations.
    pub roofline: Roofline,
    /// The cycles that each port was busy or waited, over the whole run.
    pub ports: Vec<PortTime>,
    /// CPUs to compare with.
    pub baselines: Vec<CpuBaseline>,
    /// Published systems that decode the same model.
    pub published: Vec<Published>,
    /// The check of the projection's arithmetic with a published system.
    pub check: PeerCheck,
    /// Joules per token. `None` because the power of the unit has not been measured.
    pub joules_per_token: Option<f64>,
    /// The assumptions of the projection.
    pub assumptions: Vec<String>,
}

/// A phase: prefill or decode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// `prefill` or `decode`.
    pub name: String,
    /// Tokens of the pass.
    pub tokens: usize,
    /// Positions in the context before these tokens.
    pub context: usize,
    /// Source of the cycles: RTL simulation or formula.
    pub source: String,
    /// Whether the cycles come from RTL simulation.
    pub simulated: bool,
    /// The linears of a layer.
    pub linears: Vec<LinearTime>,
    /// Milliseconds of the linears of a layer.
    pub linear_ms: f64,
    /// `linear_ms` with the highest and with the lowest rate that such a memory has been observed to deliver.
    pub linear_ms_band: Option<[f64; 2]>,
    /// Driver calls per layer.
    pub calls: usize,
    /// Milliseconds of the driver calls of a layer.
    pub driver_ms: f64,
    /// `driver_ms` with the largest overhead.
    pub driver_ms_most: f64,
    /// All other operators, on each core.
    pub on_cores: Vec<OnCore>,
}

/// A linear on the unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearTime {
    /// Name of the linear.
    pub name: Linear,
    /// Cycles: mean over the layers.
    pub cycles: f64,
    /// Milliseconds.
    pub ms: f64,
    /// Operations. A multiply-accumulate counts as two.
    pub ops: f64,
    /// Bytes of weights that the unit reads.
    pub weight_bytes: f64,
}

/// A phase whose operators, except the linears, run on one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnCore {
    /// Name of the core.
    pub core: String,
    /// Basis of the times: `model, not measured`, or the measurement they come from.
    pub basis: String,
    /// The operators that run on the core.
    pub operators: Vec<CoreOperator>,
    /// Milliseconds of the core's operators in one layer.
    pub others_ms: f64,
    /// Milliseconds of a layer: linears, driver calls and the core's operators.
    pub layer_ms: f64,
    /// Milliseconds of the whole pass: all layers, embedding, last norm and output head. `None` if no such pass was
    /// timed.
    pub pass_ms: Option<f64>,
    /// `pass_ms` with the largest driver overhead.
    pub pass_ms_most: Option<f64>,
    /// Tokens per second.
    pub tokens_per_s: Option<f64>,
    /// Share of the linears in the pass in percent, driver calls included.
    pub linear_percent: Option<f64>,
    /// Whether the times were measured.
    pub measured: bool,
    /// Whether the times are those of a simulated soft core.
    #[serde(default)]
    pub simulated: bool,
    /// Milliseconds of the pass on the core alone, linears included.
    pub alone_ms: Option<f64>,
    /// The linears of a layer, with their times on the core alone.
    pub alone_linears: Vec<Part>,
}

/// An operator on a core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreOperator {
    /// Name of the operator.
    pub name: String,
    /// Whether the operator is in every layer.
    pub in_layer: bool,
    /// Operations, if counted.
    pub ops: Option<f64>,
    /// Bytes moved, if counted.
    pub bytes: Option<f64>,
    /// Milliseconds.
    pub ms: f64,
}

/// A curve of Amdahl's law: the total speed-up as a function of the speed-up of the linears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Amdahl {
    /// `layer` with its phase, or `token`.
    pub what: String,
    /// The CPU or core that the curve starts from.
    pub baseline: String,
    /// Basis of the baseline's times, such as `measured`.
    pub basis: String,
    /// Share of the linears in the baseline's time, in percent.
    pub linear_percent: f64,
    /// Points of the curve: speed-up of the linears, total speed-up.
    pub points: Vec<[f64; 2]>,
    /// The unit with its driver calls as a point of the curve.
    pub unit: [f64; 2],
    /// Total speed-up if the linears took no time.
    pub limit: f64,
    /// The unit with the other operators on a simulated soft core as a point beside the curve.
    #[serde(default)]
    pub soft_core: Option<[f64; 2]>,
}

/// The rooflines of the unit and of the core beside it, and each operator below its roofline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Peak with all lanes busy on one activation vector.
    pub peak_gops_one_vector: f64,
    /// Peak with all lanes busy on all activation vectors.
    pub peak_gops: f64,
    /// Memory rate in GB/s: the rate of plain readers, or the rate of the ports if the memory is ideal.
    pub gb_per_s: f64,
    /// The lowest and the highest GB/s that such a memory has been observed to deliver.
    pub gb_per_s_band: Option<[f64; 2]>,
    /// The core that executes the other operators: the first core of the board.
    pub core: Option<CoreRoof>,
    /// The points: the linears on the unit, all other operators on the core.
    pub points: Vec<RooflinePoint>,
}

/// The roofline of a core that is modelled by two rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreRoof {
    /// Name of the core.
    pub name: String,
    /// Peak rate of operations.
    pub peak_gops: f64,
    /// Rate of reading from the DRAM.
    pub gb_per_s: f64,
}

/// One operator below its roofline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RooflinePoint {
    /// The phase.
    pub phase: String,
    /// The operator.
    pub name: String,
    /// `unit` or `core`. The core is a model, so all its operators lie on the roofline.
    pub on: String,
    /// Operations per byte: per byte of weights on the unit, per byte moved on the core.
    pub ops_per_byte: f64,
    /// Rate that the operator reaches.
    pub gops: f64,
    /// Rate that the roofline allows.
    pub roof_gops: f64,
    /// `gops` as a percentage of `roof_gops`.
    pub percent: f64,
    /// The bound of the operator: `memory`, `lanes` or `operations`.
    pub bound: String,
}

/// The cycles of a port over all runs, by activity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PortTime {
    /// Index of the port.
    pub port: usize,
    /// Cycles in which a weight beat met activations.
    pub busy: u64,
    /// Cycles of waiting for weights.
    pub stall_weights: u64,
    /// Cycles of waiting for activations.
    pub stall_activations: u64,
    /// Cycles of waiting for the collection of a result.
    pub stall_results: u64,
    /// All other cycles: start, end, or no work left for the port.
    pub other: u64,
}

/// The projection's arithmetic applied to the parameters of a published system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerCheck {
    /// Name of the system.
    pub name: String,
    /// Milliseconds of the BitLinears of a token, by this program's formula. All other parts are taken as published.
    pub bitlinear_ms: f64,
    /// Milliseconds of the BitLinears of a token, as published.
    pub published_bitlinear_ms: f64,
    /// Runs of the system's engines per token.
    pub runs: usize,
    /// Overhead of a run in addition to its weights.
    pub run_us: f64,
    /// Overhead of all runs.
    pub runs_ms: f64,
    /// The other parts of the token's time.
    pub parts: Vec<Part>,
    /// Sum of `parts`.
    pub parts_ms: f64,
    /// Milliseconds of a token, as computed here.
    pub token_ms: f64,
    /// Milliseconds of a token, as published.
    pub published_token_ms: f64,
    /// Deviation of `token_ms` from `published_token_ms`.
    pub off_percent: f64,
    /// Largest allowed deviation.
    pub tolerance_percent: f64,
    /// Source of the system's figures.
    pub source: String,
}

impl Projection {
    /// The phase of one token: decode.
    pub fn decode(&self) -> Option<&Phase> {
        self.phases.iter().find(|p| p.tokens == 1)
    }
}
