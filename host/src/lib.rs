//! The host side of BitNet: checkpoints, the decoder layer, the driver of the ternary unit, and CPU profiles.
//!
//! | module | what |
//! | --- | --- |
//! | [`config`] | the model's dimensions and the names of its operators |
//! | [`checkpoint`], [`synthetic`] | weights from a Hugging Face folder, or from a seed |
//! | [`weights`], [`resident`], [`weight_cache`] | what both give, a layer at a time; kept in memory; kept on disk |
//! | [`export`] | any weights as a Hugging Face folder |
//! | [`layer`], [`model`] | the forward pass, with the ternary products left to a back end |
//! | [`text`], [`sampler`], [`mod@generate`] | text to tokens and back, chat prompts; the next token from logits; many of them |
//! | [`device`], [`regs`] | what a unit looks like: registers, shared memory, an interrupt; the register map, generated |
//! | [`descriptor`], [`driver`] | one operator for the unit, and runs of them: layout, doorbell, results, cycles |
//! | [`functional`] | a unit without hardware, for the same driver |
//! | [`profile`], [`mod@measure`], [`tables`] | what the same layer costs on a CPU, as data; measured; as tables |
//! | [`program`] | what commands share: how they print, write files, take options and end |
//! | [`machine`] | memory of this process, name and frequencies of the CPU |

pub mod checkpoint;
pub mod config;
pub mod descriptor;
pub mod device;
pub mod driver;
mod error;
pub mod export;
pub mod functional;
pub mod generate;
mod json;
pub mod layer;
pub mod machine;
mod map;
pub mod measure;
pub mod model;
pub mod profile;
pub mod program;
pub mod regs;
pub mod resident;
pub mod sampler;
pub mod synthetic;
pub mod tables;
#[cfg_attr(not(feature = "text"), path = "no_text.rs")]
pub mod text;
pub mod weight_cache;
pub mod weights;

pub use error::{BackendError, Error, ErrorKind, Result};
