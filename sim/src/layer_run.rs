//! The command for one layer or all: plan, run, report.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use golden::Dtype;
use host::config::{Linear, ModelConfig};
use host::layer::{DecoderLayer, KvCache};
use host::machine;
use host::model::{Model, hidden_entering_layer};
use host::profile::CpuProfile;
use host::program::{Target, pretty, print};
use host::sampler::Sampler;
use host::weight_cache::hex;
use ndarray::Array2;
use serde::Serialize;
use sha2::{Digest, Sha256};
use verilated::{ModelLibrary, Trace};

use crate::bench::{Bench, Outcome, TraceRequest, weight_bytes};
use crate::cli::{LayerArgs, on_stdout};
use crate::clock::cycles_per_second;
use crate::dump::Dump;
use crate::exit::{Exit, Failure};
use crate::journal::{Header, Journal};
use crate::mismatch::{Mismatches, differences};
use crate::output::{JsonOutput, Progress};
use crate::projection::whole::{CpuBaseline, Inputs};
use crate::projection::{Baseline, DRIVER_OVERHEAD_BAND_US, milliseconds, share_out};
use crate::report::{
    BuildSection, Forward, Identity, MemorySection, ModelSection, OperatorRow, ProfileSection, Report, RunRow,
    SCHEMA_VERSION, STATUS, Simulation, Totals, UnitSection, grouped, table,
};
use crate::setup::Setup;
use crate::source::{DEFAULT_TOKENS, Source, check_length};
use crate::verify::{Interruptible, Recorder, Selection, Verified, threads, verify};
use crate::{html, html_plots};

/// Simulated cycles a second of one thread, for estimates.
const ESTIMATED_SPEED: f64 = 0.5e6;

/// Runs the command; `command` is what was typed.
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
    eprintln!("seed {}: {}", args.model.seed, job.announcement());
    let journal = args.journal.as_deref().map(|path| Journal::open(path, &Header::new(job.identity(), args.shard)));
    let (journal, resumed) = journal.transpose()?.unzip();
    let resumed: Vec<Outcome> = resumed.unwrap_or_default();
    if !resumed.is_empty() {
        eprintln!("{} of {} runs are in the journal", resumed.len(), job.runs_here().len());
    }

    let progress = Progress::new("verifying", job.ideal_cycles());
    progress.advance(resumed.iter().map(|o| job.outcome_ideal(o)).sum());
    let memory = AtomicU64::new(0);
    let done = |outcome: &Outcome| {
        progress.advance(job.outcome_ideal(outcome));
        memory.fetch_max(machine::anonymous_bytes().unwrap_or(0), Ordering::Relaxed);
        journal.as_ref().map_or(Ok(()), |journal| journal.add(outcome))
    };
    let trace = args.trace.as_deref().map_or(Trace::Off, Trace::for_path);
    let mut pass = Pass { dump: Dump::new(outputs.dump.is_some()), conflict: None, seconds: 0.0 };
    let selection = job.selection(&resumed);
    let verified = verify(
        &job.bench(&outputs),
        job.jobs,
        || job.setup.unit.build(trace, &progress),
        done,
        |queue| job.produce(Recorder::new(queue, selection), &mut pass),
    );
    progress.finish();
    if let (Some(run), Some(journal)) = (&pass.conflict, &journal) {
        return Err(journal.conflict(run));
    }
    let Verified { produced, mut outcomes, library } = verified;
    let simulated = outcomes.len();
    let simulation = Simulation {
        resumed_runs: resumed.len(),
        golden_s: pass.seconds,
        peak_anonymous_bytes: Some(memory.into_inner()).filter(|bytes| *bytes > 0),
        ..job.simulation(&outcomes, library.as_ref(), started)
    };
    outcomes.extend(resumed);
    outcomes.sort_by_key(|outcome| outcome.index);
    let report = |forward, complete| job.report(command, &outcomes, forward, simulation, complete);
    let forward = match produced {
        Ok(forward) => forward,
        Err(failure) if failure.exit == Exit::Interrupted && simulated > 0 => {
            let report = report(None, false);
            let mut place =
                args.journal.as_ref().map_or(String::new(), |j| format!("; go on with --journal {}", j.display()));
            if let Some(target) = &outputs.json.file {
                target.write(report.json().as_bytes())?;
                place += "; partial report written";
            }
            let (seen, all) = (outcomes.len(), job.runs_here().len());
            return Err(Failure::new(Exit::Interrupted, format!("interrupted: {seen} of {all} runs verified{place}")));
        }
        Err(failure) => return Err(failure.repeat_with(&job.repeatable(command))),
    };
    let found: Vec<usize> = outcomes.iter().map(|o| o.index).collect();
    if found != job.runs_here() {
        let message = format!("runs {found:?} were compared, {:?} were to be", job.runs_here());
        return Err(Failure::new(Exit::Internal, message));
    }
    let report = report(Some(forward), true);
    if let Some(target) = &outputs.dump {
        let names = job.linears.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
        let mismatches = report.totals.mismatches;
        let about = format!("{}; compared with the RTL: {names}; {mismatches} mismatches", job.what());
        target.write(&pass.dump.serialize(about)?)?;
    }
    outputs.put_page(&report)?;
    outputs.json.put(&report.json(), &report.text())?;
    if report.totals.mismatches == 0 {
        return Ok(Exit::Ok);
    }
    eprint!("{}", Mismatches::of(&report, args.trace.is_none()).tell());
    Ok(Exit::Mismatch)
}

