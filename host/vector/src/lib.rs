//! The vector unit from the host's side.
//!
//! The unit runs programs of [`Instruction`]s. Each is a pass: a nest of four loops that takes words from its scratchpad
//! or from memory through lanes of floating-point arithmetic, in golden's order, so that results have golden's bits.
//!
//! | module | content |
//! | --- | --- |
//! | [`regs`] | register offsets, fields, error codes: generated from the register map |
//! | [`config`] | what a unit is built with |
//! | [`instruction`] | an instruction, and its words in memory |
//! | [`machine`] | the arithmetic of a program, without hardware |
//! | [`functional`] | a unit without hardware: registers, ring, errors |
//! | `conformance` | rules for every vector unit, behind a feature |
//! | [`program`] | passes for the operators of a layer |
//! | [`layer`] | the programs of a decoder layer |
//! | [`head`] | the programs of the output head |
//! | [`schedule`] | the order in which both units work on a layer, and who waits for whom |
//! | [`driver`] | runs programs on a device |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "conformance")]
extern crate std;

pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod driver;
pub mod functional;
pub mod head;
pub mod instruction;
pub mod layer;
pub mod machine;
pub mod program;
pub mod regs;
pub mod schedule;

pub use config::VectorConfig;
pub use instruction::Instruction;
