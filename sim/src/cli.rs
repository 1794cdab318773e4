//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use golden::Codec;
use host::config::{Linear, ModelConfig, WeightForm};
use host::export::export_bytes;
use host::program::{ComputeType, positive, print};
use host::synthetic::Synthetic;
use host::weights::WeightSource;

use crate::bench::Injection;
use crate::board::{BOARDS, MemoryMode};
use crate::exit::{Exit, Failure, install_handlers};
use crate::output::Progress;
use crate::shard::Shard;
use crate::{generate, handoff, layer_run, merge, sweep};

const EXAMPLES: &str = "\
Examples:
  sim --layer 14                                 all seven BitLinears, weights invented
  sim --layer 14 --op gate_proj --memory ideal   one operator, judging the RTL
  sim --layer 0 --model DIR --prompt-ids 1,2,3   the weights of a checkpoint, behind a prompt
  sim --all-layers                               a forward pass of the whole model, every BitLinear on the unit
  sim --all-layers --shard 1/8 --json 1.json     an eighth of it; `sim merge *.json` joins the reports
  sim generate --model DIR --prompt Hello        tokens, every BitLinear on the unit
  sim sweep --board kv260,zedboard               many units: tokens a second, bytes, LUTs
  sim handoff --board zedboard --out DIR         RTL, Tcl and register map for Vivado
  sim --layer 14 --json report.json              the same report for programs
  sim --layer 14 --html report.html              and as a page, with roofline and Amdahl's law
  sim --layer 14 --inject weight-bit             proof that the check notices: exit code 1
  sim --layer 14 --op k_proj --trace k.fst       a waveform; open it with surfer or gtkwave

Exit codes: 0 all outputs equal golden's; 1 mismatch; 2 usage; 3 input file; 4 tool missing;
5 fault of unit, simulator or protocol; 70 internal error; 130 Ctrl-C";

/// Drives the ternary matrix-vector unit (RTL, under Verilator) with the BitLinears of a BitNet decoder layer or of the
/// whole model, checks every output against the golden model and projects the time on an FPGA.
#[derive(Debug, Parser)]
#[command(name = "sim", version, after_help = EXAMPLES, max_term_width = 110)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    layer: LayerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate tokens, every BitLinear on the unit, or on the CPU alone
    Generate(Box<GenerateArgs>),
    /// Join the reports of all shards of a run
    Merge(MergeArgs),
    /// Write the invented model as a Hugging Face folder, as large as the published one
    Export(ExportArgs),
    /// Compare units of many sizes: tokens a second, bytes, LUTs; a sample of them simulated
    Sweep(Box<SweepArgs>),
    /// Write what somebody who has Vivado needs to build the unit for a board
    Handoff(HandoffArgs),
    /// List the boards and where their figures are from
    Boards,
}

/// The model.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// Folder of a Hugging Face checkpoint [default: invented weights with the dimensions of BitNet b1.58-2B-4T]
    #[arg(long, value_name = "DIR", help_heading = "What")]
    pub model: Option<PathBuf>,
    /// Token ids of the prompt, separated by commas [default: BOS and ids derived from it]
    #[arg(long, value_name = "IDS", value_delimiter = ',', help_heading = "What")]
    pub prompt_ids: Vec<u32>,
    /// Compute type of norms, attention and activation
    #[arg(long, value_enum, default_value = "fp32", help_heading = "What")]
    pub dtype: ComputeType,
    /// Seed of invented weights, of power-up values and of stalls
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "What")]
    pub seed: u64,
}

