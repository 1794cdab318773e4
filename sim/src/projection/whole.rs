//! The whole token: the linears on the unit, driver calls, and everything else on a named core.
//!
//! One structure with every number; the report's text and page are printed from it. docs/projection.md says what it
//! rests on.

use std::sync::LazyLock;

use golden::Codec;
use host::config::{Linear, ModelConfig, Norm};
use host::profile::CpuProfile;
use serde::{Deserialize, Serialize};

use super::{Baseline, DRIVER_OVERHEAD_BAND_US, milliseconds, share_out};
use crate::analytic::run_cycles;
use crate::bench::weight_bytes;
use crate::board::{Board, DdrMode, MemoryMode, Sourced};
use crate::memory::{Timing, bandwidth};
use crate::report::{Identity, OperatorRow, RunRow, Totals};
use crate::unit::UnitConfig;

/// Positions before the token of decode.
const CONTEXT: usize = 256;
/// Tokens of the prompt whose prefill is projected beside a run of one token.
const PREFILL_TOKENS: usize = 64;
/// Operations of one exponential.
const EXP_OPS: f64 = 20.0;
/// How much faster linears are on the curves of Amdahl's law.
const SPEEDUPS: [f64; 13] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

/// Cores and published systems, `peers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    core: Vec<Core>,
    offline: Offline,
    check: CheckEntry,
    published: Vec<Published>,
}

/// What `peers.toml` says.
pub static PEERS: LazyLock<Peers> =
    LazyLock::new(|| toml::from_str(include_str!("../peers.toml")).expect("peers.toml is tested"));

/// A core by two rates: a model, not a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// Name and clock.
    pub name: String,
    /// Families of devices that have it, or room for it, as Yosys calls them.
    pub families: Vec<String>,
    /// Operations.
    pub gops: Sourced<f64>,
    /// Bytes from the DRAM.
    pub gb_per_s: Sourced<f64>,
    /// What a whole token was measured to take on it.
    pub published_token_ms: Option<Sourced<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offline {
    online_ms: f64,
    offline_ms: f64,
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckEntry {
    name: String,
    board: String,
    ports: usize,
    codec: String,
    clock_mhz: f64,
    runs: usize,
    run_us: f64,
    bitlinear_ms: f64,
    token_ms: f64,
    tolerance_percent: f64,
    source: String,
    parts: Vec<Part>,
}

/// A time with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What takes it.
    pub name: String,
    /// The time.
    pub ms: f64,
}

/// A published system that decodes the same model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The system.
    pub name: String,
    /// What it ran on.
    pub device: String,
    /// `cpu` or `fpga`.
    pub kind: String,
    /// Decode of the whole model.
    pub tokens_per_s: f64,
    /// Its prompts.
    pub prefill_tokens_per_s: Option<f64>,
    /// Its energy.
    pub joules_per_token: Option<f64>,
    /// Where that is from.
    pub source: String,
}

/// What a projection needs besides the run: the model's vocabulary and the CPUs it is set beside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Rows of the output head.
    pub vocab_size: usize,
    /// The built-in profile first.
    pub baselines: Vec<CpuBaseline>,
}

/// A CPU profile as far as projections need it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuBaseline {
    /// Machine, software, model and date.
    pub provenance: String,
    /// Tokens of its forward pass, if it says.
    pub tokens: Option<usize>,
    /// Why its times are left out, if they are.
    pub not_comparable: Option<String>,
    /// The linears of a layer, mean of the layers that were run.
    pub linears: Vec<Part>,
    /// What else of a layer was timed.
    pub others: Vec<Part>,
    /// Sum of the linears.
    pub linear_ms: f64,
    /// Sum of all.
    pub layer_ms: f64,
    /// The same with weights made ternary once: an estimate, for a profile that does it at every call.
    pub offline_layer_ms: Option<f64>,
    /// The whole prompt, as measured.
    pub prefill_ms: Option<f64>,
    /// A token of decode, as measured.
    pub decode_token_ms: Option<f64>,
}

/// From the run to the token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Whether anything happens at the same time.
    pub overlap: String,
    /// Assumed overhead of a driver call.
    pub driver_overhead_us: f64,
    /// The least and the most seen in published systems.
    pub driver_overhead_band_us: [f64; 2],
    /// Decoder layers of the model.
    pub layers: usize,
    /// Layers that were simulated.
    pub simulated_layers: usize,
    /// Models of cores the board has or has room for.
    pub cores: Vec<Core>,
    /// What was simulated, and the other of prefill and decode by formula.
    pub phases: Vec<Phase>,
    /// How far faster linears go.
    pub amdahl: Vec<Amdahl>,
    /// What bounds each linear.
    pub roofline: Roofline,
    /// Waiting, by port, over the whole run.
    pub ports: Vec<PortTime>,
    /// CPUs beside it.
    pub baselines: Vec<CpuBaseline>,
    /// Published systems that decode the same model.
    pub published: Vec<Published>,
    /// The arithmetic, tried on a published system.
    pub check: PeerCheck,
    /// Joules a token: none as long as no power of the unit was measured.
    pub joules_per_token: Option<f64>,
    /// What all that rests on.
    pub assumptions: Vec<String>,
}

