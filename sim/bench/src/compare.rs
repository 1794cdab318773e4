//! Comparison of the unit's outputs with golden's.

use serde::{Deserialize, Serialize};

/// An output that differs from golden's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The token.
    pub token: usize,
    /// The output feature.
    pub row: usize,
    /// Golden's accumulator.
    pub expected: i32,
    /// The unit's accumulator.
    pub got: i32,
}

/// The outputs where `observed` differs from `expected`. Both have shape `[tokens, rows]`, row-major.
///
/// ```
/// let found = testbench::compare::mismatches(&[1, 2, 3, 4], &[1, 2, 3, 5], 2);
/// assert_eq!((found[0].token, found[0].row, found[0].expected, found[0].got), (1, 1, 4, 5));
/// ```
///
/// # Panics
/// If `expected` and `observed` have different lengths.
pub fn mismatches(expected: &[i32], observed: &[i32], rows: usize) -> Vec<Mismatch> {
    assert_eq!(expected.len(), observed.len(), "every output is compared");
    let pairs = expected.iter().zip(observed).enumerate().filter(|(_, (e, o))| e != o);
    pairs.map(|(i, (&expected, &got))| Mismatch { token: i / rows, row: i % rows, expected, got }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_their_place() {
        let at = |token, row, expected, got| Mismatch { token, row, expected, got };
        assert_eq!(mismatches(&[1, 2, 3, 4, 5, 6], &[1, 0, 3, 4, 5, 0], 3), [at(0, 1, 2, 0), at(1, 2, 6, 0)]);
    }
}
