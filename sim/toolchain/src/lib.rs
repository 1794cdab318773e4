//! Finds or downloads the programs that make simulation models of RTL, and caches the models.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`cache`] | the cache directory: locks, atomic entries, checksums, pruning |
//! | [`verilator`], [`yosys`] | simulators, found or downloaded at first use |
//! | [`package`] | packages of the Python package index, pinned and cached |
//! | [`compiler`] | the C++ compiler, found and never downloaded |
//! | [`process`] | runs programs for their output |
//! | [`progress`] | the steps of a build, for progress messages |

pub mod cache;
pub mod compiler;
mod error;
pub mod package;
pub mod process;
pub mod progress;
pub mod verilator;
pub mod yosys;

pub use error::{Error, io};
