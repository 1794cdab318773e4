//! The output head in int8. It has half the bytes of the bf16 head, which is the largest read of a decoder after its
//! layers.
//!
//! Each row is quantised by the rule for activations and has its own scale. Products are exact integers; two
//! divisions turn an accumulator into a logit. The reference has no such head: the logits are close to those of
//! [`linear::dense`], but not equal.
//!
//! [`linear::dense`]: crate::linear::dense

use alloc::vec;
use alloc::vec::Vec;

use crate::dtype::Element;
use crate::memory::prefetch;
use crate::parallel::{for_each_chunk, steps, transpose};

#[cfg(all(feature = "parallel", target_arch = "x86_64"))]
mod avx512;

/// The products of several int8 rows with `q`, and with `wide`, which has the same values, in a function of `simd!`.
#[cfg(all(feature = "parallel", target_arch = "x86_64"))]
macro_rules! dots {
    ($q:expr, $wide:expr, $rows:expr) => {
        multiversion::target::match_target! {
            "x86_64+avx512f+avx512bw+avx512vl+avx512vpopcntdq+popcnt" => {
                let _ = $wide;
                avx512::dots($q, $rows)
            },
            _ => $rows.map(|row| dot($wide, row)),
        }
    };
}
#[cfg(all(feature = "parallel", not(target_arch = "x86_64")))]
macro_rules! dots {
    ($q:expr, $wide:expr, $rows:expr) => {
        $rows.map(|row| dot($wide, row))
    };
}
use crate::{Dtype, quantise};

/// The most columns of a head: `127 * 127 * cols` must stay below 2^31, so that a 32-bit accumulator cannot overflow.
const MAX_COLS: usize = (i32::MAX / (127 * 127)) as usize;

/// A matrix `[rows, cols]` of int8 codes with one fp32 scale per row. A code stands for the value `code / scale`.
///
/// ```
/// use golden::{Dtype, head::Int8Rows};
/// let mut head = Int8Rows::new(2);
/// head.push_rows(&[0.5f32, -1.0]);
/// head.push_rows(&[3.0f32, 0.0, 0.0, 0.25]);
/// assert_eq!(head.product(&[1.0, 0.0], Dtype::Bf16), [0.50390625, 3.0, 0.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Rows {
    cols: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
}

impl Int8Rows {
    /// Creates a matrix with `cols` columns and no rows.
    ///
    /// # Panics
    /// If `cols` is 0, or if it is above 133,144, where an accumulator could overflow.
    pub fn new(cols: usize) -> Self {
        assert!((1..=MAX_COLS).contains(&cols), "a head of 1 to {MAX_COLS} columns, not {cols}");
        Self { cols, codes: Vec::new(), scales: Vec::new() }
    }

