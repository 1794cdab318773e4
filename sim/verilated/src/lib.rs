//! Safe bindings to simulation models of RTL that are built on demand.
//!
//! [`build`] turns a [`ModelSpec`] into a [`ModelLibrary`]. It generates and compiles the model with the tools that
//! the crate `toolchain` finds. It keeps the library in a cache, so that the next request takes milliseconds. A
//! [`Model`] is one instance of the library; its [`Pin`]s are read and written as plain memory.
//!
//! All unsafe code is in one module, behind a small C interface. The crate works on Linux and macOS.

mod builder;
mod cxxrtl;
mod error;
mod ffi;
mod files;
mod model;
mod pins;
mod recipe;
mod shim;
mod spec;
mod verilate;

pub use builder::{Builder, build};
pub use error::Error;
pub use model::{Direction, Model, ModelLibrary, Pin, Port, PowerUp, VerilatedContext, Watch};
pub use spec::{ModelSpec, Simulator, Trace};
pub use toolchain::progress::Progress;