/// Prefill or decode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// `prefill` or `decode`.
    pub name: String,
    /// Tokens of the pass.
    pub tokens: usize,
    /// Positions before them.
    pub context: usize,
    /// Where the cycles are from.
    pub source: String,
    /// Whether from the RTL.
    pub simulated: bool,
    /// The linears of a layer.
    pub linears: Vec<LinearTime>,
    /// Their sum.
    pub linear_ms: f64,
    /// The same with the most and the least such a memory has been seen to deliver.
    pub linear_ms_band: Option<[f64; 2]>,
    /// Driver calls of a layer.
    pub calls: usize,
    /// Their time.
    pub driver_ms: f64,
    /// The same with the largest overhead.
    pub driver_ms_most: f64,
    /// Everything else, on each core.
    pub on_cores: Vec<OnCore>,
}

/// A linear on the unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearTime {
    /// Its name.
    pub name: Linear,
    /// Cycles, mean of the layers.
    pub cycles: f64,
    /// Time.
    pub ms: f64,
    /// Operations, two to a multiply-accumulate.
    pub ops: f64,
    /// Bytes of weights that are read.
    pub weight_bytes: f64,
}

/// A phase with everything but the linears on one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnCore {
    /// The core.
    pub core: String,
    /// `model, not measured`, or whose measurement.
    pub basis: String,
    /// What runs there.
    pub operators: Vec<CoreOperator>,
    /// Those of a layer.
    pub others_ms: f64,
    /// A layer: linears, driver calls, the others.
    pub layer_ms: f64,
    /// All layers, embedding, last norm and output head; none if no such pass was timed.
    pub pass_ms: Option<f64>,
    /// The same with the largest driver overhead.
    pub pass_ms_most: Option<f64>,
    /// Tokens a second.
    pub tokens_per_s: Option<f64>,
    /// Share of the linears in the pass, driver calls included.
    pub linear_percent: Option<f64>,
    /// Whether its times were measured.
    pub measured: bool,
    /// The pass on the core alone, linears included.
    pub alone_ms: Option<f64>,
    /// The linears of a layer on the core alone.
    pub alone_linears: Vec<Part>,
}

/// An operator on a core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreOperator {
    /// Its name.
    pub name: String,
    /// Whether it is in every layer.
    pub in_layer: bool,
    /// Operations, where counted.
    pub ops: Option<f64>,
    /// Bytes moved, where counted.
    pub bytes: Option<f64>,
    /// Time.
    pub ms: f64,
}

/// Amdahl's law: all against faster linears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Amdahl {
    /// `layer` or `token`, and of which phase.
    pub what: String,
    /// What is sped up.
    pub baseline: String,
    /// Whether that is measured.
    pub basis: String,
    /// Share of the linears in it.
    pub linear_percent: f64,
    /// Speed-up of the linears, and of all.
    pub points: Vec<[f64; 2]>,
    /// The unit with its driver calls: the same.
    pub unit: [f64; 2],
    /// With linears that take no time.
    pub limit: f64,
}

/// Roofs of the unit and of the core beside it, and every operator under its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// All lanes busy with one vector.
    pub peak_gops_one_vector: f64,
    /// All lanes busy with all vectors.
    pub peak_gops: f64,
    /// Bytes a second: of plain readers, or of the ports if the memory is ideal.
    pub gb_per_s: f64,
    /// The least and the most such a memory has been seen to deliver.
    pub gb_per_s_band: Option<[f64; 2]>,
    /// The core that has the other operators: the first of the board's.
    pub core: Option<CoreRoof>,
    /// The linears on the unit, everything else on the core.
    pub points: Vec<RooflinePoint>,
}

/// The roof of a core that is known by two rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreRoof {
    /// The core.
    pub name: String,
    /// Operations.
    pub peak_gops: f64,
    /// Bytes from the DRAM.
    pub gb_per_s: f64,
}

/// One operator under its roof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RooflinePoint {
    /// The phase.
    pub phase: String,
    /// The operator.
    pub name: String,
    /// `unit`, or `core`, where a model places every operator on the roof.
    pub on: String,
    /// Operations a byte: of weights on the unit, of all that is moved on the core.
    pub ops_per_byte: f64,
    /// What it reaches.
    pub gops: f64,
    /// What it could.
    pub roof_gops: f64,
    /// Their quotient.
    pub percent: f64,
    /// `memory`, `lanes` or `operations`.
    pub bound: String,
}

