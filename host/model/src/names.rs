//! Names of the files and the tensors of a checkpoint.

use crate::config::{Linear, Norm};

/// The configuration.
pub(crate) const CONFIG: &str = "config.json";
/// The weights, if they are in one file.
pub(crate) const SINGLE: &str = "model.safetensors";
/// The list of weight files otherwise.
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// The embedding.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// The norm after the last layer.
pub(crate) const FINAL_NORM: &str = "model.norm.weight";
/// The output head.
pub(crate) const HEAD: &str = "lm_head.weight";

/// Name of the weights of a norm in a checkpoint.
pub(crate) fn norm_name(layer: usize, norm: Norm) -> String {
    format!("model.layers.{layer}.{}.weight", norm.name())
}

/// Name of the masters or the packed weights of a linear in a checkpoint.
pub(crate) fn linear_name(layer: usize, linear: Linear) -> String {
    format!("model.layers.{layer}.{linear}.weight")
}

/// Name of the factor of a packed linear in a checkpoint.
pub(crate) fn scale_name(layer: usize, linear: Linear) -> String {
    format!("model.layers.{layer}.{linear}.weight_scale")
}
