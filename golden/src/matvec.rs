//! The product of a ternary matrix with int8 activations, in exact 32-bit integers.
//!
//! [`reference()`] is the definition. [`matvec`] computes the same result from bit planes. Let `x_b` be bit `b` of
//! all activations in two's complement, and `pop` the number of ones in a word. Since `-x = !x + 1`, a weight of -1
//! inverts the bits of its activation and adds one. The accumulator of one row is
//!
//! ```text
//! acc = sum_{b<7} 2^b pop(nz & (x_b ^ neg)) - 2^7 pop(nz & (x_7 ^ neg)) + pop(neg)
//! ```
//!
//! This formula reads 2 bits per weight and needs no multiplication. No accumulator exceeds `128 * cols`. Therefore an
//! accumulator cannot overflow if `cols` is below 2^24, and it is exact in fp32 if `cols` is at most 2^17.

use alloc::vec;
use alloc::vec::Vec;

use crate::TernaryMatrix;
use crate::bits;
#[cfg(feature = "parallel")]
use crate::interleaved::{self, Interleaved};
use crate::parallel::{for_each, steps, transpose};
use crate::ternary::tokens_of;

/// Computes `acc[t, r] = sum_c x[t, c] * w[r, c]` for `x` of shape `[tokens, cols]`. The result is `[tokens, rows]`.
/// Slow and obvious.
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn reference(w: &TernaryMatrix, x: &[i8]) -> Vec<i32> {
    let mut acc = Vec::new();
    for x in tokens_of(w.cols(), x) {
        for r in 0..w.rows() {
            acc.push((0..w.cols()).map(|c| x[c] as i32 * w.get(r, c) as i32).sum());
        }
    }
    acc
}

/// Computes the product that [`reference()`] defines, fast. Weights are read once for all tokens. The result is
/// `[tokens, rows]`.
///
/// ```
/// let w = golden::TernaryMatrix::from_rows(2, 3, &[1, 0, -1, 1, 1, 1])?;
/// assert_eq!(golden::matvec::matvec(&w, &[10, 20, -128, 1, 2, 3]), [138, -98, -2, 6]);
/// # Ok::<(), golden::Error>(())
/// ```
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn matvec(w: &TernaryMatrix, x: &[i8]) -> Vec<i32> {
    matvecs(&[w], x).pop().expect("a product for each matrix")
}

/// Computes [`matvec`] for several matrices with the same activations, in one parallel job. There is one result per
/// matrix.
///
/// # Panics
/// If `x` is not a whole number of rows, or if the matrices differ in their columns.
pub fn matvecs(weights: &[&TernaryMatrix], x: &[i8]) -> Vec<Vec<i32>> {
    /// Rows per task: few enough to spread the work, many enough to make the cost of starting a task negligible.
    const ROWS: usize = 64;
    let Some(first) = weights.first() else { return Vec::new() };
    assert!(weights.iter().all(|w| w.cols() == first.cols()), "matrices with {} columns each", first.cols());
    #[cfg(feature = "parallel")]
    if x.len() >= MANY * first.cols() && interleaved::is_faster() {
        let weights: Vec<_> = weights.iter().map(|w| Interleaved::new(w)).collect();
        return interleaved::products(&weights.iter().collect::<Vec<_>>(), x);
    }
    let x: Vec<_> = tokens_of(first.cols(), x).map(activation_planes).collect();
    let tokens = x.len();
    // A task computes whole rows for all tokens, so results arrive as [rows, tokens].
    let mut by_row: Vec<Vec<i32>> = weights.iter().map(|w| vec![0; w.rows() * tokens]).collect();
    let tasks = weights.iter().zip(&mut by_row).flat_map(|(w, acc)| {
        acc.chunks_mut((ROWS * tokens).max(1)).enumerate().map(move |(i, acc)| (*w, i * ROWS, acc))
    });
    let work = weights.iter().map(|w| steps(&[8, w.rows(), w.words_per_row(), tokens])).sum();
    for_each(tasks, work, |(w, row, acc)| row_products(w, row, &x, acc));
    by_row.into_iter().map(|acc| transpose(acc, tokens)).collect()
}