/// What a port did, in cycles, all runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortTime {
    /// The port.
    pub port: usize,
    /// A weight beat met activations.
    pub busy: u64,
    /// Waiting for weights.
    pub stall_weights: u64,
    /// Waiting for activations.
    pub stall_activations: u64,
    /// Waiting for a result to be collected.
    pub stall_results: u64,
    /// Neither: start, end, or nothing left to do.
    pub other: u64,
}

/// The arithmetic of a token on a published system's parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerCheck {
    /// The system.
    pub name: String,
    /// The BitLinears of its token as this program's formula has them. Everything else goes in as published.
    pub bitlinear_ms: f64,
    /// As published.
    pub published_bitlinear_ms: f64,
    /// Runs of its engines.
    pub runs: usize,
    /// What each costs beside its weights.
    pub run_us: f64,
    /// All of them.
    pub runs_ms: f64,
    /// Its other parts.
    pub parts: Vec<Part>,
    /// Their sum.
    pub parts_ms: f64,
    /// The token.
    pub token_ms: f64,
    /// As published.
    pub published_token_ms: f64,
    /// How far off.
    pub off_percent: f64,
    /// How far off it may be.
    pub tolerance_percent: f64,
    /// Where its figures are from.
    pub source: String,
}

impl CoreRoof {
    /// An operator on it; none that only moves bytes.
    fn point(&self, phase: &str, operator: &CoreOperator) -> Option<RooflinePoint> {
        let (ops, bytes) = (operator.ops.filter(|ops| *ops > 0.0)?, operator.bytes?);
        let (ops_per_byte, gops) = (ops / bytes, ops / operator.ms / 1e6);
        let roof_gops = self.peak_gops.min(self.gb_per_s * ops_per_byte);
        Some(RooflinePoint {
            phase: phase.into(),
            name: operator.name.clone(),
            on: "core".into(),
            ops_per_byte,
            gops,
            roof_gops,
            percent: 100.0 * gops / roof_gops,
            bound: if roof_gops < self.peak_gops { "memory" } else { "operations" }.into(),
        })
    }
}

impl CpuBaseline {
    /// `profile` as far as it fits `config`; of `layers`.
    pub fn new(profile: &CpuProfile, builtin: bool, config: &ModelConfig, layers: std::ops::Range<usize>) -> Self {
        let tokens = profile.meta.tokens;
        let count = layers.len() as f64;
        let baseline =
            Baseline::new(profile.clone(), builtin, config, layers.clone(), tokens.unwrap_or(host::profile::TOKENS));
        let mean = |l: Linear| layers.clone().map(|layer| baseline.linear_ms(l, layer)).sum::<Option<f64>>();
        let linears: Option<Vec<Part>> =
            Linear::ALL.iter().map(|l| Some(Part { name: l.name().into(), ms: mean(*l)? / count })).collect();
        let others = profile.typical().filter(|o| o.linear().is_none());
        let others: Vec<Part> = others.map(|o| Part { name: o.name.clone(), ms: o.ms() }).collect();
        let not_comparable = baseline
            .refusal()
            .map(Into::into)
            .or_else(|| others.is_empty().then(|| "the profile has no times of other operators".into()));
        let (linears, others) =
            if not_comparable.is_some() { (vec![], vec![]) } else { (linears.unwrap_or_default(), others) };
        let sum = |parts: &[Part]| parts.iter().map(|p| p.ms).sum::<f64>();
        let linear_ms = sum(&linears);
        let layer_ms = linear_ms + sum(&others);
        let offline = &PEERS.offline;
        let stage = |name| profile.stage(name).filter(|_| !builtin && not_comparable.is_none());
        Self {
            provenance: profile.provenance(),
            tokens,
            linear_ms,
            layer_ms,
            offline_layer_ms: (builtin && layer_ms > 0.0).then(|| layer_ms * offline.offline_ms / offline.online_ms),
            prefill_ms: stage("Prefill").and_then(|s| s.duration_ms.as_ref()?.value()),
            decode_token_ms: stage("Decode").and_then(|s| Some(s.a_token?.median_ms)),
            not_comparable,
            linears,
            others,
        }
    }

    fn fits(&self, tokens: usize) -> bool {
        self.not_comparable.is_none() && self.tokens.is_none_or(|t| t == tokens)
    }
}

