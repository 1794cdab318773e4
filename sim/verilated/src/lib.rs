//! Safe bindings to Verilated models that are built on demand.
//!
//! [`build`] turns a [`ModelSpec`] into a [`ModelLibrary`]: it finds or fetches Verilator, generates and compiles
//! the model, and keeps the result in a cache, so that the next request takes milliseconds. [`Model`] is one
//! instance of it; its [`Pin`]s are read and written as plain memory.
//!
//! All unsafe code is in one module, behind a C interface of a dozen functions. Linux and macOS.

mod builder;
mod cache;
mod cxxrtl;
mod error;
mod ffi;
mod model;
mod shim;
mod toolchain;

pub use builder::{Builder, ModelSpec, Progress, Simulator, Trace, build};
pub use cache::cache_dir;
pub use error::Error;
pub use model::{Direction, Model, ModelLibrary, Pin, Port, PowerUp, VerilatedContext};
pub use toolchain::Verilator;
