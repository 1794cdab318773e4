//! Rotary position embedding in half-split ("NeoX") order: element `i` of a head pairs with element `i + dim/2`.
//!
//! Formulas: `BitNetRotaryEmbedding` and `apply_rotary_pos_emb` of `transformers`. The tables are computed in fp32
//! and rounded to the compute type. The rotation rounds after each of its three operations.

use alloc::vec::Vec;
use core::ops::Range;

use crate::Dtype;
use crate::parallel::for_each;

/// Cosines and sines for a range of positions.
///
/// Only the first half of each row is stored, shape `[positions, head_dim / 2]`, because the second half repeats the
/// first.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeTables {
    /// `cos(position * frequency)`.
    pub cos: Vec<f32>,
    /// `sin(position * frequency)`.
    pub sin: Vec<f32>,
    half: usize,
    dtype: Dtype,
}

impl RopeTables {
    /// Creates tables for `positions`. Frequency `i` is `1 / theta^(2i / head_dim)`.
    ///
    /// The power is computed in fp64 and rounded once. The fp32 power functions of different libraries disagree in
    /// the last bit of a frequency, and at position 4095 one such bit changes an angle by 2e-4 radians.
    ///
    /// # Panics
    /// If `head_dim` is odd.
    pub fn new(positions: Range<usize>, head_dim: usize, theta: f32, dtype: Dtype) -> Self {
        assert!(head_dim.is_multiple_of(2), "head_dim {head_dim} has two halves");
        let half = head_dim / 2;
        let frequency = |i| {
            let exponent = (2 * i) as f32 / head_dim as f32;
            1.0 / libm::pow(theta as f64, exponent as f64) as f32
        };
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let angles = positions.flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
        let (cos, sin) = angles.map(|a| (dtype.round(libm::cosf(a)), dtype.round(libm::sinf(a)))).unzip();
        Self { cos, sin, half, dtype }
    }

    /// Tables whose values were computed elsewhere: `cos` and `sin`, `[positions, head_dim / 2]`, values of the compute
    /// type. For a processor that would take long to compute them.
    ///
    /// # Panics
    /// If the tables are no whole number of positions.
    pub fn from_values(cos: Vec<f32>, sin: Vec<f32>, head_dim: usize, dtype: Dtype) -> Self {
        let half = head_dim / 2;
        assert!(cos.len() == sin.len() && cos.len().is_multiple_of(half.max(1)), "whole positions of {half} values");
        Self { cos, sin, half, dtype }
    }

    /// Rotates every head of `x`, shape `[tokens, heads, head_dim]`, in place. Token `t` uses row `first + t` of the
    /// tables.
    ///
    /// # Panics
    /// If `x` is not a whole number of tokens, or if the tables are too short for them.
    pub fn rotate(&self, x: &mut [f32], heads: usize, first: usize) {
        let (half, dtype) = (self.half, self.dtype);
        let width = (heads * half * 2).max(1);
        assert!(x.len().is_multiple_of(width), "whole tokens of {heads} heads of {} values", 2 * half);
        let work = 4 * x.len();
        for_each(x.chunks_exact_mut(width).enumerate(), work, |(t, token)| {
            let row = (first + t) * half..(first + t + 1) * half;
            let (cos, sin) = (&self.cos[row.clone()], &self.sin[row]);
            for head in token.chunks_exact_mut(2 * half) {
                let (low, high) = head.split_at_mut(half);
                for ((a, b), (c, s)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
                    (*a, *b) = (
                        dtype.round(dtype.round(*a * c) + dtype.round(-*b * s)),
                        dtype.round(dtype.round(*b * c) + dtype.round(*a * s)),
                    );
                }
            }
        });
    }
}
