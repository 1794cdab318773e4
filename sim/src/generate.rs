//! The generate command: tokens, with every BitLinear on the unit or on the CPU alone.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use golden::Dtype;
use host::config::Linear;
use host::generate::{Limits, Pass, generate};
use host::layer::TernaryBackend;
use host::machine;
use host::model::{Model, int8_head};
use host::program::{pretty, print};
use host::resident::Resident;
use host::sampler::{Sampler, Sampling};
use host::text::{self, Message, Role, Tokenizer};
use host::weights::WeightSource;
use serde::Serialize;
use verilated::Trace;

use crate::bench::Outcome;
use crate::cli::{DeviceKind, GenerateArgs, HeadKind};
use crate::clock::cycles_per_second;
use crate::exit::{Exit, Failure, check_interrupt};
use crate::mismatch::{Mismatches, differences};
use crate::output::{JsonOutput, Progress};
use crate::projection::milliseconds;
use crate::report::{
    BuildSection, Difference, MemorySection, ModelSection, SCHEMA_VERSION, STATUS, UnitSection, grouped, share, table,
    verdict,
};
use crate::setup::Setup;
use crate::source::{Source, check_length};
use crate::verify::{Interruptible, Recorder, Selection, Verified, threads, verify};

/// Runs the command; `command` is what was typed.
///
/// # Errors
/// Whatever keeps tokens from being generated or outputs from being compared.
pub fn run(args: &GenerateArgs, command: &str) -> Result<Exit, Failure> {
    let started = Instant::now();
    let job = Job::new(args)?;
    let json = JsonOutput::new(args.json.as_deref())?;
    eprintln!("seed {}: {}", args.model.seed, job.source.announcement());
    let mut writer = Writer { tokenizer: job.tokenizer.as_ref(), stream: None, any: false, quiet: json.on_stdout };
    let mut generated = Generated::default();
    let verified = match args.device {
        DeviceKind::Golden => {
            job.generate(&mut Interruptible, &mut writer, &mut generated)?;
            None
        }
        DeviceKind::Rtl => Some(job.verify(command, &mut writer, &mut generated)?),
    };
    writer.end()?;
    check_interrupt()?;
    let report = job.report(command, generated, verified, started)?;
    json.put(&pretty(&report), &report.text())?;
    match &report.verification {
        Some(v) if v.mismatches > 0 => {
            let told = Mismatches {
                differences: &v.differences,
                count: v.mismatches,
                injected: v.injected.as_deref(),
                command: &report.command,
                waveform_of: None,
            };
            eprint!("{}", told.tell());
            Ok(Exit::Mismatch)
        }
        _ => Ok(Exit::Ok),
    }
}

/// A command, checked and resolved.
struct Job<'a> {
    args: &'a GenerateArgs,
    setup: Setup,
    source: Source,
    tokenizer: Option<Tokenizer>,
    prompt: Vec<u32>,
    limits: Limits,
    sampler: Sampler,
    build: BuildSection,
    jobs: usize,
}

/// What the forward passes gave.
#[derive(Default)]
struct Generated {
    passes: Vec<Pass>,
    head_bytes: u64,
    plane_bytes: u64,
    /// Measured before and after, in bytes a second.
    read_bandwidth: Option<f64>,
    /// Most memory that belongs to no file, in bytes.
    anonymous: Option<u64>,
}

