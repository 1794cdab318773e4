//! The only module that uses threads.

use alloc::vec::Vec;

/// A job with fewer elementary steps runs on the calling thread, because waking other threads costs more.
#[cfg(feature = "parallel")]
const WORTH_IT: usize = 1 << 17;

/// The elementary steps of a job: the product of `factors`. This number affects speed only, never a result.
pub(crate) fn steps(factors: &[usize]) -> usize {
    factors.iter().product()
}

/// Calls `f(i, chunk)` for every chunk of `size` elements of `out`; the last chunk may be shorter. The calls run on
/// all cores if the feature `parallel` is enabled and the job has enough steps, `work` in total. Chunks are disjoint,
/// and their borders do not depend on the number of threads. Therefore the result does not depend on the number of
/// threads either.
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

/// Elements of a chunk of a long slice whose elements are independent of each other.
const CHUNK: usize = 1 << 14;

/// Calls `f` for all elements of a slice, under the conditions of [`for_each_chunk`].
pub(crate) fn for_each_element(x: &mut [f32], f: impl Fn(&mut f32) + Sync + Send) {
    let work = x.len();
    for_each_chunk(x, CHUNK, work, |_, x| x.iter_mut().for_each(&f));
}

/// Calls `f(x, y)` for all pairs of elements of two slices of the same length, under the conditions of
/// [`for_each_chunk`].
pub(crate) fn for_each_pair(x: &mut [f32], y: &[f32], f: impl Fn(&mut f32, f32) + Sync + Send) {
    let work = x.len();
    for_each_chunk(x, CHUNK, work, |i, x| x.iter_mut().zip(&y[i * CHUNK..]).for_each(|(x, y)| f(x, *y)));
}

/// Calls `f` for every task, on all cores under the conditions of [`for_each_chunk`]. Tasks must not share the memory
/// that they write.
pub(crate) fn for_each<T: Send>(tasks: impl Iterator<Item = T>, work: usize, f: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "parallel")]
    if work >= WORTH_IT {
        use rayon::prelude::*;
        return tasks.collect::<Vec<_>>().into_par_iter().with_max_len(1).for_each(f);
    }
    let _ = work;
    tasks.for_each(f);
}

/// Transposes `[rows, tokens]`, the order in which tasks write whole rows, to `[tokens, rows]`.
pub(crate) fn transpose<T: Copy>(by_row: Vec<T>, tokens: usize) -> Vec<T> {
    if by_row.is_empty() || tokens == 1 {
        return by_row;
    }
    (0..tokens).flat_map(|t| by_row[t..].iter().step_by(tokens)).copied().collect()
}
