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

/// Tensors that differ, for the user: a line each, and the command that repeats the run. `place` is where they were
/// computed.
pub fn tell(differences: &[TensorDifference], place: &str, command: &str) -> String {
    let line = |d: &TensorDifference| {
        format!("mismatch: {place}, {}, {} elements, the first is {}\n", d.tensor, d.mismatches, d.first)
    };
    differences.iter().map(line).collect::<String>() + &format!("repeat it with: {command}\n")
}