impl Projection {
    /// What a run of whole layers says about a token; none of a part of a layer.
    pub fn new(
        inputs: &Inputs,
        identity: &Identity,
        operators: &[OperatorRow],
        runs: &[RunRow],
        totals: &Totals,
    ) -> Option<Self> {
        let simulated_layers = operators.len() / Linear::ALL.len();
        let whole = |rows: &[OperatorRow]| rows.iter().map(|o| o.name).eq(Linear::ALL);
        if simulated_layers == 0 || !operators.chunk_by(|a, b| a.layer == b.layer).all(whole) {
            return None;
        }
        let case = Case::new(inputs, identity, totals.driver_overhead_us)?;
        let tokens = identity.model.tokens;
        let simulated = case.simulated(operators, simulated_layers, totals);
        let other = if tokens == 1 { case.by_formula(PREFILL_TOKENS) } else { case.by_formula(1) };
        let mut phases = vec![simulated, other];
        phases.sort_by_key(|p| p.tokens);
        Some(Self {
            overlap: "none: the unit, the driver and the core take turns".into(),
            driver_overhead_us: totals.driver_overhead_us,
            driver_overhead_band_us: DRIVER_OVERHEAD_BAND_US,
            layers: case.config.num_hidden_layers,
            simulated_layers,
            amdahl: case.amdahl(&phases),
            roofline: case.roofline(&phases),
            ports: port_times(runs, identity.unit.ports),
            assumptions: case.assumptions(&phases),
            cores: case.cores.into_iter().cloned().collect(),
            phases,
            baselines: inputs.baselines.clone(),
            published: if case.is_2b_4t { PEERS.published.clone() } else { vec![] },
            check: check()?,
            joules_per_token: None,
        })
    }

    /// The phase of one token.
    pub fn decode(&self) -> Option<&Phase> {
        self.phases.iter().find(|p| p.tokens == 1)
    }

    /// A few lines for the terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for phase in &self.phases {
            let layers = self.layers as f64;
            let (linear, driver) = (layers * phase.linear_ms, layers * phase.driver_ms);
            let source = if phase.simulated { "simulated" } else { "by formula" };
            let (name, tokens) = (&phase.name, phase.tokens);
            out += &format!(
                "Model, {name} of {tokens}: {linear:.1} ms of BitLinears ({source}), {driver:.1} ms of driver calls"
            );
            let whole = phase.on_cores.iter().find_map(|on| Some((on, on.pass_ms?, on.tokens_per_s?)));
            if let Some((on, ms, rate)) = whole {
                out += &format!("; {ms:.0} ms, {rate:.1} tokens/s, with the rest on {} ({})", on.core, on.basis);
            }
            out += "\n";
        }
        let c = &self.check;
        out + &format!(
            "Check: the BitLinears of {}, {:.1} ms by formula ({:.1} published), and its other parts as published make \
             {:.1} ms a token, published {:.1}: {:+.1}%\n",
            c.name, c.bitlinear_ms, c.published_bitlinear_ms, c.token_ms, c.published_token_ms, c.off_percent
        )
    }
}

/// The unit, the memory and the model of a run, to project with.
struct Case<'a> {
    inputs: &'a Inputs,
    config: ModelConfig,
    is_2b_4t: bool,
    unit: UnitConfig,
    clock_mhz: f64,
    timing: Timing,
    /// None if the memory is ideal.
    reader_gb_per_s: Option<f64>,
    band_gb_per_s: Option<[f64; 2]>,
    overhead_us: f64,
    cores: Vec<&'static Core>,
}

impl<'a> Case<'a> {
    fn new(inputs: &'a Inputs, identity: &Identity, overhead_us: f64) -> Option<Self> {
        let (m, u, memory) = (&identity.model, &identity.unit, &identity.memory);
        let board = Board::find(&u.board).ok()?;
        let mut config = ModelConfig::bitnet_2b_4t();
        config.hidden_size = m.hidden_size;
        config.intermediate_size = m.intermediate_size;
        config.num_hidden_layers = m.num_hidden_layers;
        config.num_attention_heads = m.num_attention_heads;
        config.num_key_value_heads = m.num_key_value_heads;
        config.vocab_size = inputs.vocab_size;
        let unit = UnitConfig {
            ports: u.ports,
            port_bits: u.port_bits,
            vectors: u.vectors,
            groups: u.groups,
            codec: u.codec.parse::<Codec>().ok()?,
        };
        let timing = match (memory.mode, memory.flat, memory.reader_gb_per_s) {
            (MemoryMode::Ideal, ..) => Board::ideal_timing(),
            (_, true, Some(rate)) => board.ddr_timing(DdrMode::Flat(rate), unit.ports, u.clock_mhz, memory.ps_gb_per_s),
            _ => board.ddr_timing(DdrMode::Modelled, unit.ports, u.clock_mhz, memory.ps_gb_per_s),
        };
        Some(Self {
            inputs,
            is_2b_4t: config == ModelConfig::bitnet_2b_4t(),
            config,
            unit,
            clock_mhz: u.clock_mhz,
            timing,
            reader_gb_per_s: memory.reader_gb_per_s,
            band_gb_per_s: memory.band_gb_per_s,
            overhead_us,
            cores: PEERS.core.iter().filter(|c| c.families.contains(&board.family.synthesis)).collect(),
        })
    }

