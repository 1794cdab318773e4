//! Measures a [`CpuProfile`]: the stages of an inference, and every operator of every layer, on this machine's CPU.

use std::time::{Duration, Instant};

use golden::Dtype;
use serde_json::Map;

use crate::Result;
use crate::config::{Linear, ModelConfig, Norm};
use crate::generate::{Limits, generate};
use crate::layer::{CpuBackend, Observer, Values};
use crate::machine;
use crate::model::Model;
use crate::profile::{
    BlockProfile, CpuInfo, CpuProfile, FreqNormalization, GlobalLayer, LayerRow, Meta, OperatorProfile, Quantity,
    REFERENCE_MHZ, STAGES, Spread, StageProfile, Summary,
};
use crate::resident::Resident;
use crate::sampler::Sampler;
use crate::text::Tokenizer;
use crate::weights::WeightSource;

/// What goes in.
#[derive(Clone, Debug)]
pub enum Prompt<'a> {
    /// Text, and the tokenizer that makes token ids of it.
    Text(&'a str, &'a Tokenizer),
    /// Token ids, and why there is no text.
    Ids(&'a [u32], &'a str),
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tokens to generate, the first of them by the prefill.
    pub tokens: usize,
    /// Passes whose times do not count.
    pub warm_up: usize,
    /// Times each layer and operator is measured.
    pub repeats: usize,
    /// Arithmetic of everything but the ternary products.
    pub dtype: Dtype,
    /// This layer alone, without stages.
    pub layer: Option<usize>,
    /// Threads of the pool that computes, for the report.
    pub threads: usize,
    /// The CPU's frequency, if not as the system tells it.
    pub mhz: Option<f64>,
    /// Who measures.
    pub member: Option<String>,
    /// Date and time, for the report.
    pub timestamp: String,
}

/// One call of one operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// Which repetition, from 0.
    pub repeat: usize,
    /// The layer; none for operators outside the layers.
    pub layer: Option<usize>,
    /// The name within the layer.
    pub operator: &'static str,
    /// Time of the call.
    pub ms: f64,
    /// Resident memory after it.
    pub memory_mb: Option<f64>,
    /// Its growth since the call before.
    pub memory_delta_mb: Option<f64>,
}

/// A profile, and the calls its operator times are from.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The profile.
    pub profile: CpuProfile,
    /// Every timed call, in order.
    pub calls: Vec<Call>,
}

