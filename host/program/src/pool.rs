//! The threads that compute in parallel.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rayon::Yield;

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
    keep_memory();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
    // An error says that there is a pool.
    let _ = pool.build_global();
}

/// Makes the allocator of glibc keep memory that is freed. It gives blocks back to the system which are larger than any that
/// was freed before, up to 32 MB, and then the system has to clear new pages for each job of a long prompt.
fn keep_memory() {
    const LARGEST: usize = 31 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST)));
}

/// Runs `f`. Meanwhile the other threads do not sleep: they look for jobs all the time, and use all of their processors. A
/// thread that sleeps takes tens of microseconds to begin with a job, and a token has more than a hundred jobs.
pub fn awake<T>(f: impl FnOnce() -> T) -> T {
    /// Ends the search for jobs, even if `f` panics.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (ended, here) = (AtomicBool::new(false), rayon::current_thread_index());
    rayon::in_place_scope(|scope| {
        scope.spawn_broadcast(|_, thread| {
            // The thread of `f` looks for jobs when `f` waits for some.
            while here != Some(thread.index()) && !ended.load(Ordering::Relaxed) {
                if rayon::yield_now() != Some(Yield::Executed) {
                    thread::yield_now();
                }
            }
        });
        let _end = End(&ended);
        f()
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rayon::prelude::*;

    use super::*;

    #[test]
    fn jobs_are_done_while_threads_are_awake() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads can be made");
        let sum = |n: u64| (0..n).into_par_iter().map(|x| x * x).sum::<u64>();
        for inside in [true, false] {
            let all = || awake(|| (0..500).map(sum).sum::<u64>() + awake(|| sum(7)));
            let found = if inside { pool.install(all) } else { all() };
            assert_eq!(found, (0..500).map(|n| (0..n).map(|x| x * x).sum::<u64>()).sum::<u64>() + 91);
        }
    }

    #[test]
    fn a_panic_ends_it() {
        let caught = catch_unwind(AssertUnwindSafe(|| awake(|| panic!("in the middle"))));
        assert_eq!(caught.expect_err("it panics").downcast_ref(), Some(&"in the middle"));
    }
}
