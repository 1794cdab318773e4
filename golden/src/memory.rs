//! What the memory is asked for before it is needed.

/// Asks the memory for `count` elements of `x`, from `first` on, which will be read a little later. There need not be so
/// many.
#[inline(always)]
pub(crate) fn prefetch<E>(x: &[E], first: usize, count: usize) {
    /// Bytes of a line of a cache.
    const LINE: usize = 64;
    #[cfg(feature = "parallel")]
    for i in (first..first + count).step_by(LINE / size_of::<E>()) {
        prefetch_index::prefetch_index(x, i);
    }
    let _ = (x, first, count, LINE);
}