/// The unit and the memory behind it.
#[derive(Debug, clap::Args)]
pub struct UnitArgs {
    /// Board whose ports, clock and memory are taken; `help` lists them
    #[arg(long, value_name = "NAME", default_value = "kv260", help_heading = "Unit")]
    pub board: String,
    /// Timing of the memory: `ideal` judges the RTL, `ddr` projects the board
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        default_value = "ddr",
        hide_possible_values = true,
        help_heading = "Unit"
    )]
    pub memory: MemoryMode,
    /// Clock of the unit in MHz [default: the board's]
    #[arg(long, value_name = "MHZ", value_parser = rate, help_heading = "Unit")]
    pub clock_mhz: Option<f64>,
    /// A DRAM that delivers so many GB/s, in place of the board's
    #[arg(long, value_name = "GB", value_parser = rate, hide_short_help = true, help_heading = "Unit")]
    pub ddr_gb_per_s: Option<f64>,
    /// What the processors read from the DRAM meanwhile, in GB/s
    #[arg(long, value_name = "GB", default_value_t = 0.0, value_parser = amount, hide_short_help = true, help_heading = "Unit")]
    pub ps_gb_per_s: f64,
    /// AXI read ports, 1 to 8 [default: the board's]
    #[arg(long, value_name = "P", value_parser = one_to_eight(), help_heading = "Unit")]
    pub ports: Option<usize>,
    /// Activation vectors a pass over the weights serves, 1 to 8 [default: the board's]
    #[arg(long, value_name = "V", value_parser = one_to_eight(), help_heading = "Unit")]
    pub vectors: Option<usize>,
    /// Groups of vectors that a pass over the weights serves in turn: 1, 2, 4 or 8, at most 8 tokens in all [default:
    /// the board's, or as many as fit]
    #[arg(long, value_name = "G", value_parser = groups, help_heading = "Unit")]
    pub groups: Option<usize>,
    /// Weight codec: 2bit, or base3 (1.6 bits a weight)
    #[arg(long, value_parser = str::parse::<Codec>, default_value = "base3", help_heading = "Unit")]
    pub codec: Codec,
    /// Chance in 256 that an AXI channel idles for a cycle
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true, help_heading = "Unit")]
    pub stall: u8,
    /// Threads that simulate [default: one a core]
    #[arg(long, value_name = "N", value_parser = positive(), help_heading = "Run")]
    pub jobs: Option<usize>,
    /// Commit a fault in the first run, which must not go unnoticed
    #[arg(long, value_enum, value_name = "FAULT", help_heading = "Run")]
    pub inject: Option<Injection>,
}

/// What to run, on what, and what to write.
#[derive(Debug, clap::Args)]
pub struct LayerArgs {
    /// Decoder layer to run
    #[arg(long, value_name = "N", help_heading = "What")]
    pub layer: Option<usize>,
    /// One forward pass of the whole model: embedding, all layers, final norm, output head
    #[arg(long, conflicts_with = "layer", help_heading = "What")]
    pub all_layers: bool,
    /// Only this operator, such as q_proj or mlp.gate_proj; may be repeated
    #[arg(long = "op", value_name = "NAME", value_parser = str::parse::<Linear>, help_heading = "What")]
    pub operators: Vec<Linear>,
    /// Tokens of the forward pass [default: 3, as in the CPU profile, or those of --prompt-ids]
    #[arg(long, value_name = "T", value_parser = positive(), help_heading = "What")]
    pub tokens: Option<usize>,
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// The unit
    #[command(flatten)]
    pub unit: UnitArgs,

    /// Verify only part I of N of the runs; `merge` joins the reports
    #[arg(long, value_name = "I/N", help_heading = "Run")]
    pub shard: Option<Shard>,
    /// Keep verified runs in this file, and go on from there if it exists
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub journal: Option<PathBuf>,
    /// Print the plan; build and write nothing
    #[arg(long, help_heading = "Run")]
    pub dry_run: bool,

    /// CPU profile to compare with [default: PyTorch on a Ryzen 7 9700X]; may be repeated, the first is in the table
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub cpu_profile: Vec<PathBuf>,
    /// Overhead of a driver call in microseconds
    #[arg(long, value_name = "US", default_value_t = 15.0, value_parser = amount, help_heading = "Report")]
    pub driver_overhead_us: f64,
    /// Write the report as JSON; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub json: Option<PathBuf>,
    /// Write the report as a page that needs neither network nor script
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub html: Option<PathBuf>,
    /// Write the page's pictures as SVG files into this folder, too
    #[arg(long, value_name = "DIR", requires = "html", help_heading = "Report")]
    pub svg: Option<PathBuf>,
    /// Write every tensor of the layers: inputs, int8 codes, scales, accumulators, outputs
    #[arg(long, value_name = "FILE.safetensors", help_heading = "Report")]
    pub dump: Option<PathBuf>,
    /// Record a waveform of the first run (FST, or VCD by the name's extension)
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub trace: Option<PathBuf>,
    /// First cycle of the waveform
    #[arg(long, value_name = "CYCLE", default_value_t = 0, requires = "trace", help_heading = "Report")]
    pub trace_from: u64,
    /// Cycles of the waveform
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "trace", help_heading = "Report")]
    pub trace_cycles: u64,
}

