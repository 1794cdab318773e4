//! Measures a [`CpuProfile`]: the stages of an inference and every operator of every layer, on the CPU of this
//! machine.

use std::ops::Range;
use std::time::{Duration, Instant};

use bitnet::Result;
use bitnet::bos;
use bitnet::config::{Linear, ModelConfig, Norm};
use bitnet::generate::{Limits, generate};
use bitnet::layer::{CpuBackend, Observer, Values};
use bitnet::model::Model;
use bitnet::resident::Resident;
use bitnet::sampler::Sampler;
use bitnet::text::Tokenizer;
use bitnet::weights::WeightSource;
use golden::Dtype;
use program::machine;
use serde_json::Map;

use crate::report::{
    BlockProfile, CpuInfo, CpuProfile, FreqNormalization, GlobalLayer, LayerRow, Meta, OperatorProfile, Quantity,
    REFERENCE_MHZ, STAGES, Spread, StageProfile, Summary,
};

/// The prompt of a measurement.
#[derive(Clone, Debug)]
pub enum Prompt<'a> {
    /// A text, and the tokenizer that converts it to token ids.
    Text(&'a str, &'a Tokenizer),
    /// Token ids, and the reason why there is no text.
    Ids(&'a [u32], &'a str),
}

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of tokens to generate. The prefill generates the first of them.
    pub tokens: usize,
    /// Number of warm-up passes, whose times are discarded.
    pub warm_up: usize,
    /// Number of measurements of each layer and operator.
    pub repeats: usize,
    /// Compute type of everything except the ternary products.
    pub dtype: Dtype,
    /// The only layer to measure, without stages. `None` measures all layers and the stages.
    pub layer: Option<usize>,
    /// Number of threads in the compute pool. This number only goes into the report.
    pub threads: usize,
    /// Frequency of the CPU, in MHz, if it is to replace the frequency that the system reports.
    pub mhz: Option<f64>,
    /// Name of the person who measures.
    pub member: Option<String>,
    /// Date and time, for the report.
    pub timestamp: String,
}

/// One call of one operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// Number of the repetition, from 0.
    pub repeat: usize,
    /// The layer; `None` for operators outside the layers.
    pub layer: Option<usize>,
    /// Name of the operator within the layer.
    pub operator: &'static str,
    /// Time of the call, in ms.
    pub ms: f64,
    /// Resident memory after the call, in millions of bytes.
    pub memory_mb: Option<f64>,
    /// Growth of resident memory since the previous call, in millions of bytes.
    pub memory_delta_mb: Option<f64>,
}

/// A profile, and the calls from which its operator times come.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The profile.
    pub profile: CpuProfile,
    /// Every timed call, in order.
    pub calls: Vec<Call>,
}

/// Measures the model of `source`. Calls `say` with a line about each step.
///
/// Weights are ternary before the first stage: master weights are quantised once, while the model is loaded.
///
/// # Errors
/// If the prompt or the layer does not fit the model, or if the model cannot be read or run.
pub fn measure(
    source: &dyn WeightSource,
    prompt: &Prompt<'_>,
    settings: &Settings,
    say: &mut dyn FnMut(&str),
) -> Result<Measurement> {
    let config = source.config();
    let layers = match settings.layer {
        Some(layer) => config.check_layer(layer)?..layer + 1,
        None => 0..config.num_hidden_layers,
    };
    let resident = Resident::for_cpu(source);
    say("loading the model");
    let model_load = load(&resident, layers.clone(), settings)?;
    let (ids, tokenization) = tokenize(prompt, config, settings)?;
    config.check_tokens(&ids)?;
    config.check_length(ids.len() + settings.tokens)?;
    let mut clocks = vec![];
    let stages = match settings.layer {
        None => inference(&resident, prompt, &ids, tokenization, settings, say, &mut clocks)?,
        Some(_) => STAGES.map(|name| not_measured(name, "one layer alone was measured")).into(),
    };
    let busy = machine::CpuTime::now();
    let (calls, wall) = operators(&resident, layers.clone(), &ids, settings, say)?;
    let others_percent = busy.and_then(|busy| busy.others_percent());
    clocks.extend(machine::current_mhz());
    let observed = Observed { ids, layers, model_load, stages, clocks, others_percent, wall };
    Ok(Measurement { profile: profile(source, settings, observed, &calls), calls })
}

