//! Packages of the Python package index, pinned by version and hash, in the cache.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cache::{Cache, hash};
use crate::error::Error;
use crate::process::{python, stdout};
use crate::progress::Progress;

/// A pinned package.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Name of the package's folder in the cache.
    pub name: &'static str,
    /// Name, version and hashes, as pip reads them from a file.
    pub requirement: &'static str,
}

/// A Python program that installs packages into a folder.
const INSTALL: &str = include_str!("../../../tools/pip_install.py");

impl Package {
    /// What `works` finds in the package's folder in the cache. The package is installed if `works` refuses what is
    /// there. `failed` makes the error from the reason why the package is not to be had.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], which says what to install or set; [`Error::Io`] for a cache that cannot be written.
    pub fn provide<T>(
        &self,
        cache: &Cache,
        progress: &mut dyn FnMut(Progress<'_>),
        works: impl Fn(&Path) -> Result<T, String>,
        failed: impl Fn(String) -> Error,
    ) -> Result<T, Error> {
        let home = self.home(cache);
        if let Ok(found) = works(&home) {
            return Ok(found);
        }
        let _lock = cache.lock("tools", &self.identity(), || progress(Progress::Waiting))?;
        if let Ok(found) = works(&home) {
            return Ok(found); // another process was faster
        }
        let scratch = cache.scratch("tools")?;
        progress(Progress::Provisioning { package: self.version(), into: &home });
        self.install(scratch.path())
            .map_err(|reason| failed(format!("fetching the package `{}` failed: {reason}", self.version())))?;
        Cache::publish(scratch, &home)?;
        works(&home).map_err(failed)
    }

    /// Name and version.
    pub fn version(&self) -> &'static str {
        self.requirement.split_whitespace().next().unwrap_or_default()
    }

    fn identity(&self) -> String {
        hash(&[self.requirement.as_bytes()])
    }

    fn home(&self, cache: &Cache) -> PathBuf {
        cache.path("tools", &format!("{}-{}", self.name, &self.identity()[..16]))
    }

    /// Installs the package into `target`, with the pip of the system or of a temporary venv.
    fn install(&self, target: &Path) -> Result<(), String> {
        let explain = |error: std::io::Error| error.to_string();
        let mut requirements = tempfile::NamedTempFile::new().map_err(explain)?;
        requirements.write_all(self.requirement.as_bytes()).map_err(explain)?;
        stdout(python(Path::new("python3")).arg("--version"))
            .map_err(|reason| format!("{reason}; install Python 3 with pip or venv"))?;
        let mut command = python(Path::new("python3"));
        command.args(["-I", "-c", INSTALL]).arg(target).arg(requirements.path());
        stdout(&mut command).map(drop)
    }
}