/// Tokens for which it pays to put a matrix in another order before the product.
#[cfg(feature = "parallel")]
const MANY: usize = 8;

/// Words in a block: one AVX-512 register, which holds 512 columns.
const LANES: usize = 8;

/// The bit planes of 512 activations. Word `l` of plane `b` holds bit `b` of the columns `64 l .. 64 l + 63`.
type Block = [[u64; LANES]; 8];

simd! {
    fn activation_planes(x: &[i8]) -> Vec<Block> {
        let mut out = vec![[[0; LANES]; 8]; x.len().div_ceil(64 * LANES)];
        for (i, x) in x.chunks(64).enumerate() {
            let mut bytes = [0; 64];
            for (byte, x) in bytes.iter_mut().zip(x) {
                *byte = *x as u8;
            }
            for (plane, word) in out[i / LANES].iter_mut().zip(bits::planes(&bytes)) {
                plane[i % LANES] = word;
            }
        }
        out
    }
}

simd! {
    /// Computes the products of the rows from `first` on with all tokens, into `acc` of shape `[rows, tokens]`.
    fn row_products(w: &TernaryMatrix, first: usize, x: &[Vec<Block>], acc: &mut [i32]) {
        // The last words of a row, filled up with zero weights. The buffers are reused for every row: all rows have
        // the same tail length, so the zeros stay.
        let mut last = [[0; LANES]; 2];
        for (r, acc) in acc.chunks_exact_mut(x.len()).enumerate() {
            let (nz, neg) = w.row(first + r);
            let ones = neg.iter().fold(0, |n: u64, neg| n.wrapping_add(neg.count_ones() as u64));
            let ((nz, nz_tail), (neg, neg_tail)) = (nz.as_chunks(), neg.as_chunks());
            last[0][..nz_tail.len()].copy_from_slice(nz_tail);
            last[1][..neg_tail.len()].copy_from_slice(neg_tail);
            for (acc, x) in acc.iter_mut().zip(x) {
                *acc = row_product(nz, neg, &last, x).wrapping_add(ones) as i32;
            }
        }
    }
}

/// The accumulator of one row, without the term `pop(neg)`.
///
/// Eight counts of eight lanes each stay in registers and are added at the end of the row. The compiler vectorises
/// the loops because of their shape: a constant number of lanes inside, a plain fold outside, and wrapping additions.
/// Overflow checks, which the development profile enables, would prevent vector code. No sum comes near an overflow,
/// except bit 7, which needs two's complement anyway.
#[inline(always)]
fn row_product(nz: &[[u64; LANES]], neg: &[[u64; LANES]], last: &[[u64; LANES]; 2], x: &[Block]) -> u64 {
    let mut counts = [[0; LANES]; 8];
    for (x, (nz, neg)) in x.iter().zip(nz.iter().zip(neg)) {
        count(&mut counts, nz, neg, x);
    }
    if let Some(x) = x.get(nz.len()) {
        count(&mut counts, &last[0], &last[1], x);
    }
    let counts = counts.map(|lanes| lanes.iter().fold(0, |sum: u64, lane| sum.wrapping_add(*lane)));
    let sign = (counts[7] << 7).wrapping_neg();
    (0..7).fold(sign, |sum, b| sum.wrapping_add(counts[b] << b))
}

#[inline(always)]
fn count(counts: &mut [[u64; LANES]; 8], nz: &[u64; LANES], neg: &[u64; LANES], x: &Block) {
    for (counts, x) in counts.iter_mut().zip(x) {
        for l in 0..LANES {
            counts[l] = counts[l].wrapping_add((nz[l] & (x[l] ^ neg[l])).count_ones() as u64);
        }
    }
}