/// Where the ternary products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceKind {
    /// On the CPU alone: an inference program.
    Golden,
    /// By the unit, every output compared with the CPU's.
    Rtl,
}

/// How the output head is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeadKind {
    /// As the reference does it.
    Float,
    /// int8 rows and activations: half the bytes of bf16, not the reference's bits.
    Int8,
}

/// What to generate, and with what.
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Text of the prompt, for checkpoints with a tokenizer.json
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_ids", requires = "model", help_heading = "What")]
    pub prompt: Option<String>,
    /// Put the prompt into the checkpoint's chat template, as the user's message
    #[arg(long, requires = "prompt", help_heading = "What")]
    pub chat: bool,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive(), help_heading = "What")]
    pub tokens: usize,
    /// Go on behind tokens that end a text
    #[arg(long, help_heading = "What")]
    pub ignore_eos: bool,
    /// Sample with this temperature [default: the most likely token]
    #[arg(long, value_name = "X", help_heading = "Sampling")]
    pub temperature: Option<f64>,
    /// Sample among the K most likely tokens
    #[arg(long, value_name = "K", requires = "temperature", help_heading = "Sampling")]
    pub top_k: Option<usize>,
    /// Sample among the most likely tokens that make up this probability
    #[arg(long, value_name = "P", requires = "temperature", help_heading = "Sampling")]
    pub top_p: Option<f64>,
    /// Where ternary products are computed
    #[arg(long, value_enum, default_value = "rtl", help_heading = "Unit")]
    pub device: DeviceKind,
    /// Arithmetic of the output head
    #[arg(long, value_enum, default_value = "float", help_heading = "Unit")]
    pub head: HeadKind,
    /// The unit
    #[command(flatten)]
    pub unit: UnitArgs,
    /// Write the report as JSON; `-` is standard output, in place of the text
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub json: Option<PathBuf>,
}

/// How a checkpoint stores ternary weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormKind {
    /// Masters of 16 bits, made ternary when they are loaded: 4.8 GB.
    Bf16,
    /// Two bits a weight: 1.2 GB.
    Packed,
}

/// What to write where.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Folder to write, which must not exist or be empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How ternary weights are stored
    #[arg(long, value_enum, default_value = "packed")]
    pub form: FormKind,
    /// Seed of the weights
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// For which board, and where to.
#[derive(Debug, clap::Args)]
pub struct HandoffArgs {
    /// Board to build for; `help` lists them
    #[arg(long, value_name = "NAME", default_value = "kv260")]
    pub board: String,
    /// Folder to write, which must not exist or be empty
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Weight codec: 2bit, or base3 (1.6 bits a weight)
    #[arg(long, value_parser = str::parse::<Codec>, default_value = "base3")]
    pub codec: Codec,
    /// Clock of the unit in MHz [default: the board's]
    #[arg(long, value_name = "MHZ", value_parser = rate)]
    pub clock_mhz: Option<f64>,
}

/// Reports to join.
#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// Reports of all shards, as --json wrote them
    #[arg(required = true, value_name = "REPORT")]
    pub reports: Vec<PathBuf>,
    /// Write the joined report as JSON; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Which units to compare.
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// Boards, separated by commas
    #[arg(
        long = "board",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "kv260",
        help_heading = "Units"
    )]
    pub boards: Vec<String>,
    /// Numbers of AXI read ports
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = one_to_eight(), default_value = "1,2,4", help_heading = "Units")]
    pub ports: Vec<usize>,
    /// Bits of a port, 64 or 128 [default: the board's]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = width, help_heading = "Units")]
    pub width: Vec<usize>,
    /// Numbers of activation vectors
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = one_to_eight(), default_value = "1,2,4,8", help_heading = "Units")]
    pub vectors: Vec<usize>,
    /// Numbers of groups of vectors
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = groups, default_value = "1,2", help_heading = "Units")]
    pub groups: Vec<usize>,
    /// Weight codecs
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = str::parse::<Codec>, default_value = "2bit,base3", help_heading = "Units")]
    pub codec: Vec<Codec>,
    /// Clocks of the unit [default: the board's]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = rate, help_heading = "Units")]
    pub clock_mhz: Vec<f64>,
    /// Timing of the memory: ideal or ddr
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        default_value = "ddr",
        hide_possible_values = true,
        help_heading = "Units"
    )]
    pub memory: MemoryMode,
    /// Tokens of the prompt for prefill
    #[arg(long, value_name = "T", value_parser = positive(), default_value_t = 64, help_heading = "Run")]
    pub prefill_tokens: usize,
    /// Units to simulate, those on the front first
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Run")]
    pub sample: usize,
    /// Seed of invented weights and of power-up values
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Run")]
    pub seed: u64,
    /// Threads that simulate [default: one a core]
    #[arg(long, value_name = "N", value_parser = positive(), help_heading = "Run")]
    pub jobs: Option<usize>,
    /// Write the points as CSV
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub csv: Option<PathBuf>,
    /// Draw decode speed over LUTs
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub svg: Option<PathBuf>,
    /// Write all of it as JSON; `-` is standard output, in place of the tables
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub json: Option<PathBuf>,
}

