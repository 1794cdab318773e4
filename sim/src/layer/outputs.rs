//! The output files of a command, checked to be writable before the simulation begins.

use std::sync::{Arc, PoisonError};

use program::target::{Target, Targets};
use report::export::Exporter;
use report::html::{PICTURES, Page, Picture};
use report::json::Json;
use report::records::Report;
use report::text::Text;
use testbench::bench::TraceRequest;

use super::args::LayerArgs;
use crate::failure::Failure;
use crate::output::{JsonOutput, target};

/// The files to write.
pub(super) struct Outputs {
    pub(super) json: JsonOutput,
    pub(super) dump: Option<Target>,
    pub(super) trace: Option<TraceRequest>,
    /// The page and its pictures.
    pages: Vec<(Target, Box<dyn Exporter>)>,
}

impl Outputs {
    /// Resolves the options that name files.
    pub(super) fn new(args: &LayerArgs) -> Result<Self, Failure> {
        let mut targets = Targets::default();
        let json = JsonOutput::new(&mut targets, args.json.as_deref())?;
        let trace = target(&mut targets, "--trace", args.trace.as_deref())?;
        let trace = trace.map(|target| TraceRequest {
            target,
            from: args.trace_from,
            cycles: args.trace_cycles,
            failure: Arc::default(),
        });
        let mut pages: Vec<(Target, Box<dyn Exporter>)> = Vec::new();
        if let Some(page) = target(&mut targets, "--html", args.html.as_deref())? {
            pages.push((page, Box::new(Page)));
        }
        if let Some(folder) = &args.svg {
            let refuse = |e: std::io::Error| Failure::usage(format!("--svg {}: {}", folder.display(), e.kind()));
            std::fs::create_dir_all(folder).map_err(refuse)?;
            for name in PICTURES {
                let picture = targets.file("--svg", &folder.join(format!("{name}.svg")))?;
                pages.push((picture, Box::new(Picture(name))));
            }
        }
        let dump = target(&mut targets, "--dump", args.dump.as_deref())?;
        if let Some(journal) = &args.journal {
            targets.claim("--journal", journal)?;
        }
        Ok(Self { json, dump, trace, pages })
    }

    /// Writes the report in all requested formats, and prints it as text or JSON. Pictures without content are not
    /// written. Returns a result for each output: one that fails does not stop the others.
    pub(super) fn put(&self, report: &Report) -> Vec<Result<(), Failure>> {
        let page = |(target, form): &(Target, Box<dyn Exporter>)| match form.export(report) {
            content if content.is_empty() => Ok(()),
            content => Ok(target.write(content.as_bytes())?),
        };
        let mut written = vec![self.json.put(&Json.export(report), &Text.export(report))];
        written.extend(self.pages.iter().map(page));
        written.extend(self.unwritten_trace().map(|failure| Err(failure.into())));
        written
    }

    /// The reason why the waveform could not be written, if it was tried.
    pub(super) fn unwritten_trace(&self) -> Option<program::Error> {
        let trace = self.trace.as_ref()?;
        trace.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