impl<'a> Job<'a> {
    fn new(args: &'a GenerateArgs) -> Result<Self, Failure> {
        let setup = Setup::new(&args.unit)?;
        let source = Source::open(&args.model)?;
        let tokenizer = args.model.model.as_deref().map(Tokenizer::open).transpose()?.flatten();
        let prompt = match (&args.prompt, &tokenizer) {
            (None, _) => source.prompt(&args.model.prompt_ids, None)?,
            (Some(_), None) if !text::AVAILABLE => {
                return Err(Failure::usage(
                    "--prompt: this build has no tokenizers; cargo run -p sim --features text -- generate ... has, and \
                     --prompt-ids takes token ids",
                ));
            }
            (Some(_), None) => {
                return Err(Failure::usage(
                    "--prompt: the checkpoint has no tokenizer.json; --prompt-ids takes token ids",
                ));
            }
            (Some(text), Some(tokenizer)) if args.chat => {
                let text = tokenizer.chat(&[Message::new(Role::User, text)], true)?;
                source.prompt(&tokenizer.encode(&text)?, None)?
            }
            (Some(text), Some(tokenizer)) => {
                let bos = source.weights().config().bos_token_id;
                let ids: Vec<u32> = bos.into_iter().chain(tokenizer.encode(text)?).collect();
                source.prompt(&ids, None)?
            }
        };
        let config = source.weights().config();
        check_length(config, prompt.len() + args.tokens)?;
        setup.check(config, &Linear::ALL)?;
        let stop = if args.ignore_eos { vec![] } else { config.eos_token_ids.clone() };
        let sampler = match args.temperature {
            None => Sampler::greedy(),
            Some(temperature) => {
                let top_p = args.top_p.unwrap_or(1.0);
                Sampler::seeded(Sampling { temperature, top_k: args.top_k, top_p }, args.model.seed)?
            }
        };
        let jobs = args.unit.jobs.unwrap_or_else(threads);
        let limits = Limits { tokens: args.tokens, stop };
        let build = match (args.device, BuildSection::current()) {
            // The CPU alone does without.
            (DeviceKind::Golden, Err(_)) => BuildSection::without_rtl(),
            (_, build) => build?,
        };
        Ok(Self { args, setup, source, tokenizer, prompt, limits, sampler, build, jobs })
    }

    /// The tokens, on golden's arithmetic; ternary products come from `backend`.
    fn generate(
        &self,
        backend: &mut dyn TernaryBackend,
        writer: &mut Writer<'_>,
        generated: &mut Generated,
    ) -> Result<(), Failure> {
        let resident = Resident::new(self.source.weights());
        let config = resident.config();
        let mut model = Model::new(&resident, Dtype::from(self.args.model.dtype));
        generated.plane_bytes = plane_bytes(config);
        let head_values = (config.vocab_size * config.hidden_size) as u64;
        generated.head_bytes = head_values * 2;
        // Read before the first pass, so that the passes are timed and not the reading.
        for layer in 0..config.num_hidden_layers {
            resident.layer(layer)?;
            check_interrupt()?;
        }
        if self.args.head == HeadKind::Int8 {
            model.set_int8_head(Arc::new(int8_head(self.source.weights())?));
            generated.head_bytes = head_values;
        } else {
            resident.head(0..config.vocab_size)?;
        }
        let alone = self.args.device == DeviceKind::Golden;
        generated.read_bandwidth = if alone { resident.read_bandwidth() } else { None };
        let mut write_error = None;
        let result =
            generate(&mut model, &self.prompt, &self.limits, &mut self.sampler.clone(), backend, &mut |pass| {
                generated.passes.push(*pass);
                generated.anonymous = generated.anonymous.max(machine::anonymous_bytes());
                if let Err(failure) = writer.token(pass.next) {
                    write_error.get_or_insert(failure);
                }
                Ok(())
            });
        result?;
        let after = resident.read_bandwidth().filter(|_| alone);
        generated.read_bandwidth = generated.read_bandwidth.zip(after).map(|(a, b)| a.max(b));
        write_error.map_or(Ok(()), Err)
    }

