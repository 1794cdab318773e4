//! Ternary matrices as bit planes.

use alloc::vec;
use alloc::vec::Vec;

use crate::bits;
use crate::error::{Error, check_len};

/// Weights in one word of a plane.
pub const WORD: usize = 64;

/// A matrix over {-1, 0, +1}, shape `[rows, cols]`, row-major, stored as two bit planes.
///
/// Weight `(r, c)` is bit `c % 64` of word `r * words_per_row + c / 64` in each plane. The `nz` bit is set if the
/// weight is not zero; the `neg` bit is set if it is -1. Invariants: `neg` implies `nz`, and the bits past `cols` in
/// the last word of a row are zero in both planes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TernaryMatrix {
    rows: usize,
    cols: usize,
    nz: Vec<u64>,
    neg: Vec<u64>,
}

impl TernaryMatrix {
    /// Creates an all-zero matrix of shape `[rows, cols]`.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        let words = rows * cols.div_ceil(WORD);
        Self { rows, cols, nz: vec![0; words], neg: vec![0; words] }
    }

    /// Builds a matrix from its planes. Clears every `neg` bit without an `nz` bit and every bit past `cols`, so that
    /// both invariants hold. Returns `None` if a plane has the wrong length.
    pub fn from_planes(rows: usize, cols: usize, mut nz: Vec<u64>, mut neg: Vec<u64>) -> Option<Self> {
        let words = cols.div_ceil(WORD);
        if nz.len() != rows * words || neg.len() != rows * words {
            return None;
        }
        let tail = tail_mask(cols);
        for (i, (nz, neg)) in nz.iter_mut().zip(&mut neg).enumerate() {
            if i % words == words - 1 {
                *nz &= tail;
            }
            *neg &= *nz;
        }
        Some(Self { rows, cols, nz, neg })
    }

    /// Builds a matrix from one `i8` per weight, shape `[rows, cols]`, row-major.
    ///
    /// ```
    /// let w = golden::TernaryMatrix::from_rows(2, 3, &[1, 0, -1, 0, 0, 1])?;
    /// assert_eq!((w.get(0, 2), w.count_nonzero()), (-1, 3));
    /// assert!(golden::TernaryMatrix::from_rows(1, 1, &[2]).is_err());
    /// # Ok::<(), golden::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if there are not `rows * cols` weights, [`Error::NotTernary`] for the first weight that is
    /// not -1, 0 or +1.
    pub fn from_rows(rows: usize, cols: usize, weights: &[i8]) -> Result<Self, Error> {
        check_len("ternary weights", rows.saturating_mul(cols), weights.len())?;
        if let Some(i) = weights.iter().position(|w| !(-1..=1).contains(w)) {
            return Err(Error::NotTernary { row: i / cols, col: i % cols, got: weights[i] });
        }
        let mut m = Self::zeros(rows, cols);
        for (i, w) in weights.iter().enumerate() {
            let word = i / cols * m.words_per_row() + i % cols / WORD;
            m.nz[word] |= ((*w != 0) as u64) << (i % cols % WORD);
            m.neg[word] |= ((*w < 0) as u64) << (i % cols % WORD);
        }
        Ok(m)
    }

    /// The weights as one `i8` each, shape `[rows, cols]`, row-major.
    pub fn to_i8(&self) -> Vec<i8> {
        (0..self.rows).flat_map(|r| (0..self.cols).map(move |c| self.get(r, c))).collect()
    }

    /// The number of weights that are not zero.
    pub fn count_nonzero(&self) -> usize {
        self.nz.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Rows: output features.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: input features.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Words of one row in one plane: `ceil(cols / 64)`.
    #[inline]
    pub fn words_per_row(&self) -> usize {
        self.cols.div_ceil(WORD)
    }

    /// The planes `(nz, neg)` of row `r`, `words_per_row()` words each.
    #[inline]
    pub fn row(&self, r: usize) -> (&[u64], &[u64]) {
        let w = self.words_per_row();
        (&self.nz[r * w..(r + 1) * w], &self.neg[r * w..(r + 1) * w])
    }

    /// Both planes `(nz, neg)` of the whole matrix, `rows * words_per_row()` words each.
    #[inline]
    pub fn planes(&self) -> (&[u64], &[u64]) {
        (&self.nz, &self.neg)
    }

    /// The transposed matrix, shape `[cols, rows]`.
    pub fn transposed(&self) -> Self {
        let mut out = Self::zeros(self.cols, self.rows);
        let (words, out_words) = (self.words_per_row(), out.words_per_row());
        for (plane, out) in [(&self.nz, &mut out.nz), (&self.neg, &mut out.neg)] {
            for (band, rows) in plane.chunks((WORD * words).max(1)).enumerate() {
                for word in 0..words {
                    let mut square = [0; WORD];
                    square.iter_mut().zip(rows.chunks(words)).for_each(|(line, row)| *line = row[word]);
                    bits::transpose(&mut square);
                    let columns = out.chunks_mut(out_words).skip(WORD * word);
                    columns.zip(square).for_each(|(column, line)| column[band] = line);
                }
            }
        }
        out
    }

    /// The weight at `(r, c)`: -1, 0 or +1.
    #[inline]
    pub fn get(&self, r: usize, c: usize) -> i8 {
        let (nz, neg) = self.row(r);
        let bit = |plane: &[u64]| (plane[c / WORD] >> (c % WORD)) & 1;
        bit(nz) as i8 - 2 * bit(neg) as i8
    }

    /// Sets the weight at `(r, c)`.
    ///
    /// # Panics
    /// If `value` is not -1, 0 or +1, or the position is outside the matrix.
    pub fn set(&mut self, r: usize, c: usize, value: i8) {
        assert!((-1..=1).contains(&value), "a ternary weight is -1, 0 or +1, not {value}");
        assert!(c < self.cols, "column {c} of {}", self.cols);
        let word = r * self.words_per_row() + c / WORD;
        let mask = 1u64 << (c % WORD);
        self.nz[word] = self.nz[word] & !mask | if value != 0 { mask } else { 0 };
        self.neg[word] = self.neg[word] & !mask | if value < 0 { mask } else { 0 };
    }
}

/// The tokens of `x`, `cols` activations each.
pub(crate) fn tokens_of(cols: usize, x: &[i8]) -> core::slice::ChunksExact<'_, i8> {
    let tokens = x.chunks_exact(cols.max(1));
    assert!(tokens.remainder().is_empty() && (cols > 0 || x.is_empty()), "whole rows of {cols} activations");
    tokens
}

/// Mask of the bits that hold weights in the last word of a row.
fn tail_mask(cols: usize) -> u64 {
    match cols % WORD {
        0 => u64::MAX,
        n => (1 << n) - 1,
    }
}
