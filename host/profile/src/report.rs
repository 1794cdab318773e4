//! CPU profiles: the cost of a decoder layer in software, as data.
//!
//! The file format is the JSON report of the common CPU profiling task (`meta`, `cpu_info`, `freq_normalization`,
//! `stage_profiles`, `summary`) with additional keys: times of operators, raw rows, and the contradictions found in
//! the source report. The source report is the document from which the numbers of the built-in profile were taken;
//! `meta.source` names it. A report with only the original keys can be loaded too. [`SCHEMA`] describes the format for
//! other programs. [`mod@crate::measure`] and `host/pytorch/run.py` write such files.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use bitnet::config::{Linear, Norm};
use bitnet::json::Object;

/// The JSON schema of a profile.
pub const SCHEMA: &str = include_str!("../data/inference_profile_report.schema.json");

/// The file name of a report.
pub const REPORT_NAME: &str = "inference_profile_report.json";

/// Number of tokens in the forward pass of the built-in profile.
pub const TOKENS: usize = 3;

/// The frequency to which times are normalised, in MHz.
pub const REFERENCE_MHZ: f64 = 3000.0;

/// The four stages of an inference, in order.
pub const STAGES: [&str; 4] = ["Tokenization", "Prefill", "Decode", "Detokenization"];

/// A number, or a text that may contain a number: reports write `43.17`, `"~4800"` and `"8-14"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A number.
    Number(f64),
    /// A text, possibly with a number in it.
    Text(String),
}

impl Quantity {
    /// The number. For a text, this is the number after an optional `~`; `None` if the text is not such a number.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Number(x) => Some(*x),
            Self::Text(text) => text.trim().trim_start_matches(['~', '≈']).trim().parse().ok(),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(x) => fmt::Display::fmt(x, f),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl From<f64> for Quantity {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// The metadata: what was measured, when, and with which software.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The model.
    pub model_name: String,
    /// Date or time of the run.
    pub timestamp: String,
    /// The frequency to which times may be normalised.
    #[serde(default)]
    pub reference_freq_mhz: Option<Quantity>,
    /// The team member who measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The dimensions of the model in words. Equal models have equal texts here, while names and folders differ
    /// between machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<String>,
    /// The software.
    #[serde(default)]
    pub framework: Option<String>,
    /// The machine.
    #[serde(default)]
    pub machine: Option<String>,
    /// Tokens of the profiled forward pass.
    #[serde(default)]
    pub tokens: Option<usize>,
    /// First and last layer that count as stable.
    #[serde(default)]
    pub stable_layers: Option<[usize; 2]>,
    /// Source of the numbers.
    #[serde(default)]
    pub source: Option<String>,
    /// Other keys of the file, kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The CPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuInfo {
    /// Model name of the CPU.
    pub brand: String,
    /// Base frequency of the CPU, in MHz.
    #[serde(default)]
    pub freq_base_mhz: Option<Quantity>,
    /// Other keys of the file, kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The normalisation of times to the reference frequency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FreqNormalization {
    /// Factor by which a measured time is multiplied.
    #[serde(default)]
    pub scale_factor: Option<Quantity>,
    /// The normalisation in words.
    #[serde(default)]
    pub explanation: String,
}

impl FreqNormalization {
    /// Uses the formula of the task: time x actual frequency / reference frequency. `source` says where `mhz` comes
    /// from.
    pub fn new(mhz: Option<f64>, source: &str) -> Self {
        match mhz {
            Some(mhz) => Self {
                scale_factor: Some((mhz / REFERENCE_MHZ).into()),
                explanation: format!(
                    "duration_normalized_ms = duration_ms x {mhz} MHz / {REFERENCE_MHZ} MHz; {mhz} MHz is {source}"
                ),
            },
            None => Self {
                scale_factor: None,
                explanation: "not normalised: no CPU frequency was reported or given".into(),
            },
        }
    }
}

/// One stage of an inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageProfile {
    /// One of [`STAGES`].
    pub name: String,
    /// Measured time of the whole stage. It is `None` if the stage was not measured; `note` then gives the reason.
    pub duration_ms: Option<Quantity>,
    /// Time of the whole stage at the reference frequency.
    #[serde(default)]
    pub duration_normalized_ms: Option<Quantity>,
    /// Memory of the process before the stage.
    #[serde(default)]
    pub memory_before_mb: Option<Quantity>,
    /// Memory of the process after the stage.
    #[serde(default)]
    pub memory_after_mb: Option<Quantity>,
    /// Growth of the process during the stage.
    #[serde(default)]
    pub memory_delta_mb: Option<Quantity>,
    /// Largest memory of the process during the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_mb: Option<f64>,
    /// Tokens that the stage processed; in Decode, the tokens that it generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Times of the single tokens in Decode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_token: Option<Spread>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Statistics of several times of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Number of times.
    pub samples: usize,
    /// Median time.
    pub median_ms: f64,
    /// Mean time.
    pub mean_ms: f64,
    /// Shortest time.
    pub min_ms: f64,
    /// Longest time.
    pub max_ms: f64,
}

