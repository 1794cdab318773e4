//! `sim --layer N` and `sim --all-layers`: plans, runs and reports.

mod args;
mod dump;
mod forward;
mod job;
mod nonlinear;
mod outputs;
mod plan;
mod records;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use program::console::tell;
use program::machine;
use report::export::Exporter;
use report::journal::{Header, Journal};
use report::json::Json;
use report::mismatch::Mismatches;
use report::records::{Forward, Report, Simulation};
use report::tensor;
use testbench::model;
use testbench::outcome::Outcome;
use testbench::pool::{Verified, verify};
use testbench::recorder::{Recorder, Zeros};
use verilated::Trace;

pub(crate) use args::LayerArgs;
use args::NonlinearArg;
use dump::Dump;
use forward::Pass;
use job::Job;
use outputs::Outputs;

use crate::failure::{Exit, Failure, conclude};
use crate::output::Progress;

/// Runs the command. `command` is the command line as typed.
pub(crate) fn run(args: &LayerArgs, command: &str) -> Result<Exit, Failure> {
    let started = Instant::now();
    let job = Job::new(args)?;
    if args.dry_run {
        return job.print_plan();
    }
    let outputs = Outputs::new(args)?;
    tell(format_args!("seed {}: {}", args.model.seed, job.announcement()));
    let core = job.prepare_core()?;
    let (journal, resumed) = open_journal(&job)?;
    let mut ran = execute(&job, &outputs, journal.as_ref(), resumed, started)?;
    job.source.tell_finding();
    let report = |forward, nonlinear, simulation, complete| {
        job.report(command, &ran.outcomes, (forward, &ran.zeros), nonlinear, simulation, complete)
    };
    let forward = match ran.forward {
        Ok(forward) => forward,
        Err(failure) if failure.exit == Exit::Interrupted && ran.simulated > 0 => {
            return Err(interrupted(&job, &outputs, &report(None, None, ran.simulation, false)));
        }
        Err(failure) => return Err(failure.repeat_with(&job.repeatable(command))),
    };
    check_complete(&job, &ran.outcomes)?;
    let nonlinear = match core.map(|prepared| job.nonlinear(&prepared, outputs.trace.as_ref())).transpose() {
        Ok(nonlinear) => nonlinear,
        Err(failure) if failure.exit == Exit::Interrupted => {
            ran.simulation.wall_s = started.elapsed().as_secs_f64();
            let partial = report(Some(forward), None, ran.simulation, false);
            return Err(interrupted(&job, &outputs, &partial).note("the core did not end"));
        }
        Err(failure) => {
            let unwritten = outputs.unwritten_trace();
            return Err(failure.repeat_with(&job.repeatable(command)).see_with_trace(args.trace.is_none(), unwritten));
        }
    };
    ran.simulation.wall_s = started.elapsed().as_secs_f64();
    let report = report(Some(forward), nonlinear, ran.simulation, true);
    let mut written = outputs.put(&report);
    written.push(write_dump(&job, &outputs, &ran.dump, &report));
    let waveform = args.trace.is_none() && args.nonlinear == NonlinearArg::Host;
    Ok(conclude(written, mismatches(&report, waveform)))
}

/// The outputs that differ from golden as text, if there are any. `waveform` tells whether a waveform could be made.
fn mismatches(report: &Report, waveform: bool) -> Option<String> {
    let of_unit = (report.totals.mismatches > 0).then(|| Mismatches::of(report, waveform).tell());
    let of_core = report.nonlinear.as_ref().filter(|nonlinear| nonlinear.mismatches > 0);
    let of_core = of_core.map(|nonlinear| tensor::tell(&nonlinear.differences, "on the core", &report.command));
    let texts: Vec<String> = [of_unit, of_core].into_iter().flatten().collect();
    (!texts.is_empty()).then(|| texts.concat())
}

/// Opens the journal if one is requested. Returns the journal and the runs in it.
fn open_journal(job: &Job<'_>) -> Result<(Option<Journal>, Vec<Outcome>), Failure> {
    let Some(path) = &job.args.journal else { return Ok((None, Vec::new())) };
    let (journal, resumed) = Journal::open(path, &Header::new(job.identity(), job.args.shard))?;
    if !resumed.is_empty() {
        tell(format_args!("{} of {} runs are in the journal", resumed.len(), job.runs_here().len()));
    }
    Ok((Some(journal), resumed))
}

