//! Running the real program, for tests of the command line.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;

/// The prompt from the README of the tiny checkpoints.
pub const PROMPT: &str = "318,2,282,0,1,7";

pub fn testdata(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "testdata", name].iter().collect()
}

/// A copy of checkpoints in a temporary folder, which a test may change.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// The files of all these folders of `testdata/`, without the expected values.
    pub fn of(folders: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for entry in folders.iter().flat_map(|name| fs::read_dir(testdata(name)).unwrap()) {
            let entry = entry.unwrap();
            if !entry.file_name().to_string_lossy().starts_with("expected") {
                fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
            }
        }
        Self(dir)
    }

    /// The packed tiny model without a tokenizer.
    pub fn packed() -> Self {
        Self::of(&["tiny-packed"])
    }

    /// The packed tiny model with the tiny tokenizer.
    pub fn text() -> Self {
        Self::of(&["tiny-packed", "tiny-tokenizer"])
    }

    /// Changes the data of the tensors in `model.safetensors`.
    pub fn tensors(self, edit: impl Fn(&str, &mut [u8])) -> Self {
        let file = fs::read(self.path().join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap().tensors();
        let mut data: Vec<Vec<u8>> = tensors.iter().map(|(_, view)| view.data().to_vec()).collect();
        tensors.iter().zip(&mut data).for_each(|((name, _), bytes)| edit(name, bytes));
        let view = |((name, old), bytes)| -> (String, TensorView<'_>) {
            let (name, old): (&String, &TensorView<'_>) = (name, old);
            (name.clone(), TensorView::new(old.dtype(), old.shape().to_vec(), bytes).unwrap())
        };
        let views: Vec<_> =
            tensors.iter().map(|(name, view)| (name, view)).zip(data.iter().map(Vec::as_slice)).map(view).collect();
        let bytes = safetensors::serialize(views, None).unwrap();
        self.write("model.safetensors", bytes)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path().join(file), content).unwrap();
        self
    }

    /// Changes the object in a JSON file. An absent file counts as an empty object.
    pub fn json(self, file: &str, edit: impl FnOnce(&mut Value)) -> Self {
        let bytes = fs::read(self.path().join(file)).unwrap_or_else(|_| b"{}".to_vec());
        let mut value = serde_json::from_slice(&bytes).unwrap();
        edit(&mut value);
        self.write(file, value.to_string())
    }

    /// Runs `sim generate --device golden --model FOLDER ...`.
    pub fn generate(&self, more: &[&str]) -> Ran {
        let model = self.path().display().to_string();
        sim(&[&["generate", "--device", "golden", "--model", &model], more].concat())
    }
}

/// A completed run of the program.
pub struct Ran {
    pub what: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(what: String, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let ran = Self { what, code: output.status.code().unwrap_or(-1), out, err };
        for noise in ["panicked", "RUST_BACKTRACE", "internal error"] {
            assert!(!ran.err.contains(noise), "{ran}");
        }
        ran
    }

    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert!(self.code == expected, "expected exit code {expected}\n{self}");
        self
    }

    /// Checks that standard error contains all of `texts`.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "standard error lacks {text:?}\n{self}");
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("standard output is no JSON: {e}\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cwd = std::env::current_dir().unwrap();
        let Self { what, code, out, err } = self;
        write!(f, "command: {what}\nfolder: {}\nexit code: {code}\n--- stdout\n{out}\n--- stderr\n{err}", cwd.display())
    }
}

/// The program as a shell would start it, not as cargo would.
pub fn program() -> Command {
    let mut command = Command::new(cargo_bin!("sim"));
    command.env_remove("CARGO_PKG_NAME");
    command
}

pub fn sim(arguments: &[&str]) -> Ran {
    let output = program().args(arguments).stdin(Stdio::null()).output().unwrap();
    Ran::new(format!("sim {}", arguments.join(" ")), &output)
}