/// Files to be written, known to be writable.
struct Outputs {
    json: JsonOutput,
    html: Option<Target>,
    svgs: Vec<(&'static str, Target)>,
    dump: Option<Target>,
    trace: Option<TraceRequest>,
}

impl Outputs {
    fn new(args: &LayerArgs) -> Result<Self, Failure> {
        let target =
            |flag, path: &Option<std::path::PathBuf>| path.as_deref().map(|path| Target::new(flag, path)).transpose();
        let json = JsonOutput::new(args.json.as_deref())?;
        let trace = target("--trace", &args.trace)?;
        let trace = trace.map(|target| TraceRequest { target, from: args.trace_from, cycles: args.trace_cycles });
        let html = target("--html", &args.html)?;
        let svgs = args.svg.as_deref().map_or(Ok(vec![]), |folder| {
            let refuse = |e: std::io::Error| Failure::usage(format!("--svg {}: {}", folder.display(), e.kind()));
            std::fs::create_dir_all(folder).map_err(refuse)?;
            let file = |name| Ok((name, Target::new("--svg", &folder.join(format!("{name}.svg")))?));
            html_plots::NAMES.into_iter().map(file).collect::<Result<Vec<_>, Failure>>()
        })?;
        Ok(Self { json, html, svgs, dump: target("--dump", &args.dump)?, trace })
    }

    /// The page and its pictures, if they were asked for.
    fn put_page(&self, report: &Report) -> Result<(), Failure> {
        let Some(target) = &self.html else { return Ok(()) };
        let (page, plots) = html::page(report);
        target.write(page.as_bytes())?;
        let named = |name: &str| plots.iter().find(|(n, _)| *n == name);
        let pictures = self.svgs.iter().filter_map(|(name, target)| Some((target, &named(name)?.1)));
        Ok(pictures.into_iter().try_for_each(|(target, svg)| target.write(svg.as_bytes()))?)
    }
}

/// What a forward pass leaves behind besides its result.
struct Pass {
    dump: Dump,
    conflict: Option<String>,
    seconds: f64,
}

/// A command, checked and resolved.
struct Job<'a> {
    args: &'a LayerArgs,
    source: Source,
    /// The only layer, or all of them.
    layers: Range<usize>,
    /// The prompt; invented hidden states have none.
    ids: Option<Vec<u32>>,
    tokens: usize,
    /// In the order they execute.
    linears: Vec<Linear>,
    setup: Setup,
    baseline: Baseline,
    inputs: Inputs,
    build: BuildSection,
    jobs: usize,
}

