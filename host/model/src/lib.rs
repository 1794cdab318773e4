//! BitNet on the CPU: weight sources, the forward pass, token generation and text.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`folder`] | the folder of a checkpoint, found from what the user names |
//! | [`config`] | the dimensions of a model and the names of its operators |
//! | [`weights`] | the trait of a weight source, which loads one layer at a time |
//! | [`checkpoint`] | a weight source: a Hugging Face folder |
//! | [`generation_config`] | the tokens that end a text, from `generation_config.json` |
//! | [`skip`] | rows of `up_proj` and columns of `down_proj` that need not be read |
//! | [`synthetic`] | a weight source: random weights from a seed |
//! | [`resident`] | a wrapper around a weight source that keeps its weights in memory |
//! | [`weight_cache`] | a wrapper around a checkpoint that keeps its layers on disk |
//! | [`inspect`] | a wrapper around a weight source that notices matrices of zeros and the like |
//! | [`export`] | writes the weights of any source as a Hugging Face folder |
//! | [`layer`], [`model`] | the forward pass; a back end computes its ternary products |
//! | [`bos`] | the token at the beginning of a prompt |
//! | [`text`] | the tokenizer and the chat template of a checkpoint |
//! | [`sampler`] | chooses the next token from logits |
//! | [`gates`] | the share of gates above zero in a model without a checkpoint |
//! | [`mod@generate`] | generates the tokens that follow a prompt |
//! | [`json`] | JSON objects whose errors name the file and the key |

pub mod bos;
pub mod checkpoint;
pub mod config;
mod config_keys;
mod error;
pub mod export;
mod files;
pub mod folder;
pub mod gates;
pub mod generate;
pub mod generation_config;
pub mod inspect;
pub mod json;
pub mod layer;
mod map;
pub mod model;
mod names;
pub mod resident;
pub mod sampler;
pub mod skip;
mod surplus;
pub mod synthetic;
#[cfg_attr(not(feature = "text"), path = "no_text.rs")]
pub mod text;
pub mod weight_cache;
pub mod weights;

pub use error::{BackendError, Error, ErrorKind, Result};
