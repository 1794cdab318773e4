//! The output head in int8: half the bytes of bf16, where a decoder reads the most but for its layers.
//!
//! Each row is quantised as activations are, with a scale of its own, so a product is exact in integers until two
//! divisions make a logit of it. The reference has no such head: logits come near those of [`linear::dense`], and are
//! not the same.
//!
//! [`linear::dense`]: crate::linear::dense

use alloc::vec;
use alloc::vec::Vec;

use crate::dtype::Element;
use crate::parallel::{for_each_chunk, steps, transpose};
use crate::{Dtype, quantise};

/// What keeps an accumulator of 32 bits from overflowing: `127 * 127 * cols` stays below 2^31.
const MAX_COLS: usize = (i32::MAX / (127 * 127)) as usize;

/// A matrix `[rows, cols]` of int8 codes with one fp32 scale a row: a code stands for `code / scale`.
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
    /// A matrix of `cols` columns and no rows yet.
    ///
    /// # Panics
    /// If `cols` is 0 or above 133,144, where an accumulator could overflow.
    pub fn new(cols: usize) -> Self {
        assert!((1..=MAX_COLS).contains(&cols), "a head of 1 to {MAX_COLS} columns, not {cols}");
        Self { cols, codes: Vec::new(), scales: Vec::new() }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Values in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The codes, `[rows, cols]`, in `-127..=127`.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// The scale of each row.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Quantises finite `rows`, `[n, cols]`, by the rule of [`quantise::activation_row`] and appends them.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn push_rows<E: Element>(&mut self, rows: &[E]) {
        /// Rows of one task.
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

    /// The logits of `h`, `[tokens, cols]`. Result `[tokens, rows]`.
    ///
    /// `h` is quantised by [`quantise::activations`] and multiplied exactly. A logit is `rT(acc / x_scale / scale)`:
    /// the accumulator rounded to fp32, divided by the scale of its token, the quotient by the scale of its row, all
    /// in fp32; then rounded to the compute type.
    ///
    /// # Panics
    /// If `h` is not a whole number of rows.
    pub fn product(&self, h: &[f32], dtype: Dtype) -> Vec<f32> {
        /// Rows of one task.
        const ROWS: usize = 512;
        let (cols, x) = (self.cols, quantise::activations(h, self.cols));
        let tokens = x.scale.len();
        // Wide already, for fewer conversions in the loop that counts.
        let q: Vec<i16> = x.q.iter().map(|q| *q as i16).collect();
        // As in the ternary product: a task owns whole rows for all tokens.
        let mut by_row = vec![0.0; self.rows() * tokens];
        for_each_chunk(&mut by_row, ROWS * tokens, steps(&[self.codes.len(), tokens]), |i, out| {
            products(&q, &x.scale, &self.codes[i * ROWS * cols..], &self.scales[i * ROWS..], dtype, out);
        });
        transpose(by_row, tokens)
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
    /// Logits of all tokens into `out`, `[rows, tokens]`; `x` is `[tokens, cols]`.
    fn products(x: &[i16], x_scales: &[f32], codes: &[i8], scales: &[f32], dtype: Dtype, out: &mut [f32]) {
        let (tokens, cols) = (x_scales.len(), x.len() / x_scales.len());
        for (out, (codes, scale)) in out.chunks_exact_mut(tokens).zip(codes.chunks_exact(cols).zip(scales)) {
            for (out, (x, x_scale)) in out.iter_mut().zip(x.chunks_exact(cols).zip(x_scales)) {
                *out = dtype.round(dot(x, codes) as f32 / x_scale / scale);
            }
        }
    }
}

/// A sum of products of 16 bits, which compilers know as one instruction. Wraps, because overflow
/// checks would forbid it; nothing comes near.
#[inline(always)]
fn dot(x: &[i16], codes: &[i8]) -> i32 {
    x.iter().zip(codes).fold(0, |sum: i32, (x, code)| sum.wrapping_add(*x as i32 * *code as i32))
}
