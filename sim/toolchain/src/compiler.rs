//! Finds and runs the C++ compiler.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use crate::cache::hash;
use crate::error::{Error, io};
use crate::process::{log, output, stdout};

/// What GCC leaves out at level 1 and the code of a simulated cycle needs (`docs/testing.md`, simulation speed). With
/// "expensive optimizations", a function that used vector registers clears their upper halves before it returns. Without,
/// the program that calls it, which uses the lower halves only, runs at half its speed. The others copy wide signals by
/// vector registers.
const MODEL: [&str; 4] = ["-fexpensive-optimizations", "-ftree-slp-vectorize", "-ftree-loop-vectorize", "-fpeephole2"];

/// The C++ compiler.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program and its first arguments, such as `ccache g++`.
    words: Vec<OsString>,
    /// The flag that selects this processor, if the compiler has one.
    native: Option<&'static str>,
    /// Flags for the code of a simulated cycle, beside `-O1`; empty if the compiler does not know them.
    pub model: &'static [&'static str],
    /// A hash that changes with the version of the compiler and the features of the processor.
    pub identity: String,
}

impl Compiler {
    /// Finds a compiler: `given`, otherwise `$CXX`, otherwise `c++`, `g++` or `clang++`. Like make, it takes `$CXX` as a
    /// command with arguments (`ccache g++`), unless there is a program with that name.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], which says what to install or set.
    pub fn find(given: Option<&Path>) -> Result<Self, Error> {
        let environment = std::env::var_os("CXX").filter(|command| !command.is_empty());
        let candidates = match (given, &environment) {
            (Some(program), _) => vec![vec![program.into()]],
            (None, Some(command)) => vec![words(command)],
            (None, None) => ["c++", "g++", "clang++"].map(|name| vec![name.into()]).to_vec(),
        };
        let mut reasons = Vec::new();
        for words in candidates {
            match Self::probe(&words) {
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
    fn probe(words: &[OsString]) -> Result<Self, String> {
        // In one language, so that users with different languages can share a cache.
        let version = stdout(command(words).arg("--version").env("LC_ALL", "C"))?;
        let macros = |native: Option<&str>, more: &[&str]| {
            let mut command = command(words);
            command.args(native).args(more).args(["-std=c++17", "-O3", "-dM", "-E", "-x", "c++", "/dev/null"]);
            stdout(&mut command)
        };
        let mut last = String::new();
        for native in [Some("-march=native"), Some("-mcpu=native"), None] {
            match macros(native, &[]) {
                Ok(text) => {
                    let mut parts: Vec<&[u8]> = words.iter().map(|word| word.as_encoded_bytes()).collect();
                    parts.extend([version.as_bytes(), text.as_bytes()]);
                    let identity = hash(&parts);
                    let model: &[&str] = if macros(native, &MODEL).is_ok() { &MODEL } else { &[] };
                    return Ok(Self { words: words.to_vec(), native, model, identity });
                }
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    /// A command that compiles for this processor, to position-independent code with hidden symbols.
    pub fn command(&self) -> Command {
        let mut command = command(&self.words);
        command.args(self.native);
        command.args(["-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", "-w"]);
        command
    }
}

/// The words of `$CXX`.
fn words(text: &OsStr) -> Vec<OsString> {
    let whole = vec![text.to_owned()];
    if Path::new(text).is_file() {
        return whole;
    }
    let split = text.to_str().and_then(shlex::split).filter(|words| !words.is_empty());
    split.map_or(whole, |words| words.into_iter().map(OsString::from).collect())
}

fn command(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Runs a command that compiles or links `file`.
///
/// # Errors
/// [`Error::Compile`] with the output of the compiler; [`Error::Io`] if the compiler cannot be run.
pub fn compile(command: &mut Command, file: &Path) -> Result<(), Error> {
    let output = output(command).map_err(io(command.get_program()))?;
    if output.status.success() { Ok(()) } else { Err(Error::Compile { file: file.to_owned(), log: log(&output) }) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A function of a model that uses whole vector registers clears their upper halves.
    #[test]
    fn models_leave_vector_registers_clear() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("copy.cpp");
        let text = "struct Wide { unsigned words[16]; };\nvoid copy(Wide* to, const Wide* from) { *to = *from; }\n";
        std::fs::write(&source, text).unwrap();
        let compiler = Compiler::find(None).unwrap();
        let mut command = compiler.command();
        command.arg("-O1").args(compiler.model).args(["-S", "-o", "-"]).arg(&source);
        let assembly = stdout(&mut command).unwrap();
        let uses = assembly.contains("%ymm") || assembly.contains("%zmm");
        assert!(!uses || assembly.contains("vzeroupper"), "{assembly}");
    }

    #[test]
    fn a_compiler_may_have_arguments() {
        let of = |text: &str| words(OsStr::new(text)).into_iter().map(|w| w.into_string().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("g++"), ["g++"]);
        assert_eq!(of("ccache  g++ -m64"), ["ccache", "g++", "-m64"]);
        assert_eq!(of("'/opt/my tools/g++' -x"), ["/opt/my tools/g++", "-x"]);
        assert_eq!(of(" "), [" "]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my g++");
        std::fs::write(&path, "").unwrap();
        assert_eq!(of(path.to_str().unwrap()), [path.to_str().unwrap()]);
    }
}
