//! Rows of `up_proj` that need not be computed.
//!
//! A layer squares what is above zero of each gate, and multiplies the square by the output of `up_proj`. Behind a gate that
//! is not above zero that product is zero, whatever the output of `up_proj` is. So its row can be left out, and zero takes
//! the place of its accumulator. Only the sign of a zero can differ from a run with all rows, and the norm and quantiser
//! behind the product give the same codes for both zeros.

use crate::BackendError;
use crate::config::Linear;
use crate::layer::{MatvecRequest, TernaryBackend};

/// Whether a request has rows that may be left out: `gate_proj` and `up_proj` for one token. The sign of a gate is that of
/// its accumulator only if a ternary 1 has a positive value.
pub fn skippable(request: &MatvecRequest<'_>) -> bool {
    match request.operators {
        [(Linear::Gate, gate), (Linear::Up, _)] => request.tokens == 1 && gate.factor > 0.0,
        _ => false,
    }
}

/// Sets the accumulators of `up` to zero whose gate is not above zero. Returns the number of the others.
///
/// # Panics
/// If there are not as many accumulators of either.
pub fn skip(gate: &[i32], up: &mut [i32]) -> usize {
    assert_eq!(gate.len(), up.len(), "a gate for each row");
    gate.iter().zip(&mut *up).filter(|(gate, _)| **gate <= 0).for_each(|(_, up)| *up = 0);
    gate.iter().filter(|gate| **gate > 0).count()
}

/// A back end that leaves out the rows that may be left out. Its results are those of a unit that skips them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Skipping<B>(pub B);

impl<B: TernaryBackend> TernaryBackend for Skipping<B> {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        let mut accumulators = self.0.matvec(request)?;
        if let (true, [gate, up]) = (skippable(request), &mut accumulators[..]) {
            skip(gate, up);
        }
        Ok(accumulators)
    }
}