/// Measures `source`; `say` is told what is being done.
///
/// Weights are ternary before the first stage: masters are made so once, while the model is loaded.
///
/// # Errors
/// A prompt or layer that does not fit the model, and what reading and running it gives.
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
    let resident = Resident::new(source);
    say("loading the model");
    let ((), model_load) = staged("Model load", || {
        layers.clone().try_for_each(|layer| resident.layer(layer).map(drop))?;
        if settings.layer.is_none() {
            resident.head(0..config.vocab_size)?;
        }
        Ok(())
    })?;

    let mut stages = vec![];
    let ids = match prompt {
        Prompt::Ids(ids, why) => {
            stages.push(not_measured(STAGES[0], why));
            ids.to_vec()
        }
        Prompt::Text(text, tokenizer) => {
            let encode = || tokenizer.encode(text);
            (0..settings.warm_up).try_for_each(|_| encode().map(drop))?;
            let (ids, mut stage) = staged(STAGES[0], encode)?;
            let ids: Vec<u32> = config.bos_token_id.into_iter().chain(ids).collect();
            stage.tokens = Some(ids.len());
            stages.push(stage);
            ids
        }
    };
    config.check_tokens(&ids)?;
    config.check_length(ids.len() + settings.tokens)?;
    let mut clocks = vec![];
    if settings.layer.is_none() {
        let generated = passes(&resident, &ids, settings, say, &mut clocks, &mut stages)?;
        match prompt {
            Prompt::Ids(_, why) => stages.push(not_measured(STAGES[3], why)),
            Prompt::Text(_, tokenizer) => {
                let decode = || tokenizer.decode(&generated);
                (0..settings.warm_up).try_for_each(|_| decode().map(drop))?;
                let (_, mut stage) = staged(STAGES[3], decode)?;
                stage.tokens = Some(generated.len());
                stages.push(stage);
            }
        }
    } else {
        stages = STAGES.map(|name| not_measured(name, "one layer alone was measured")).into();
    }

    let busy = machine::CpuTime::now();
    let (calls, wall) = operators(&resident, layers.clone(), &ids, settings, say)?;
    let others = busy.and_then(|busy| busy.others_percent());
    clocks.extend(machine::current_mhz());
    let mut peaks = stages.iter().chain([&model_load]).filter_map(|s| s.peak_memory_mb).collect::<Vec<_>>();
    peaks.extend(machine::peak_resident_bytes().map(megabytes));
    let current = Spread::of(&clocks).map(|s| s.median_ms);
    let (mhz, what) = match (settings.mhz, current, machine::base_mhz()) {
        (Some(mhz), ..) => (Some(mhz), "what the command was given"),
        (None, Some(mhz), _) => (Some(mhz), "the fastest core's, the median of samples taken between passes"),
        (None, None, base) => (base, "the base frequency; the system does not tell the current one"),
    };
    for stage in &mut stages {
        let ms = stage.duration_ms.as_ref().and_then(Quantity::value);
        stage.duration_normalized_ms = ms.zip(mhz).map(|(ms, mhz)| (ms * mhz / REFERENCE_MHZ).into());
    }
    let total: f64 = stages.iter().filter_map(|s| s.duration_ms.as_ref()?.value()).sum();
    let rows = typical(&calls, config, ids.len(), &layers);
    let mut profile = CpuProfile {
        meta: Meta {
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
            tokens: Some(ids.len()),
            stable_layers: Some([layers.start, layers.end - 1]),
            other: Map::from_iter([
                ("warm_up".into(), settings.warm_up.into()),
                ("repeats".into(), settings.repeats.into()),
                ("threads".into(), settings.threads.into()),
                ("cpu_taken_by_others_percent".into(), others.into()),
            ]),
            ..Meta::default()
        },
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
        operators: rows,
        blocks: vec![],
        layers: by_layer(&calls, config, ids.len()),
        global_layers: global(&calls),
        contradictions: vec![],
    };
    derive(&mut profile);
    Ok(Measurement { profile, calls })
}

/// Prefill and Decode. Returns the tokens.
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
    say(&format!("{} tokens behind a prompt of {}", settings.tokens, ids.len()));
    let mut model = Model::new(resident, settings.dtype);
    let limits = Limits { tokens: settings.tokens, stop: vec![] };
    let (mut generated, mut decode) = (vec![], vec![]);
    let mut probe = Probe::new();
    let (mut before_decode, mut prefill) = (None, None);
    generate(&mut model, ids, &limits, &mut Sampler::greedy(), &mut CpuBackend, &mut |pass| {
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
        _ => not_measured(STAGES[2], "one token was asked for, and the prefill gives it"),
    });
    Ok(generated)
}

/// Times operators one at a time, and whole layers.
fn operators(
    resident: &Resident<'_>,
    layers: std::ops::Range<usize>,
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
        // The same as it usually runs: linears that share activations together, nothing timed within.
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

/// Notes every operator's time and what memory did.
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

/// What memory was when a stage began.
struct Probe {
    before: Option<f64>,
    /// Whether the peak is that of the stage.
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

/// To the nanosecond, which is what the clock gives.
fn milliseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// The class and the shapes, `[1, tokens, width]`, of an operator.
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

/// One row an operator, over all layers and repetitions, in the order they run.
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

/// One row an operator and layer: medians over repetitions, memory as in the last.
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

/// Fills in what follows from times and shapes: operations, shares, rates, sums.
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
