//! What the command writes: whole files or none, and progress that stays out of the way.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tempfile::TempPath;

use crate::cli::on_stdout;
use crate::exit::Failure;

/// A file to be written: under a temporary name beside it, renamed when it is complete.
#[derive(Clone, Debug)]
pub struct Target {
    flag: &'static str,
    path: PathBuf,
}

impl Target {
    /// The file `path` that `flag` asks for. Tries the folder, so that hours of work are not lost to a typing error.
    ///
    /// # Errors
    /// A usage error if the file cannot be written there.
    pub fn new(flag: &'static str, path: &Path) -> Result<Self, Failure> {
        // Through symbolic links: the link stays, its target is replaced.
        let target = Self { flag, path: fs::canonicalize(path).unwrap_or_else(|_| path.into()) };
        if target.path.is_dir() {
            return Err(Failure::usage(format!("{flag} {}: that is a folder", path.display())));
        }
        target.temporary().map(|_| target)
    }

    /// An empty temporary file, removed when dropped; complete it with [`Target::publish`].
    ///
    /// # Errors
    /// A usage error if it cannot be made.
    pub fn temporary(&self) -> Result<TempPath, Failure> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = if self.is_special() { std::env::temp_dir() } else { folder.into() };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".sim-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(folder).map(tempfile::NamedTempFile::into_temp_path).map_err(|e| self.failure(&e))
    }

    /// Gives a finished temporary file its name.
    ///
    /// # Errors
    /// A usage error if the file system refuses.
    pub fn publish(&self, file: TempPath) -> Result<(), Failure> {
        if self.is_special() {
            return fs::read(&file).and_then(|bytes| fs::write(&self.path, bytes)).map_err(|e| self.failure(&e));
        }
        file.persist(&self.path).map_err(|e| self.failure(&e.error))
    }

    /// Writes the whole file.
    ///
    /// # Errors
    /// A usage error if it cannot be written.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let file = self.temporary()?;
        fs::write(&file, bytes).map_err(|e| self.failure(&e))?;
        self.publish(file)
    }

    /// A device or a pipe, which must not be replaced by a file.
    fn is_special(&self) -> bool {
        self.path.exists() && !self.path.is_file()
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::usage(format!("{} {}: cannot write: {}", self.flag, self.path.display(), error.kind()))
    }
}

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
        print(if self.on_stdout { json } else { text })
    }
}

/// `value` as JSON, for files and standard output.
pub fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports have string keys only") + "\n"
}

/// Prints data on standard output. A reader that has seen enough is no error.
///
/// # Errors
/// A usage error if standard output cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("standard output: cannot write: {error}")))
        }
        _ => Ok(()),
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
