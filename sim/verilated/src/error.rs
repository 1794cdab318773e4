//! The error type of this crate.

use std::path::PathBuf;

/// An error while a model is built, loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the cache, the compiler, or a program that makes models.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    /// Verilator rejected the RTL (its warnings count as errors).
    #[error("Verilator rejected `{top}`:\n{log}")]
    Verilation {
        /// The top module.
        top: String,
        /// The output of Verilator.
        log: String,
    },
    /// Yosys rejected the RTL.
    #[error("Yosys rejected `{top}`:\n{log}")]
    Translation {
        /// The top module.
        top: String,
        /// The output of Yosys.
        log: String,
    },
    /// The value of `$TMV_SIMULATOR` is not the name of a simulator.
    #[error("TMV_SIMULATOR is `{name}`, expected `verilator` or `cxxrtl`")]
    NoSuchSimulator {
        /// The value of the variable.
        name: String,
    },
    /// A built library cannot be loaded.
    #[error("cannot load the model {}: {reason}; delete that file to rebuild it", path.display())]
    Load {
        /// The shared library.
        path: PathBuf,
        /// The error of the loader.
        reason: String,
    },
    /// The top module has no port with the requested name.
    #[error("`{top}` has no port `{name}`; its ports are {available}")]
    NoSuchPin {
        /// The top module.
        top: String,
        /// The requested name.
        name: String,
        /// All port names, separated by commas.
        available: String,
    },
    /// A port has another width than the caller expects.
    #[error("port `{name}` is {found} bits wide, expected {expected}")]
    PinWidth {
        /// The port.
        name: String,
        /// The expected width in bits.
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
    /// The library was built without the requested facility.
    #[error("`{top}` was built without {facility}; enable it in the ModelSpec")]
    NotBuiltIn {
        /// The top module.
        top: String,
        /// `tracing` or `coverage`.
        facility: &'static str,
    },
}
