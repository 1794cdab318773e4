//! The layer command: plan, run, report.

use std::fmt::Write as _;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Instant;

use golden::Dtype;
use host::checkpoint::Checkpoint;
use host::config::{Linear, ModelConfig};
use host::layer::{DecoderLayer, KvCache};
use host::model::hidden_entering_layer;
use host::profile::CpuProfile;
use host::synthetic::Synthetic;
use host::weights::WeightSource;
use ndarray::Array2;
use serde::Serialize;
use verilated::{ModelLibrary, Trace};

use crate::bench::{Bench, Outcome, TraceRequest, weight_bytes};
use crate::board::{Board, MemoryMode};
use crate::cli::{ComputeType, LayerArgs};
use crate::dump::Dump;
use crate::exit::{Exit, Failure, check_interrupt};
use crate::output::{Progress, Target, print};
use crate::projection::{Baseline, DRIVER_OVERHEAD_BAND_US, layer_ms, milliseconds, share_out};
use crate::report::{
    LimitSection, MemorySection, ModelSection, OperatorRow, ProfileSection, Report, RunRow, SCHEMA_VERSION, STATUS,
    Simulation, Totals, UnitSection, grouped, table,
};
use crate::unit::{UnitConfig, rtl_dir};
use crate::verify::{Interruptible, Recorder, Run, verify};

/// Tokens of the CPU profile's forward pass.
const DEFAULT_TOKENS: usize = 3;
/// Simulated cycles a second of one thread, for estimates.
const ESTIMATED_SPEED: f64 = 1e6;
/// Mismatches told in full.
const SHOWN_MISMATCHES: usize = 8;
/// Cycles of the waveform that is proposed after a mismatch.
const TRACE_BEFORE: u64 = 2_000;

/// Runs the layer command; `command` is what was typed.
///
/// # Errors
/// Whatever keeps the outputs from being compared. A mismatch is not an error but an exit code.
pub fn run(args: &LayerArgs, command: &str) -> Result<Exit, Failure> {
    let started = Instant::now();
    let job = Job::new(args)?;
    if args.dry_run {
        return job.print_plan();
    }
    let outputs = Outputs::new(args)?;
    eprintln!("seed {}: {}", args.seed, job.announcement());

    let bench = Bench {
        trace: outputs.trace.clone().map(|target| TraceRequest {
            target,
            from: args.trace_from,
            cycles: args.trace_cycles,
        }),
        ..job.bench()
    };
    let trace = args.trace.as_deref().map_or(Trace::Off, Trace::for_path);
    let progress = Progress::new(job.ideal_cycles());
    let done = |outcome: &Outcome| {
        progress.advance(outcome.operators.iter().map(|o| job.operator_ideal(o.linear)).sum());
    };
    let mut dump = Dump::new(outputs.dump.is_some());
    let verified =
        verify(&bench, job.jobs, || build(&job.unit, trace, &progress), done, |queue| job.produce(queue, &mut dump));
    progress.finish();
    let verified = verified.map_err(|failure| failure.repeat_with(&job.repeatable(command)))?;
    check_interrupt()?;

    let seen: usize = verified.outcomes.iter().map(|o| o.operators.len()).sum();
    if seen != job.linears.len() {
        let message = format!("{seen} operators were compared, {} were to be", job.linears.len());
        return Err(Failure::new(Exit::Internal, message));
    }
    let simulation = job.simulation(&verified.outcomes, &verified.library, started);
    let report = job.report(command, &verified.outcomes, simulation);
    if let Some(target) = &outputs.dump {
        let t = &report.totals;
        let names = job.linears.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
        let about = format!("layer {}; compared with the RTL: {names}; {} mismatches", job.layer, t.mismatches);
        target.write(&dump.serialize(about)?)?;
    }
    if let Some(target) = &outputs.json {
        target.write(report.json().as_bytes())?;
    }
    print(&if args.json_on_stdout() { report.json() } else { report.text() })?;
    if report.totals.mismatches == 0 {
        return Ok(Exit::Ok);
    }
    eprint!("{}", job.tell_mismatches(&report.command, &verified.outcomes));
    Ok(Exit::Mismatch)
}

