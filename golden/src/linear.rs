//! Linear layers: the complete BitLinear, its rescale step, and the dense language-model head.
//!
//! BitLinear here is the integer form: int8 activations times ternary weights, computed exactly, then one rescale.
//! `transformers` dequantises before it multiplies. In [`Dtype::Fp32`] the two forms agree up to fp32 noise. In
//! [`Dtype::Bf16`] `transformers` rounds every operand, which has no counterpart in integer hardware.

use alloc::vec;
use alloc::vec::Vec;

use crate::dtype::Element;
use crate::parallel::{for_each_chunk, steps, transpose};
use crate::reduce::{dot, dots};
use crate::{Dtype, TernaryMatrix, matvec, quantise};

/// Rescales the accumulators of one token: `rT(acc / scale * factor)`, an fp32 division and then an fp32 product.
///
/// `scale` comes from [`quantise::activation_row`]. `factor` is [`quantise::Weights::factor`] or the `weight_scale`
/// of a packed checkpoint.
pub fn rescale(acc: &[i32], scale: f32, factor: f32, dtype: Dtype) -> Vec<f32> {
    rescale_tokens(acc, &[scale], factor, dtype)
}

/// [`rescale`] of all tokens: `acc` is `[tokens, rows]`, and `scales` has one element a token.
///
/// # Panics
/// If `acc` is not a whole number of rows.
pub fn rescale_tokens(acc: &[i32], scales: &[f32], factor: f32, dtype: Dtype) -> Vec<f32> {
    let mut out = vec![0.0; acc.len()];
    let rows = acc.len().checked_div(scales.len()).unwrap_or(0).max(1);
    assert!(acc.len() == rows * scales.len() || acc.is_empty(), "as many accumulators for each token");
    for_each_chunk(&mut out, rows, 8 * acc.len(), |t, out| {
        rescale_row(&acc[t * rows..], scales[t], factor, dtype, out);
    });
    out
}

simd! {
    fn rescale_row(acc: &[i32], scale: f32, factor: f32, dtype: Dtype, out: &mut [f32]) {
        for (out, acc) in out.iter_mut().zip(acc) {
            *out = dtype.round(*acc as f32 / scale * factor);
        }
    }
}

/// BitLinear of `x`, shape `[tokens, cols]`: quantise, multiply, rescale. The result is `[tokens, rows]`.
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn bit_linear(x: &[f32], weights: &TernaryMatrix, factor: f32, dtype: Dtype) -> Vec<f32> {
    let x = quantise::activations(x, weights.cols());
    rescale_tokens(&matvec::matvec(weights, &x.q), &x.scale, factor, dtype)
}

/// Dense product `rT(h . weight^T)` with fp32 sums, for the output head. `h` is `[tokens, cols]`, `weight` is
/// `[rows, cols]`. The result is `[tokens, rows]`.
///
/// # Panics
/// If `h` or `weight` is not a whole number of rows.
pub fn dense<E: Element>(h: &[f32], weight: &[E], cols: usize, dtype: Dtype) -> Vec<f32> {
    /// Rows per task.
    const ROWS: usize = 64;
    let (tokens, rows) = (h.len() / cols.max(1), weight.len() / cols.max(1));
    assert_eq!((h.len(), weight.len()), (tokens * cols, rows * cols), "whole rows of {cols} values");
    // A task computes whole rows for all tokens, as in the ternary product.
    let mut by_row = vec![0.0; rows * tokens];
    for_each_chunk(&mut by_row, ROWS * tokens, steps(&[weight.len(), tokens]), |i, out| {
        dense_rows(h, &weight[i * ROWS * cols..], cols, dtype, out);
    });
    transpose(by_row, tokens)
}

/// The elements of [`dense`] for one token and some rows of `weight`.
///
/// # Panics
/// If `h` is not one token, or if `weight` does not have one of the rows.
pub fn dense_of<E: Element>(h: &[f32], weight: &[E], cols: usize, rows: &[usize], dtype: Dtype) -> Vec<f32> {
    assert_eq!(h.len(), cols, "one token of {cols} values");
    let mut out = vec![0.0; rows.len()];
    for_each_chunk(&mut out, 1, steps(&[rows.len(), cols]), |i, out| {
        dense_rows(h, &weight[rows[i] * cols..][..cols], cols, dtype, out);
    });
    out
}

simd! {
    fn dense_rows<E: Element>(h: &[f32], weight: &[E], cols: usize, dtype: Dtype, out: &mut [f32]) {
        /// Rows that one token reads at a time.
        const ROWS: usize = 4;
        /// Elements between what is read and what is asked for.
        const AHEAD: usize = 512;
        let tokens = h.len() / cols;
        if tokens == 1 {
            let mut rows = weight.chunks_exact(cols);
            let (fours, rest) = out.as_chunks_mut::<ROWS>();
            for out in fours {
                let rows: [_; ROWS] = core::array::from_fn(|_| rows.next().expect("a row for each output"));
                *out = dots!(h, rows, AHEAD).map(|x| dtype.round(x));
            }
            for (out, row) in rest.iter_mut().zip(rows) {
                *out = dtype.round(dot(h, row));
            }
            return;
        }
        for (out, w) in out.chunks_exact_mut(tokens).zip(weight.chunks_exact(cols)) {
            for (out, h) in out.iter_mut().zip(h.chunks_exact(cols)) {
                *out = dtype.round(dot(h, w));
            }
        }
    }
}