/// Everything that was observed, except the calls.
struct Observed {
    ids: Vec<u32>,
    layers: Range<usize>,
    model_load: StageProfile,
    stages: Vec<StageProfile>,
    /// Frequencies of the fastest core, in MHz.
    clocks: Vec<f64>,
    /// Share of the CPU that other processes used while the operators were timed, in percent.
    others_percent: Option<f64>,
    /// Times of a whole layer, in ms.
    wall: Vec<f64>,
}

/// Loads the layers, and also the head if it is measured.
fn load(resident: &Resident<'_>, layers: Range<usize>, settings: &Settings) -> Result<StageProfile> {
    let ((), stage) = staged("Model load", || {
        layers.into_iter().try_for_each(|layer| resident.layer(layer).map(drop))?;
        if settings.layer.is_none() {
            resident.head(0..resident.config().vocab_size)?;
        }
        Ok(())
    })?;
    Ok(stage)
}

/// Returns the token ids of the prompt, and the stage Tokenization.
fn tokenize(prompt: &Prompt<'_>, config: &ModelConfig, settings: &Settings) -> Result<(Vec<u32>, StageProfile)> {
    let (text, tokenizer) = match prompt {
        Prompt::Ids(ids, why) => return Ok((ids.to_vec(), not_measured(STAGES[0], why))),
        Prompt::Text(text, tokenizer) => (text, tokenizer),
    };
    let encode = || tokenizer.encode(text);
    (0..settings.warm_up).try_for_each(|_| encode().map(drop))?;
    let (ids, mut stage) = staged(STAGES[0], encode)?;
    let ids = bos::with_first(config.bos_token_id, &ids);
    stage.tokens = Some(ids.len());
    Ok((ids, stage))
}

/// Returns all four stages of an inference. `tokenization` is the first of them.
fn inference(
    resident: &Resident<'_>,
    prompt: &Prompt<'_>,
    ids: &[u32],
    tokenization: StageProfile,
    settings: &Settings,
    say: &mut dyn FnMut(&str),
    clocks: &mut Vec<f64>,
) -> Result<Vec<StageProfile>> {
    let mut stages = vec![tokenization];
    let generated = passes(resident, ids, settings, say, clocks, &mut stages)?;
    stages.push(match prompt {
        Prompt::Ids(_, why) => not_measured(STAGES[3], why),
        Prompt::Text(_, tokenizer) => {
            let decode = || tokenizer.decode(&generated);
            (0..settings.warm_up).try_for_each(|_| decode().map(drop))?;
            let (_, stage) = staged(STAGES[3], decode)?;
            StageProfile { tokens: Some(generated.len()), ..stage }
        }
    });
    Ok(stages)
}

/// Builds the profile from the observations and the calls.
fn profile(source: &dyn WeightSource, settings: &Settings, observed: Observed, calls: &[Call]) -> CpuProfile {
    let Observed { ids, layers, model_load, mut stages, clocks, others_percent, wall } = observed;
    let config = source.config();
    let mut peaks = stages.iter().chain([&model_load]).filter_map(|s| s.peak_memory_mb).collect::<Vec<_>>();
    peaks.extend(machine::peak_resident_bytes().map(megabytes));
    let current = Spread::of(&clocks).map(|s| s.median_ms);
    let (mhz, what) = frequency(settings, current);
    normalise(&mut stages, mhz);
    let total: f64 = stages.iter().filter_map(|s| s.duration_ms.as_ref()?.value()).sum();
    let mut profile = CpuProfile {
        meta: meta(source, settings, ids.len(), &layers, others_percent),
        cpu_info: CpuInfo {
            brand: machine::cpu_brand().unwrap_or_else(|| std::env::consts::ARCH.into()),
            freq_base_mhz: machine::base_mhz().map(Into::into),
            other: Map::from_iter([("freq_current_mhz".into(), current.into())]),
        },
        freq_normalization: FreqNormalization::new(mhz, what),
        model_load: Some(model_load),
        stage_profiles: stages,
        summary: Summary {
            total_time_ms: total.into(),
            peak_memory_mb: peaks.into_iter().max_by(f64::total_cmp).map(Into::into),
        },
        layer_wall: Spread::of(&wall),
        operators: typical(calls, config, ids.len(), &layers),
        blocks: vec![],
        layers: by_layer(calls, config, ids.len()),
        global_layers: global(calls),
        contradictions: vec![],
    };
    derive(&mut profile);
    profile
}