    /// The same with every product verified on the unit.
    fn verify(
        &self,
        command: &str,
        writer: &mut Writer<'_>,
        generated: &mut Generated,
    ) -> Result<Verification, Failure> {
        let config = self.source.weights().config();
        let ideal = |tokens| Linear::ALL.map(|l| self.setup.ideal_cycles(config, l, tokens)).iter().sum::<u64>();
        let layers = config.num_hidden_layers as u64;
        let passes = ideal(self.prompt.len()) + ideal(1) * (self.limits.tokens as u64 - 1);
        let progress = Progress::new("verifying", passes * layers);
        let tokens = |outcome: &Outcome| if outcome.pass == 0 { self.prompt.len() } else { 1 };
        let ideal_of = |outcome: &Outcome| -> u64 {
            outcome.operators.iter().map(|o| self.setup.ideal_cycles(config, o.linear, tokens(outcome))).sum()
        };
        let bench = self.setup.bench(self.args.model.seed, self.args.unit.inject);
        let verified = verify(
            &bench,
            self.jobs,
            || self.setup.unit.build(Trace::Off, &progress),
            |outcome| {
                progress.advance(ideal_of(outcome));
                Ok(())
            },
            |queue| {
                let selection = Selection { linears: Linear::ALL.to_vec(), ..Selection::default() };
                let mut recorder = Recorder::new(queue, selection);
                self.generate(&mut recorder, writer, generated).map(|()| recorder.runs())
            },
        );
        progress.finish();
        let Verified { produced, outcomes, library } = verified;
        let runs = produced.map_err(|failure| failure.repeat_with(command))?;
        if outcomes.len() != runs {
            let message = format!("{} runs were compared, {runs} were to be", outcomes.len());
            return Err(Failure::new(Exit::Internal, message));
        }
        let cycles_of = |o: &Outcome| o.operators.iter().map(|o| o.cycles).sum::<u64>();
        let passes = outcomes.chunk_by(|a, b| a.pass == b.pass).map(|pass| VerifiedPass {
            operators: pass.iter().map(|o| o.operators.len()).sum(),
            outputs: pass.iter().flat_map(|o| &o.operators).map(|o| o.outputs).sum(),
            mismatches: pass.iter().flat_map(|o| &o.operators).map(|o| o.mismatches).sum(),
            cycles: pass.iter().map(cycles_of).sum(),
            ideal_cycles: pass.iter().map(ideal_of).sum(),
            linear_fpga_ms: milliseconds(pass.iter().map(cycles_of).sum(), self.setup.clock_mhz),
        });
        let passes: Vec<VerifiedPass> = passes.collect();
        let simulated: u64 = outcomes.iter().map(|o| o.simulated_cycles).sum();
        let seconds: f64 = outcomes.iter().map(|o| o.seconds).sum();
        Ok(Verification {
            rtl_sha256: self.build.rtl_sha256.clone(),
            unit: self.setup.unit_section(),
            memory: self.setup.memory_section(),
            operators: passes.iter().map(|p| p.operators).sum(),
            outputs: passes.iter().map(|p| p.outputs).sum(),
            mismatches: passes.iter().map(|p| p.mismatches).sum(),
            cycles: passes.iter().map(|p| p.cycles).sum(),
            ideal_cycles: passes.iter().map(|p| p.ideal_cycles).sum(),
            passes,
            differences: outcomes.iter().flat_map(|o| differences(o, self.setup.unit.max_tokens())).collect(),
            injected: outcomes.iter().find_map(|o| o.injected.clone()),
            simulated_cycles: simulated,
            cycles_per_second: cycles_per_second(simulated, seconds),
            jobs: self.jobs,
            model_cached: library.is_some_and(|library| library.was_cached()),
            assumptions: self.setup.assumptions(),
        })
    }

