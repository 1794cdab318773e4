//! The two quantisers of BitLinear.
//!
//! Formulas: `ActQuant` and `WeightQuant` of the BitNet integration of `transformers`, computed in fp32 for every
//! compute type. Activations are scaled per token so that the largest magnitude becomes 127. Weights are scaled per
//! matrix by the mean magnitude and rounded to -1, 0 or +1.

use alloc::vec;
use alloc::vec::Vec;

use crate::TernaryMatrix;
use crate::bits;
use crate::dtype::Element;
use crate::error::{Error, check_len};
use crate::parallel::{for_each, for_each_chunk};
use crate::ternary::WORD;

/// Lower bound of a row maximum and of a mean magnitude. It keeps the reciprocal finite.
const FLOOR: f32 = 1e-5;

/// Quantised activations of shape `[tokens, cols]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Activations {
    /// Codes in `-127..=127`, shape `[tokens, cols]`.
    pub q: Vec<i8>,
    /// Scale of each token. A code stands for the value `q / scale`.
    pub scale: Vec<f32>,
}

/// Quantises one token `x` into `q` and returns its scale.
///
/// `m = max(max|x|, 1e-5)`; `scale = (1/m) * 127`, which is two fp32 roundings and not one division;
/// `q = round(x * scale)`, ties to even. A row of zeros gives zeros and the scale 12,700,000. If the row holds an
/// infinity or a NaN, the scale is zero or NaN and the codes have no meaning, but the function does not panic.
///
/// ```
/// let mut q = [0; 4];
/// let scale = golden::quantise::activation_row(&[0.5, -2.0, 0.0, 1.0], &mut q);
/// assert_eq!((q, scale), ([32, -127, 0, 64], 63.5));
/// ```
///
/// # Panics
/// If the two slices differ in length.
pub fn activation_row(x: &[f32], q: &mut [i8]) -> f32 {
    assert_eq!(x.len(), q.len(), "one code per activation");
    let scale = row_scale(x);
    row_codes(x, scale, q);
    scale
}

/// The scale that [`activation_row`] returns.
#[inline(always)]
pub(crate) fn row_scale<E: Element>(x: &[E]) -> f32 {
    // Magnitudes have the same order as their bit patterns. An integer maximum vectorises and returns a NaN if there
    // is one.
    let m = f32::from_bits(x.iter().map(|x| x.to_f32().abs().to_bits()).max().unwrap_or(0));
    let m = if m < FLOOR { FLOOR } else { m };
    (1.0 / m) * 127.0
}

/// Writes the codes of [`activation_row`] for a given scale.
#[inline(always)]
pub(crate) fn row_codes<E: Element>(x: &[E], scale: f32, q: &mut [i8]) {
    for (q, x) in q.iter_mut().zip(x) {
        *q = code(x.to_f32() * scale);
    }
}

/// Rounds to the nearest integer, ties to even, for `|v| < 127.5`, which a row of finite values keeps to.
///
/// After adding 1.5 * 2^23 no fraction bits are left, so the addition itself rounds, and the lowest byte of the sum is
/// the integer in two's complement. That vectorises on any machine, and is short on a core without floating point.
#[inline(always)]
fn code(v: f32) -> i8 {
    const SHIFT: f32 = 12_582_912.0;
    (v + SHIFT).to_bits() as i8
}

/// Quantises every row of `x`, shape `[tokens, cols]`, with [`activation_row`].
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn activations(x: &[f32], cols: usize) -> Activations {
    let tokens = x.len().checked_div(cols).unwrap_or(0);
    assert_eq!(x.len(), tokens * cols, "whole rows of {cols} activations");
    let (mut q, mut scale) = (vec![0; x.len()], vec![0.0; tokens]);
    let rows = x.chunks_exact(cols.max(1)).zip(q.chunks_exact_mut(cols.max(1))).zip(&mut scale);
    for_each(rows, 2 * x.len(), |((x, q), scale)| *scale = activation_row(x, q));
    Activations { q, scale }
}

/// A quantised weight matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The ternary weights, shape `[rows, cols]`.
    pub matrix: TernaryMatrix,
    /// Mean magnitude of the master weights, at least 1e-5.
    pub absmean: f32,
    /// The value of one ternary unit: `1 / (1 / absmean)` in fp32.
    pub factor: f32,
}

/// Quantises master weights `w` of shape `[rows, cols]`, row-major.
///
/// `absmean = max(mean|w|, 1e-5)`, `scale = 1 / absmean`, weight = `clamp(round(w * scale), -1, 1)`, ties to even.
///
/// # Errors
/// [`Error::Length`] if the length of `w` does not fit the shape, [`Error::NotFinite`] for the first infinity or NaN.
pub fn weights<E: Element>(w: &[E], rows: usize, cols: usize) -> Result<Weights, Error> {
    check_len("master weights", rows.saturating_mul(cols), w.len())?;
    let mean = mean_magnitude(w);
    if !mean.is_finite() {
        let i = w.iter().position(|w| !w.to_f32().is_finite()).expect("finite values have a finite mean");
        return Err(Error::NotFinite { row: i / cols, col: i % cols, got: w[i].to_f32() });
    }
    let absmean = mean.max(FLOOR);
    let scale = 1.0 / absmean;
    let words = cols.div_ceil(WORD);
    let mut codes = vec![(0, 0); rows * words];
    const ROWS: usize = 16;
    for_each_chunk(&mut codes, ROWS * words, w.len(), |chunk, codes| {
        let w = &w[chunk * ROWS * cols..];
        for (codes, w) in codes.chunks_exact_mut(words).zip(w.chunks_exact(cols)) {
            ternarise(w, scale, codes);
        }
    });
    let (nz, neg) = codes.into_iter().unzip();
    let matrix = TernaryMatrix::from_planes(rows, cols, nz, neg).expect("both planes hold rows * words words");
    Ok(Weights { matrix, absmean, factor: 1.0 / scale })
}

