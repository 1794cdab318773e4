//! The one place that knows about threads.

use alloc::vec::Vec;

/// Below this many elementary steps a job is not worth waking other threads for.
#[cfg(feature = "parallel")]
const WORTH_IT: usize = 1 << 18;

/// The elementary steps of a job: this times that times that. Decides on speed, never on a result.
pub(crate) fn steps(factors: &[usize]) -> usize {
    factors.iter().product()
}

/// Calls `f(i, chunk)` for every chunk of `size` elements of `out` (the last may be shorter), on
/// all cores if the feature `parallel` is on and `work` steps in total are worth it. Chunks are
/// disjoint and their borders do not depend on the number of threads, so neither does the result.
pub(crate) fn for_each_chunk<T: Send>(
    out: &mut [T],
    size: usize,
    work: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    #[cfg(feature = "parallel")]
    if work >= WORTH_IT {
        use rayon::prelude::*;
        return out.par_chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| f(i, chunk));
    }
    let _ = work;
    out.chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| f(i, chunk));
}

/// Calls `f` for every task, on all cores as [`for_each_chunk`] does. Tasks must not share what they write.
pub(crate) fn for_each<T: Send>(tasks: Vec<T>, work: usize, f: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "parallel")]
    if work >= WORTH_IT {
        use rayon::prelude::*;
        return tasks.into_par_iter().for_each(f);
    }
    let _ = work;
    tasks.into_iter().for_each(f);
}

/// `[rows, tokens]`, as tasks that own whole rows write it, to `[tokens, rows]`.
pub(crate) fn transpose<T: Copy>(by_row: Vec<T>, tokens: usize) -> Vec<T> {
    if by_row.is_empty() || tokens == 1 {
        return by_row;
    }
    (0..tokens).flat_map(|t| by_row[t..].iter().step_by(tokens)).copied().collect()
}
