//! What the command tells: a report as text or JSON, and progress that stays out of the way.

use std::path::Path;

use host::program::{Target, print};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::on_stdout;
use crate::exit::Failure;

/// Where `--json` puts a report.
#[derive(Clone, Debug)]
pub struct JsonOutput {
    /// The file that was named.
    pub file: Option<Target>,
    /// Whether it takes the place of text on standard output.
    pub on_stdout: bool,
}

impl JsonOutput {
    /// What `--json` asks for.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub fn new(json: Option<&Path>) -> Result<Self, Failure> {
        let on_stdout = on_stdout(json);
        let file = json.filter(|_| !on_stdout).map(|path| Target::new("--json", path)).transpose()?;
        Ok(Self { file, on_stdout })
    }

    /// Writes a report, and prints it in one form.
    ///
    /// # Errors
    /// As [`Target::write`] and [`print()`].
    pub fn put(&self, json: &str, text: &str) -> Result<(), Failure> {
        self.file.as_ref().map_or(Ok(()), |file| file.write(json.as_bytes()))?;
        Ok(print(if self.on_stdout { json } else { text })?)
    }
}

/// Remarks and progress, on standard error.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar of `length` steps, not drawn unless standard error is a terminal.
    pub fn new(what: &'static str, length: u64) -> Self {
        let bar = ProgressBar::new(length);
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}% {eta}");
        bar.set_style(style.expect("the template is well-formed").progress_chars("=> "));
        bar.set_message(what);
        bar.tick();
        Self { bar }
    }

    /// A line that stays.
    pub fn say(&self, line: impl std::fmt::Display) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// So much further.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