    /// Rows appended so far.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Values in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The codes, `[rows, cols]`, row-major, in `-127..=127`.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// The scale of each row.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Quantises `rows`, finite values of shape `[n, cols]`, by the rule of [`quantise::activation_row`], and appends
    /// them.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn push_rows<E: Element>(&mut self, rows: &[E]) {
        /// Rows per task.
        const ROWS: usize = 64;
        let (cols, old) = (self.cols, self.rows());
        assert!(rows.len().is_multiple_of(cols), "whole rows of {cols} values");
        self.scales.resize(old + rows.len() / cols, 0.0);
        self.codes.resize(old * cols + rows.len(), 0);
        let scales = &mut self.scales[old..];
        for_each_chunk(scales, ROWS, rows.len(), |i, scales| row_scales(&rows[i * ROWS * cols..], cols, scales));
        for_each_chunk(&mut self.codes[old * cols..], ROWS * cols, rows.len(), |i, codes| {
            row_codes(&rows[i * ROWS * cols..], cols, &scales[i * ROWS..], codes);
        });
    }

    /// Computes the logits of `h`, shape `[tokens, cols]`. The result is `[tokens, rows]`.
    ///
    /// `h` is quantised by [`quantise::activations`] and multiplied exactly. A logit is `rT(acc / x_scale / scale)`:
    /// the accumulator is rounded to fp32, divided by the scale of its token, and then divided by the scale of its
    /// row, all in fp32. The result is rounded to the compute type.
    ///
    /// # Panics
    /// If `h` is not a whole number of rows.
    pub fn product(&self, h: &[f32], dtype: Dtype) -> Vec<f32> {
        /// Rows per task.
        const ROWS: usize = 512;
        let (cols, x) = (self.cols, quantise::activations(h, self.cols));
        let tokens = x.scale.len();
        #[cfg(feature = "parallel")]
        if tokens == 1 {
            let rows = self.accumulators(&x.q).into_iter().zip(&self.scales);
            return rows.map(|(acc, scale)| dtype.round(acc as f32 / x.scale[0] / scale)).collect();
        }
        // Widened here, so that the inner loop has fewer conversions.
        let q: Vec<i16> = x.q.iter().map(|q| *q as i16).collect();
        // A task computes whole rows for all tokens, as in the ternary product.
        let mut by_row = vec![0.0; self.rows() * tokens];
        for_each_chunk(&mut by_row, ROWS * tokens, steps(&[self.codes.len(), tokens]), |i, out| {
            products(&q, &x.scale, &self.codes[i * ROWS * cols..], &self.scales[i * ROWS..], dtype, out);
        });
        transpose(by_row, tokens)
    }

    /// The exact products of all rows with the codes `q` of one token.
    ///
    /// # Panics
    /// If `q` is not one row.
    #[cfg(feature = "parallel")]
    pub(crate) fn accumulators(&self, q: &[i8]) -> Vec<i32> {
        /// Rows per task.
        const ROWS: usize = 128;
        assert_eq!(q.len(), self.cols, "the codes of one token");
        let wide: Vec<i16> = q.iter().map(|q| *q as i16).collect();
        let mut out = vec![0; self.rows()];
        for_each_chunk(&mut out, ROWS, self.codes.len(), |i, out| {
            accumulators(q, &wide, &self.codes[i * ROWS * self.cols..], out);
        });
        out
    }
}

#[cfg(feature = "parallel")]
simd! {
    /// Writes the products of `q`, and of `wide`, which has the same values, with rows of `codes`.
    fn accumulators(q: &[i8], wide: &[i16], codes: &[i8], out: &mut [i32]) {
        /// Rows that are read at the same time.
        const ROWS: usize = 4;
        let mut rows = codes.chunks_exact(q.len());
        let (fours, rest) = out.as_chunks_mut::<ROWS>();
        for out in fours {
            let rows: [_; ROWS] = core::array::from_fn(|_| rows.next().expect("a row for each output"));
            *out = dots!(q, wide, rows);
        }
        for (out, row) in rest.iter_mut().zip(rows) {
            *out = dot(wide, row);
        }
    }
}

simd! {
    fn row_scales<E: Element>(rows: &[E], cols: usize, scales: &mut [f32]) {
        for (scale, row) in scales.iter_mut().zip(rows.chunks_exact(cols)) {
            *scale = quantise::row_scale(row);
        }
    }
}

simd! {
    fn row_codes<E: Element>(rows: &[E], cols: usize, scales: &[f32], codes: &mut [i8]) {
        for ((codes, row), scale) in codes.chunks_exact_mut(cols).zip(rows.chunks_exact(cols)).zip(scales) {
            quantise::row_codes(row, *scale, codes);
        }
    }
}

simd! {
    /// Writes the logits of all tokens to `out`, `[rows, tokens]`; `x` is `[tokens, cols]`.
    fn products(x: &[i16], x_scales: &[f32], codes: &[i8], scales: &[f32], dtype: Dtype, out: &mut [f32]) {
        let (tokens, cols) = (x_scales.len(), x.len() / x_scales.len());
        for (i, (out, scale)) in out.chunks_exact_mut(tokens).zip(scales).enumerate() {
            prefetch(codes, (i + 1) * cols, cols);
            let codes = &codes[i * cols..][..cols];
            for (out, (x, x_scale)) in out.iter_mut().zip(x.chunks_exact(cols).zip(x_scales)) {
                *out = dtype.round(dot(x, codes) as f32 / x_scale / scale);
            }
        }
    }
}

/// A sum of 16-bit products, which compilers turn into one instruction. The addition wraps, because overflow checks
/// would prevent this. No sum overflows, because a head has at most [`MAX_COLS`] columns.
#[inline(always)]
fn dot(x: &[i16], codes: &[i8]) -> i32 {
    x.iter().zip(codes).fold(0, |sum: i32, (x, code)| sum.wrapping_add(*x as i32 * *code as i32))
}
