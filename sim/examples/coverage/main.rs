//! Coverage of the RTL by its regression: lines, branches, toggles and cover points, as Verilator counts them.
//!
//! `cargo run -p sim --example coverage` runs the tests of the RTL on models with coverage counters and merges the
//! counts. It prints a table and the holes, and writes a page with the annotated source. `docs/coverage.md` defines
//! the points.

mod points;
mod report;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use points::Explanations;
use program::console::{print, tell};
use program::target::Targets;
use unit::Unit;

/// Coverage of the RTL by its regression.
#[derive(Debug, Parser)]
#[command(name = "coverage", version)]
struct Options {
    /// Test programs to run [default: all that simulate the unit or its parts].
    tests: Vec<String>,
    /// The unit.
    #[arg(long, value_enum, value_name = "NAME", default_value = "ternary")]
    unit: Unit,
    /// Report the counts in this folder; run no tests.
    #[arg(long, value_name = "DIR", conflicts_with = "tests")]
    data: Option<PathBuf>,
    /// File for the page with the annotated source.
    #[arg(long, value_name = "FILE", default_value = "target/coverage/index.html")]
    html: PathBuf,
    /// Minimum percentage of covered lines, and of covered toggles.
    #[arg(long, value_name = "PERCENT", default_value_t = 90.0)]
    bar: f64,
    /// File that explains the holes [default: coverage.toml in the unit's folder].
    #[arg(long, value_name = "FILE")]
    holes: Option<PathBuf>,
}

/// Folder for the counts of the tests, from which `--data` can make another report.
const DATA: &str = "target/coverage/data";

/// The reason why the program stops early: exit code and message.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// A failure because a file cannot be written.
    fn usage(message: String) -> Self {
        Self { code: 2, message }
    }
}

impl From<program::Error> for Failure {
    fn from(error: program::Error) -> Self {
        Self::usage(error.to_string())
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            tell(format_args!("error: {}", failure.message));
            ExitCode::from(failure.code)
        }
    }
}

/// Returns whether the tests pass and the coverage meets its requirements.
fn run(options: &Options) -> Result<bool, Failure> {
    let input = |error: anyhow::Error| Failure { code: 3, message: format!("{error:#}") };
    let rtl = rtl::dir();
    let path = options.holes.clone().unwrap_or_else(|| rtl.join(options.unit.holes()));
    let mut modules = points::modules(&rtl, options.unit).map_err(input)?;
    let explanations = Explanations::read(&path).map_err(input)?;
    if let Some(folder) = options.html.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::usage(format!("--html {}: {error}", folder.display())))?;
    }
    let page = Targets::default().file("--html", &options.html)?;

    let data = options.data.as_deref().unwrap_or(Path::new(DATA));
    let passed = options.data.is_some() || regression(options, data)?;
    points::merge_folder(&mut modules, &rtl, data, options.unit).map_err(input)?;
    let (holes, stale) = points::explain(&modules, &explanations);
    page.write(report::html(&modules, &holes).as_bytes())?;
    let (text, good) = report::verdict(&modules, &holes, &stale, options.bar);
    print(&format!("{}\n\n{text}\n\nannotated source: {}\n", report::table(&modules), options.html.display()))?;
    Ok(passed && good)
}

/// Runs the tests on models with counters, which write into `data`. Returns whether the tests pass.
fn regression(options: &Options, data: &Path) -> Result<bool, Failure> {
    let fault = |error: std::io::Error| Failure::usage(format!("{}: {error}", data.display()));
    if data.exists() {
        fs::remove_dir_all(data).map_err(fault)?;
    }
    fs::create_dir_all(data).map_err(fault)?;
    let data = data.canonicalize().map_err(fault)?;
    let tests: Vec<&str> = match options.tests.is_empty() {
        true => options.unit.tests().to_vec(),
        false => options.tests.iter().map(String::as_str).collect(),
    };
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--package", "sim", "--no-fail-fast"]).env("TMV_COVERAGE", data);
    #[allow(clippy::disallowed_methods)] // This program writes nothing there.
    command.args(tests.iter().flat_map(|test| ["--test", test])).stdout(std::io::stderr());
    // This test is about the model, not the unit: with counters in the models, the ports do not share their code.
    command.args(["--", "--skip", "ports_share_their_code"]);
    let status =
        command.status().map_err(|error| Failure { code: 4, message: format!("cargo cannot be run: {error}") })?;
    if !status.success() {
        tell("the tests failed");
    }
    Ok(status.success())
}
