//! Linear layers: BitLinear put together, its rescale alone, and the dense language-model head.
//!
//! BitLinear here is the integer form: int8 activations times ternary weights, exact, then one
//! rescale. `transformers` dequantises before it multiplies, which is the same up to fp32 noise in
//! [`Dtype::Fp32`] but rounds every operand in [`Dtype::Bf16`]; integer hardware has no counterpart
//! for that.

use alloc::vec;
use alloc::vec::Vec;

use crate::dtype::Element;
use crate::parallel::{for_each_chunk, steps, transpose};
use crate::reduce::dot;
use crate::{Dtype, TernaryMatrix, matvec, quantise};

/// `rT(acc / scale * factor)` of one token: fp32 division, then fp32 product.
///
/// `scale` comes from [`quantise::activation_row`], `factor` is [`quantise::Weights::factor`] or
/// the `weight_scale` of a packed checkpoint.
pub fn rescale(acc: &[i32], scale: f32, factor: f32, dtype: Dtype) -> Vec<f32> {
    acc.iter().map(|acc| dtype.round(*acc as f32 / scale * factor)).collect()
}

/// BitLinear of `x`, shape `[tokens, cols]`: quantise, multiply, rescale. Result `[tokens, rows]`.
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn bit_linear(x: &[f32], weights: &TernaryMatrix, factor: f32, dtype: Dtype) -> Vec<f32> {
    let x = quantise::activations(x, weights.cols());
    let acc = matvec::matvec(weights, &x.q);
    let tokens = acc.chunks_exact(weights.rows().max(1)).zip(&x.scale);
    tokens.flat_map(|(acc, scale)| rescale(acc, *scale, factor, dtype)).collect()
}

/// Dense product `rT(h . weight^T)` with fp32 sums, for the head: `h` is `[tokens, cols]`, `weight`
/// is `[rows, cols]`. Result `[tokens, rows]`.
///
/// # Panics
/// If `h` or `weight` is not a whole number of rows.
pub fn dense<E: Element>(h: &[f32], weight: &[E], cols: usize, dtype: Dtype) -> Vec<f32> {
    /// Rows of one task.
    const ROWS: usize = 64;
    let (tokens, rows) = (h.len() / cols.max(1), weight.len() / cols.max(1));
    assert_eq!((h.len(), weight.len()), (tokens * cols, rows * cols), "whole rows of {cols} values");
    // As in the ternary product: a task owns whole rows for all tokens.
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
