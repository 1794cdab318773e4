//! Reports on standard output and in files, and progress on standard error.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use program::console::{print, show, tell};
use program::target::{Target, Targets};

use crate::failure::Failure;

/// The outputs that `--json` requests.
#[derive(Clone, Debug)]
pub(crate) struct JsonOutput {
    /// The file to write, unless `--json` names standard output.
    pub(crate) file: Option<Target>,
    /// Whether the JSON replaces the text on standard output.
    pub(crate) on_stdout: bool,
}

impl JsonOutput {
    /// Resolves the value of `--json`, and checks that the file is writable.
    pub(crate) fn new(targets: &mut Targets, json: Option<&Path>) -> Result<Self, Failure> {
        let on_stdout = on_stdout(json);
        let file = target(targets, "--json", json.filter(|_| !on_stdout))?;
        Ok(Self { file, on_stdout })
    }

    /// Prints the report as JSON or as text, and writes the JSON file if there is one.
    pub(crate) fn put(&self, json: &str, text: &str) -> Result<(), Failure> {
        if self.on_stdout {
            return Ok(print(json)?);
        }
        show(text);
        Ok(self.file.as_ref().map_or(Ok(()), |file| file.write(json.as_bytes()))?)
    }
}

/// Remarks and a progress bar on standard error. Clones are the same bar.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar of `length` steps, which is drawn only if standard error is a terminal.
    pub(crate) fn new(what: &'static str, length: u64) -> Self {
        let bar = ProgressBar::new(length);
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}% {eta}");
        bar.set_style(style.expect("the template is well-formed").progress_chars("=> "));
        bar.set_message(what);
        bar.tick();
        Self { bar }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        self.bar.suspend(|| tell(line));
    }

    /// Advances the bar by `steps`.
    pub(crate) fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Whether `--json` puts JSON on standard output.
pub(crate) fn on_stdout(json: Option<&Path>) -> bool {
    json == Some(Path::new("-"))
}

/// The file that the option `flag` names. Fails if the file is not writable or is one of `targets` already.
pub(crate) fn target(
    targets: &mut Targets,
    flag: &'static str,
    path: Option<&Path>,
) -> Result<Option<Target>, Failure> {
    Ok(path.map(|path| targets.file(flag, path)).transpose()?)
}