impl Spread {
    /// The statistics of `times`; `None` if there are none.
    pub fn of(times: &[f64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        Some(Self {
            samples: n,
            min_ms: *sorted.first()?,
            max_ms: *sorted.last()?,
            mean_ms: sorted.iter().sum::<f64>() / n as f64,
            median_ms: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
        })
    }
}

/// The whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Time of all measured stages.
    pub total_time_ms: Quantity,
    /// Largest memory of the process.
    #[serde(default)]
    pub peak_memory_mb: Option<Quantity>,
}

/// The cost of one operator, in one layer or on average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorProfile {
    /// Name of the operator within a layer, such as `mlp.gate_proj`.
    pub name: String,
    /// The layer number, or a text that names the averaged layers.
    pub layer: Quantity,
    /// Class of the operator in the framework.
    #[serde(default, rename = "type")]
    pub class: String,
    /// Shape of the input.
    #[serde(default)]
    pub input_shape: Vec<usize>,
    /// Shape of the output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_shape: Vec<usize>,
    /// Mean time of a call.
    pub mean_ms: f64,
    /// Median time of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<f64>,
    /// Time of the fastest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// Time of the slowest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// Share of the layer's time.
    #[serde(default)]
    pub share_percent: Option<f64>,
    /// Operations of a call. A multiply-accumulate counts as two.
    #[serde(default)]
    pub ops: Option<u64>,
    /// Share of the layer's operations.
    #[serde(default)]
    pub ops_share_percent: Option<f64>,
    /// Billions of operations per second.
    #[serde(default)]
    pub gops: Option<f64>,
    /// Growth of the process.
    #[serde(default)]
    pub memory_delta_mb: Option<Quantity>,
}

impl OperatorProfile {
    /// The time of a call. This is the median, which a busy machine affects less; it is the mean if there is no
    /// median.
    pub fn ms(&self) -> f64 {
        self.median_ms.unwrap_or(self.mean_ms)
    }

    /// The ternary linear with the name of this operator, if there is one.
    pub fn linear(&self) -> Option<Linear> {
        Linear::ALL.into_iter().find(|l| l.name() == self.name)
    }

    /// Operations of a call by the rules of the source report: two per multiply-accumulate, three per element of a
    /// norm, two per element of squared ReLU, and one per element of a sum or product. `None` for operators that the
    /// source does not count.
    pub fn counted_ops(&self) -> Option<u64> {
        let elements = self.input_shape.iter().product::<usize>() as u64;
        match self.name.as_str() {
            _ if self.linear().is_some() => Some(2 * elements * *self.output_shape.last()? as u64),
            name if Norm::ALL.iter().any(|n| n.name() == name) => Some(3 * elements),
            "mlp.act_fn" => Some(2 * elements),
            "mlp.product" | "self_attn.residual" | "mlp.residual" => Some(elements),
            _ => None,
        }
    }
}

