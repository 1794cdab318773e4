//! The threads that compute in parallel.

/// The number of threads.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Makes the calling thread one of `threads` threads that compute in parallel; 0 means one thread per core. Its parallel
/// jobs then start without a hand-over to another thread, which takes tens of microseconds. A program that also computes on
/// threads of its own must not call this: a thread that waits takes no jobs, and if it is the only one that could, the
/// program waits for ever.
///
/// If the threads were made before, they stay as they are.
pub fn join(threads: usize) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
    // An error says that there is a pool.
    let _ = pool.build_global();
}
