//! The one error type of this crate.

use std::{io, path::PathBuf};

/// What can go wrong between RTL on disk and a running model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program this crate has to run is absent, broken or too old.
    #[error("{tool} is not usable: {hint}")]
    ToolMissing {
        /// What was looked for.
        tool: String,
        /// Where it was looked for, and what to install or set.
        hint: String,
    },
    /// The directory for built models cannot be written.
    #[error(
        "the cache directory {} is not writable ({source}); set TMV_CACHE_DIR to a directory that is",
        path.display()
    )]
    CacheUnwritable {
        /// The directory that was tried.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Verilator rejected the RTL (its warnings count as errors).
    #[error("Verilator rejected `{top}`:\n{log}")]
    Verilation {
        /// The top module.
        top: String,
        /// Verilator's own words.
        log: String,
    },
    /// Yosys rejected the RTL.
    #[error("Yosys rejected `{top}`:\n{log}")]
    Translation {
        /// The top module.
        top: String,
        /// Yosys's own words.
        log: String,
    },
    /// `$TMV_SIMULATOR` names none.
    #[error("TMV_SIMULATOR is `{name}`, expected `verilator` or `cxxrtl`")]
    NoSuchSimulator {
        /// What it names.
        name: String,
    },
    /// The C++ compiler or linker failed on generated code.
    #[error("the C++ compiler failed on {}:\n{log}", file.display())]
    Compile {
        /// The translation unit, or the library being linked.
        file: PathBuf,
        /// The compiler's own words.
        log: String,
    },
    /// A built library does not load.
    #[error("cannot load the model {}: {reason}; delete that file to rebuild it", path.display())]
    Load {
        /// The shared library.
        path: PathBuf,
        /// The loader's reason.
        reason: String,
    },
    /// The top module has no port of that name.
    #[error("`{top}` has no port `{name}`; it has {available}")]
    NoSuchPin {
        /// The top module.
        top: String,
        /// The name asked for.
        name: String,
        /// All port names, separated by commas.
        available: String,
    },
    /// A port exists with another width than the caller counts on.
    #[error("port `{name}` is {found} bits wide, expected {expected}")]
    PinWidth {
        /// The port.
        name: String,
        /// The width asked for, in bits.
        expected: u32,
        /// The width in the model, in bits.
        found: u32,
    },
    /// An assertion failed, or `$error`, `$fatal` or `$stop` was reached. The model stays stopped.
    #[error("simulation stopped in cycle {cycle}: {message}")]
    Simulation {
        /// Full clock cycles before the failure.
        cycle: u64,
        /// `file:line: text` of the assertion.
        message: String,
    },
    /// `$finish` was reached. The model stays stopped.
    #[error("the model called $finish in cycle {cycle} ({message})")]
    Finished {
        /// Full clock cycles before the call.
        cycle: u64,
        /// `file:line` of the call.
        message: String,
    },
    /// The library was built without the facility asked for.
    #[error("`{top}` was built without {facility}; set it in its ModelSpec")]
    NotBuiltIn {
        /// The top module.
        top: String,
        /// `tracing` or `coverage`.
        facility: &'static str,
    },
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// `map_err(io(path))`: attaches the path to an I/O error.
pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { path, source }
}
