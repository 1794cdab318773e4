//! Finds and runs the C++ compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::hash;
use crate::error::{Error, io};
use crate::process::{log, output, stdout};

/// Flags for code that runs from end to end once a cycle and hardly fits the instruction cache. They turn off what
/// GCC does for loops and for values that are used twice: in such code, this costs more time than it saves
/// (`docs/testing.md`, simulation speed).
const STRAIGHT: [&str; 4] = ["-fno-tree-pre", "-fno-align-jumps", "-fno-align-loops", "-fno-align-labels"];

/// The C++ compiler.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    /// The flag that selects this processor, if the compiler has one.
    native: Option<&'static str>,
    /// Flags for code that runs from end to end once a cycle; empty if the compiler does not know them.
    pub straight: &'static [&'static str],
    /// A hash that changes with the version of the compiler and the features of the processor.
    pub identity: String,
}

impl Compiler {
    /// Finds a compiler: `given`, otherwise `$CXX`, otherwise `c++`, `g++` or `clang++`.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], which says what to install or set.
    pub fn find(given: Option<&Path>) -> Result<Self, Error> {
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

    /// Reads the predefined macros of the compiler. They show its version, and the features that `native` stands for.
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

    /// A command that compiles for this processor, to position-independent code with hidden symbols.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.native);
        command.args(["-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", "-w"]);
        command
    }
}

/// Runs a command that compiles or links `file`.
///
/// # Errors
/// [`Error::Compile`] with the output of the compiler; [`Error::Io`] if the compiler cannot be run.
pub fn compile(command: &mut Command, file: &Path) -> Result<(), Error> {
    let output = output(command).map_err(io(command.get_program()))?;
    if output.status.success() { Ok(()) } else { Err(Error::Compile { file: file.to_owned(), log: log(&output) }) }
}
