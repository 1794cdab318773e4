//! The specification of a model.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Waveform support compiled into a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trace {
    /// No waveforms: the fastest model.
    #[default]
    Off,
    /// FST, the compact format of GTKWave and Surfer.
    Fst,
    /// VCD, the text format of IEEE 1364.
    Vcd,
}

impl Trace {
    /// [`Trace::Vcd`] for a file name that ends in `.vcd`, otherwise [`Trace::Fst`].
    pub fn for_path(path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("vcd")) {
            Self::Vcd
        } else {
            Self::Fst
        }
    }
}

/// The simulator that makes a model from RTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulator {
    /// Verilator.
    Verilator,
    /// CXXRTL, the simulator of Yosys, with the slang front end. It is independent of Verilator, and several times
    /// slower. Its models have no waveforms and no coverage, and what they print is lost. It checks only the
    /// assertions that Yosys supports, and does not name the one that fails.
    Cxxrtl,
}

impl Simulator {
    /// The simulator that `$TMV_SIMULATOR` names; Verilator if the variable is not set.
    ///
    /// # Errors
    /// [`Error::NoSuchSimulator`] if the variable has another value.
    pub fn from_env() -> Result<Self, Error> {
        match std::env::var("TMV_SIMULATOR").as_deref() {
            Err(_) | Ok("" | "verilator") => Ok(Self::Verilator),
            Ok("cxxrtl") => Ok(Self::Cxxrtl),
            Ok(name) => Err(Error::NoSuchSimulator { name: name.into() }),
        }
    }
}

/// The specification of a model: a top module, its files, and how to elaborate it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    /// Name of the model in progress messages; by default the name of the top module.
    pub label: String,
    /// Name of the top module.
    pub top: String,
    /// SystemVerilog sources (packages first) and `.vlt` waivers.
    pub files: Vec<PathBuf>,
    /// Files with bound checkers. They are read after `files`, and only by Verilator.
    pub checkers: Vec<PathBuf>,
    /// Folders in which `` `include`` searches for files.
    pub include_dirs: Vec<PathBuf>,
    /// Top-level parameters as Verilog literals; strings need their quotes.
    pub params: BTreeMap<String, String>,
    /// Preprocessor macros with their values.
    pub defines: BTreeMap<String, String>,
    /// Waveform support.
    pub trace: Trace,
    /// Whether the model has line, branch, toggle and `cover` counters. If so, the macro `TMV_COVERAGE` is defined in
    /// the RTL. The environment variable `TMV_COVERAGE` also turns coverage on.
    pub coverage: bool,
    /// Whether assertions are checked; true by default.
    pub assertions: bool,
    /// Whether the model runs for many millions of cycles, so that compiling its code at level 2 pays.
    pub long_runs: bool,
    /// Further options for Verilator.
    pub flags: Vec<String>,
    /// Modules for which CXXRTL generates code only once, each with the path of one instance. All instances of such a
    /// module must have the same parameters. This shortens the work of the C++ compiler.
    pub shared: Vec<(String, String)>,
    /// The simulator; if `None`, the one that [`Simulator::from_env`] returns.
    pub simulator: Option<Simulator>,
}

impl ModelSpec {
    /// A specification of the module `top` in `files`, with assertions, and without parameters, waveforms or coverage.
    pub fn new(top: impl Into<String>, files: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let top = top.into();
        Self {
            label: top.clone(),
            top,
            files: files.into_iter().map(Into::into).collect(),
            checkers: Vec::new(),
            include_dirs: Vec::new(),
            params: BTreeMap::new(),
            defines: BTreeMap::new(),
            trace: Trace::Off,
            coverage: false,
            assertions: true,
            long_runs: false,
            flags: Vec::new(),
            shared: Vec::new(),
            simulator: None,
        }
    }

    /// Sets a top-level parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.params.insert(name.into(), value.to_string());
        self
    }
}

impl ModelSpec {
    /// A copy of the specification with absolute paths.
    pub(crate) fn absolute(&self) -> Self {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Self {
            files: self.files.iter().map(absolute).collect(),
            checkers: self.checkers.iter().map(absolute).collect(),
            include_dirs: self.include_dirs.iter().map(absolute).collect(),
            ..self.clone()
        }
    }
}
