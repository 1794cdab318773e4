//! The command line: commands and their options.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use program::command_line::quote;
use program::console::tell;
use program::interrupt::catch_signals;
use program::panics::report_panics;

use crate::{boards, export, generate, hand_off, layer, merge, sweep};

const EXAMPLES: &str = "\
Examples:
  sim --layer 14                                 all seven BitLinears of a layer, with synthetic weights
  sim --layer 14 --op gate_proj --memory ideal   one operator, with the RTL as the only limit
  sim --layer 0 --model DIR --prompt-ids 1,2,3   a checkpoint, with the activations of a prompt
  sim --all-layers                               a forward pass of the whole model, every BitLinear on the unit
  sim --all-layers --shard 1/8 --json 1.json     an eighth of this pass; `sim merge *.json` joins the reports
  sim generate --model DIR --prompt Hello        generated tokens, with every BitLinear on the unit
  sim sweep --board kv260,zedboard               comparison of many units: tokens a second, bytes, LUTs
  sim handoff --board zedboard --out DIR         RTL, Tcl and register map for Vivado
  sim --layer 14 --json report.json              the report of a layer as JSON, for programs
  sim --layer 14 --html report.html              the report as a page, with roofline and Amdahl's law
  sim --layer 14 --inject weight-bit             proof that the check notices a fault: exit code 1
  sim --layer 14 --op k_proj --trace k.fst       a waveform; open it with surfer or gtkwave

Exit codes: 0 all outputs equal golden's; 1 mismatch; 2 usage; 3 input file; 4 tool missing;
5 fault of unit, simulator or protocol; 70 internal error; 74 output not written; 128 + N signal N (130 Ctrl-C)";

/// Runs the BitLinears of a BitNet decoder layer, or of the whole model, on the ternary matrix-vector unit (RTL in
/// Verilator). Compares every output with the golden model, and projects the time on an FPGA.
#[derive(Debug, Parser)]
#[command(name = "sim", version, after_help = EXAMPLES, max_term_width = 110)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    layer: layer::LayerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate tokens, with every BitLinear on the unit or on the CPU alone
    Generate(Box<generate::GenerateArgs>),
    /// Join the reports of all shards of a run
    Merge(merge::MergeArgs),
    /// Write a synthetic model as a Hugging Face folder, as large as the published model
    Export(export::ExportArgs),
    /// Compare units of many sizes: tokens a second, bytes, LUTs; some units are simulated
    Sweep(Box<sweep::SweepArgs>),
    /// Write the folder from which Vivado builds the unit for a board
    Handoff(hand_off::HandoffArgs),
    /// List the boards and the sources of their figures
    Boards,
}

/// Runs the command that the program's arguments select.
pub(crate) fn main() -> ExitCode {
    report_panics();
    catch_signals(toolchain::process::stop_all);
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Generate(args)) if args.unit.board == "help" => boards::run(),
        Some(Command::Generate(args)) => generate::run(&args, &command_line()),
        Some(Command::Merge(args)) => merge::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Sweep(args)) if args.boards == ["help"] => boards::run(),
        Some(Command::Sweep(args)) => sweep::run(&args, &command_line()),
        Some(Command::Handoff(args)) if args.board == "help" => boards::run(),
        Some(Command::Handoff(args)) => hand_off::run(&args),
        Some(Command::Boards) => boards::run(),
        None if cli.layer.unit.board == "help" => boards::run(),
        None => layer::run(&cli.layer, &command_line()),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(format_args!("error: {}", failure.message));
            failure.exit.into()
        }
    }
}

/// The command line as typed, quoted so that a shell can run it again.
fn command_line() -> String {
    let mut arguments = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_else(|| "sim".into());
    // Cargo sets this variable when it runs a program.
    let by_cargo = std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
    let program = if by_cargo { "cargo run -p sim --".into() } else { quote(&program) };
    arguments.fold(program, |line, argument| line + " " + &quote(&argument))
}