/// The metadata: what was measured, when, and with which settings.
fn meta(
    source: &dyn WeightSource,
    settings: &Settings,
    tokens: usize,
    layers: &Range<usize>,
    others_percent: Option<f64>,
) -> Meta {
    let config = source.config();
    Meta {
        model_name: source.describe(),
        timestamp: settings.timestamp.clone(),
        reference_freq_mhz: Some(REFERENCE_MHZ.into()),
        member: settings.member.clone(),
        dimensions: Some(format!(
            "{} layers, hidden {}, intermediate {}, vocabulary {}",
            config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.vocab_size
        )),
        framework: Some(format!(
            "Rust, CPU only, {:?}, ternary products, {} threads",
            settings.dtype, settings.threads
        )),
        tokens: Some(tokens),
        stable_layers: Some([layers.start, layers.end - 1]),
        other: Map::from_iter([
            ("warm_up".into(), settings.warm_up.into()),
            ("repeats".into(), settings.repeats.into()),
            ("threads".into(), settings.threads.into()),
            ("cpu_taken_by_others_percent".into(), others_percent.into()),
        ]),
        ..Meta::default()
    }
}

/// The frequency from which times are normalised, in MHz, and its source in words.
fn frequency(settings: &Settings, current: Option<f64>) -> (Option<f64>, &'static str) {
    match (settings.mhz, current, machine::base_mhz()) {
        (Some(mhz), ..) => (Some(mhz), "the frequency that the command was given"),
        (None, Some(mhz), _) => (Some(mhz), "the fastest core's frequency, the median of samples between passes"),
        (None, None, base) => (base, "the base frequency, because the system does not report the current one"),
    }
}

/// Adds the times at the reference frequency to stages measured at `mhz`.
fn normalise(stages: &mut [StageProfile], mhz: Option<f64>) {
    for stage in stages {
        let ms = stage.duration_ms.as_ref().and_then(Quantity::value);
        stage.duration_normalized_ms = ms.zip(mhz).map(|(ms, mhz)| (ms * mhz / REFERENCE_MHZ).into());
    }
}

/// Measures the stages Prefill and Decode. Returns the generated tokens.
fn passes(
    resident: &Resident<'_>,
    ids: &[u32],
    settings: &Settings,
    say: &mut dyn FnMut(&str),
    clocks: &mut Vec<f64>,
    stages: &mut Vec<StageProfile>,
) -> Result<Vec<u32>> {
    for i in 0..settings.warm_up {
        say(&format!("warm-up pass {} of {}", i + 1, settings.warm_up));
        Model::new(resident, settings.dtype).next_logits(ids, &mut CpuBackend, &mut ())?;
    }
    say(&format!("generating {} tokens after a prompt of {} tokens", settings.tokens, ids.len()));
    let mut model = Model::new(resident, settings.dtype);
    let limits = Limits { tokens: settings.tokens, stop: vec![] };
    let (mut generated, mut decode) = (vec![], vec![]);
    let mut probe = Probe::new();
    let (mut before_decode, mut prefill) = (None, None);
    generate(&mut model, ids, &limits, &mut Sampler::greedy(), &mut CpuBackend, &mut |pass, _| {
        generated.push(pass.next);
        match prefill {
            None => {
                prefill = Some(StageProfile { tokens: Some(ids.len()), ..probe.stage(STAGES[1], pass.time) });
                before_decode = Some(Probe::new());
            }
            Some(_) => decode.push(milliseconds(pass.time)),
        }
        clocks.extend(machine::current_mhz());
        Ok(())
    })?;
    stages.extend(prefill);
    stages.push(match (Spread::of(&decode), &mut before_decode) {
        (Some(spread), Some(probe)) => StageProfile {
            tokens: Some(decode.len()),
            a_token: Some(spread),
            ..probe.stage(STAGES[2], Duration::from_secs_f64(decode.iter().sum::<f64>() / 1e3))
        },
        _ => not_measured(STAGES[2], "only one token was requested, and the prefill computes it"),
    });
    Ok(generated)
}

/// Times each operator alone, and whole layers.
fn operators(
    resident: &Resident<'_>,
    layers: Range<usize>,
    ids: &[u32],
    settings: &Settings,
    say: &mut dyn FnMut(&str),
) -> Result<(Vec<Call>, Vec<f64>)> {
    let mut timer = Timer { repeat: 0, memory: resident_mb(), calls: vec![] };
    let mut wall = vec![];
    for pass in 0..settings.warm_up + settings.repeats {
        if pass % 5 == 0 {
            say(&format!("operators, pass {} of {}", pass + 1, settings.warm_up + settings.repeats));
        }
        let timed = pass.checked_sub(settings.warm_up);
        timer.repeat = timed.unwrap_or(0);
        let mut model = Model::new(resident, settings.dtype);
        let hidden = model.embed(ids, &mut timer)?;
        let hidden = model.layers(layers.clone(), hidden, &mut CpuBackend, &mut timer)?;
        if settings.layer.is_none() {
            model.logits(&hidden, &mut timer)?;
        }
        // The layer as it usually runs: linears that share activations run together, and no operator is timed.
        let mut model = Model::new(resident, settings.dtype);
        let mut hidden = model.embed(ids, &mut ())?;
        for layer in layers.clone() {
            let start = Instant::now();
            hidden = model.layers(layer..layer + 1, hidden, &mut CpuBackend, &mut ())?;
            wall.push(milliseconds(start.elapsed()));
        }
        if timed.is_none() {
            timer.calls.clear();
            wall.clear();
        }
    }
    Ok((timer.calls, wall))
}

