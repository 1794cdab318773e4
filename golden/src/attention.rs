//! Causal attention with grouped key/value heads.
//!
//! Formula: the `eager` attention of `transformers`. That code rounds each score three times (after the product, the
//! scaling and the mask) and each probability once. The rounding after the mask changes nothing for a visible key.
//! The mask value is so low that a masked key has probability exactly 0, so this module skips masked keys.

use alloc::vec;
use alloc::vec::Vec;

use crate::Dtype;
use crate::reduce::{dot, sum};

mod heads;

#[cfg(feature = "parallel")]
mod shared;

pub use heads::Heads;
use heads::{Tokens, scale};

/// Attention of `n` new tokens. Their keys and values are the last `n` of the cache.
///
/// `q` is `[n, query, dim]`; `keys` and `values` are `[past + n, kv, dim]` and include the new tokens. `q` and `keys`
/// are already rotated. New token `t` sees the keys `0..=past + t`. The result is `[n, query, dim]`.
///
/// # Panics
/// If shapes disagree, if `kv` does not divide `query`, or if there are fewer keys than queries.
pub fn attention(heads: Heads, q: &[f32], keys: &[f32], values: &[f32], dtype: Dtype) -> Vec<f32> {
    let mut out = vec![0.0; q.len()];
    let n = Tokens::new(heads, q, keys, values);
    #[cfg(feature = "parallel")]
    shared::attention(heads, &n, q, keys, values, dtype, &mut out);
    #[cfg(not(feature = "parallel"))]
    for (i, out) in out.chunks_mut(heads.dim.max(1)).enumerate() {
        let (t, h) = (i / heads.query, i % heads.query);
        let mut probs = vec![0.0; n.past + t + 1];
        one_head(heads, h, &q[i * heads.dim..][..heads.dim], keys, values, dtype, &mut probs, out);
    }
    out
}

/// Computes [`attention`] and returns its probabilities too, shape `[query, n, past + n]`.
///
/// # Panics
/// If shapes disagree, if `kv` does not divide `query`, or if there are fewer keys than queries.
pub fn attention_with_probs(
    heads: Heads,
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    dtype: Dtype,
) -> (Vec<f32>, Vec<f32>) {
    let n = Tokens::new(heads, q, keys, values);
    let all = n.past + n.new;
    let (mut out, mut probs) = (vec![0.0; q.len()], vec![0.0; heads.query * n.new * all]);
    for (i, out) in out.chunks_exact_mut(heads.dim.max(1)).enumerate() {
        let (t, h) = (i / heads.query, i % heads.query);
        let probs = &mut probs[(h * n.new + t) * all..][..n.past + t + 1];
        one_head(heads, h, &q[i * heads.dim..][..heads.dim], keys, values, dtype, probs, out);
    }
    (out, probs)
}

simd! {
    /// Attention of one query head of one token over the keys `0..probs.len()`.
    #[allow(clippy::too_many_arguments)]
    fn one_head(
        heads: Heads,
        head: usize,
        q: &[f32],
        keys: &[f32],
        values: &[f32],
        dtype: Dtype,
        probs: &mut [f32],
        out: &mut [f32],
    ) {
        let Heads { query, kv, dim } = heads;
        let column = head / (query / kv) * dim;
        let at = |i: usize| i * kv * dim + column..(i * kv + 1) * dim + column;
        let scale = scale(dim);
        for (i, p) in probs.iter_mut().enumerate() {
            *p = dtype.round(dtype.round(dot(q, &keys[at(i)])) * scale);
        }
        let max = probs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        probs.iter_mut().for_each(|p| *p = libm::expf(*p - max));
        let total = sum(probs);
        for (i, p) in probs.iter_mut().enumerate() {
            *p = dtype.round(*p / total);
            for (out, v) in out.iter_mut().zip(&values[at(i)]) {
                *out += *p * v;
            }
        }
        dtype.round_slice(out);
    }
}
