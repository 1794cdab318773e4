//! The commands `host profile merge`, `compare` and `tables`, which work on existing reports.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use cpu_profile::report::CpuProfile;
use cpu_profile::tables::{self, Table};
use program::console::{print, tell};

use crate::failure::Failure;
use crate::format::{Format, show};

/// Reports to put into one table.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// Reports of `host profile`: files named inference_profile_report.json
    #[arg(required = true, value_name = "REPORT")]
    pub(crate) reports: Vec<PathBuf>,
    /// Output format of the table
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// Reports to put side by side.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// Compare the fastest calls instead of the medians, for a machine that is busy with other work
    #[arg(long)]
    pub(crate) fastest: bool,
}

/// A report whose tables are recomputed.
#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// Report with operators [default: the built-in report]
    #[arg(value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
    /// Output format of the tables
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// Runs `host profile merge`.
pub(crate) fn merge(args: &FilesArgs) -> Result<ExitCode, Failure> {
    merged(args, tables::team)
}

/// Runs `host profile compare`.
pub(crate) fn compare(args: &CompareArgs) -> Result<ExitCode, Failure> {
    merged(&args.files, |profiles| tables::compare(profiles, args.fastest))
}

fn merged(
    args: &FilesArgs,
    join: impl Fn(&[(PathBuf, CpuProfile)]) -> cpu_profile::Result<Table>,
) -> Result<ExitCode, Failure> {
    let load = |path: &PathBuf| CpuProfile::load(path).map(|profile| (path.clone(), profile));
    let reports = args.reports.iter().map(load).collect::<bitnet::Result<Vec<_>>>()?;
    print(&show(&join(&reports)?, args.format))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `host profile tables`.
pub(crate) fn recompute(args: &TablesArgs) -> Result<ExitCode, Failure> {
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
        0 => "\nevery cell agrees with the times and shapes\n".to_string(),
        n => format!("\n\n{n} cells do not agree with the times and shapes, {wrong} of them not listed\n"),
    };
    match print(&text) {
        // A wrong cell decides the exit code, whatever becomes of the text.
        Err(error) if wrong > 0 => tell(format_args!("error: {error}")),
        printed => printed?,
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
