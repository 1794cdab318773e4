//! The `host` command: CPU profiles of BitNet, without a unit.

mod failure;
mod format;
mod measure;
mod tables;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use program::console::tell;
use program::panics::report_panics;

const EXAMPLES: &str = "\
Examples:
  host profile                                   stages and operators of BitNet b1.58-2B-4T, with synthetic weights
  host profile --layer 14                        the operators of one layer
  host profile --model DIR --prompt Hello        a checkpoint and a text (cargo run -p host --features text)
  host profile merge a/*.json b/*.json c/*.json  one table from the reports of a team
  host profile compare A.json B.json             operators side by side, with ratios
  host profile tables                            the tables of the built-in report, recomputed

Exit codes: 0 done; 1 a table states a value that does not follow from its data; 2 usage; 3 input file;
70 internal error; 74 output not written";

/// Measures BitNet models on this machine's CPU, without a unit.
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
        run: Box<measure::RunArgs>,
    },
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// Join the reports of a team in one table
    Merge(tables::FilesArgs),
    /// Compare profiles operator by operator, with ratios to the first profile
    Compare(tables::CompareArgs),
    /// Recompute the tables of a report from its times, and mark differences
    Tables(tables::TablesArgs),
}

fn main() -> ExitCode {
    report_panics();
    let Command::Profile { command, run } = Cli::parse().command;
    let outcome = match command {
        None => measure::run(&run),
        Some(ProfileCommand::Merge(args)) => tables::merge(&args),
        Some(ProfileCommand::Compare(args)) => tables::compare(&args),
        Some(ProfileCommand::Tables(args)) => tables::recompute(&args),
    };
    outcome.unwrap_or_else(|failure| {
        tell(format_args!("error: {}", failure.message));
        ExitCode::from(failure.code)
    })
}