/// The model of `unit`, built if need be.
fn build(unit: &UnitConfig, trace: Trace, progress: &Progress) -> Result<ModelLibrary, Failure> {
    let list = rtl_dir().join("tmv_files.f");
    if !list.is_file() {
        let message = format!("{}: the RTL of the unit is not there; set TMV_RTL_DIR to its folder", list.display());
        return Err(Failure::new(Exit::InputFile, message));
    }
    Ok(unit.build(trace, &mut |step| progress.say(step))?)
}

/// Files to be written, known to be writable.
struct Outputs {
    json: Option<Target>,
    dump: Option<Target>,
    trace: Option<Target>,
}

impl Outputs {
    fn new(args: &LayerArgs) -> Result<Self, Failure> {
        let target =
            |flag, path: &Option<std::path::PathBuf>| path.as_deref().map(|path| Target::new(flag, path)).transpose();
        let json = if args.json_on_stdout() { None } else { target("--json", &args.json)? };
        Ok(Self { json, dump: target("--dump", &args.dump)?, trace: target("--trace", &args.trace)? })
    }
}

/// Where the weights come from.
enum Source {
    Synthetic(Synthetic),
    Checkpoint(Box<Checkpoint>, Vec<u32>),
}

/// A layer command, checked and resolved.
struct Job<'a> {
    args: &'a LayerArgs,
    source: Source,
    layer: usize,
    tokens: usize,
    /// In the order they execute.
    linears: Vec<Linear>,
    board: &'static Board,
    unit: UnitConfig,
    baseline: Baseline,
    jobs: usize,
}

impl<'a> Job<'a> {
    fn new(args: &'a LayerArgs) -> Result<Self, Failure> {
        let layer = args.layer.ok_or_else(|| {
            Failure::usage("--layer N says which decoder layer to run, for instance --layer 14; see --help")
        })?;
        let board = args.board()?;
        let unit = UnitConfig {
            ports: args.ports.unwrap_or(board.ports.value),
            port_bits: board.port_bits,
            vectors: args.vectors.unwrap_or(board.vectors),
            codec: args.codec,
        };
        if args.memory == MemoryMode::Ddr && unit.ports > board.max_ports {
            return Err(Failure::usage(format!(
                "--ports {}: the memory of {} has {} ports; with --memory ideal there may be up to 8",
                unit.ports, board.name, board.max_ports
            )));
        }
        let source = Source::open(args)?;
        let config = source.weights().config();
        if layer >= config.num_hidden_layers {
            return Err(host::Error::LayerOutOfRange { layer, layers: config.num_hidden_layers }.into());
        }
        let tokens = match &source {
            Source::Checkpoint(_, ids) => ids.len(),
            Source::Synthetic(_) => args.tokens.unwrap_or(DEFAULT_TOKENS),
        };
        if tokens > config.max_position_embeddings {
            let max = config.max_position_embeddings;
            return Err(Failure::usage(format!("{tokens} tokens: the model takes 1 to {max}")));
        }
        let chosen = |l: &Linear| args.operators.is_empty() || args.operators.contains(l);
        let linears: Vec<Linear> = Linear::ALL.into_iter().filter(chosen).collect();
        let limit = unit.info().max_in_features();
        if let Some(l) = linears.iter().find(|l| l.in_features(config) > limit) {
            let found = l.in_features(config);
            return Err(Failure::usage(format!(
                "{l} has {found} inputs; the unit with {}-bit ports takes at most {limit}",
                unit.port_bits
            )));
        }
        let profile = args.cpu_profile.as_deref().map(CpuProfile::load).transpose()?;
        let builtin = profile.is_none();
        let profile = profile.unwrap_or_else(CpuProfile::builtin);
        let baseline = Baseline::new(profile, builtin, config, layer, tokens);
        let groups = Linear::GROUPS.iter().filter(|g| g.iter().any(chosen)).count();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let jobs = args.jobs.unwrap_or(cores).min(groups);
        Ok(Self { args, source, layer, tokens, linears, board, unit, baseline, jobs })
    }

    fn config(&self) -> &ModelConfig {
        self.source.weights().config()
    }