/// The sum over several operators of a layer, as stated in the source report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockProfile {
    /// `mlp_linear`, `decoder_layer`, ...
    pub name: String,
    /// Names of the operators in the block.
    pub members: Vec<String>,
    /// Time of all operators in the block.
    pub mean_ms: f64,
    /// Share of the layer's time.
    #[serde(default)]
    pub share_percent: Option<f64>,
    /// Operations of all operators in the block.
    #[serde(default)]
    pub ops: Option<u64>,
}

/// One call, as measured, or the median of several calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRow {
    /// Number of the layer.
    pub layer: usize,
    /// Name of the operator within the layer.
    pub name: String,
    /// Class of the operator in the framework.
    #[serde(default, rename = "type")]
    pub class: String,
    /// Shape of the input.
    #[serde(default)]
    pub input_shape: Vec<usize>,
    /// Time of the call, or the median of several calls.
    pub time_ms: f64,
    /// Growth of the process during the call.
    #[serde(default)]
    pub memory_delta_mb: Option<f64>,
    /// Memory of the process after the call.
    #[serde(default)]
    pub memory_mb: Option<f64>,
}

/// An operator outside the decoder layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalLayer {
    /// Name of the operator.
    pub name: String,
    /// Class of the operator in the framework.
    #[serde(default, rename = "type")]
    pub class: String,
    /// Time of a call.
    pub mean_ms: Quantity,
    /// A remark.
    #[serde(default)]
    pub note: String,
}

/// Places where the source report states different values of one quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contradiction {
    /// A short name of the contradiction.
    pub id: String,
    /// The quantity.
    pub what: String,
    /// Unit of the quantity.
    #[serde(default)]
    pub unit: String,
    /// The stated or derived values.
    pub values: Vec<Quantity>,
    /// The place of each value, one entry per value: a section of the source report, or the derivation.
    #[serde(rename = "where")]
    pub places: Vec<String>,
    /// The value that this program uses, if it needs one.
    #[serde(default)]
    pub used: Option<Quantity>,
    /// The reason for choosing that value, or for the contradiction.
    pub why: String,
}

/// A CPU profile: the content of a report file.
///
/// ```
/// use bitnet::config::Linear;
/// use cpu_profile::report::CpuProfile;
/// let cpu = CpuProfile::builtin();
/// assert_eq!(cpu.operator_ms(Linear::Gate, 14), Some(11.92));
/// let other = cpu.contradictions.iter().find(|c| c.id == "gate_proj-ms").expect("it is listed");
/// assert_eq!(other.values[1].value(), Some(14.06));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CpuProfile {
    /// The metadata: what was measured, when, and with which software.
    pub meta: Meta,
    /// The CPU.
    pub cpu_info: CpuInfo,
    /// The normalisation of times to the reference frequency.
    pub freq_normalization: FreqNormalization,
    /// Time and memory of loading the model, before the stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_load: Option<StageProfile>,
    /// Stages of an inference.
    pub stage_profiles: Vec<StageProfile>,
    /// The whole run.
    pub summary: Summary,
    /// Times of a whole layer, run without timing its operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_wall: Option<Spread>,
    /// Costs per operator.
    pub operators: Vec<OperatorProfile>,
    /// Sums over operators, as stated in the source report.
    pub blocks: Vec<BlockProfile>,
    /// Raw rows: single calls, or medians per layer.
    pub layers: Vec<LayerRow>,
    /// Operators outside the decoder layers.
    pub global_layers: Vec<GlobalLayer>,
    /// Contradictions within the source report.
    pub contradictions: Vec<Contradiction>,
}

impl CpuProfile {
    /// The profile that comes with this crate: PyTorch with BitNet b1.58-2B-4T on a Ryzen 7 9700X.
    pub fn builtin() -> Self {
        let text = include_str!("../data/ryzen-9700x-pytorch.json");
        Self::parse(Path::new("(built-in profile)"), text).expect("a test loads the built-in profile")
    }

    /// Reads a profile from a file.
    ///
    /// # Errors
    /// If the file cannot be read, is not JSON, lacks a key, or has a key of the wrong type. Each error names the
    /// file and the key.
    pub fn load(path: &Path) -> bitnet::Result<Self> {
        Self::from_object(&Object::read(path)?)
    }