/// Records the time and the memory of every operator.
struct Timer {
    repeat: usize,
    memory: Option<f64>,
    calls: Vec<Call>,
}

impl Observer for Timer {
    fn active(&self) -> bool {
        false
    }

    fn tensor(&mut self, _: &str, _: &[usize], _: Values<'_>) {}

    fn timing(&self) -> bool {
        true
    }

    fn ran(&mut self, layer: Option<usize>, operator: &'static str, time: Duration) {
        let memory_mb = resident_mb();
        let memory_delta_mb = memory_mb.zip(self.memory).map(|(now, before)| now - before);
        self.memory = memory_mb;
        let (repeat, ms) = (self.repeat, milliseconds(time));
        self.calls.push(Call { repeat, layer, operator, ms, memory_mb, memory_delta_mb });
    }
}

/// Resident memory at the beginning of a stage.
struct Probe {
    before: Option<f64>,
    /// Whether the peak was reset, so that it belongs to this stage.
    reset: bool,
}

impl Probe {
    fn new() -> Self {
        Self { before: resident_mb(), reset: machine::reset_peak() }
    }

    fn stage(&mut self, name: &str, time: Duration) -> StageProfile {
        let after = resident_mb();
        StageProfile {
            name: name.into(),
            duration_ms: Some(milliseconds(time).into()),
            memory_before_mb: self.before.map(Into::into),
            memory_after_mb: after.map(Into::into),
            memory_delta_mb: after.zip(self.before).map(|(after, before)| (after - before).into()),
            peak_memory_mb: machine::peak_resident_bytes().map(megabytes).filter(|_| self.reset),
            ..StageProfile::default()
        }
    }
}

fn staged<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<(T, StageProfile)> {
    let (mut probe, start) = (Probe::new(), Instant::now());
    let value = run()?;
    let stage = probe.stage(name, start.elapsed());
    Ok((value, stage))
}

fn not_measured(name: &str, why: &str) -> StageProfile {
    StageProfile { name: name.into(), note: Some(format!("not measured: {why}")), ..StageProfile::default() }
}

fn resident_mb() -> Option<f64> {
    machine::resident_bytes().map(megabytes)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Converts a time to milliseconds. Keeps nanoseconds, the resolution of the clock.
fn milliseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// The class of an operator and the shapes of its input and output, `[1, tokens, width]`.
fn shapes(operator: &str, config: &ModelConfig, tokens: usize) -> (&'static str, Vec<usize>, Vec<usize>) {
    let linear = Linear::ALL.into_iter().find(|l| l.name() == operator);
    let norm = Norm::ALL.into_iter().find(|n| n.name() == operator);
    let (class, input, output) = match (linear, norm, operator) {
        (Some(l), ..) => ("BitLinear", l.in_features(config), l.out_features(config)),
        (_, Some(n), _) => ("RMSNorm", n.width(config), n.width(config)),
        (.., "mlp.act_fn") => ("ReLUSquared", config.intermediate_size, config.intermediate_size),
        (.., "mlp.product") => ("Product", config.intermediate_size, config.intermediate_size),
        (.., "self_attn.attention") => ("RotaryEmbedding, attention", config.hidden_size, config.hidden_size),
        _ => ("Sum", config.hidden_size, config.hidden_size),
    };
    (class, vec![1, tokens, input], vec![1, tokens, output])
}

/// One row per operator, over all layers and repetitions, in the order in which the operators run.
fn typical(
    calls: &[Call],
    config: &ModelConfig,
    tokens: usize,
    layers: &std::ops::Range<usize>,
) -> Vec<OperatorProfile> {
    let mut names: Vec<&str> = vec![];
    for call in calls.iter().filter(|c| c.layer.is_some()) {
        if !names.contains(&call.operator) {
            names.push(call.operator);
        }
    }
    let row = |name: &&str| -> Option<OperatorProfile> {
        let of: Vec<&Call> = calls.iter().filter(|c| c.layer.is_some() && c.operator == *name).collect();
        let spread = Spread::of(&of.iter().map(|c| c.ms).collect::<Vec<_>>())?;
        let growth: Vec<f64> = of.iter().filter_map(|c| c.memory_delta_mb).collect();
        let (class, input_shape, output_shape) = shapes(name, config, tokens);
        Some(OperatorProfile {
            name: (*name).into(),
            layer: Quantity::Text(format!("layers {}-{}, all repeats", layers.start, layers.end - 1)),
            class: class.into(),
            input_shape,
            output_shape,
            mean_ms: spread.mean_ms,
            median_ms: Some(spread.median_ms),
            min_ms: Some(spread.min_ms),
            max_ms: Some(spread.max_ms),
            share_percent: None,
            ops: None,
            ops_share_percent: None,
            gops: None,
            memory_delta_mb: Spread::of(&growth).map(|s| s.mean_ms.into()),
        })
    };
    names.iter().filter_map(row).collect()
}

/// One row per operator and layer: the median time over the repetitions, and the memory of the last repetition.
fn by_layer(calls: &[Call], config: &ModelConfig, tokens: usize) -> Vec<LayerRow> {
    let last = calls.last().map_or(0, |c| c.repeat);
    let rows = calls.iter().filter(|c| c.repeat == last).filter_map(|call| {
        let same = |c: &&Call| c.layer == call.layer && c.operator == call.operator;
        let times: Vec<f64> = calls.iter().filter(same).map(|c| c.ms).collect();
        let (class, input_shape, _) = shapes(call.operator, config, tokens);
        Some(LayerRow {
            layer: call.layer?,
            name: call.operator.into(),
            class: class.into(),
            input_shape,
            time_ms: Spread::of(&times)?.median_ms,
            memory_delta_mb: call.memory_delta_mb,
            memory_mb: call.memory_mb,
        })
    });
    rows.collect()
}

fn global(calls: &[Call]) -> Vec<GlobalLayer> {
    let row = |(name, class): (&str, &str)| {
        let times: Vec<f64> = calls.iter().filter(|c| c.layer.is_none() && c.operator == name).map(|c| c.ms).collect();
        let spread = Spread::of(&times)?;
        let note = format!("median of {} calls", spread.samples);
        Some(GlobalLayer { name: name.into(), class: class.into(), mean_ms: spread.median_ms.into(), note })
    };
    [("embed_tokens", "Embedding"), ("norm", "RMSNorm"), ("lm_head", "Linear")].into_iter().filter_map(row).collect()
}

/// Fills in the values that follow from times and shapes: operations, shares, rates and sums.
fn derive(profile: &mut CpuProfile) {
    let rows = &mut profile.operators;
    let total_ms: f64 = rows.iter().map(OperatorProfile::ms).sum();
    let total_ops: u64 = rows.iter().filter_map(OperatorProfile::counted_ops).sum();
    for row in rows.iter_mut() {
        row.share_percent = Some(100.0 * row.ms() / total_ms);
        row.ops = row.counted_ops();
        row.ops_share_percent = row.ops.map(|ops| 100.0 * ops as f64 / total_ops as f64);
        row.gops = row.ops.map(|ops| ops as f64 / row.ms() / 1e6);
    }
    let block = |name: &str, member: &dyn Fn(&OperatorProfile) -> bool| {
        let of: Vec<&OperatorProfile> = rows.iter().filter(|o| member(o)).collect();
        let ms = of.iter().map(|o| o.ms()).sum::<f64>();
        BlockProfile {
            name: name.into(),
            members: of.iter().map(|o| o.name.clone()).collect(),
            mean_ms: ms,
            share_percent: Some(100.0 * ms / total_ms),
            ops: (name == "decoder_layer").then_some(total_ops),
        }
    };
    let norm = |o: &OperatorProfile| Norm::ALL.iter().any(|n| n.name() == o.name);
    let act = |o: &OperatorProfile| o.name == "mlp.act_fn";
    profile.blocks = vec![
        block("mlp_linear", &|o| o.linear().is_some() && o.name.starts_with("mlp.")),
        block("attention_linear", &|o| o.linear().is_some() && o.name.starts_with("self_attn.")),
        block("normalization", &norm),
        block("activation", &act),
        block("other", &|o| o.linear().is_none() && !norm(o) && !act(o)),
        block("linear", &|o| o.linear().is_some()),
        block("nonlinear", &|o| o.linear().is_none()),
        block("decoder_layer", &|_| true),
    ];
}
