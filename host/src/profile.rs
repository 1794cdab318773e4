//! CPU profiles: what a decoder layer costs in software, as data.
//!
//! The file format is the JSON report of the common CPU profiling task (`meta`, `cpu_info`,
//! `freq_normalization`, `stage_profiles`, `summary`) with more keys beside those: times of operators, raw rows, and the
//! contradictions found in the source. A report that has only the original keys loads too. [`SCHEMA`] says the same to
//! other programs; [`mod@crate::measure`] writes such files, and so does `host/pytorch/run.py`.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Result;
use crate::config::{Linear, Norm};
use crate::json::Object;

/// The JSON schema of a profile.
pub const SCHEMA: &str = include_str!("../profiles/inference_profile_report.schema.json");

/// The file name of a report.
pub const REPORT_NAME: &str = "inference_profile_report.json";

/// Tokens of the built-in profile's forward pass.
pub const TOKENS: usize = 3;

/// The frequency times are normalised to, in MHz.
pub const REFERENCE_MHZ: f64 = 3000.0;

/// The four stages of an inference, in order.
pub const STAGES: [&str; 4] = ["Tokenization", "Prefill", "Decode", "Detokenization"];

/// A number, or a number in words: reports write `43.17`, `"~4800"` and `"8-14"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A number.
    Number(f64),
    /// Text, perhaps with a number in it.
    Text(String),
}

impl Quantity {
    /// The number: itself, or what a text says after an optional `~`.
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

/// What was measured, when and with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The model.
    pub model_name: String,
    /// Date or time of the run.
    pub timestamp: String,
    /// The frequency times may be normalised to.
    #[serde(default)]
    pub reference_freq_mhz: Option<Quantity>,
    /// Who measured, in a team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The model's dimensions in words, the same for the same: names and folders differ from machine to machine.
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
    /// Where the numbers are from.
    #[serde(default)]
    pub source: Option<String>,
    /// Other keys, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The CPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuInfo {
    /// Its name.
    pub brand: String,
    /// Its base frequency.
    #[serde(default)]
    pub freq_base_mhz: Option<Quantity>,
    /// Other keys, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How times were brought to the reference frequency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FreqNormalization {
    /// Multiplies a measured time.
    #[serde(default)]
    pub scale_factor: Option<Quantity>,
    /// In words.
    #[serde(default)]
    pub explanation: String,
}

impl FreqNormalization {
    /// By the formula of the task: time x actual frequency / reference frequency.
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
                explanation: "not normalised: the system tells no CPU frequency, and none was given".into(),
            },
        }
    }
}

/// One stage of an inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageProfile {
    /// One of [`STAGES`].
    pub name: String,
    /// Measured time of the whole stage; none if it was not measured, and then `note` says why.
    pub duration_ms: Option<Quantity>,
    /// The same at the reference frequency.
    #[serde(default)]
    pub duration_normalized_ms: Option<Quantity>,
    /// Memory of the process before.
    #[serde(default)]
    pub memory_before_mb: Option<Quantity>,
    /// Memory of the process after.
    #[serde(default)]
    pub memory_after_mb: Option<Quantity>,
    /// The difference.
    #[serde(default)]
    pub memory_delta_mb: Option<Quantity>,
    /// Largest memory of the process during the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_mb: Option<f64>,
    /// Tokens that went in, or in Decode came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Times of the tokens of Decode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_token: Option<Spread>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Many times of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many.
    pub samples: usize,
    /// Half of them are faster.
    pub median_ms: f64,
    /// The mean.
    pub mean_ms: f64,
    /// The fastest.
    pub min_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Spread {
    /// Of these times; none of none.
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
    /// Time of all stages that were measured.
    pub total_time_ms: Quantity,
    /// Largest memory of the process.
    #[serde(default)]
    pub peak_memory_mb: Option<Quantity>,
}

/// The cost of one operator, in one layer or on average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorProfile {
    /// The name within a layer: `mlp.gate_proj`.
    pub name: String,
    /// A layer number, or in words which layers were averaged.
    pub layer: Quantity,
    /// The class in the framework.
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
    /// Half of the calls are faster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<f64>,
    /// The fastest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// The slowest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// Share of the layer's time.
    #[serde(default)]
    pub share_percent: Option<f64>,
    /// Operations of a call, two to a multiply-accumulate.
    #[serde(default)]
    pub ops: Option<u64>,
    /// Share of the layer's operations.
    #[serde(default)]
    pub ops_share_percent: Option<f64>,
    /// Billions of operations in a second.
    #[serde(default)]
    pub gops: Option<f64>,
    /// Growth of the process.
    #[serde(default)]
    pub memory_delta_mb: Option<Quantity>,
}

impl OperatorProfile {
    /// What a call takes: the median, which a busy machine moves less, or the mean if that is all there is.
    pub fn ms(&self) -> f64 {
        self.median_ms.unwrap_or(self.mean_ms)
    }

    /// The ternary linear, if it is one.
    pub fn linear(&self) -> Option<Linear> {
        Linear::ALL.into_iter().find(|l| l.name() == self.name)
    }

    /// Operations of a call as the report counts them: two a multiply-accumulate, three an element of a norm, two an
    /// element of squared ReLU, and one an element of a sum or product. None for what it does not count.
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

/// Several operators of a layer together, as the source states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockProfile {
    /// `mlp_linear`, `decoder_layer`, ...
    pub name: String,
    /// Names of its operators.
    pub members: Vec<String>,
    /// Time of all.
    pub mean_ms: f64,
    /// Share of the layer's time.
    #[serde(default)]
    pub share_percent: Option<f64>,
    /// Operations of all.
    #[serde(default)]
    pub ops: Option<u64>,
}