    /// Reads a profile from the text `json`. Errors show `path` as the name of the file.
    pub fn parse(path: &Path, json: &str) -> bitnet::Result<Self> {
        Self::from_object(&Object::parse(path, json.as_bytes())?)
    }

    fn from_object(file: &Object) -> bitnet::Result<Self> {
        let profile = Self {
            meta: file.required("meta")?,
            cpu_info: file.required("cpu_info")?,
            freq_normalization: file.required("freq_normalization")?,
            model_load: file.optional("model_load")?,
            stage_profiles: file.required::<Vec<Value>>("stage_profiles").and_then(|_| file.list("stage_profiles"))?,
            summary: file.required("summary")?,
            layer_wall: file.optional("layer_wall")?,
            operators: file.list("operators")?,
            blocks: file.list("blocks")?,
            layers: file.list("layers")?,
            global_layers: file.list("global_layers")?,
            contradictions: file.list("contradictions")?,
        };
        if profile.contradictions.iter().any(|c| c.values.len() != c.places.len()) {
            return Err(file.bad("contradictions", "as many entries in \"where\" as in \"values\""));
        }
        if profile.operators.iter().any(|o| !(o.mean_ms.is_finite() && o.mean_ms >= 0.0 && o.ms() >= 0.0)) {
            return Err(file.bad("operators", "times of zero or more"));
        }
        let unexplained = |s: &&StageProfile| s.duration_ms.is_none() && s.note.is_none();
        if let Some(stage) = profile.stage_profiles.iter().find(unexplained) {
            return Err(file.bad("stage_profiles", format!("{} to have a duration_ms or a note why not", stage.name)));
        }
        Ok(profile)
    }

    /// Time of one linear in `layer`: the row of that layer if `operators` has one, else the mean over the stable
    /// layers. Raw rows are not used, because the first call of a layer is not its steady state.
    pub fn operator_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        let of = |wanted: fn(&Quantity, usize) -> bool| {
            self.operators.iter().find(|o| o.name == linear.name() && wanted(&o.layer, layer)).map(OperatorProfile::ms)
        };
        of(|which, layer| *which == Quantity::Number(layer as f64))
            .or_else(|| of(|which, _| matches!(which, Quantity::Text(_))))
    }

    /// Time of one linear in `layer` in the raw rows, if there is such a row.
    pub fn measured_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        self.layers.iter().find(|r| r.layer == layer && r.name == linear.name()).map(|r| r.time_ms)
    }

    /// The operator rows that cover all stable layers.
    pub fn typical(&self) -> impl Iterator<Item = &OperatorProfile> {
        self.operators.iter().filter(|o| matches!(o.layer, Quantity::Text(_)))
    }

    /// Average time of all timed operators of a layer that are not ternary linears.
    pub fn nonlinear_ms(&self) -> Option<f64> {
        let times: Vec<f64> = self.typical().filter(|o| o.linear().is_none()).map(OperatorProfile::ms).collect();
        (!times.is_empty()).then(|| times.iter().sum())
    }

    /// Time of all seven linears in `layer`; `None` if one of them is unknown.
    pub fn linear_ms(&self, layer: usize) -> Option<f64> {
        Linear::ALL.into_iter().map(|l| self.operator_ms(l, layer)).sum()
    }

    /// The stage with the given name.
    pub fn stage(&self, name: &str) -> Option<&StageProfile> {
        self.stage_profiles.iter().find(|s| s.name == name)
    }

    /// The block with the given name: a sum as stated in the source report.
    pub fn block(&self, name: &str) -> Option<&BlockProfile> {
        self.blocks.iter().find(|b| b.name == name)
    }

    /// Machine, software, model and date in one line.
    pub fn provenance(&self) -> String {
        let machine = self.meta.machine.as_deref().unwrap_or(&self.cpu_info.brand);
        let framework = self.meta.framework.as_deref().unwrap_or("framework not stated");
        format!("{machine}; {framework}; {}; {}", self.meta.model_name, self.meta.timestamp)
    }
}