    fn ops(&self, l: Linear, tokens: usize) -> f64 {
        2.0 * (l.out_features(&self.config) * l.in_features(&self.config) * tokens) as f64
    }

    /// Bytes of weights a pass of `tokens` reads.
    fn bytes(&self, l: Linear, tokens: usize) -> f64 {
        let image = weight_bytes(&self.unit, l.out_features(&self.config), l.in_features(&self.config));
        (image * tokens.div_ceil(self.unit.max_tokens())) as f64
    }

    fn simulated(&self, operators: &[OperatorRow], layers: usize, totals: &Totals) -> Phase {
        let cycles =
            |l: Linear| operators.iter().filter(|o| o.name == l).map(|o| o.cycles).sum::<u64>() as f64 / layers as f64;
        let tokens = operators[0].tokens;
        let band = totals.linear_fpga_ms_band.map(|band| band.map(|ms| ms / layers as f64));
        self.phase(tokens, true, Linear::ALL.map(cycles).to_vec(), band)
    }

    fn by_formula(&self, tokens: usize) -> Phase {
        let cycles = |gb_per_s| formula(&self.unit, &self.config, tokens, &self.timing, self.clock_mhz, gb_per_s);
        let band = self.band_gb_per_s.map(|[least, most]| {
            [most, least].map(|rate| cycles(Some(rate)).iter().sum::<f64>() / self.clock_mhz / 1e3)
        });
        self.phase(tokens, false, cycles(self.reader_gb_per_s), band)
    }

    fn phase(&self, tokens: usize, simulated: bool, cycles: Vec<f64>, linear_ms_band: Option<[f64; 2]>) -> Phase {
        let linears = Linear::ALL.iter().zip(cycles).map(|(l, cycles)| LinearTime {
            name: *l,
            cycles,
            ms: cycles / self.clock_mhz / 1e3,
            ops: self.ops(*l, tokens),
            weight_bytes: self.bytes(*l, tokens),
        });
        let linears: Vec<LinearTime> = linears.collect();
        let linear_ms: f64 = linears.iter().map(|l| l.ms).sum();
        let calls = Linear::GROUPS.len();
        let driver = |us: f64| calls as f64 * us / 1e3;
        let context = if tokens == 1 { CONTEXT } else { 0 };
        let [driver_ms, driver_ms_most] =
            [self.overhead_us, DRIVER_OVERHEAD_BAND_US[1].max(self.overhead_us)].map(driver);
        let unit_ms = [linear_ms + driver_ms, linear_ms + driver_ms_most];
        let measured = self.inputs.baselines.iter().filter(|b| b.fits(tokens)).map(|b| self.on_cpu(b, tokens, unit_ms));
        let modelled = self.cores.iter().map(|core| self.on_core(core, tokens, context, unit_ms));
        Phase {
            name: if tokens == 1 { "decode" } else { "prefill" }.into(),
            tokens,
            context,
            source: if simulated {
                "RTL simulation".into()
            } else {
                "analytic model, checked against the RTL by a test, not simulated here".into()
            },
            simulated,
            linear_ms_band,
            calls,
            driver_ms,
            driver_ms_most,
            on_cores: measured.chain(modelled).collect(),
            linears,
            linear_ms,
        }
    }

    /// The rest on a profiled CPU. Where the profile has the stage, all of it but the linears: attention and output head
    /// too, which no operator of a profile is.
    fn on_cpu(&self, cpu: &CpuBaseline, tokens: usize, [unit_ms, most_ms]: [f64; 2]) -> OnCore {
        let operators = cpu.others.iter().map(|o| CoreOperator {
            name: o.name.clone(),
            in_layer: true,
            ops: None,
            bytes: None,
            ms: o.ms,
        });
        let others_ms = cpu.layer_ms - cpu.linear_ms;
        let layers = self.config.num_hidden_layers as f64;
        let alone_ms = if tokens == 1 { cpu.decode_token_ms } else { cpu.prefill_ms };
        let rest_ms = alone_ms.map(|all| all - layers * cpu.linear_ms).filter(|rest| *rest > 0.0);
        let pass = |unit_ms: f64| rest_ms.map(|rest| layers * unit_ms + rest);
        let pass_ms = pass(unit_ms);
        let missing = match (tokens, rest_ms) {
            (_, None) => "what is not in its profile is missing",
            (1, _) => "a pass is its decode with the linears exchanged",
            _ => "a pass is its prefill with the linears exchanged",
        };
        OnCore {
            core: cpu.provenance.clone(),
            basis: format!("measured there with {tokens} tokens; {missing}"),
            measured: true,
            operators: operators.collect(),
            others_ms,
            layer_ms: unit_ms + others_ms,
            pass_ms,
            pass_ms_most: pass(most_ms),
            tokens_per_s: pass_ms.map(|ms| tokens as f64 * 1e3 / ms),
            linear_percent: pass_ms.map(|ms| 100.0 * layers * unit_ms / ms),
            alone_ms: alone_ms.filter(|_| rest_ms.is_some()),
            alone_linears: cpu.linears.clone(),
        }
    }