fn one_to_eight() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=8)
}

fn groups(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(groups @ (1 | 2 | 4 | 8)) => Ok(groups),
        _ => Err("expected 1, 2, 4 or 8".into()),
    }
}

fn width(text: &str) -> Result<usize, String> {
    match text {
        "64" => Ok(64),
        "128" => Ok(128),
        _ => Err("expected 64 or 128".into()),
    }
}

fn amount(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err("expected a number of zero or more".into()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let value = amount(text)?;
    if value >= 0.01 { Ok(value) } else { Err("expected a number of 0.01 or more".into()) }
}

/// Runs the command that the program's arguments ask for.
pub fn main() -> ExitCode {
    install_handlers();
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Generate(args)) if args.unit.board == "help" => list_boards(),
        Some(Command::Generate(args)) => generate::run(&args, &command_line()),
        Some(Command::Merge(args)) => merge::run(&args),
        Some(Command::Export(args)) => export(&args),
        Some(Command::Sweep(args)) if args.boards == ["help"] => list_boards(),
        Some(Command::Sweep(args)) => sweep::run(&args, &command_line()),
        Some(Command::Handoff(args)) if args.board == "help" => list_boards(),
        Some(Command::Handoff(args)) => handoff::run(&args),
        Some(Command::Boards) => list_boards(),
        None if cli.layer.unit.board == "help" => list_boards(),
        None => layer_run::run(&cli.layer, &command_line()),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            failure.exit.into()
        }
    }
}

fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let form = match args.form {
        FormKind::Bf16 => WeightForm::Online,
        FormKind::Packed => WeightForm::Offline,
    };
    let source = Synthetic::new(ModelConfig::bitnet_2b_4t(), args.seed);
    let bytes = export_bytes(source.config(), form);
    eprintln!("seed {}: {}; {bytes} bytes into {}", args.seed, source.describe(), args.out.display());
    let progress = Progress::new("writing", bytes);
    let mut told = 0;
    host::export::export(&source, form, &args.out, &mut |done, _| {
        progress.advance(done - told);
        told = done;
    })?;
    progress.finish();
    Ok(Exit::Ok)
}

fn list_boards() -> Result<Exit, Failure> {
    let mut text = String::new();
    for (i, board) in BOARDS.iter().enumerate() {
        let default = if i == 0 { ", the default" } else { "" };
        text += &format!(
            "{}: {}, unit with {} vectors x {}{default}\n",
            board.name, board.part, board.vectors, board.groups
        );
        board.sources().iter().for_each(|line| text += &format!("  {line}\n"));
    }
    print(&(text + "How the memory is modelled, and how well it agrees: docs/memory-model.md\n"))?;
    Ok(Exit::Ok)
}

/// What was typed, ready to be typed again.
fn command_line() -> String {
    let mut arguments = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_else(|| "sim".into());
    // cargo says so when it runs a program.
    let by_cargo = std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
    let program = if by_cargo { "cargo run -p sim --".into() } else { quote(&program) };
    arguments.fold(program, |line, argument| line + " " + &quote(&argument))
}

/// `argument` as a shell reads it.
fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.into()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// Whether `--json` puts JSON on standard output.
pub fn on_stdout(json: Option<&Path>) -> bool {
    json == Some(Path::new("-"))
}
