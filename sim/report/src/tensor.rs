//! Tensors that were compared with golden's.

use serde::{Deserialize, Serialize};

/// A tensor that differs from golden's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorDifference {
    /// Name of the tensor within the layer.
    pub tensor: String,
    /// Elements that differ.
    pub mismatches: usize,
    /// Index of the first of them.
    pub first: usize,
}