    fn report(
        &self,
        command: &str,
        generated: Generated,
        verification: Option<Verification>,
        started: Instant,
    ) -> Result<Report, Failure> {
        let ids: Vec<u32> = generated.passes.iter().map(|pass| pass.next).collect();
        let text = self.tokenizer.as_ref().map(|tokenizer| tokenizer.decode(&ids)).transpose()?;
        let seconds = |passes: &[Pass]| -> Vec<f64> { passes.iter().map(|p| p.time.as_secs_f64()).collect() };
        let (prefill, decode) = generated.passes.split_at(1.min(generated.passes.len()));
        let decode_s = median(seconds(decode));
        let bytes = generated.plane_bytes + generated.head_bytes;
        Ok(Report {
            schema_version: SCHEMA_VERSION,
            command: command.into(),
            build: self.build.clone(),
            seed: self.args.model.seed,
            model: self.source.section(&self.args.model, None, self.prompt.len(), Some(&self.prompt)),
            stopped: ids.last().is_some_and(|id| self.limits.stop.contains(id)),
            generated_ids: ids,
            text,
            cpu: CpuTimes {
                threads: threads(),
                prefill_s: prefill.first().map_or(0.0, |pass| pass.time.as_secs_f64()),
                decode_s_a_token: decode_s,
                tokens_per_second: decode_s.map(|s| 1.0 / s),
                plane_bytes: generated.plane_bytes,
                head_bytes: generated.head_bytes,
                gb_per_second: decode_s.map(|s| bytes as f64 / s / 1e9),
                read_bandwidth_gb_per_second: generated.read_bandwidth.map(|b| b / 1e9),
                beside_simulation: verification.is_some(),
            },
            verification,
            wall_s: started.elapsed().as_secs_f64(),
            peak_resident_bytes: machine::peak_resident_bytes(),
            peak_anonymous_bytes: generated.anonymous,
            status: STATUS.into(),
        })
    }
}

/// Bytes of the bit planes of all linears.
fn plane_bytes(config: &host::config::ModelConfig) -> u64 {
    let of = |l: &Linear| 2 * 8 * l.out_features(config) * l.in_features(config).div_ceil(golden::ternary::WORD);
    (Linear::ALL.iter().map(of).sum::<usize>() * config.num_hidden_layers) as u64
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Shows tokens as they come: text if there is a tokenizer, else ids.
struct Writer<'a> {
    tokenizer: Option<&'a Tokenizer>,
    stream: Option<host::text::TextStream<'a>>,
    any: bool,
    quiet: bool,
}

impl Writer<'_> {
    fn token(&mut self, id: u32) -> Result<(), Failure> {
        let text = match self.tokenizer {
            Some(tokenizer) => self.stream.get_or_insert_with(|| tokenizer.stream()).push(id)?,
            None if self.any => format!(" {id}"),
            None => id.to_string(),
        };
        self.any = true;
        self.show(&text)
    }

    fn end(mut self) -> Result<(), Failure> {
        let rest = self.stream.take().map(|stream| stream.finish()).transpose()?.unwrap_or_default();
        if self.any { self.show(&(rest + "\n\n")) } else { Ok(()) }
    }

    fn show(&self, text: &str) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        print(text)?;
        // Half a line is not shown otherwise.
        let _ = io::stdout().flush();
        Ok(())
    }
}

/// Everything a generation found out.
#[derive(Serialize)]
struct Report {
    schema_version: u32,
    command: String,
    build: BuildSection,
    seed: u64,
    model: ModelSection,
    generated_ids: Vec<u32>,
    text: Option<String>,
    /// Whether the last token is one that ends a text.
    stopped: bool,
    cpu: CpuTimes,
    verification: Option<Verification>,
    wall_s: f64,
    /// Mapped files included.
    peak_resident_bytes: Option<u64>,
    /// Without mapped files, sampled after each pass.
    peak_anonymous_bytes: Option<u64>,
    status: String,
}

/// What golden's arithmetic took on this machine.
#[derive(Serialize)]
struct CpuTimes {
    threads: usize,
    prefill_s: f64,
    /// Median over the passes of one token.
    decode_s_a_token: Option<f64>,
    tokens_per_second: Option<f64>,
    /// Bytes of weights that a token reads.
    plane_bytes: u64,
    /// Bytes of the output head that a token reads.
    head_bytes: u64,
    gb_per_second: Option<f64>,
    /// What the same threads read from memory when they do nothing else.
    read_bandwidth_gb_per_second: Option<f64>,
    /// Simulation was running at the same time, so these are no measurements of the CPU alone.
    beside_simulation: bool,
}

