//! The gated activation between the two halves of the MLP.
//!
//! Formulas: `ReLUSquaredActivation` and `BitNetMLP` of `transformers`: `rT(rT(relu(gate)^2) *
//! up)`.

use crate::Dtype;

/// `x = rT(max(x, 0)^2)`, in place.
pub fn relu2(x: &mut [f32], dtype: Dtype) {
    for x in x {
        let relu = if *x < 0.0 { 0.0 } else { *x };
        *x = dtype.round(relu * relu);
    }
}

/// `x = rT(x * y)`, element by element, in place.
///
/// # Panics
/// If the two slices differ in length.
pub fn product(x: &mut [f32], y: &[f32], dtype: Dtype) {
    assert_eq!(x.len(), y.len(), "as many factors on either side");
    for (x, y) in x.iter_mut().zip(y) {
        *x = dtype.round(*x * y);
    }
}
