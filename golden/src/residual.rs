//! The residual stream: `BitNetDecoderLayer` of `transformers` adds each block's output to its
//! input.

use crate::Dtype;

/// `h = rT(h + y)`, in place.
///
/// # Panics
/// If the two slices differ in length.
pub fn add(h: &mut [f32], y: &[f32], dtype: Dtype) {
    assert_eq!(h.len(), y.len(), "as many summands on either side");
    for (h, y) in h.iter_mut().zip(y) {
        *h = dtype.round(*h + y);
    }
}
