//! `sim merge`: joins the reports of all shards.

use std::path::PathBuf;

use program::target::Targets;
use report::export::Exporter;
use report::json::{self, Json};
use report::merge::join;
use report::mismatch::Mismatches;
use report::records::Report;
use report::text::Text;

use crate::failure::{Exit, Failure, conclude};
use crate::output::JsonOutput;

/// Reports to join.
#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// Reports of all shards, written by --json
    #[arg(required = true, value_name = "REPORT")]
    pub(crate) reports: Vec<PathBuf>,
    /// Write the joined report as JSON; `-` prints it on standard output instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &MergeArgs) -> Result<Exit, Failure> {
    let json = JsonOutput::new(&mut Targets::default(), args.json.as_deref())?;
    let read = |path: &PathBuf| Ok::<_, Failure>((path.clone(), json::read(path)?));
    let reports: Vec<(PathBuf, Report)> = args.reports.iter().map(read).collect::<Result<_, _>>()?;
    let report = join(reports)?;
    let written = json.put(&Json.export(&report), &Text.export(&report));
    let mismatches = (report.totals.mismatches > 0).then(|| Mismatches::of(&report, false).tell());
    Ok(conclude([written], mismatches))
}
