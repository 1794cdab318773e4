//! `sim generate`: generates tokens, with every BitLinear on the unit or on the CPU alone.

mod args;
mod choice;
mod job;
mod passes;
mod stops;
mod verification;
mod writer;

use std::time::Instant;

use bitnet::generate::Pass;
use program::console::{pretty, tell};
use program::target::Targets;
use program::{machine, pool};
use report::generation::{CpuTimes, Generation, Verification};
use report::head::OutputHead;
use report::mismatch::Mismatches;
use report::records::{SCHEMA_VERSION, STATUS};
use report::tensor;
use testbench::recorder::Interruptible;

use args::DeviceKind;
pub(crate) use args::GenerateArgs;
use job::Job;
use passes::Generated;
use writer::Writer;

use crate::failure::{Exit, Failure, check_interrupt, conclude};
use crate::output::JsonOutput;

/// Runs the command. `command` is the command line as typed.
pub(crate) fn run(args: &GenerateArgs, command: &str) -> Result<Exit, Failure> {
    let started = Instant::now();
    let job = Job::new(args)?;
    let json = JsonOutput::new(&mut Targets::default(), args.json.as_deref())?;
    tell(format_args!("seed {}: {}", args.model.seed, job.source.announcement()));
    job.remarks.iter().for_each(|remark| tell(format_args!("remark: {remark}")));
    let mut writer = Writer::new(job.tokenizer.as_ref(), json.on_stdout);
    let mut generated = Generated::default();
    let (verified, head) = job.chosen(|each| match args.device {
        DeviceKind::Golden => job.generate(&mut Interruptible, &mut writer, &mut generated, each).map(|()| None),
        DeviceKind::Rtl => job.verify(command, &mut writer, &mut generated, each).map(Some),
    })?;
    writer.end()?;
    job.source.tell_finding();
    check_interrupt()?;
    let report = report(&job, command, generated, verified, head, started)?;
    let written = json.put(&pretty(&report), &report.text());
    let verified = report.verification.as_ref().filter(|v| v.mismatches > 0);
    let products = verified.map(|v| mismatches(&report, v).tell());
    let head = report.head.as_ref().filter(|head| head.mismatches > 0);
    let tokens = head.map(|head| tensor::tell(&head.differences, "output head", &report.command));
    let told: Vec<String> = products.into_iter().chain(tokens).collect();
    Ok(conclude([written], (!told.is_empty()).then(|| told.concat())))
}

/// The outputs that differ from golden, for the user.
fn mismatches<'a>(report: &'a Generation, verification: &'a Verification) -> Mismatches<'a> {
    Mismatches {
        differences: &verification.differences,
        count: verification.mismatches,
        injected: verification.injected.as_deref(),
        command: report.command.clone(),
        waveform_of: None,
    }
}

/// The report with all results of the generation.
fn report(
    job: &Job<'_>,
    command: &str,
    generated: Generated,
    verification: Option<Verification>,
    head: Option<OutputHead>,
    started: Instant,
) -> Result<Generation, Failure> {
    let ids: Vec<u32> = generated.passes.iter().map(|pass| pass.next).collect();
    let text = job.tokenizer.as_ref().map(|tokenizer| tokenizer.decode(&ids)).transpose()?;
    let seconds = |passes: &[Pass]| -> Vec<f64> { passes.iter().map(|p| p.time.as_secs_f64()).collect() };
    let (prefill, decode) = generated.passes.split_at(1.min(generated.passes.len()));
    let decode_s = median(seconds(decode));
    let bytes = generated.plane_bytes + generated.head_bytes;
    Ok(Generation {
        schema_version: SCHEMA_VERSION,
        command: command.into(),
        build: job.build.clone(),
        seed: job.args.model.seed,
        model: job.source.section(&job.args.model, None, job.prompt.len(), Some(&job.prompt)),
        stopped: ids.last().is_some_and(|id| job.limits.stop.contains(id)),
        remarks: [job.source.remarks(), job.remarks.clone()].concat(),
        stop_tokens: job.stop_tokens.clone(),
        generated_ids: ids,
        text,
        cpu: CpuTimes {
            threads: pool::threads(),
            prefill_s: prefill.first().map_or(0.0, |pass| pass.time.as_secs_f64()),
            decode_s_a_token: decode_s,
            tokens_per_second: decode_s.map(|s| 1.0 / s),
            plane_bytes: generated.plane_bytes,
            head_bytes: generated.head_bytes,
            gb_per_second: decode_s.map(|s| bytes as f64 / s / 1e9),
            read_bandwidth_gb_per_second: generated.read_bandwidth.map(|b| b / 1e9),
            beside_simulation: verification.is_some() || head.is_some(),
        },
        verification,
        head,
        wall_s: started.elapsed().as_secs_f64(),
        peak_resident_bytes: machine::peak_resident_bytes(),
        peak_anonymous_bytes: generated.anonymous,
        status: STATUS.into(),
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
