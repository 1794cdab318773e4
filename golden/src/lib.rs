//! Exact arithmetic of BitNet b1.58, as `transformers` runs it and as the unit computes it.
//!
//! | module | content |
//! | --- | --- |
//! | [`dtype`] | the compute types and how values are rounded to them |
//! | [`ternary`], [`packed`], [`codec`] | ternary matrices: bit planes, packed checkpoint form, weight image in DDR |
//! | [`quantise`], [`matvec`], [`linear`] | BitLinear: quantisers, exact integer product, rescale; the dense head |
//! | `interleaved` | the same product with the instructions that a CPU has for it |
//! | [`head`], [`ranking`] | the output head in int8; a ternary copy of it that ranks its rows |
//! | `screen` | the rows of a head that can have the largest logit, found with half the bytes |
//! | [`norm`], [`rope`], [`attention`], [`activation`], [`residual`] | the float operators between the products |
//!
//! `interleaved` and `screen` need the feature `parallel`.
//!
//! No I/O, no global state and no `unsafe`. Every result depends on the arguments alone: its bits are identical with
//! one thread or many, with or without SIMD, on a server or on a soft core. For this reason elementary functions come
//! from `libm`, sums have a fixed order, and fused multiply-add is not used.
//!
//! Float operators take and return `f32` slices whose values are representable in the given [`Dtype`]. If the lengths
//! of slices disagree, the caller has a bug, and the function panics. Data from a file is checked, and bad data gives
//! an [`Error`]. In formulas, `rT(x)` means that `x` is rounded to the compute type: [`Dtype::round`].
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

/// Compiles a hot function once per instruction set and selects a copy at run time. Without the feature `parallel`,
/// the function is compiled once.
///
/// All copies give the same bits: no copy reorders a float sum or contracts a product.
macro_rules! simd {
    ($item:item) => {
        #[cfg_attr(
            feature = "parallel",
            multiversion::multiversion(targets(
                "x86_64+avx512f+avx512bw+avx512vl+avx512vpopcntdq+popcnt",
                "x86_64+avx2+popcnt",
                "aarch64+neon",
            ))
        )]
        $item
    };
}

pub mod activation;
pub mod attention;
mod bits;
pub mod codec;
pub mod dtype;
pub mod error;
#[cfg(feature = "parallel")]
mod exp;
pub mod head;
#[cfg(feature = "parallel")]
pub mod interleaved;
pub mod linear;
pub mod matvec;
mod memory;
pub mod norm;
pub mod packed;
mod parallel;
pub mod quantise;
pub mod ranking;
mod reduce;
pub mod residual;
pub mod rope;
#[cfg(feature = "parallel")]
pub mod screen;
pub mod ternary;

pub use codec::{Codec, Layout};
pub use dtype::Dtype;
pub use error::Error;
pub use ternary::TernaryMatrix;
