//! Exact arithmetic of BitNet b1.58.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ternary;

pub use ternary::TernaryMatrix;