    fn announcement(&self) -> String {
        let about = self.source.weights().describe();
        match &self.source {
            Source::Synthetic(_) => format!(
                "no --model, so layer {} is invented at the dimensions of BitNet b1.58-2B-4T ({about})",
                self.layer
            ),
            Source::Checkpoint(_, ids) => {
                let ids = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
                let whose = if self.args.prompt_ids.is_empty() { "default prompt" } else { "prompt" };
                format!("{about}; {whose} {ids}")
            }
        }
    }

    /// `command` with the seed in it.
    fn repeatable(&self, command: &str) -> String {
        let seeded = command.split(' ').any(|a| a == "--seed" || a.starts_with("--seed="));
        if seeded { command.into() } else { format!("{command} --seed {}", self.args.seed) }
    }

    fn bench(&self) -> Bench {
        Bench {
            unit: self.unit,
            timing: self.board.timing(self.args.memory, self.unit.ports),
            stall: self.args.stall,
            seed: self.args.seed,
            inject: self.args.inject,
            trace: None,
        }
    }

    fn shape(&self, linear: Linear) -> (usize, usize) {
        (linear.out_features(self.config()), linear.in_features(self.config()))
    }

    fn operator_ideal(&self, linear: Linear) -> u64 {
        let (rows, cols) = self.shape(linear);
        self.unit.ideal_cycles(rows, cols, self.tokens)
    }

    fn ideal_cycles(&self) -> u64 {
        self.linears.iter().map(|l| self.operator_ideal(*l)).sum()
    }

    /// The forward pass, on golden's arithmetic; its products go into `queue`.
    fn produce(&self, queue: SyncSender<Run>, dump: &mut Dump) -> Result<Array2<f32>, Failure> {
        let source = self.source.weights();
        let dtype = Dtype::from(self.args.dtype);
        let hidden = match &self.source {
            Source::Synthetic(synthetic) => synthetic.hidden(self.layer, self.tokens)?,
            Source::Checkpoint(_, ids) => hidden_entering_layer(self.layer, ids, dtype, source, &mut Interruptible)?,
        };
        let weights = source.layer(self.layer)?;
        let mut recorder = Recorder::new(queue, self.linears.clone());
        let layer = DecoderLayer::new(source.config(), self.layer, &weights);
        let mut backend = recorder.layer(weights.clone());
        Ok(layer.forward(&hidden, &mut KvCache::new(), dtype, &mut backend, dump)?)
    }

    fn simulation(&self, outcomes: &[Outcome], library: &ModelLibrary, started: Instant) -> Simulation {
        let simulated_cycles = outcomes.iter().map(|o| o.simulated_cycles).sum();
        let seconds: f64 = outcomes.iter().map(|o| o.seconds).sum();
        Simulation {
            wall_s: started.elapsed().as_secs_f64(),
            cycles_per_second: simulated_cycles as f64 / seconds,
            simulated_cycles,
            jobs: self.jobs,
            model_build_s: library.build_seconds(),
            model_cached: library.was_cached(),
        }
    }

    fn report(&self, command: &str, outcomes: &[Outcome], simulation: Simulation) -> Report {
        let operators: Vec<OperatorRow> = outcomes.iter().flat_map(|outcome| self.operator_rows(outcome)).collect();
        let runs = outcomes.iter().map(|o| RunRow {
            layer: o.layer,
            operators: o.operators.iter().map(|o| o.linear.name()).collect(),
            busy_cycles: o.busy_cycles,
            ports: o.ports.clone(),
        });
        let totals = self.totals(&operators, outcomes.len());
        Report {
            schema_version: SCHEMA_VERSION,
            command: self.repeatable(command),
            seed: self.args.seed,
            model: self.model_section(),
            unit: self.unit_section(),
            memory: self.memory_section(),
            cpu_profile: ProfileSection {
                provenance: self.baseline.provenance(),
                not_comparable: self.baseline.refusal().map(Into::into),
            },
            injected: outcomes.iter().find_map(|o| o.injected.clone()),
            assumptions: self.assumptions(&totals),
            operators,
            totals,
            runs: runs.collect(),
            simulation,
            status: STATUS,
        }
    }