/// The results of a forward pass and its verification.
struct Ran {
    /// All outcomes in the order of the forward pass, including the outcomes from the journal.
    outcomes: Vec<Outcome>,
    /// Number of outcomes that were simulated in this process.
    simulated: usize,
    /// The result of the forward pass, or the first failure.
    forward: Result<Forward, Failure>,
    dump: Dump,
    zeros: Vec<Zeros>,
    simulation: Simulation,
}

/// Executes the forward pass, and verifies its products on the unit at the same time.
fn execute(
    job: &Job<'_>,
    outputs: &Outputs,
    journal: Option<&Journal>,
    resumed: Vec<Outcome>,
    started: Instant,
) -> Result<Ran, Failure> {
    let progress = Progress::new("verifying", job.ideal_cycles());
    progress.advance(resumed.iter().map(|o| job.outcome_ideal(o)).sum());
    let memory = AtomicU64::new(0);
    let done = |outcome: &Outcome| {
        progress.advance(job.outcome_ideal(outcome));
        memory.fetch_max(machine::anonymous_bytes().unwrap_or(0), Ordering::Relaxed);
        Ok(journal.map_or(Ok(()), |journal| journal.add(outcome))?)
    };
    // With a core, the waveform is the core's.
    let on_host = job.args.nonlinear == NonlinearArg::Host;
    let trace = if on_host { job.trace_format() } else { Trace::Off };
    let mut pass = Pass { dump: Dump::new(outputs.dump.is_some()), conflict: None, zeros: Vec::new(), seconds: 0.0 };
    let selection = job.selection(&resumed);
    let verified: Verified<Forward, Failure> = verify(
        &job.bench(outputs.trace.clone().filter(|_| on_host)),
        job.jobs,
        || Ok(model::build(&job.setup.unit, trace, &mut |step| progress.say(step))?),
        done,
        |queue| job.produce(Recorder::new(queue, selection), &mut pass),
    );
    progress.finish();
    if let (Some(run), Some(journal)) = (&pass.conflict, journal) {
        return Err(journal.conflict(run).into());
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
    Ok(Ran { outcomes, simulated, forward: produced, dump: pass.dump, zeros: pass.zeros, simulation })
}

/// Writes the part of the report that was verified before Ctrl-C. Returns the failure with which the command ends.
fn interrupted(job: &Job<'_>, outputs: &Outputs, partial: &Report) -> Failure {
    let mut place =
        job.args.journal.as_ref().map_or(String::new(), |j| format!("; continue with --journal {}", j.display()));
    if let Some(target) = &outputs.json.file {
        place += &match target.write(Json.export(partial).as_bytes()) {
            Ok(()) => "; partial report written".into(),
            Err(error) => format!("; {error}"),
        };
    }
    let (seen, all) = (partial.runs.len(), job.runs_here().len());
    Failure::new(Exit::Interrupted, format!("interrupted: {seen} of {all} runs verified{place}"))
}

/// Checks that exactly the requested runs were compared.
fn check_complete(job: &Job<'_>, outcomes: &[Outcome]) -> Result<(), Failure> {
    let found: Vec<usize> = outcomes.iter().map(|o| o.index).collect();
    if found == job.runs_here() {
        return Ok(());
    }
    let message = format!("runs {found:?} were compared, expected {:?}", job.runs_here());
    Err(Failure::new(Exit::Internal, message))
}

/// Writes the tensors of the forward pass, if requested.
fn write_dump(job: &Job<'_>, outputs: &Outputs, dump: &Dump, report: &Report) -> Result<(), Failure> {
    let Some(target) = &outputs.dump else { return Ok(()) };
    let names = job.linears.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
    let mismatches = report.totals.mismatches;
    let about = format!("{}; compared with the RTL: {names}; {mismatches} mismatches", job.what());
    Ok(target.write(&dump.serialize(about)?)?)
}
