//! CPU profiles: what a decoder layer costs in software, as data.
//!
//! The file format is the JSON report of the common CPU profiling task (`meta`, `cpu_info`,
//! `freq_normalization`, `stage_profiles`, `summary`) with more keys beside those: per-operator means,
//! raw rows, and the contradictions found in the source. A report that has only the original keys loads too.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Result;
use crate::config::Linear;
use crate::json::Object;

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

/// One stage of an inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageProfile {
    /// Tokenization, Prefill, Decode or Detokenization.
    pub name: String,
    /// Measured time.
    pub duration_ms: Quantity,
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
}

/// The whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Time of all stages.
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
    /// Mean time of a call.
    pub mean_ms: f64,
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
    /// Time of the call.
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
    /// Stages of an inference.
    pub stage_profiles: Vec<StageProfile>,
    /// The whole run.
    pub summary: Summary,
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
            stage_profiles: file.required::<Vec<Value>>("stage_profiles").and_then(|_| file.list("stage_profiles"))?,
            summary: file.required("summary")?,
            operators: file.list("operators")?,
            blocks: file.list("blocks")?,
            layers: file.list("layers")?,
            global_layers: file.list("global_layers")?,
            contradictions: file.list("contradictions")?,
        };
        if profile.contradictions.iter().any(|c| c.values.len() != c.places.len()) {
            return Err(file.bad("contradictions", "as many entries in \"where\" as in \"values\""));
        }
        if profile.operators.iter().any(|o| !(o.mean_ms.is_finite() && o.mean_ms >= 0.0)) {
            return Err(file.bad("operators", "times of zero or more"));
        }
        Ok(profile)
    }

    /// Time of one linear in `layer`: the row for that layer if `operators` has one, else the mean of the
    /// stable layers. Raw rows do not count: a layer's first call is no steady state.
    pub fn operator_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        let of = |wanted: fn(&Quantity, usize) -> bool| {
            self.operators.iter().find(|o| o.name == linear.name() && wanted(&o.layer, layer)).map(|o| o.mean_ms)
        };
        of(|which, layer| *which == Quantity::Number(layer as f64))
            .or_else(|| of(|which, _| matches!(which, Quantity::Text(_))))
    }

    /// Time of one linear in `layer` as it was measured, if the source printed that row.
    pub fn measured_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        self.layers.iter().find(|r| r.layer == layer && r.name == linear.name()).map(|r| r.time_ms)
    }

    /// Time of all timed operators of a layer that are not ternary linears, on average.
    pub fn nonlinear_ms(&self) -> Option<f64> {
        let rows = self.operators.iter().filter(|o| matches!(o.layer, Quantity::Text(_)));
        let times: Vec<f64> =
            rows.filter(|o| Linear::ALL.iter().all(|l| l.name() != o.name)).map(|o| o.mean_ms).collect();
        (!times.is_empty()).then(|| times.iter().sum())
    }

    /// Time of all seven linears in `layer`.
    pub fn linear_ms(&self, layer: usize) -> Option<f64> {
        Linear::ALL.into_iter().map(|l| self.operator_ms(l, layer)).sum()
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
