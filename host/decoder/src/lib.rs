//! One decoder layer of BitNet, as a sequence of the operators of [`golden`].
//!
//! ```text
//! x = norm(h); q, k, v = BitLinear(x); a = norm(attention(rope(q), rope(k), v)); h += BitLinear_o(a)
//! x = norm(h); g, u = BitLinear(x);    m = norm(relu(g)^2 * u);                  h += BitLinear_down(m)
//! ```
//!
//! A BitLinear quantises the activations of each token to int8, requests exact integer products, and rescales them.
//! [`Products`] computes the products: the CPU, a ternary unit, or a test. Everything else is computed here.
//!
//! There is one sequence for every place: the host runs it for its forward passes, and the firmware of a soft core runs
//! it beside the unit. So this crate has no I/O and needs only `alloc`.
//!
//! | module | content |
//! | --- | --- |
//! | [`shape`] | the dimensions of a layer; the names of its linears and norms |
//! | [`observer`] | what an observer sees of a layer: steps and tensors |
//! | [`layer`] | the sequence |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod layer;
pub mod observer;
pub mod shape;

pub use layer::{Cache, Error, Layer, Products};
pub use observer::{Observer, Step, Values};
pub use shape::{Linear, Norm, Shape};
