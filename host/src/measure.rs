//! The command `host profile`: measures, prints and writes a profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use bitnet::checkpoint::Checkpoint;
use bitnet::config::ModelConfig;
use bitnet::folder::resolve;
use bitnet::inspect::Inspected;
use bitnet::synthetic::Synthetic;
use bitnet::text::{self, Tokenizer};
use bitnet::weights::WeightSource;
use clap::Args;
use cpu_profile::measure::{Measurement, Prompt, Settings, measure};
use cpu_profile::report::{CpuProfile, REPORT_NAME, TOKENS};
use cpu_profile::tables;
use program::console::{self, pretty, tell};
use program::options::{ComputeType, positive, threads};
use program::pool;
use program::target::{Target, Targets};

use crate::failure::Failure;
use crate::format::{Format, csv, show};

/// What to measure, and where to write it.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Folder of a Hugging Face checkpoint [default: synthetic weights with the dimensions of BitNet b1.58-2B-4T]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Text of the prompt, for checkpoints with a tokenizer.json
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "prompt_ids", requires = "model")]
    pub(crate) prompt: Option<String>,
    /// Token ids of the prompt, separated by commas [default: three, as in the built-in profile]
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub(crate) prompt_ids: Option<Vec<u32>>,
    /// Number of tokens to generate; the prefill computes the first token
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = positive())]
    pub(crate) tokens: usize,
    /// Measure only the operators of this layer, and no stages
    #[arg(long, value_name = "N", conflicts_with = "tokens")]
    pub(crate) layer: Option<usize>,
    /// Number of measurements of each layer and operator
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive())]
    pub(crate) layer_repeats: usize,
    /// Number of warm-up passes, which are not counted
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) warm_up: usize,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<usize>,
    /// Arithmetic of all operators except the ternary products
    #[arg(long, value_enum, default_value = "fp32")]
    pub(crate) dtype: ComputeType,
    /// Seed of the synthetic weights
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Frequency of the CPU in MHz [default: the frequency that the system reports]
    #[arg(long, value_name = "MHZ", value_parser = frequency)]
    pub(crate) freq_mhz: Option<f64>,
    /// Name of the person who measures, for the table of `merge`
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) member: Option<String>,
    /// Folder for the report and the CSV files; existing files with their names are replaced
    #[arg(long, value_name = "DIR", default_value = "target/cpu-profile")]
    pub(crate) out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let source = source(args)?;
    let tokenizer = tokenizer(args)?;
    let ids = args.prompt_ids.clone().unwrap_or_else(|| source.config().synthetic_prompt(TOKENS));
    let prompt = prompt(args, tokenizer.as_ref(), &ids)?;
    // The folder is created before the measurement, so that a typing error does not cost hours of work.
    let refused = |e: std::io::Error| Failure::usage(format!("{}: cannot write: {}", args.out.display(), e.kind()));
    fs::create_dir_all(&args.out).map_err(refused)?;
    let mut targets = Targets::default();
    let report = targets.file("--out", &args.out.join(REPORT_NAME))?;
    let settings = settings(args);
    let synthetic = if args.model.is_none() { "no --model, so a synthetic model is used: " } else { "" };
    tell(format_args!("{synthetic}{}", source.describe()));
    let measurement = pool::awake(|| measure(&source, &prompt, &settings, &mut |what| tell(what)))?;
    source.finding().into_iter().for_each(|finding| tell(format_args!("remark: {finding}")));
    write(&args.out, &mut targets, &report, &measurement)?;
    console::show(&(text(&measurement.profile) + &format!("Written to {}\n", args.out.display())));
    Ok(ExitCode::SUCCESS)
}

/// Opens the checkpoint, or creates synthetic weights if there is none.
fn source(args: &RunArgs) -> Result<Inspected<Box<dyn WeightSource>>, Failure> {
    Ok(Inspected::new(match &args.model {
        Some(folder) => {
            let checkpoint = Checkpoint::open(folder)?;
            checkpoint.remarks().iter().for_each(|remark| tell(format_args!("remark: {remark}")));
            Box::new(checkpoint)
        }
        None => Box::new(Synthetic::new(ModelConfig::bitnet_2b_4t(), args.seed)),
    }))
}