    fn operator_rows(&self, outcome: &Outcome) -> Vec<OperatorRow> {
        let cycles: Vec<u64> = outcome.operators.iter().map(|o| o.cycles).collect();
        let stalls = share_out(outcome.ports.iter().map(|p| p.stalls()).sum(), &cycles);
        let rows = outcome.operators.iter().zip(stalls).map(|(o, stall_cycles)| {
            let (out_features, in_features) = self.shape(o.linear);
            let fpga_ms = milliseconds(o.cycles, self.board.clock_mhz.value);
            let cpu_ms = self.baseline.linear_ms(o.linear, outcome.layer);
            OperatorRow {
                layer: outcome.layer,
                name: o.linear.name(),
                in_features,
                out_features,
                tokens: self.tokens,
                outputs: o.outputs,
                mismatches: o.mismatches.len(),
                cycles: o.cycles,
                ideal_cycles: self.operator_ideal(o.linear),
                stall_cycles,
                weight_bytes: weight_bytes(&self.unit, out_features, in_features),
                fpga_ms,
                cpu_ms,
                speedup: cpu_ms.map(|cpu| cpu / fpga_ms),
            }
        });
        rows.collect()
    }

    fn totals(&self, rows: &[OperatorRow], driver_calls: usize) -> Totals {
        let cycles = rows.iter().map(|o| o.cycles).sum();
        let linear_fpga_ms = milliseconds(cycles, self.board.clock_mhz.value);
        let linear_cpu_ms: Option<f64> = rows.iter().map(|o| o.cpu_ms).sum();
        let host_nonlinear_ms = self.baseline.nonlinear_ms().filter(|_| rows.len() == Linear::ALL.len());
        let layer = |us: f64| host_nonlinear_ms.map(|ms| layer_ms(linear_fpga_ms, ms, driver_calls, us));
        Totals {
            outputs: rows.iter().map(|o| o.outputs).sum(),
            mismatches: rows.iter().map(|o| o.mismatches).sum(),
            cycles,
            ideal_cycles: rows.iter().map(|o| o.ideal_cycles).sum(),
            stall_cycles: rows.iter().map(|o| o.stall_cycles).sum(),
            weight_bytes: rows.iter().map(|o| o.weight_bytes).sum(),
            linear_fpga_ms,
            linear_cpu_ms,
            linear_speedup: linear_cpu_ms.map(|cpu| cpu / linear_fpga_ms),
            layer_ms_with_host_nonlinear: layer(self.args.driver_overhead_us),
            layer_ms_with_largest_overhead: layer(DRIVER_OVERHEAD_BAND_US[1]),
            host_nonlinear_ms,
            layer_cpu_ms: linear_cpu_ms.zip(host_nonlinear_ms).map(|(a, b)| a + b),
            driver_calls,
            driver_overhead_us: self.args.driver_overhead_us,
        }
    }

    fn model_section(&self) -> ModelSection {
        let c = self.config();
        let (source, name, prompt_ids) = match &self.source {
            Source::Synthetic(_) => ("synthetic", "dimensions of BitNet b1.58-2B-4T".into(), None),
            Source::Checkpoint(_, ids) => {
                let folder = self.args.model.as_deref().unwrap_or("".as_ref());
                ("checkpoint", folder.display().to_string(), Some(ids.clone()))
            }
        };
        ModelSection {
            source,
            name,
            description: self.source.weights().describe(),
            hidden_size: c.hidden_size,
            intermediate_size: c.intermediate_size,
            num_hidden_layers: c.num_hidden_layers,
            num_attention_heads: c.num_attention_heads,
            num_key_value_heads: c.num_key_value_heads,
            layer: self.layer,
            tokens: self.tokens,
            prompt_ids,
            dtype: match self.args.dtype {
                ComputeType::Fp32 => "fp32",
                ComputeType::Bf16 => "bf16",
            },
        }
    }

    fn unit_section(&self) -> UnitSection {
        UnitSection {
            board: self.board.name,
            part: self.board.part,
            ports: self.unit.ports,
            port_bits: self.unit.port_bits,
            vectors: self.unit.vectors,
            codec: self.unit.codec.to_string(),
            lanes: self.unit.lanes(),
            clock_mhz: self.board.clock_mhz.value,
        }
    }

