//! Rows of `up_proj` and columns of `down_proj` that need not be read.
//!
//! A layer squares what is above zero of each gate, and multiplies the square by the output of `up_proj`. Behind a gate that
//! is not above zero that product is zero, whatever the output of `up_proj` is. So its row can be left out, and zero takes
//! the place of its accumulator. Only the sign of a zero can differ from a run with all rows, and the norm and quantiser
//! behind the product give the same codes for both zeros.
//!
//! A column of `down_proj` whose activation is zero adds nothing to any result.

use golden::Layout;

use crate::BackendError;
use crate::config::Linear;
use crate::layer::{MatvecRequest, TernaryBackend};

/// Sets the accumulators of rows of `up_proj` that may be left out to zero: those whose gate is not above zero. Returns
/// whether rows may be left out at all: only in a request for `gate_proj` and `up_proj` for one token, and only if a
/// ternary 1 of `gate_proj` has a positive value, because then the sign of a gate is that of its accumulator.
pub fn leave_out(request: &MatvecRequest<'_>, accumulators: &mut [Vec<i32>]) -> bool {
    let [(Linear::Gate, weights), (Linear::Up, _)] = request.operators else { return false };
    let [gate, up] = accumulators else { return false };
    let may = request.tokens == 1 && weights.factor > 0.0;
    if may {
        gate.iter().zip(up).filter(|(gate, _)| **gate <= 0).for_each(|(_, up)| *up = 0);
    }
    may
}

/// What a unit leaves out in passes of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skips {
    /// Rows of `up_proj` whose gate is not above zero.
    pub rows: bool,
    /// Columns of `down_proj` whose activation is zero.
    pub columns: bool,
}

impl Skips {
    /// Everything that can be left out.
    pub const ALL: Self = Self { rows: true, columns: true };

    /// Whether something is left out.
    pub fn any(self) -> bool {
        self.rows || self.columns
    }

    /// How the weights of a linear lie for a pass of some tokens. A unit that skips needs those of `up_proj` row by row, and
    /// for one token those of `down_proj` column by column.
    pub fn layout(self, linear: Linear, tokens: usize) -> Layout {
        match linear {
            Linear::Up if self.rows => Layout::Rows,
            Linear::Down if self.columns && tokens == 1 => Layout::Columns,
            _ => Layout::Blocks,
        }
    }
}

/// A back end that leaves out the rows that may be left out. Its results are those of a unit that skips them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Skipping<B>(pub B);

impl<B: TernaryBackend> TernaryBackend for Skipping<B> {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        let mut accumulators = self.0.matvec(request)?;
        leave_out(request, &mut accumulators);
        Ok(accumulators)
    }
}
