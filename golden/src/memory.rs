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

/// What to ask for instead of element `at` of each of `rows` rows of `len` elements that are read at the same time: behind the
/// end of a row is the next of these rows, so it is the element of the rows that come after all of them.
#[inline(always)]
#[cfg(all(feature = "parallel", target_arch = "x86_64"))]
pub(crate) fn in_next_rows(at: usize, len: usize, rows: usize) -> usize {
    if at < len { at } else { at + (rows - 1) * len }
}
