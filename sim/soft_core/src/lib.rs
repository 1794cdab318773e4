//! A RISC-V core beside the TMV unit, in simulation. The core runs decoder layers: it drives the unit through registers
//! and computes all else, with golden's operators and the sequence of `decoder`. Every tensor is compared with golden
//! on the host, and every cycle is counted.
//!
//! | module | contents |
//! | --- | --- |
//! | [`core`] | the cores: where their RTL comes from, and their targets |
//! | [`firmware`] | the program of the core, built by cargo on demand |
//! | [`model`] | Verilator models of the sequencer, and of the top with all units |
//! | [`system`] | sequencer, units and memory, as the host sees them |
//! | [`body`] | what is inside a system: models stepped together (`parts`), or one of `tmv_system` (`top`) |
//! | [`layer`] | a decoder layer as a job of the core, and what comes out of it |
//! | [`whole`] | layers that the core runs on both units, computing nothing itself |
//! | [`head`] | the output head on both units |
//! | [`token`] | all layers and the head, one behind the other, on one system |
//! | [`compare`](mod@compare), [`operators`](mod@operators) | the comparison with golden; cycles and elements by operator |

pub mod body;
pub mod compare;
pub mod core;
mod error;
pub mod firmware;
pub mod head;
pub mod layer;
pub mod model;
pub mod operators;
mod parts;
pub mod system;
pub mod token;
mod top;
pub mod whole;

pub use error::Error;