impl<'a> Job<'a> {
    fn new(args: &'a LayerArgs) -> Result<Self, Failure> {
        if args.layer.is_none() && !args.all_layers {
            return Err(Failure::usage(
                "--layer N says which decoder layer to run, for instance --layer 14, and --all-layers runs them all; \
                 see --help",
            ));
        }
        if args.unit.inject.is_some() && args.journal.is_some() {
            return Err(Failure::usage(
                "--inject commits its fault in the first run, which a journal may have: leave one out",
            ));
        }
        let setup = Setup::new(&args.unit)?;
        let source = Source::open(&args.model)?;
        let config = source.weights().config();
        let layers = match args.layer {
            Some(layer) => config.check_layer(layer)?..layer + 1,
            None => 0..config.num_hidden_layers,
        };
        let (ids, tokens) = match &source {
            Source::Synthetic(_) if !args.all_layers => {
                if !args.model.prompt_ids.is_empty() {
                    return Err(Failure::usage("--prompt-ids: an invented layer has no prompt; give --model too"));
                }
                let tokens = args.tokens.unwrap_or(DEFAULT_TOKENS);
                check_length(config, tokens)?;
                (None, tokens)
            }
            source => {
                let ids = source.prompt(&args.model.prompt_ids, args.tokens)?;
                let tokens = ids.len();
                (Some(ids), tokens)
            }
        };
        let chosen = |l: &Linear| args.operators.is_empty() || args.operators.contains(l);
        let linears: Vec<Linear> = Linear::ALL.into_iter().filter(chosen).collect();
        setup.check(config, &linears)?;
        let given: Vec<CpuProfile> =
            args.cpu_profile.iter().map(|path| CpuProfile::load(path)).collect::<Result<_, _>>()?;
        let profiles: Vec<CpuProfile> = std::iter::once(CpuProfile::builtin()).chain(given).collect();
        let beside = |(i, p): (usize, &CpuProfile)| CpuBaseline::new(p, i == 0, config, layers.clone());
        let inputs =
            Inputs { vocab_size: config.vocab_size, baselines: profiles.iter().enumerate().map(beside).collect() };
        let builtin = profiles.len() == 1;
        let profile = profiles.into_iter().nth(usize::from(!builtin)).expect("there is the built-in one at least");
        let baseline = Baseline::new(profile, builtin, config, layers.clone(), tokens);
        let build = BuildSection::current()?;
        let mut job = Self { args, source, layers, ids, tokens, linears, setup, baseline, inputs, build, jobs: 1 };
        let runs = job.runs_here().len();
        if runs == 0 {
            return Err(Failure::usage(format!("--shard: only {} runs to share out", job.runs_in_all())));
        }
        job.jobs = args.unit.jobs.unwrap_or_else(threads).min(runs);
        Ok(job)
    }

    fn config(&self) -> &ModelConfig {
        self.source.weights().config()
    }

    fn what(&self) -> String {
        self.args.layer.map_or("all layers".into(), |layer| format!("layer {layer}"))
    }

