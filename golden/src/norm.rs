//! RMSNorm.
//!
//! Formula: `BitNetRMSNorm` of `transformers`. The normalised row is rounded to the compute type
//! before the weight multiplies it, so bf16 rounds twice.

use alloc::vec;
use alloc::vec::Vec;

use crate::Dtype;
use crate::parallel::for_each_chunk;
use crate::reduce::dot;

/// Computes `rT(weight * rT(x * 1/sqrt(mean(x^2) + eps)))` for every row of `x`, shape `[rows, weight.len()]`.
///
/// A row of zeros gives a row of zeros.
///
/// # Panics
/// If `x` is not a whole number of rows.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, dtype: Dtype) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let width = weight.len().max(1);
    assert!(x.len().is_multiple_of(width), "whole rows of {width} values");
    for_each_chunk(&mut out, width, x.len(), |i, out| norm_row(&x[i * width..][..width], weight, eps, dtype, out));
    out
}

simd! {
    fn norm_row(x: &[f32], weight: &[f32], eps: f32, dtype: Dtype, out: &mut [f32]) {
        let mean = dot(x, x) / x.len() as f32;
        let scale = 1.0 / libm::sqrtf(mean + eps);
        for (out, (x, w)) in out.iter_mut().zip(x.iter().zip(weight)) {
            *out = dtype.round(w * dtype.round(x * scale));
        }
    }
}