    fn memory_section(&self) -> MemorySection {
        let timing = self.board.timing(self.args.memory, self.unit.ports);
        let limits = timing.limits.iter().map(|l| LimitSection {
            name: l.name,
            ports: (0..self.unit.ports).filter(|p| l.ports >> p & 1 != 0).collect(),
            bytes_per_cycle: l.bytes_per_cycle,
        });
        MemorySection {
            mode: self.args.memory,
            latency_cycles: timing.latency,
            turnaround_cycles: timing.turnaround,
            stall: self.args.stall,
            calibrated: false,
            limits: limits.collect(),
        }
    }

    fn assumptions(&self, totals: &Totals) -> Vec<String> {
        let board = self.board;
        let mut lines = vec![format!("clock {} MHz: {}", board.clock_mhz.value, board.clock_mhz.source)];
        lines.push(match self.args.memory {
            MemoryMode::Ideal => {
                "memory ideal: every port moves a beat each cycle, which no board does; --memory ddr projects".into()
            }
            MemoryMode::Ddr => format!(
                "memory of {}: first-order shares of bandwidth and one latency, not calibrated; `boards` lists the \
                 sources; --memory ideal judges the RTL alone",
                board.name
            ),
        });
        lines.push("share of ideal: weight beats divided by ports, over cycles".into());
        lines.push(format!(
            "weights are in memory; {} driver calls ({} us each assumed, {} to {} seen in published systems) are not in \
             the table",
            totals.driver_calls, totals.driver_overhead_us, DRIVER_OVERHEAD_BAND_US[0], DRIVER_OVERHEAD_BAND_US[1],
        ));
        if totals.host_nonlinear_ms.is_some() {
            lines.push(
                "norms, attention and activation as timed on that CPU; the board's own core is slower. Output head and \
                 embedding are not part of a layer"
                    .into(),
            );
        }
        lines.extend(self.baseline.caveats());
        lines
    }

    /// What a mismatch is about, and the commands to see it again.
    fn tell_mismatches(&self, command: &str, outcomes: &[Outcome]) -> String {
        let mut text = String::new();
        let all = || {
            outcomes
                .iter()
                .flat_map(|run| run.operators.iter().flat_map(move |o| o.mismatches.iter().map(move |m| (run, o, m))))
        };
        for (run, o, m) in all().take(SHOWN_MISMATCHES) {
            let cycle = o.ends.get(m.token / self.unit.vectors).copied().unwrap_or_default();
            let (layer, name) = (run.layer, o.linear);
            let _ = writeln!(
                text,
                "mismatch: layer {layer}, {name}, row {}, token {}, complete in cycle {cycle}: expected {}, got {}",
                m.row, m.token, m.expected, m.got
            );
        }
        let more = all().count().saturating_sub(SHOWN_MISMATCHES);
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
        if let Some(what) = outcomes.iter().find_map(|o| o.injected.as_ref()) {
            let _ = writeln!(text, "injected: {what}");
        }
        let _ = writeln!(text, "repeat it with: {command}");
        if let (Some((run, o, m)), None) = (all().next(), &self.args.trace)
            && run.index == 0
        {
            let cycle = o.ends.get(m.token / self.unit.vectors).copied().unwrap_or_default();
            let from = cycle.saturating_sub(TRACE_BEFORE);
            let _ = writeln!(text, "waveform of it: {command} --trace mismatch.fst --trace-from {from}");
        }
        text
    }

    /// What would be done. Writes nothing, builds nothing.
    fn print_plan(&self) -> Result<Exit, Failure> {
        let bench = self.bench();
        let operators = self.linears.iter().map(|&l| {
            let (out_features, in_features) = self.shape(l);
            PlannedOperator {
                layer: self.layer,
                name: l.name(),
                in_features,
                out_features,
                tokens: self.tokens,
                outputs: out_features * self.tokens,
                weight_bytes: weight_bytes(&self.unit, out_features, in_features),
                ideal_cycles: self.operator_ideal(l),
            }
        });
        let groups = Linear::GROUPS.iter().map(|g| g.iter().copied().filter(|l| self.linears.contains(l)));
        let shapes = groups.map(|group| group.map(|l| self.shape(l)).collect::<Vec<_>>());
        let images: Vec<usize> = shapes
            .filter(|group| !group.is_empty())
            .map(|group| bench.memory_bytes(group.into_iter(), self.tokens))
            .collect();
        let largest = images.iter().max().copied().unwrap_or_default();
        let ideal_cycles = self.ideal_cycles();
        let plan = Plan {
            schema_version: SCHEMA_VERSION,
            dry_run: true,
            model: self.model_section(),
            unit: self.unit_section(),
            memory: self.memory_section(),
            operators: operators.collect(),
            driver_calls: images.len(),
            ideal_cycles,
            jobs: self.jobs,
            // Runs do not share out evenly, and a memory model adds cycles.
            estimated_simulation_s: 1.3 * ideal_cycles as f64 / ESTIMATED_SPEED / self.jobs as f64,
            device_memory_bytes: largest * self.jobs,
        };
        if self.args.json_on_stdout() {
            print(&(serde_json::to_string_pretty(&plan).expect("a plan has string keys only") + "\n"))?;
        } else {
            print(&plan.text())?;
        }
        Ok(Exit::Ok)
    }
}

