//! The gated activation of the MLP, which joins the gate and up projections.
//!
//! Formula: `rT(rT(relu(gate)^2) * up)`, from `ReLUSquaredActivation` and `BitNetMLP` of `transformers`.

use crate::Dtype;
use crate::parallel::{for_each_element, for_each_pair};

/// Squared ReLU, in place: `x = rT(max(x, 0)^2)`, where `rT` is [`Dtype::round`].
pub fn relu2(x: &mut [f32], dtype: Dtype) {
    for_each_element(x, |x| {
        let relu = if *x < 0.0 { 0.0 } else { *x };
        *x = dtype.round(relu * relu);
    });
}

/// Product of two slices element by element, in place: `x = rT(x * y)`, where `rT` is [`Dtype::round`].
///
/// # Panics
/// If the two slices differ in length.
pub fn product(x: &mut [f32], y: &[f32], dtype: Dtype) {
    assert_eq!(x.len(), y.len(), "as many factors on either side");
    for_each_pair(x, y, |x, y| *x = dtype.round(*x * y));
}
