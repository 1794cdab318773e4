//! The residual stream. Each block's output is added to the block's input, as in `BitNetDecoderLayer` of
//! `transformers`.

use crate::Dtype;

/// Sum of two slices element by element, in place: `h = rT(h + y)`, where `rT` is [`Dtype::round`].
///
/// # Panics
/// If the two slices differ in length.
pub fn add(h: &mut [f32], y: &[f32], dtype: Dtype) {
    assert_eq!(h.len(), y.len(), "as many summands on either side");
    for (h, y) in h.iter_mut().zip(y) {
        *h = dtype.round(*h + y);
    }
}
