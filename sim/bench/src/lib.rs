//! The simulated unit as a `Device`, and runs on it whose outputs are compared with golden.
//!
//! | module | contents |
//! | --- | --- |
//! | [`model`] | Verilator models of the unit and of its modules, built on demand |
//! | [`device`] | the unit with the memory of a Zynq on its ports, as a `Device`; one `step` is one clock cycle |
//! | [`unit`](mod@unit), [`ports`] | a Verilated unit by itself; memory ports, and their turn in a cycle |
//! | [`run`](mod@run), [`recorder`] | a run and its expected outputs; golden's forward pass as a stream of runs |
//! | [`bench`](mod@bench), [`injection`] | one run on one freshly powered unit; deliberate faults |
//! | [`compare`], [`outcome`] | the comparison of every output; the result of a run |
//! | [`pool`] | workers that verify a stream of runs |
//! | [`clock`] | CPU time of a thread |

pub mod bench;
pub mod clock;
pub mod compare;
pub mod device;
mod error;
pub mod injection;
pub mod model;
pub mod outcome;
pub mod pool;
pub mod ports;
pub mod recorder;
pub mod run;
pub mod unit;

pub use error::{Error, SimulationError};
