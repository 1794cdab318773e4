//! The residual stream. Each block's output is added to the block's input, as in `BitNetDecoderLayer` of
//! `transformers`.

use crate::Dtype;
use crate::parallel::for_each_pair;

/// Sum of two slices element by element, in place: `h = rT(h + y)`, where `rT` is [`Dtype::round`].
///
/// # Panics
/// If the two slices differ in length.
pub fn add(h: &mut [f32], y: &[f32], dtype: Dtype) {
    assert_eq!(h.len(), y.len(), "as many summands on either side");
    for_each_pair(h, y, |h, y| *h = dtype.round(*h + y));
}