/// Mean of `|w|`; zero if there are no weights. The sum is computed in fp64, which is precise enough for any order.
/// The order is fixed nevertheless.
fn mean_magnitude<E: Element>(w: &[E]) -> f32 {
    const CHUNK: usize = 1 << 15;
    let mut sums = vec![0.0; w.len().div_ceil(CHUNK)];
    for_each_chunk(&mut sums, 1, w.len(), |i, sum| {
        sum[0] = sum_magnitudes(&w[i * CHUNK..w.len().min((i + 1) * CHUNK)]);
    });
    (sums.iter().sum::<f64>() / w.len().max(1) as f64) as f32
}

simd! {
    fn sum_magnitudes<E: Element>(w: &[E]) -> f64 {
        let mut acc = [0.0; 32];
        let (chunks, tail) = w.as_chunks::<32>();
        for w in chunks {
            for (acc, w) in acc.iter_mut().zip(w) {
                *acc += w.to_f32().abs() as f64;
            }
        }
        for (acc, w) in acc.iter_mut().zip(tail) {
            *acc += w.to_f32().abs() as f64;
        }
        acc.iter().sum()
    }
}

simd! {
    /// Converts one row of weights to words `(nz, neg)`. Rounding to even and clamping leave one comparison: whether
    /// the scaled magnitude exceeds 1/2. A tie at 1/2 rounds to zero, and from 3/2 on the result is clamped.
    pub(crate) fn ternarise<E: Element>(w: &[E], scale: f32, codes: &mut [(u64, u64)]) {
        let word = |w: &[E; WORD]| {
            let (mut nz, mut neg) = ([0; WORD], [0; WORD]);
            for (i, w) in w.iter().enumerate() {
                let v = w.to_f32() * scale;
                nz[i] = (v.abs() > 0.5) as u8;
                neg[i] = (v < -0.5) as u8;
            }
            (bits::plane(&nz), bits::plane(&neg))
        };
        let (whole, tail) = w.as_chunks::<WORD>();
        for (code, w) in codes.iter_mut().zip(whole) {
            *code = word(w);
        }
        if let (Some(code), Some(last)) = (codes.get_mut(whole.len()), tail.first()) {
            // `TernaryMatrix::from_planes` clears the bits past the end.
            let mut padded = [*last; WORD];
            padded[..tail.len()].copy_from_slice(tail);
            *code = word(&padded);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use half::bf16;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_round_like_rint(v in -127.49f32..127.49, halves in -253i32..254) {
            prop_assert_eq!(code(v), libm::rintf(v) as i8);
            let tie = halves as f32 / 2.0;
            prop_assert_eq!(code(tie), libm::rintf(tie) as i8);
        }

        /// The largest magnitude of a row, from the smallest to the largest float, gives 127 and nothing above.
        #[test]
        fn no_code_is_above_127(bits in 0u32..0x7f80_0000) {
            let x = f32::from_bits(bits);
            let mut q = [0; 2];
            let scale = activation_row(&[x, -x], &mut q);
            prop_assert_eq!(q, [x * scale, -x * scale].map(|v| libm::rintf(v) as i8));
            prop_assert!(x * scale < 127.4);
        }

        #[test]
        fn ternaries_by_definition(w in prop::collection::vec(any::<i16>(), 1..300), rows in 1usize..4) {
            // Finite values of all magnitudes, including subnormals.
            let w: Vec<_> = w.iter().map(|w| bf16::from_bits(*w as u16 & 0xbfff)).collect();
            let (cols, len) = (w.len() / rows, w.len() / rows * rows);
            let got = weights(&w[..len], rows, cols).unwrap();
            let scale = 1.0 / got.absmean;
            let want: Vec<_> = w[..len].iter().map(|w| libm::rintf(w.to_f32() * scale).clamp(-1.0, 1.0) as i8).collect();
            prop_assert_eq!(got.matrix.to_i8(), want);
            let upcast: Vec<f32> = w[..len].iter().map(|w| w.to_f32()).collect();
            prop_assert_eq!(got, weights(&upcast, rows, cols).unwrap());
        }
    }

    #[test]
    fn rows_that_are_not_finite_are_told_by_their_scale() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let scale = activation_row(&[1.0, bad, 2.0], &mut [0; 3]);
            assert!(scale.is_nan() || scale == 0.0);
            let at = weights(&[1.0, 2.0, 3.0, 4.0, 5.0, bad], 2, 3);
            assert!(matches!(at, Err(Error::NotFinite { row: 1, col: 2, .. })));
        }
    }

    #[test]
    fn no_rows_no_columns() {
        assert_eq!(activations(&[], 0).scale, []);
        for (rows, cols) in [(0, 0), (0, 5), (5, 0)] {
            assert_eq!(weights::<f32>(&[], rows, cols).unwrap().absmean, FLOOR);
        }
        assert!(matches!(weights(&[1.0f32], usize::MAX, 2), Err(Error::Length { .. })));
    }
}