/// One call, as measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRow {
    /// The layer.
    pub layer: usize,
    /// The name within the layer.
    pub name: String,
    /// The class in the framework.
    #[serde(default, rename = "type")]
    pub class: String,
    /// Shape of the input.
    #[serde(default)]
    pub input_shape: Vec<usize>,
    /// Time of the call; the median of several.
    pub time_ms: f64,
    /// Growth of the process.
    #[serde(default)]
    pub memory_delta_mb: Option<f64>,
    /// Memory of the process after the call.
    #[serde(default)]
    pub memory_mb: Option<f64>,
}

/// An operator outside the decoder layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalLayer {
    /// Its name.
    pub name: String,
    /// The class in the framework.
    #[serde(default, rename = "type")]
    pub class: String,
    /// Time of a call.
    pub mean_ms: Quantity,
    /// A remark.
    #[serde(default)]
    pub note: String,
}

/// Places where the source says different things about one quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contradiction {
    /// A short name.
    pub id: String,
    /// The quantity.
    pub what: String,
    /// Its unit.
    #[serde(default)]
    pub unit: String,
    /// What is said,
    pub values: Vec<Quantity>,
    /// and where, one entry a value: a section of the source, or how it was derived.
    #[serde(rename = "where")]
    pub places: Vec<String>,
    /// The value this program goes by, if it needs one.
    #[serde(default)]
    pub used: Option<Quantity>,
    /// The reason.
    pub why: String,
}

/// A CPU profile.
///
/// ```
/// use host::{config::Linear, profile::CpuProfile};
/// let cpu = CpuProfile::builtin();
/// assert_eq!(cpu.operator_ms(Linear::Gate, 14), Some(11.92));
/// let other = cpu.contradictions.iter().find(|c| c.id == "gate_proj-ms").expect("it is listed");
/// assert_eq!(other.values[1].value(), Some(14.06));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CpuProfile {
    /// What was measured, when and with what.
    pub meta: Meta,
    /// The CPU.
    pub cpu_info: CpuInfo,
    /// How times were brought to the reference frequency.
    pub freq_normalization: FreqNormalization,
    /// Loading the model, before the stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_load: Option<StageProfile>,
    /// Stages of an inference.
    pub stage_profiles: Vec<StageProfile>,
    /// The whole run.
    pub summary: Summary,
    /// A whole layer, run without timing its operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_wall: Option<Spread>,
    /// Costs by operator.
    pub operators: Vec<OperatorProfile>,
    /// Sums the source states.
    pub blocks: Vec<BlockProfile>,
    /// Raw rows.
    pub layers: Vec<LayerRow>,
    /// Operators outside the decoder layers.
    pub global_layers: Vec<GlobalLayer>,
    /// Where the source disagrees with itself.
    pub contradictions: Vec<Contradiction>,
}

impl CpuProfile {
    /// The PyTorch profile of BitNet b1.58-2B-4T on a Ryzen 7 9700X that comes with this crate.
    pub fn builtin() -> Self {
        let text = include_str!("../profiles/ryzen-9700x-pytorch.json");
        Self::parse(Path::new("(built-in profile)"), text).expect("a test loads the built-in profile")
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// A file that cannot be read, is not JSON, lacks a key or has one of the wrong type; each names file
    /// and key.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_object(&Object::read(path)?)
    }

    /// Like [`load`](Self::load), from memory; `path` is only what errors call it.
    pub fn parse(path: &Path, json: &str) -> Result<Self> {
        Self::from_object(&Object::parse(path, json.as_bytes())?)
    }

    fn from_object(file: &Object) -> Result<Self> {
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

    /// Time of one linear in `layer`: the row for that layer if `operators` has one, else the mean of the
    /// stable layers. Raw rows do not count: a layer's first call is no steady state.
    pub fn operator_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        let of = |wanted: fn(&Quantity, usize) -> bool| {
            self.operators.iter().find(|o| o.name == linear.name() && wanted(&o.layer, layer)).map(OperatorProfile::ms)
        };
        of(|which, layer| *which == Quantity::Number(layer as f64))
            .or_else(|| of(|which, _| matches!(which, Quantity::Text(_))))
    }

    /// Time of one linear in `layer` as it was measured, if the source printed that row.
    pub fn measured_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        self.layers.iter().find(|r| r.layer == layer && r.name == linear.name()).map(|r| r.time_ms)
    }

    /// The operators of a layer, over all stable layers.
    pub fn typical(&self) -> impl Iterator<Item = &OperatorProfile> {
        self.operators.iter().filter(|o| matches!(o.layer, Quantity::Text(_)))
    }

    /// Time of all timed operators of a layer that are not ternary linears, on average.
    pub fn nonlinear_ms(&self) -> Option<f64> {
        let times: Vec<f64> = self.typical().filter(|o| o.linear().is_none()).map(OperatorProfile::ms).collect();
        (!times.is_empty()).then(|| times.iter().sum())
    }

    /// Time of all seven linears in `layer`.
    pub fn linear_ms(&self, layer: usize) -> Option<f64> {
        Linear::ALL.into_iter().map(|l| self.operator_ms(l, layer)).sum()
    }

    /// A stage by its name.
    pub fn stage(&self, name: &str) -> Option<&StageProfile> {
        self.stage_profiles.iter().find(|s| s.name == name)
    }

    /// A sum as the source states it.
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
