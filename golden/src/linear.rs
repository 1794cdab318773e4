//! Linear layers: the complete BitLinear, its rescale step, and the dense language-model head.
//!
//! BitLinear here is the integer form: int8 activations times ternary weights, computed exactly, then one rescale.
//! `transformers` dequantises before it multiplies. In [`Dtype::Fp32`] the two forms agree up to fp32 noise. In
//! [`Dtype::Bf16`] `transformers` rounds every operand, which has no counterpart in integer hardware.

use alloc::vec;
use alloc::vec::Vec;

use crate::dtype::Element;
use crate::parallel::{for_each_chunk, steps, transpose};
use crate::reduce::dot;
use crate::{Dtype, TernaryMatrix, matvec, quantise};

/// Rescales the accumulators of one token: `rT(acc / scale * factor)`, an fp32 division and then an fp32 product.
///
/// `scale` comes from [`quantise::activation_row`]. `factor` is [`quantise::Weights::factor`] or the `weight_scale`
/// of a packed checkpoint.
pub fn rescale(acc: &[i32], scale: f32, factor: f32, dtype: Dtype) -> Vec<f32> {
    acc.iter().map(|acc| dtype.round(*acc as f32 / scale * factor)).collect()
}

/// BitLinear of `x`, shape `[tokens, cols]`: quantise, multiply, rescale. The result is `[tokens, rows]`.
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn bit_linear(x: &[f32], weights: &TernaryMatrix, factor: f32, dtype: Dtype) -> Vec<f32> {
    let x = quantise::activations(x, weights.cols());
    let acc = matvec::matvec(weights, &x.q);
    let tokens = acc.chunks_exact(weights.rows().max(1)).zip(&x.scale);
    tokens.flat_map(|(acc, scale)| rescale(acc, *scale, factor, dtype)).collect()
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

simd! {
    fn dense_rows<E: Element>(h: &[f32], weight: &[E], cols: usize, dtype: Dtype, out: &mut [f32]) {
        let tokens = h.len() / cols;
        for (out, w) in out.chunks_exact_mut(tokens).zip(weight.chunks_exact(cols)) {
            for (out, h) in out.iter_mut().zip(h.chunks_exact(cols)) {
                *out = dtype.round(dot(h, w));
            }
        }
    }
}
