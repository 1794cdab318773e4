//! What the commands of this workspace share: how they print, write files, take options and end on their own faults.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use golden::Dtype;
use serde::Serialize;
use tempfile::{NamedTempFile, TempPath};

use crate::error::{Error, Result};

/// The exit code for a fault of the program itself.
pub const INTERNAL: u8 = 70;

/// Compute type of the operators outside the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ComputeType {
    /// IEEE single precision.
    Fp32,
    /// bfloat16.
    Bf16,
}

impl ComputeType {
    /// As options and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }
}

impl From<ComputeType> for Dtype {
    fn from(dtype: ComputeType) -> Self {
        match dtype {
            ComputeType::Fp32 => Self::Fp32,
            ComputeType::Bf16 => Self::Bf16,
        }
    }
}

/// An option that counts something: 1 to 65,536.
pub fn positive() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=65_536)
}

/// Makes a panic end with one line, and [`INTERNAL`], instead of a backtrace.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let what = text.unwrap_or("no message").replace('\n', " ");
        let place = info.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
        eprintln!("internal error: {what}{place}; please report it with the command you ran");
        std::process::exit(INTERNAL.into());
    }));
}

/// Prints data on standard output. A reader that has seen enough is no error.
///
/// # Errors
/// [`Error::Output`] if standard output cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Output { what: "standard output".into(), reason: error.kind() })
        }
        _ => Ok(()),
    }
}

/// `value` as JSON, for files and standard output.
pub fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports have string keys only") + "\n"
}

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
    /// [`Error::Output`] if the file cannot be written there.
    pub fn new(flag: &'static str, path: &Path) -> Result<Self> {
        // Through symbolic links: the link stays, its target is replaced.
        let target = Self { flag, path: fs::canonicalize(path).unwrap_or_else(|_| path.into()) };
        if target.path.is_dir() {
            return Err(target.failure(&ErrorKind::IsADirectory.into()));
        }
        target.temporary().map(|_| target)
    }

    /// An empty temporary file, removed when dropped; complete it with [`Target::publish`].
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be made.
    pub fn temporary(&self) -> Result<TempPath> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = if self.is_special() { std::env::temp_dir() } else { folder.into() };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmv-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(folder).map(NamedTempFile::into_temp_path).map_err(|e| self.failure(&e))
    }

    /// Gives a finished temporary file its name.
    ///
    /// # Errors
    /// [`Error::Output`] if the file system refuses.
    pub fn publish(&self, file: TempPath) -> Result<()> {
        if self.is_special() {
            return fs::read(&file).and_then(|bytes| fs::write(&self.path, bytes)).map_err(|e| self.failure(&e));
        }
        file.persist(&self.path).map_err(|e| self.failure(&e.error))
    }

    /// Writes the whole file.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        let file = self.temporary()?;
        fs::write(&file, bytes).map_err(|e| self.failure(&e))?;
        self.publish(file)
    }

    /// A device or a pipe, which must not be replaced by a file.
    fn is_special(&self) -> bool {
        self.path.exists() && !self.path.is_file()
    }

    fn failure(&self, error: &io::Error) -> Error {
        Error::Output { what: format!("{} {}", self.flag, self.path.display()), reason: error.kind() }
    }
}