/// What the unit did.
#[derive(Serialize)]
struct Verification {
    rtl_sha256: String,
    unit: UnitSection,
    memory: MemorySection,
    operators: usize,
    outputs: usize,
    mismatches: usize,
    cycles: u64,
    ideal_cycles: u64,
    passes: Vec<VerifiedPass>,
    differences: Vec<Difference>,
    injected: Option<String>,
    simulated_cycles: u64,
    cycles_per_second: f64,
    jobs: usize,
    model_cached: bool,
    assumptions: Vec<String>,
}

/// One forward pass on the unit.
#[derive(Serialize)]
struct VerifiedPass {
    operators: usize,
    outputs: usize,
    mismatches: usize,
    cycles: u64,
    ideal_cycles: u64,
    linear_fpga_ms: f64,
}

impl Report {
    fn text(&self) -> String {
        let (m, c) = (&self.model, &self.cpu);
        let count = self.generated_ids.len();
        let ids: Vec<String> = self.generated_ids.iter().map(u32::to_string).collect();
        let why = if self.stopped { ", the last ends the text" } else { "" };
        let mut out = format!("{}; host arithmetic {}\n", m.description, m.dtype);
        out += &format!("{} prompt tokens, {count} generated{why}: {}\n", m.tokens, ids.join(" "));
        if let Some(v) = &self.verification {
            let mut table =
                table(&["pass", "operators", "outputs", "mismatches", "cycles", "of ideal", "projected ms"]);
            for (i, p) in v.passes.iter().enumerate() {
                let name = if i == 0 { format!("prompt, {} tokens", m.tokens) } else { format!("token {i}") };
                table.add_row([
                    name,
                    p.operators.to_string(),
                    grouped(p.outputs as u64),
                    grouped(p.mismatches as u64),
                    grouped(p.cycles),
                    share(p.ideal_cycles, p.cycles),
                    format!("{:.3}", p.linear_fpga_ms),
                ]);
            }
            out += &format!("{}; memory {}\n{table}\n", v.unit.describe(), v.memory.describe());
            let (operators, outputs) = (grouped(v.operators as u64), grouped(v.outputs as u64));
            out += &format!("{operators} BitLinears, {outputs} outputs, {}\n", verdict(v.mismatches));
            out += &format!(
                "Simulated {} cycles at {:.2} M cycles/s a thread, {} threads; {:.2} s in all\n\nAssumptions\n",
                grouped(v.simulated_cycles),
                v.cycles_per_second / 1e6,
                v.jobs,
                self.wall_s
            );
            v.assumptions.iter().for_each(|line| out += &format!("- {line}\n"));
            out += "- projected are the BitLinears alone: no driver calls, norms, attention or output head\n";
            return out + STATUS + "\n";
        }
        out += &format!("This CPU, {} threads: prompt {:.3} s", c.threads, c.prefill_s);
        if let (Some(s), Some(rate), Some(gb)) = (c.decode_s_a_token, c.tokens_per_second, c.gb_per_second) {
            out += &format!(
                ", then {:.1} ms a token (median), {rate:.1} tokens/s; {:.0} MB of planes and {:.0} MB of head a token, \
                 {gb:.1} GB/s",
                s * 1e3,
                c.plane_bytes as f64 / 1e6,
                c.head_bytes as f64 / 1e6,
            );
            if let Some(read) = c.read_bandwidth_gb_per_second {
                out += &format!(", {:.0}% of the {read:.1} GB/s at which it reads memory", 100.0 * gb / read);
            }
        }
        if let (Some(all), Some(own)) = (self.peak_resident_bytes, self.peak_anonymous_bytes) {
            out += &format!("; {} MB of memory, {} MB without mapped files", all / 1_000_000, own / 1_000_000);
        }
        out + "\n"
    }
}