    /// The rest on a core that is known by two rates.
    fn on_core(&self, core: &Core, tokens: usize, context: usize, [unit_ms, most_ms]: [f64; 2]) -> OnCore {
        let ms = |ops: f64, bytes: f64| (ops / core.gops.value).max(bytes / core.gb_per_s.value) / 1e6;
        let operator = |(name, in_layer, ops, bytes): (&'static str, bool, f64, f64)| CoreOperator {
            name: name.into(),
            in_layer,
            ops: Some(ops),
            bytes: Some(bytes),
            ms: ms(ops, bytes),
        };
        let operators: Vec<CoreOperator> =
            host_operators(&self.config, tokens, context).into_iter().map(operator).collect();
        let sum = |in_layer: bool| operators.iter().filter(|o| o.in_layer == in_layer).map(|o| o.ms).sum::<f64>();
        let (others_ms, once_ms, layers) = (sum(true), sum(false), self.config.num_hidden_layers as f64);
        let pass = |unit_ms: f64| layers * (unit_ms + others_ms) + once_ms;
        let alone = |l: &Linear| Part { name: l.name().into(), ms: ms(self.ops(*l, tokens), self.bytes(*l, 1)) };
        let alone_linears: Vec<Part> = Linear::ALL.iter().map(alone).collect();
        let alone = alone_linears.iter().map(|l| l.ms).sum();
        let pass_ms = pass(unit_ms);
        OnCore {
            core: core.name.clone(),
            basis: "model, not measured".into(),
            measured: false,
            operators,
            others_ms,
            layer_ms: unit_ms + others_ms,
            pass_ms: Some(pass_ms),
            pass_ms_most: Some(pass(most_ms)),
            tokens_per_s: Some(tokens as f64 * 1e3 / pass_ms),
            linear_percent: Some(100.0 * layers * unit_ms / pass_ms),
            alone_ms: Some(pass(alone)),
            alone_linears,
        }
    }

    fn amdahl(&self, phases: &[Phase]) -> Vec<Amdahl> {
        let curve = |what: String, baseline: &str, basis: &str, linear: f64, all: f64, unit_ms: f64| {
            let rest = all - linear;
            let at = |s: f64| [s, all / (rest + linear / s)];
            Amdahl {
                what,
                baseline: baseline.into(),
                basis: basis.into(),
                linear_percent: 100.0 * linear / all,
                points: SPEEDUPS.map(at).to_vec(),
                unit: at(linear / unit_ms),
                limit: all / rest,
            }
        };
        let mut curves = Vec::new();
        for phase in phases {
            let unit_ms = phase.linear_ms + phase.driver_ms;
            for cpu in self.inputs.baselines.iter().filter(|b| b.fits(phase.tokens)) {
                let what = format!("layer, {} of {}", phase.name, phase.tokens);
                curves.push(curve(what, &cpu.provenance, "measured", cpu.linear_ms, cpu.layer_ms, unit_ms));
            }
            let layers = self.config.num_hidden_layers as f64;
            for on in phase.on_cores.iter().filter(|_| phase.tokens == 1) {
                if let (Some(alone), Some(pass)) = (on.alone_ms, on.pass_ms) {
                    let linear = alone - (pass - layers * unit_ms);
                    curves.push(curve("token".into(), &on.core, &on.basis, linear, alone, layers * unit_ms));
                }
            }
        }
        curves
    }

