//! The `host` command: CPU profiles of BitNet, without a unit.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand, ValueEnum};
use comfy_table::{CellAlignment, ContentArrangement, presets};
use host::checkpoint::Checkpoint;
use host::config::ModelConfig;
use host::measure::{Measurement, Prompt, Settings, measure};
use host::profile::{CpuProfile, REPORT_NAME, TOKENS};
use host::program::{ComputeType, Target, positive, pretty, print, report_panics};
use host::synthetic::Synthetic;
use host::tables::{self, Table};
use host::text::{self, Tokenizer};
use host::weights::WeightSource;

const EXAMPLES: &str = "\
Examples:
  host profile                                   stages and operators of BitNet b1.58-2B-4T, weights invented
  host profile --layer 14                        the operators of one layer
  host profile --model DIR --prompt Hello        a checkpoint, text included (cargo run -p host --features text)
  host profile merge a/*.json b/*.json c/*.json  the table of a team
  host profile compare A.json B.json             operators side by side, with ratios
  host profile tables                            the built-in report's tables, recomputed

Exit codes: 0 done; 1 a table states what does not follow from its data; 2 usage; 3 input file; 70 internal error";

/// The host side of BitNet, on this machine's CPU.
#[derive(Debug, Parser)]
#[command(name = "host", version, max_term_width = 110, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the inference on this CPU: stages, layers, operators
    #[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true, after_help = EXAMPLES)]
    Profile {
        #[command(subcommand)]
        command: Option<ProfileCommand>,
        #[command(flatten)]
        run: Box<RunArgs>,
    },
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// The reports of a team as one table
    Merge(FilesArgs),
    /// Profiles side by side, and how many times the first each is
    Compare(CompareArgs),
    /// The tables of a report, recomputed from its times; differences are marked
    Tables(TablesArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Folder of a Hugging Face checkpoint [default: invented weights with the dimensions of BitNet b1.58-2B-4T]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Text of the prompt, for checkpoints with a tokenizer.json
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_ids", requires = "model")]
    prompt: Option<String>,
    /// Token ids of the prompt, separated by commas [default: three, as in the built-in profile]
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    prompt_ids: Vec<u32>,
    /// Tokens to generate; the prefill gives the first
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = positive())]
    tokens: usize,
    /// This layer alone, without stages
    #[arg(long, value_name = "N", conflicts_with = "tokens")]
    layer: Option<usize>,
    /// Times each layer and operator is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive())]
    layer_repeats: usize,
    /// Passes before, whose times do not count
    #[arg(long, value_name = "N", default_value_t = 2)]
    warm_up: usize,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = positive())]
    threads: Option<usize>,
    /// Arithmetic of everything but the ternary products
    #[arg(long, value_enum, default_value = "fp32")]
    dtype: ComputeType,
    /// Seed of invented weights
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Frequency of the CPU, where the system does not tell it
    #[arg(long, value_name = "MHZ", value_parser = frequency)]
    freq_mhz: Option<f64>,
    /// Who measures, for `merge`
    #[arg(long, value_name = "NAME")]
    member: Option<String>,
    /// Folder for the report and the CSV files; files of these names are replaced
    #[arg(long, value_name = "DIR", default_value = "target/cpu-profile")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct FilesArgs {
    /// Reports: inference_profile_report.json
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// How the table is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Args)]
struct CompareArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// Fastest calls instead of medians, for a machine that is busy otherwise
    #[arg(long)]
    fastest: bool,
}

#[derive(Debug, Args)]
struct TablesArgs {
    /// A report with operators [default: the built-in one]
    #[arg(value_name = "REPORT")]
    report: Option<PathBuf>,
    /// How the tables are printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Csv,
}

/// Why the command stops early.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }
}

impl From<host::Error> for Failure {
    fn from(error: host::Error) -> Self {
        let code = match error.kind() {
            host::ErrorKind::InputFile => 3,
            host::ErrorKind::Usage => 2,
            _ => 5,
        };
        Self { code, message: error.to_string() }
    }
}

fn main() -> ExitCode {
    report_panics();
    let Command::Profile { command, run } = Cli::parse().command;
    let outcome = match command {
        None => profile(&run),
        Some(ProfileCommand::Merge(args)) => merged(&args, tables::team),
        Some(ProfileCommand::Compare(args)) => merged(&args.files, |p| tables::compare(p, args.fastest)),
        Some(ProfileCommand::Tables(args)) => report_tables(&args),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.message);
        ExitCode::from(failure.code)
    })
}

fn profile(args: &RunArgs) -> Result<ExitCode, Failure> {
    let source: Box<dyn WeightSource> = match &args.model {
        Some(folder) => Box::new(Checkpoint::open(folder)?),
        None => Box::new(Synthetic::new(ModelConfig::bitnet_2b_4t(), args.seed)),
    };
    let config = source.config();
    let tokenizer = args.model.as_deref().map(Tokenizer::open).transpose()?.flatten();
    let ids = if args.prompt_ids.is_empty() { config.invented_prompt(TOKENS) } else { args.prompt_ids.clone() };
    let no_tokenizer = if text::AVAILABLE { "there is no tokenizer.json" } else { "this build has no tokenizers" };
    let prompt = match (&args.prompt, &tokenizer) {
        (Some(text), Some(tokenizer)) => Prompt::Text(text, tokenizer),
        (Some(_), None) if !text::AVAILABLE => {
            return Err(Failure::usage(
                "--prompt: this build has no tokenizers; cargo run -p host --features text -- profile ... has, and \
                 --prompt-ids takes token ids",
            ));
        }
        (Some(_), None) => {
            return Err(Failure::usage("--prompt: the checkpoint has no tokenizer.json; --prompt-ids takes token ids"));
        }
        (None, Some(_)) => Prompt::Ids(&ids, "the prompt was given as token ids"),
        (None, None) => Prompt::Ids(&ids, no_tokenizer),
    };
    // Before hours of work are lost to a typing error.
    let refused = |e: std::io::Error| Failure::usage(format!("{}: cannot write: {}", args.out.display(), e.kind()));
    fs::create_dir_all(&args.out).map_err(refused)?;
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = args.threads {
        pool = pool.num_threads(threads);
    }
    pool.build_global().expect("the pool is made before anything uses it");
    let settings = Settings {
        tokens: args.tokens,
        warm_up: args.warm_up,
        repeats: args.layer_repeats,
        dtype: args.dtype.into(),
        layer: args.layer,
        threads: rayon::current_num_threads(),
        mhz: args.freq_mhz,
        member: args.member.clone(),
        timestamp: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
    };
    let invented = if args.model.is_none() { "no --model, so weights are invented: " } else { "" };
    eprintln!("{invented}{}", source.describe());
    let Measurement { profile, calls } = measure(source.as_ref(), &prompt, &settings, &mut |what| eprintln!("{what}"))?;

    let put = |name: &str, text: &str| Target::new("--out", &args.out.join(name))?.write(text.as_bytes());
    put(REPORT_NAME, &pretty(&profile))?;
    let raw = ("raw_layer_data", tables::raw(&profile, &calls));
    for (name, table) in [raw].into_iter().chain(tables::statistics(&profile)) {
        put(&format!("{name}.csv"), &csv(&table))?;
    }
    let cpu = &profile.cpu_info.brand;
    let mut text =
        format!("{} on {cpu}: {}\n", profile.meta.model_name, profile.meta.framework.as_deref().unwrap_or(""));
    for table in [tables::stages(&profile)].iter().chain(&tables::report(&profile).tables) {
        text += &format!("\n{}\n{}", table.title, show(table, Format::Text));
    }
    if let Some(wall) = profile.layer_wall {
        text += &format!(
            "\nA layer as it runs, linears together: median {:.3} ms, {:.3} to {:.3} ms of {}\n",
            wall.median_ms, wall.min_ms, wall.max_ms, wall.samples
        );
    }
    for stage in &profile.stage_profiles {
        text += &stage.note.as_ref().map_or(String::new(), |note| format!("{}: {note}\n", stage.name));
    }
    if let Some(others) = profile.meta.other["cpu_taken_by_others_percent"].as_f64() {
        text += &format!("Other processes took {others:.1} % of the CPU while operators were timed\n");
    }
    text += &format!("Normalisation: {}\n", profile.freq_normalization.explanation);
    print(&(text + &format!("Written to {}\n", args.out.display())))?;
    Ok(ExitCode::SUCCESS)
}

fn merged(
    args: &FilesArgs,
    join: impl Fn(&[(PathBuf, CpuProfile)]) -> host::Result<Table>,
) -> Result<ExitCode, Failure> {
    let load = |path: &PathBuf| CpuProfile::load(path).map(|profile| (path.clone(), profile));
    let reports = args.reports.iter().map(load).collect::<host::Result<Vec<_>>>()?;
    print(&show(&join(&reports)?, args.format))?;
    Ok(ExitCode::SUCCESS)
}

fn report_tables(args: &TablesArgs) -> Result<ExitCode, Failure> {
    let profile = args.report.as_deref().map(CpuProfile::load).transpose()?.unwrap_or_else(CpuProfile::builtin);
    let report = tables::report(&profile);
    let mut text = format!("{}\n", profile.provenance());
    for table in &report.tables {
        text += &format!("\n{}\n{}", table.title, show(table, args.format));
    }
    for d in &report.differences {
        let verdict = match &d.listed {
            Some(id) => format!("* listed as {id}"),
            None => "! NOT LISTED".into(),
        };
        text += &format!("\n{}: stated {:.2}, recomputed {:.2}, {verdict}", d.cell, d.stated, d.recomputed);
    }
    let wrong = report.unlisted().count();
    text += &match report.differences.len() {
        0 => "\nevery cell follows from times and shapes\n".to_string(),
        n => format!("\n\n{n} cells differ from what follows from times and shapes, {wrong} of them not listed\n"),
    };
    print(&text)?;
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show(table: &Table, format: Format) -> String {
    if format == Format::Csv {
        return csv(table);
    }
    let mut out = comfy_table::Table::new();
    let style = if format == Format::Markdown { presets::ASCII_MARKDOWN } else { presets::ASCII_FULL_CONDENSED };
    out.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    out.set_header(&table.header);
    for (i, column) in out.column_iter_mut().enumerate() {
        // Columns of numbers.
        let number = |row: &Vec<String>| {
            row[i].is_empty() || row[i].starts_with(|c: char| c.is_ascii_digit() || "-~".contains(c))
        };
        if i > 0 && table.rows.iter().all(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    out.add_rows(&table.rows);
    format!("{out}\n")
}

fn csv(table: &Table) -> String {
    let mut writer = csv::Writer::from_writer(vec![]);
    for row in [&table.header].into_iter().chain(&table.rows) {
        writer.write_record(row).expect("rows are as wide as the header");
    }
    let bytes = writer.into_inner().expect("memory takes it");
    String::from_utf8(bytes).expect("it was text")
}

fn frequency(text: &str) -> Result<f64, String> {
    let mhz = text.parse::<f64>().map_err(|e| e.to_string())?;
    if mhz.is_finite() && mhz > 0.0 { Ok(mhz) } else { Err("expected a frequency above zero".into()) }
}