impl Source {
    fn open(args: &LayerArgs) -> Result<Self, Failure> {
        let Some(folder) = &args.model else {
            return Ok(Self::Synthetic(Synthetic::new(ModelConfig::bitnet_2b_4t(), args.seed)));
        };
        let checkpoint = Checkpoint::open(folder)?;
        let config = checkpoint.config();
        let ids = match (args.prompt_ids.len(), args.tokens) {
            (0, tokens) => default_prompt(config, tokens.unwrap_or(DEFAULT_TOKENS)),
            (ids, Some(tokens)) if ids != tokens => {
                let message = format!("--tokens {tokens} and --prompt-ids with {ids} ids disagree; leave --tokens out");
                return Err(Failure::usage(message));
            }
            _ => args.prompt_ids.clone(),
        };
        if let Some(position) = ids.iter().position(|id| *id as usize >= config.vocab_size) {
            let id = ids[position];
            return Err(host::Error::TokenOutOfRange { id, position, vocab: config.vocab_size }.into());
        }
        Ok(Self::Checkpoint(Box::new(checkpoint), ids))
    }

    fn weights(&self) -> &dyn WeightSource {
        match self {
            Self::Synthetic(synthetic) => synthetic,
            Self::Checkpoint(checkpoint, _) => checkpoint.as_ref(),
        }
    }
}

/// BOS (or token 0), then ids in steps of 997, modulo the vocabulary.
fn default_prompt(config: &ModelConfig, tokens: usize) -> Vec<u32> {
    let vocab = config.vocab_size as u64;
    let first = u64::from(config.bos_token_id.unwrap_or(0)) % vocab;
    (0..tokens as u64).map(|i| ((first + 997 * i) % vocab) as u32).collect()
}

/// What `--dry-run` shows.
#[derive(Serialize)]
struct Plan {
    schema_version: u32,
    dry_run: bool,
    model: ModelSection,
    unit: UnitSection,
    memory: MemorySection,
    operators: Vec<PlannedOperator>,
    driver_calls: usize,
    ideal_cycles: u64,
    jobs: usize,
    estimated_simulation_s: f64,
    device_memory_bytes: usize,
}

#[derive(Serialize)]
struct PlannedOperator {
    layer: usize,
    name: &'static str,
    in_features: usize,
    out_features: usize,
    tokens: usize,
    outputs: usize,
    weight_bytes: usize,
    ideal_cycles: u64,
}

impl Plan {
    fn text(&self) -> String {
        let mut table = table(&["operator", "shape", "tokens", "outputs", "weight bytes", "ideal cycles"]);
        for o in &self.operators {
            table.add_row([
                o.name.to_string(),
                format!("{} x {}", o.out_features, o.in_features),
                o.tokens.to_string(),
                grouped(o.outputs as u64),
                grouped(o.weight_bytes as u64),
                grouped(o.ideal_cycles),
            ]);
        }
        format!(
            "Plan for layer {} of {}\n{table}\n{} runs of the unit, {} ideal cycles, about {:.1} s of simulation on {} threads, \
             {} MB of device memory; nothing was built or written\n",
            self.model.layer,
            self.model.description,
            self.driver_calls,
            grouped(self.ideal_cycles),
            self.estimated_simulation_s,
            self.jobs,
            self.device_memory_bytes.div_ceil(1_000_000),
        )
    }
}