    fn roofline(&self, phases: &[Phase]) -> Roofline {
        let one = 2.0 * self.unit.lanes() as f64 * self.clock_mhz / 1e3;
        let peak = one * self.unit.vectors as f64;
        let ports = (self.unit.ports * self.unit.port_bits / 8) as f64 * self.clock_mhz / 1e3;
        let rate = self.reader_gb_per_s.unwrap_or(ports);
        let linears = phases.iter().flat_map(|phase| {
            let lanes = one * self.unit.vectors.min(phase.tokens) as f64;
            phase.linears.iter().map(move |l| {
                let (ops_per_byte, gops) = (l.ops / l.weight_bytes, l.ops / l.ms / 1e6);
                let roof_gops = lanes.min(rate * ops_per_byte);
                RooflinePoint {
                    phase: phase.name.clone(),
                    name: l.name.name().into(),
                    on: "unit".into(),
                    ops_per_byte,
                    gops,
                    roof_gops,
                    percent: 100.0 * gops / roof_gops,
                    bound: if lanes < rate * ops_per_byte { "lanes" } else { "memory" }.into(),
                }
            })
        });
        let core = self.cores.first().map(|core| CoreRoof {
            name: core.name.clone(),
            peak_gops: core.gops.value,
            gb_per_s: core.gb_per_s.value,
        });
        let mut points: Vec<RooflinePoint> = linears.collect();
        for (phase, roof) in phases.iter().flat_map(|phase| core.iter().map(move |roof| (phase, roof))) {
            let on = phase.on_cores.iter().filter(|on| on.core == roof.name);
            points.extend(on.flat_map(|on| &on.operators).filter_map(|o| roof.point(&phase.name, o)));
        }
        Roofline {
            peak_gops_one_vector: one,
            peak_gops: peak,
            gb_per_s: rate,
            gb_per_s_band: self.band_gb_per_s,
            core,
            points,
        }
    }

    fn assumptions(&self, phases: &[Phase]) -> Vec<String> {
        let mut lines: Vec<String> = vec![
            "nothing overlaps: linears, driver calls and the core's operators are added up".into(),
            format!("decode has {CONTEXT} positions before its token; prefill starts at none"),
            "the output head is computed once a pass, on the core, from bf16 rows (int8 rows would be half the bytes)"
                .into(),
            format!(
                "a core's operator takes the longer of operations over its rate and bytes over its rate; everything \
                 comes from DRAM, keys and values are fp32, an exponential is {EXP_OPS} operations"
            ),
            "a core alone reads the same weight bytes as the unit".into(),
            "energy: absent; no power of this unit was measured, and figures of others are theirs".into(),
        ];
        lines.extend(phases.iter().map(|p| format!("{} of {}: {}", p.name, p.tokens, p.source)));
        for core in &self.cores {
            lines.push(format!("{}, model, not measured: {} GOPS ({})", core.name, core.gops.value, core.gops.source));
            lines.push(format!("{}: {} GB/s ({})", core.name, core.gb_per_s.value, core.gb_per_s.source));
        }
        let offline = &PEERS.offline;
        lines.push(format!(
            "estimate with weights made ternary once: times {} / {}: {}",
            offline.offline_ms, offline.online_ms, offline.source
        ));
        lines
    }
}

/// Cycles of the linears of a layer by formula; those of a run in proportion to their beats.
fn formula(
    unit: &UnitConfig,
    config: &ModelConfig,
    tokens: usize,
    timing: &Timing,
    clock_mhz: f64,
    gb_per_s: Option<f64>,
) -> Vec<f64> {
    let rate = gb_per_s.map(|gb| gb * 1e3 / clock_mhz);
    let of_run = |run: &&[Linear]| {
        let ideal = run.iter().map(|l| unit.ideal_cycles(l.out_features(config), l.in_features(config), tokens));
        share_out(run_cycles(unit, config, run, tokens, timing, rate).round() as u64, &ideal.collect::<Vec<_>>())
    };
    Linear::GROUPS.iter().flat_map(of_run).map(|cycles| cycles as f64).collect()
}

/// What the unit does not do: name, whether it is in every layer, operations, bytes.
fn host_operators(c: &ModelConfig, tokens: usize, context: usize) -> Vec<(&'static str, bool, f64, f64)> {
    let t = tokens as f64;
    let [h, i, kv, heads] = [c.hidden_size, c.intermediate_size, c.kv_dim(), c.num_attention_heads].map(|n| n as f64);
    // Pairs of a token and a position it attends to.
    let pairs: f64 = (1..=tokens).map(|n| (context + n) as f64).sum();
    let inputs = 3.0 * h + i;
    let outputs: f64 = Linear::ALL.iter().map(|l| l.out_features(c) as f64).sum();
    let norm = |n: Norm| (n.name(), true, 3.0 * t * n.width(c) as f64, 8.0 * t * n.width(c) as f64);
    let mut all: Vec<_> = Norm::ALL.into_iter().map(norm).collect();
    all.extend([
        ("quantise inputs", true, 3.0 * t * inputs, 5.0 * t * inputs),
        ("rescale outputs", true, t * outputs, 8.0 * t * outputs),
        ("RoPE", true, 3.0 * t * (h + kv), 8.0 * t * (h + kv)),
        ("self_attn.attention", true, pairs * (4.0 * h + EXP_OPS * heads), 8.0 * pairs * kv),
        ("mlp.act_fn", true, 2.0 * t * i, 8.0 * t * i),
        ("mlp.product", true, t * i, 12.0 * t * i),
        ("residuals", true, 2.0 * t * h, 24.0 * t * h),
        ("embed_tokens", false, 0.0, 6.0 * t * h),
        ("norm", false, 3.0 * h, 8.0 * h),
        ("lm_head", false, 2.0 * h * c.vocab_size as f64, 2.0 * h * c.vocab_size as f64),
    ]);
    all
}

