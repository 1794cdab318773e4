//! Output files of a command.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::Error;

type Result<T> = std::result::Result<T, Error>;

/// A file that a command writes. It is written under a temporary name in the same folder, and renamed when it is
/// complete.
#[derive(Clone, Debug)]
pub struct Target {
    flag: &'static str,
    path: PathBuf,
}

impl Target {
    /// Creates a target for the file `path`, which the option `flag` names. Checks that the folder is writable, so
    /// that a typing error does not cost hours of work.
    ///
    /// # Errors
    /// [`Error::Output`] if a file cannot be written there.
    pub fn new(flag: &'static str, path: &Path) -> Result<Self> {
        // Symbolic links are followed: the link stays, and the file it points to is replaced.
        let target = Self { flag, path: fs::canonicalize(path).unwrap_or_else(|_| path.into()) };
        if target.path.is_dir() {
            return Err(target.refuse(&ErrorKind::IsADirectory.into()));
        }
        target.create().map_err(|e| target.refuse(&e))?;
        Ok(target)
    }

    /// Creates an empty temporary file, which is removed when dropped. [`Target::publish`] completes it.
    ///
    /// # Errors
    /// [`Error::Output`] if the temporary file cannot be created.
    pub fn temporary(&self) -> Result<TempPath> {
        self.create().map_err(|e| self.failure(&e))
    }

    fn create(&self) -> io::Result<TempPath> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = if self.is_special() { std::env::temp_dir() } else { folder.into() };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmv-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(folder).map(NamedTempFile::into_temp_path)
    }

    /// Renames a complete temporary file to the name of the target. For a device or a pipe, copies its content there.
    ///
    /// # Errors
    /// [`Error::Output`] if the file system refuses.
    pub fn publish(&self, file: TempPath) -> Result<()> {
        if self.is_special() {
            return fs::read(&file).and_then(|bytes| fs::write(&self.path, bytes)).map_err(|e| self.failure(&e));
        }
        file.persist(&self.path).map_err(|e| self.failure(&e.error))
    }

    /// Writes `bytes` as the whole content of the file.
    ///
    /// # Errors
    /// [`Error::Output`] if the file cannot be written.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        let file = self.temporary()?;
        fs::write(&file, bytes).map_err(|e| self.failure(&e))?;
        self.publish(file)
    }

    /// Whether the target is a device or a pipe, which must not be replaced by a file.
    fn is_special(&self) -> bool {
        self.path.exists() && !self.path.is_file()
    }

    fn failure(&self, error: &io::Error) -> Error {
        Error::Write { what: self.what(), reason: error.kind() }
    }

    fn refuse(&self, error: &io::Error) -> Error {
        Error::Refused { what: self.what(), why: format!("cannot write: {}", error.kind()) }
    }

    fn what(&self) -> String {
        format!("{} {}", self.flag, self.path.display())
    }
}