    fn announcement(&self) -> String {
        let whose = if self.args.model.prompt_ids.is_empty() { "default prompt" } else { "prompt" };
        let ids = self.ids.as_ref().map(|ids| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
        self.source.announcement() + &ids.map_or(String::new(), |ids| format!("; {whose} {ids}"))
    }

    /// `command` with the seed in it.
    fn repeatable(&self, command: &str) -> String {
        let seeded = command.split(' ').any(|a| a == "--seed" || a.starts_with("--seed="));
        if seeded { command.into() } else { format!("{command} --seed {}", self.args.model.seed) }
    }

    /// The groups of a layer that have chosen operators.
    fn groups(&self) -> Vec<Vec<Linear>> {
        let chosen = |group: &&[Linear]| group.iter().copied().filter(|l| self.linears.contains(l)).collect();
        let groups: Vec<Vec<Linear>> = Linear::GROUPS.iter().map(chosen).collect();
        groups.into_iter().filter(|group| !group.is_empty()).collect()
    }

    fn runs_in_all(&self) -> usize {
        self.groups().len() * self.layers.len()
    }

    /// Numbers of the runs that are to be verified.
    fn runs_here(&self) -> Vec<usize> {
        (0..self.runs_in_all())
            .filter(|run| self.args.shard.is_none_or(|shard| shard.takes(*run, self.runs_in_all())))
            .collect()
    }

    /// Layer and operators of the runs that are to be verified.
    fn operators_here(&self) -> impl Iterator<Item = (usize, Linear)> {
        let groups = self.groups();
        let runs =
            self.runs_here().into_iter().map(move |run| (run / groups.len(), groups[run % groups.len()].clone()));
        runs.flat_map(move |(layer, group)| group.into_iter().map(move |l| (self.layers.start + layer, l)))
    }

    fn selection(&self, resumed: &[Outcome]) -> Selection {
        let done: HashMap<usize, String> = resumed.iter().map(|o| (o.index, o.sha256.clone())).collect();
        Selection { linears: self.linears.clone(), shard: self.args.shard.map(|s| (s, self.runs_in_all())), done }
    }

    fn bench(&self, outputs: &Outputs) -> Bench {
        Bench { trace: outputs.trace.clone(), ..self.setup.bench(self.args.model.seed, self.args.unit.inject) }
    }

    fn shape(&self, linear: Linear) -> (usize, usize) {
        (linear.out_features(self.config()), linear.in_features(self.config()))
    }

    fn operator_ideal(&self, linear: Linear) -> u64 {
        self.setup.ideal_cycles(self.config(), linear, self.tokens)
    }

    fn outcome_ideal(&self, outcome: &Outcome) -> u64 {
        outcome.operators.iter().map(|o| self.operator_ideal(o.linear)).sum()
    }

    fn ideal_cycles(&self) -> u64 {
        self.operators_here().map(|(_, l)| self.operator_ideal(l)).sum()
    }

    /// The forward pass, on golden's arithmetic; its products go through `recorder`.
    fn produce(&self, mut recorder: Recorder, pass: &mut Pass) -> Result<Forward, Failure> {
        let started = Instant::now();
        let result = self.forward(&mut recorder, &mut pass.dump);
        pass.seconds = started.elapsed().as_secs_f64();
        pass.conflict = recorder.conflict().map(Into::into);
        result
    }

    fn forward(&self, recorder: &mut Recorder, dump: &mut Dump) -> Result<Forward, Failure> {
        let (source, dtype) = (self.source.weights(), Dtype::from(self.args.model.dtype));
        if let (None, Some(ids)) = (self.args.layer, &self.ids) {
            let logits = Model::new(source, dtype).forward(ids, recorder, dump)?;
            let last = logits.row(logits.nrows() - 1).to_vec();
            let next_token = Sampler::greedy().next(&last)?;
            return Ok(Forward { sha256: sha256(&logits), next_token: Some(next_token) });
        }
        let layer = self.layers.start;
        let hidden = match (&self.source, &self.ids) {
            (Source::Synthetic(synthetic), _) => synthetic.hidden(layer, self.tokens)?,
            (_, ids) => {
                let ids = ids.as_deref().unwrap_or_default();
                hidden_entering_layer(layer, ids, dtype, source, &mut Interruptible)?
            }
        };
        let weights = source.layer(layer)?;
        let decoder = DecoderLayer::new(source.config(), layer, &weights);
        let hidden = decoder.forward(&hidden, &mut KvCache::new(), dtype, recorder, dump)?;
        Ok(Forward { sha256: sha256(&hidden), next_token: None })
    }

    fn simulation(&self, outcomes: &[Outcome], library: Option<&ModelLibrary>, started: Instant) -> Simulation {
        let simulated_cycles = outcomes.iter().map(|o| o.simulated_cycles).sum();
        let seconds: f64 = outcomes.iter().map(|o| o.seconds).sum();
        Simulation {
            wall_s: started.elapsed().as_secs_f64(),
            cycles_per_second: cycles_per_second(simulated_cycles, seconds),
            simulated_cycles,
            jobs: self.jobs,
            resumed_runs: 0,
            golden_s: 0.0,
            peak_resident_bytes: machine::peak_resident_bytes(),
            peak_anonymous_bytes: None,
            model_build_s: library.map_or(0.0, ModelLibrary::build_seconds),
            model_cached: library.is_some_and(ModelLibrary::was_cached),
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            build: self.build.clone(),
            seed: self.args.model.seed,
            model: self.model_section(),
            unit: self.setup.unit_section(),
            memory: self.setup.memory_section(),
            selected: self.linears.clone(),
            inject: self.args.unit.inject,
        }
    }

    fn model_section(&self) -> ModelSection {
        self.source.section(&self.args.model, self.args.layer, self.tokens, self.ids.as_deref())
    }

    fn report(
        &self,
        command: &str,
        outcomes: &[Outcome],
        forward: Option<Forward>,
        simulation: Simulation,
        complete: bool,
    ) -> Report {
        let operators: Vec<OperatorRow> = outcomes.iter().flat_map(|outcome| self.operator_rows(outcome)).collect();
        let runs = outcomes.iter().map(|o| RunRow {
            index: o.index,
            layer: o.layer,
            operators: o.operators.iter().map(|o| o.linear).collect(),
            busy_cycles: o.busy_cycles,
            ports: o.ports.clone(),
        });
        let cpu_profile = ProfileSection {
            provenance: self.baseline.provenance(),
            not_comparable: self.baseline.refusal().map(Into::into),
            nonlinear_ms_a_layer: self.baseline.nonlinear_ms(),
        };
        let (identity, overhead) = (self.identity(), self.args.driver_overhead_us);
        let totals = Totals::of(&operators, outcomes.len(), &cpu_profile, &identity, overhead);
        Report {
            schema_version: SCHEMA_VERSION,
            command: self.repeatable(command),
            identity,
            shard: self.args.shard,
            complete,
            runs_in_all: self.runs_in_all(),
            cpu_profile,
            injected: outcomes.iter().find_map(|o| o.injected.clone()),
            assumptions: self.assumptions(),
            operators,
            totals,
            runs: runs.collect(),
            differences: outcomes.iter().flat_map(|o| differences(o, self.setup.unit.max_tokens())).collect(),
            forward,
            projection_inputs: Some(self.inputs.clone()),
            projection: None,
            simulation,
            status: STATUS.into(),
        }
        .projected()
    }

    fn operator_rows(&self, outcome: &Outcome) -> Vec<OperatorRow> {
        let cycles: Vec<u64> = outcome.operators.iter().map(|o| o.cycles).collect();
        let stalls = share_out(outcome.ports.iter().map(|p| p.stalls()).sum(), &cycles);
        let rows = outcome.operators.iter().zip(stalls).map(|(o, stall_cycles)| {
            let (out_features, in_features) = self.shape(o.linear);
            let fpga_ms = milliseconds(o.cycles, self.setup.clock_mhz);
            let cpu_ms = self.baseline.linear_ms(o.linear, outcome.layer);
            OperatorRow {
                layer: outcome.layer,
                name: o.linear,
                in_features,
                out_features,
                tokens: self.tokens,
                outputs: o.outputs,
                mismatches: o.mismatches,
                cycles: o.cycles,
                ideal_cycles: self.operator_ideal(o.linear),
                stall_cycles,
                weight_bytes: weight_bytes(&self.setup.unit, out_features, in_features),
                fpga_ms,
                cpu_ms,
                speedup: cpu_ms.map(|cpu| cpu / fpga_ms),
            }
        });
        rows.collect()
    }

    fn assumptions(&self) -> Vec<String> {
        let mut lines = self.setup.assumptions();
        lines.push(format!(
            "weights are in memory; driver calls ({} us each assumed, {} to {} seen in published systems) are not in the \
             table",
            self.args.driver_overhead_us, DRIVER_OVERHEAD_BAND_US[0], DRIVER_OVERHEAD_BAND_US[1],
        ));
        if self.linears.len() == Linear::ALL.len() && self.baseline.nonlinear_ms().is_some() {
            lines.push(
                "norms, attention and activation as timed on that CPU; the board's own core is slower. Output head and \
                 embedding are not part of a layer"
                    .into(),
            );
        }
        lines.extend(self.baseline.caveats());
        lines
    }

    /// What would be done. Writes nothing, builds nothing.
    fn print_plan(&self) -> Result<Exit, Failure> {
        let bench = self.setup.bench(self.args.model.seed, None);
        let operators = self.operators_here().map(|(layer, l)| {
            let (out_features, in_features) = self.shape(l);
            PlannedOperator {
                layer,
                name: l,
                in_features,
                out_features,
                tokens: self.tokens,
                outputs: out_features * self.tokens,
                weight_bytes: weight_bytes(&self.setup.unit, out_features, in_features),
                ideal_cycles: self.operator_ideal(l),
            }
        });
        let groups = self.groups();
        let images = groups.iter().map(|group| bench.memory_bytes(group.iter().map(|l| self.shape(*l)), self.tokens));
        let largest = images.max().unwrap_or_default();
        let ideal_cycles = self.ideal_cycles();
        let plan = Plan {
            schema_version: SCHEMA_VERSION,
            dry_run: true,
            model: self.model_section(),
            unit: self.setup.unit_section(),
            memory: self.setup.memory_section(),
            operators: operators.collect(),
            driver_calls: self.runs_here().len(),
            ideal_cycles,
            jobs: self.jobs,
            // Runs do not share out evenly, and a memory model adds cycles.
            estimated_simulation_s: 1.3 * ideal_cycles as f64 / ESTIMATED_SPEED / self.jobs as f64,
            device_memory_bytes: largest * self.jobs,
        };
        // Not as a report: a file that --json names is neither tried nor written.
        print(&if on_stdout(self.args.json.as_deref()) { pretty(&plan) } else { plan.text() })?;
        Ok(Exit::Ok)
    }
}

/// SHA-256 of values as little-endian fp32.
fn sha256(values: &Array2<f32>) -> String {
    let mut hash = Sha256::new();
    values.iter().for_each(|x| hash.update(x.to_le_bytes()));
    hex(hash)
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
    name: Linear,
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
        // Layers are alike: one stands for all.
        let mut seen = HashSet::new();
        for o in self.operators.iter().filter(|o| seen.insert(o.name)) {
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
            "Plan for {} of {}\n{table}\n{} operators, {} runs of the unit, {} ideal cycles, about {:.1} s of simulation on {} threads, \
             {} MB of device memory; nothing was built or written\n",
            self.model.layer.map_or("all layers".into(), |layer| format!("layer {layer}")),
            self.model.description,
            self.operators.len(),
            self.driver_calls,
            grouped(self.ideal_cycles),
            self.estimated_simulation_s,
            self.jobs,
            self.device_memory_bytes.div_ceil(1_000_000),
        )
    }
}