fn port_times(runs: &[RunRow], ports: usize) -> Vec<PortTime> {
    let all: u64 = runs.iter().map(|r| r.busy_cycles).sum();
    let of = |port: usize| {
        let sum = |f: fn(&host::device::PortCounters) -> u32| {
            runs.iter().filter_map(|r| r.ports.get(port)).map(|p| u64::from(f(p))).sum::<u64>()
        };
        let [busy, weights, activations, results] =
            [sum(|p| p.busy), sum(|p| p.stall_data), sum(|p| p.stall_x), sum(|p| p.stall_result)];
        PortTime {
            port,
            busy,
            stall_weights: weights,
            stall_activations: activations,
            stall_results: results,
            other: all.saturating_sub(busy + weights + activations + results),
        }
    };
    (0..ports).map(of).collect()
}

/// The arithmetic on the published system.
fn check() -> Option<PeerCheck> {
    let c = &PEERS.check;
    let board = Board::find(&c.board).ok()?;
    let port_bits = board.family.port_bits;
    let unit = UnitConfig { ports: c.ports, port_bits, vectors: 1, groups: 1, codec: c.codec.parse().ok()? };
    let timing = board.ddr_timing(DdrMode::Modelled, c.ports, c.clock_mhz, 0.0);
    let ports: Vec<usize> = (0..c.ports).collect();
    let rate = bandwidth(&timing, c.ports, port_bits / 8, &ports).ok()? * c.clock_mhz / 1e3;
    let config = ModelConfig::bitnet_2b_4t();
    let cycles: f64 = formula(&unit, &config, 1, &timing, c.clock_mhz, Some(rate)).iter().sum();
    let bitlinear_ms = milliseconds(cycles.round() as u64 * config.num_hidden_layers as u64, c.clock_mhz);
    let runs_ms = c.runs as f64 * c.run_us / 1e3;
    let parts_ms: f64 = c.parts.iter().map(|p| p.ms).sum();
    let token_ms = bitlinear_ms + runs_ms + parts_ms;
    Some(PeerCheck {
        name: c.name.clone(),
        bitlinear_ms,
        published_bitlinear_ms: c.bitlinear_ms,
        runs: c.runs,
        run_us: c.run_us,
        runs_ms,
        parts: c.parts.clone(),
        parts_ms,
        token_ms,
        published_token_ms: c.token_ms,
        off_percent: 100.0 * (token_ms / c.token_ms - 1.0),
        tolerance_percent: c.tolerance_percent,
        source: c.source.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_system_comes_out_as_published() {
        let check = check().expect("its board and codec are known");
        println!("{check:#?}");
        assert!(check.off_percent.abs() <= check.tolerance_percent, "{:+.1}%", check.off_percent);
        // Its token is far more than its linears: without the other parts it would not be near.
        assert!(check.bitlinear_ms < 0.6 * check.published_token_ms);
    }

    #[test]
    fn every_figure_has_a_source() {
        let peers = &*PEERS;
        for core in &peers.core {
            assert!(!core.gops.source.is_empty() && !core.gb_per_s.source.is_empty(), "{}", core.name);
            assert!(core.gops.value > 0.0 && core.gb_per_s.value > 0.0, "{}", core.name);
        }
        assert!(peers.published.iter().all(|p| !p.source.is_empty() && p.tokens_per_s > 0.0));
    }

    #[test]
    fn a_layer_on_the_built_in_cpu() {
        let config = ModelConfig::bitnet_2b_4t();
        let cpu = CpuBaseline::new(&CpuProfile::builtin(), true, &config, 0..30);
        assert!((cpu.linear_ms - 42.26).abs() < 0.01 && (cpu.layer_ms - 43.16).abs() < 0.01, "{cpu:?}");
        assert!(cpu.fits(3) && !cpu.fits(1));
        let mut small = config.clone();
        small.intermediate_size = 1024;
        assert!(!CpuBaseline::new(&CpuProfile::builtin(), true, &small, 0..30).fits(3));
    }

    #[test]
    fn the_output_head_is_most_of_what_a_core_reads() {
        let operators = host_operators(&ModelConfig::bitnet_2b_4t(), 1, CONTEXT);
        let head = operators.iter().find(|o| o.0 == "lm_head").expect("it is listed");
        assert_eq!(head.3, 656_670_720.0);
    }
}
