//! Workers that take runs from a queue and compare each run on its own unit.
//!
//! A [`Bench`] executes each run on a unit powered up for that run, with a seed that depends only on the bench's seed
//! and the run. The results are therefore the same with any number of workers. The queue is bounded, so a stream of
//! any length needs a bounded amount of memory.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use program::interrupt::interrupted;
use verilated::ModelLibrary;

use crate::bench::Bench;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::run::Run;

/// The result of a stream of runs.
pub struct Verified<T, E> {
    /// The value that the producer returned, or a failure. A failure of the model or of a worker takes precedence
    /// over a failure of the producer.
    pub produced: Result<T, E>,
    /// One outcome for each verified run, in the order of the stream.
    pub outcomes: Vec<Outcome>,
    /// The simulated model, if it could be built.
    pub library: Option<ModelLibrary>,
}

/// Feeds the runs that `produce` queues to `jobs` workers on `bench`. `build` makes the model in parallel with
/// `produce`. `done` is called after each compared run; an error from `done` stops the verification.
pub fn verify<T, E: From<Error> + Send>(
    bench: &Bench,
    jobs: usize,
    build: impl FnOnce() -> Result<ModelLibrary, E> + Send,
    done: impl Fn(&Outcome) -> Result<(), E> + Sync,
    produce: impl FnOnce(SyncSender<Run>) -> Result<T, E>,
) -> Verified<T, E> {
    let (sender, receiver) = sync_channel(jobs);
    thread::scope(|scope| {
        // An error here drops the receiver. The producer then fails at its next send and ends.
        let verifier = scope.spawn(|| {
            let receiver = Mutex::new(receiver);
            let library = match build().and_then(|library| check_interrupt().map(|()| library)) {
                Ok(library) => library,
                Err(failure) => return (None, Vec::new(), Some(failure)),
            };
            let (outcomes, failure) = work(bench, jobs, &library, &receiver, &done);
            (Some(library), outcomes, failure)
        });
        let produced = produce(sender);
        let (library, mut outcomes, failure) = verifier.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcomes.sort_by_key(|outcome| outcome.index);
        Verified { produced: failure.map_or(produced, Err), outcomes, library }
    })
}

/// Verifies runs until the queue ends or a run fails. Returns the outcomes and the failure, if any.
fn work<E: From<Error> + Send>(
    bench: &Bench,
    jobs: usize,
    library: &ModelLibrary,
    receiver: &Mutex<Receiver<Run>>,
    done: &(impl Fn(&Outcome) -> Result<(), E> + Sync),
) -> (Vec<Outcome>, Option<E>) {
    let each = |run: Run| {
        let result = bench.execute(library, &run).map_err(|error| E::from(error.at(run.describe())));
        result.and_then(|outcome| done(&outcome).map(|()| outcome))
    };
    drain(jobs, receiver, |run| run.index, each)
}

/// Lets `jobs` workers take items from a queue and call `each` with them, until the queue ends or a call fails. Returns
/// what the calls returned, in no order, and the failure, if any: of several failures that of the item with the least
/// `number`.
pub fn drain<T: Send, R: Send, E: Send>(
    jobs: usize,
    receiver: &Mutex<Receiver<T>>,
    number: impl Fn(&T) -> usize + Sync,
    each: impl Fn(T) -> Result<R, E> + Sync,
) -> (Vec<R>, Option<E>) {
    drain_with(jobs, receiver, number, || Ok(()), |(), item| each(item))
}

/// [`drain`], where each worker makes something for itself before its first item, and uses it for all of its items.
pub fn drain_with<S, T: Send, R: Send, E: Send>(
    jobs: usize,
    receiver: &Mutex<Receiver<T>>,
    number: impl Fn(&T) -> usize + Sync,
    make: impl Fn() -> Result<S, E> + Sync,
    each: impl Fn(&mut S, T) -> Result<R, E> + Sync,
) -> (Vec<R>, Option<E>) {
    let state = Mutex::new((Vec::new(), None::<(usize, E)>));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let mut own = None;
                loop {
                    let received = lock(receiver).recv();
                    let Ok(item) = received else { break };
                    if lock(&state).1.is_some() {
                        break;
                    }
                    let number = number(&item);
                    let made = own.take().map_or_else(&make, Ok);
                    let result = made.and_then(|made| each(own.insert(made), item));
                    let (results, failed) = &mut *lock(&state);
                    match result {
                        Ok(result) => results.push(result),
                        Err(failure) if failed.as_ref().is_none_or(|(earliest, _)| *earliest > number) => {
                            *failed = Some((number, failure));
                        }
                        Err(_) => {}
                    }
                }
            });
        }
    });
    let (results, failed) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    (results, failed.map(|(_, failure)| failure))
}

/// Number of hardware threads of this machine, which is the default number of jobs.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Locks `mutex` even if another thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_interrupt<E: From<Error>>() -> Result<(), E> {
    if interrupted() { Err(Error::Interrupted.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// A queue of the numbers from 0 on.
    fn queue(count: usize) -> Mutex<Receiver<usize>> {
        let (sender, receiver) = sync_channel(count);
        (0..count).for_each(|item| sender.send(item).expect("the queue has room"));
        Mutex::new(receiver)
    }

    #[test]
    fn a_worker_makes_one_thing_for_all_of_its_items() {
        let made = AtomicUsize::new(0);
        let make = || Ok::<usize, String>(made.fetch_add(1, Ordering::Relaxed));
        let (mut items, failure) = drain_with(
            1,
            &queue(20),
            |item| *item,
            make,
            |own, item| {
                *own += 1;
                Ok((*own, item))
            },
        );
        items.sort_unstable();
        assert_eq!((items, failure), ((0..20).map(|item| (item + 1, item)).collect(), None));
        assert_eq!(made.into_inner(), 1);
        let nothing = || -> Result<(), String> { unreachable!("there is no item") };
        assert_eq!(drain_with(2, &queue(0), |item| *item, nothing, |(), item| Ok(item)), (vec![], None));
    }

    #[test]
    fn the_earliest_failure_is_told() {
        let each = |item: usize| if item > 3 { Err(item) } else { Ok(item) };
        let (items, failure) = drain(1, &queue(9), |item| *item, each);
        assert_eq!((items, failure), (vec![0, 1, 2, 3], Some(4)));
        // Two at work, of which one fails long after the other.
        for late in [0, 1] {
            let both = Barrier::new(2);
            let each = |item: usize| -> Result<(), usize> {
                both.wait();
                thread::sleep(Duration::from_millis(if item == late { 100 } else { 0 }));
                Err(item)
            };
            assert_eq!(drain(2, &queue(2), |item| *item, each), (vec![], Some(0)), "item {late} is late");
        }
        let none = drain_with(1, &queue(3), |item| *item, || Err::<(), _>("no thing"), |(), item| Ok(item));
        assert_eq!(none, (vec![], Some("no thing")));
    }
}