/// The tokenizer of the checkpoint, if it has one. For token ids, a tokenizer that cannot be used is no more than a
/// remark.
fn tokenizer(args: &RunArgs) -> Result<Option<Tokenizer>, Failure> {
    let open = |folder: &PathBuf| Tokenizer::open(&resolve(folder)?);
    match args.model.as_ref().map_or(Ok(None), open) {
        Err(error) if args.prompt.is_none() => {
            tell(format_args!("remark: {error}; the stages with text are not measured"));
            Ok(None)
        }
        other => Ok(other?),
    }
}

/// The prompt: the text if one was given, else `ids`.
fn prompt<'a>(args: &'a RunArgs, tokenizer: Option<&'a Tokenizer>, ids: &'a [u32]) -> Result<Prompt<'a>, Failure> {
    match (&args.prompt, tokenizer) {
        (Some(text), Some(tokenizer)) => Ok(Prompt::Text(text, tokenizer)),
        (Some(_), None) if !text::AVAILABLE => Err(Failure::usage(
            "--prompt: this build has no tokenizers; cargo run -p host --features text -- profile ... \
             has them; or give token ids with --prompt-ids",
        )),
        (Some(_), None) => {
            Err(Failure::usage("--prompt: the checkpoint has no tokenizer.json; give token ids with --prompt-ids"))
        }
        (None, Some(_)) => Ok(Prompt::Ids(ids, "the prompt was given as token ids")),
        (None, None) if text::AVAILABLE => Ok(Prompt::Ids(ids, "there is no tokenizer.json")),
        (None, None) => Ok(Prompt::Ids(ids, "this build has no tokenizers")),
    }
}

/// The settings of the measurement. Creates the thread pool.
fn settings(args: &RunArgs) -> Settings {
    pool::join(args.threads.unwrap_or(0));
    Settings {
        tokens: args.tokens,
        warm_up: args.warm_up,
        repeats: args.layer_repeats,
        dtype: args.dtype.into(),
        layer: args.layer,
        threads: rayon::current_num_threads(),
        mhz: args.freq_mhz,
        member: args.member.clone(),
        timestamp: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
    }
}

/// Writes the report, and its tables as CSV files.
fn write(
    out: &Path,
    targets: &mut Targets,
    report: &Target,
    Measurement { profile, calls }: &Measurement,
) -> Result<(), Failure> {
    report.write(pretty(profile).as_bytes())?;
    let raw = ("raw_layer_data", tables::raw(profile, calls));
    for (name, table) in [raw].into_iter().chain(tables::statistics(profile)) {
        targets.file("--out", &out.join(format!("{name}.csv")))?.write(csv(&table).as_bytes())?;
    }
    Ok(())
}

/// Formats the tables and the remarks below them.
fn text(profile: &CpuProfile) -> String {
    let cpu = &profile.cpu_info.brand;
    let mut text =
        format!("{} on {cpu}: {}\n", profile.meta.model_name, profile.meta.framework.as_deref().unwrap_or(""));
    for table in [tables::stages(profile)].iter().chain(&tables::report(profile).tables) {
        text += &format!("\n{}\n{}", table.title, show(table, Format::Text));
    }
    if let Some(wall) = profile.layer_wall {
        text += &format!(
            "\nA whole layer, linears with equal input together: median {:.3} ms, {:.3} to {:.3} ms of {}\n",
            wall.median_ms, wall.min_ms, wall.max_ms, wall.samples
        );
    }
    for stage in &profile.stage_profiles {
        text += &stage.note.as_ref().map_or(String::new(), |note| format!("{}: {note}\n", stage.name));
    }
    if let Some(others) = profile.meta.other["cpu_taken_by_others_percent"].as_f64() {
        text += &format!("Other processes used {others:.1} % of the CPU while the operators were measured\n");
    }
    text + &format!("Normalisation: {}\n", profile.freq_normalization.explanation)
}

fn frequency(text: &str) -> Result<f64, String> {
    let mhz = text.parse::<f64>().map_err(|e| e.to_string())?;
    if (1.0..=100_000.0).contains(&mhz) { Ok(mhz) } else { Err("expected 1 to 100000 MHz, as CPUs have".into()) }
}
