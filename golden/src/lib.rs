//! Exact arithmetic of BitNet b1.58, as `transformers` runs it and as the unit computes it.
//!
//! | module | what |
//! | --- | --- |
//! | [`dtype`] | the compute types and their rounding |
//! | [`ternary`], [`packed`], [`codec`] | ternary matrices: bit planes, checkpoint form, DDR weight image |
//! | [`quantise`], [`matvec`], [`linear`] | BitLinear: quantisers, exact integer product, rescale; the dense head |
//! | [`head`] | the output head in int8 |
//! | [`norm`], [`rope`], [`attention`], [`activation`], [`residual`] | the float operators between the products |
//!
//! No I/O, no global state and no `unsafe`. Every result is a function of the arguments alone: the
//! same bits with one thread or many, with SIMD or without, on a server or on a soft core. To keep
//! that so, elementary functions come from `libm`, sums have a fixed order and there is no fused
//! multiply-add.
//!
//! Float operators take `f32` slices whose values are representable in the [`Dtype`] they are
//! given, and return such slices. Slices whose lengths disagree are a broken invariant of the
//! caller and panic; whatever comes out of a file is checked and gives an [`Error`].
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

/// Compiles a hot function once per instruction set and picks one at run time; without `parallel`,
/// once and plainly.
///
/// All copies give the same bits: nothing here reorders a float sum or contracts a product.
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
pub mod head;
pub mod linear;
pub mod matvec;
pub mod norm;
pub mod packed;
mod parallel;
pub mod quantise;
mod reduce;
pub mod residual;
pub mod rope;
pub mod ternary;

pub use codec::Codec;
pub use dtype::Dtype;
pub use error::Error;
pub use ternary::TernaryMatrix;
