//! Verification: recorded runs in, differences out.
//!
//! The forward pass runs ahead on golden's arithmetic. A [`Recorder`] turns each of its requests into a [`Run`], an
//! owned record of operators, activations and expected accumulators, and puts it into a bounded queue. Workers take
//! runs from the queue, let a [`Bench`] execute each on a unit of its own, powered up for that run with a seed that
//! depends on the run alone, and compare every output. So the numbers are the same with any number of workers, and
//! memory is bounded however long the stream of runs is.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use host::BackendError;
use host::config::Linear;
use host::layer::{CpuBackend, MatvecRequest, TernaryBackend};
use host::weights::LayerWeights;
use verilated::ModelLibrary;

use crate::bench::{Bench, Outcome};
use crate::exit::{Failure, check_interrupt, interrupted};

/// One run of the unit, with the answer it has to give.
pub struct Run {
    /// Place in the stream.
    pub index: usize,
    /// The decoder layer.
    pub layer: usize,
    /// Operators that share the activations, at least one.
    pub operators: Vec<Linear>,
    /// The layer's weights.
    pub weights: Arc<LayerWeights>,
    /// Activations, `[tokens, in_features]`.
    pub x_q: Vec<i8>,
    /// Rows of `x_q`.
    pub tokens: usize,
    /// Golden's accumulators for each operator, `[tokens, out_features]`.
    pub expected: Vec<Vec<i32>>,
}

impl Run {
    /// `layer 14, self_attn.q_proj, self_attn.k_proj`
    pub fn describe(&self) -> String {
        format!("layer {}, {}", self.layer, self.operators.iter().map(|l| l.name()).collect::<Vec<_>>().join(", "))
    }
}

/// An output that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The token.
    pub token: usize,
    /// The output feature.
    pub row: usize,
    /// Golden's accumulator.
    pub expected: i32,
    /// The unit's.
    pub got: i32,
}

/// Where `observed` differs from `expected`, both `[tokens, rows]`.
///
/// ```
/// let found = sim::verify::mismatches(&[1, 2, 3, 4], &[1, 2, 3, 5], 2);
/// assert_eq!((found[0].token, found[0].row, found[0].expected, found[0].got), (1, 1, 4, 5));
/// ```
///
/// # Panics
/// If the two have different lengths.
pub fn mismatches(expected: &[i32], observed: &[i32], rows: usize) -> Vec<Mismatch> {
    assert_eq!(expected.len(), observed.len(), "every output is compared");
    let pairs = expected.iter().zip(observed).enumerate().filter(|(_, (e, o))| e != o);
    pairs.map(|(i, (&expected, &got))| Mismatch { token: i / rows, row: i % rows, expected, got }).collect()
}

/// Computes on the CPU and queues what it computed.
pub struct Recorder {
    queue: SyncSender<Run>,
    selected: Vec<Linear>,
    runs: usize,
}

impl Recorder {
    /// Records products of the operators in `selected`.
    pub fn new(queue: SyncSender<Run>, selected: Vec<Linear>) -> Self {
        Self { queue, selected, runs: 0 }
    }

    /// The back end for a layer with these weights.
    pub fn layer(&mut self, weights: Arc<LayerWeights>) -> impl TernaryBackend {
        RecordLayer { recorder: self, weights }
    }
}

struct RecordLayer<'a> {
    recorder: &'a mut Recorder,
    weights: Arc<LayerWeights>,
}

impl TernaryBackend for RecordLayer<'_> {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        let accumulators = Interruptible.matvec(request)?;
        let recorder = &mut *self.recorder;
        let chosen = request.operators.iter().zip(&accumulators).filter(|((l, _), _)| recorder.selected.contains(l));
        let (operators, expected): (Vec<_>, Vec<_>) = chosen.map(|((l, _), acc)| (*l, acc.clone())).unzip();
        if !operators.is_empty() {
            let run = Run {
                index: recorder.runs,
                layer: request.layer,
                operators,
                weights: self.weights.clone(),
                x_q: request.x_q.to_vec(),
                tokens: request.tokens,
                expected,
            };
            recorder.runs += 1;
            recorder.queue.send(run).map_err(|_| "verification stopped")?;
        }
        Ok(accumulators)
    }
}

/// [`CpuBackend`] that looks for Ctrl-C.
pub struct Interruptible;

impl TernaryBackend for Interruptible {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        if interrupted() { Err("interrupted".into()) } else { CpuBackend.matvec(request) }
    }
}

/// What came of a stream of runs.
pub struct Verified<T> {
    /// What the producer returned.
    pub produced: T,
    /// One outcome a run, in the order of the stream.
    pub outcomes: Vec<Outcome>,
    /// The model that was simulated.
    pub library: ModelLibrary,
}

/// Feeds the runs that `produce` queues to `jobs` workers on `bench`. `build` makes the model meanwhile; `done` is
/// told of each run that was compared.
///
/// # Errors
/// The first failure of model, workers or producer, in this order.
pub fn verify<T>(
    bench: &Bench,
    jobs: usize,
    build: impl FnOnce() -> Result<ModelLibrary, Failure> + Send,
    done: impl Fn(&Outcome) + Sync,
    produce: impl FnOnce(SyncSender<Run>) -> Result<T, Failure>,
) -> Result<Verified<T>, Failure> {
    let (sender, receiver) = sync_channel(jobs);
    thread::scope(|scope| {
        // An error here drops the receiver, which ends the producer.
        let verifier = scope.spawn(|| {
            let receiver = Mutex::new(receiver);
            let library = build()?;
            check_interrupt()?;
            work(bench, jobs, &library, &receiver, &done).map(|outcomes| (library, outcomes))
        });
        let produced = produce(sender);
        let verified = verifier.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (library, mut outcomes) = verified?;
        outcomes.sort_by_key(|outcome| outcome.index);
        Ok(Verified { produced: produced?, outcomes, library })
    })
}

fn work(
    bench: &Bench,
    jobs: usize,
    library: &ModelLibrary,
    receiver: &Mutex<Receiver<Run>>,
    done: &(impl Fn(&Outcome) + Sync),
) -> Result<Vec<Outcome>, Failure> {
    let state = Mutex::new((Vec::new(), None::<(usize, Failure)>));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let received = lock(receiver).recv();
                    let Ok(run) = received else { break };
                    if lock(&state).1.is_some() {
                        break;
                    }
                    let result = bench.execute(library, &run).map_err(|failure| failure.at(run.describe()));
                    let (outcomes, failed) = &mut *lock(&state);
                    match result {
                        Ok(outcome) => {
                            done(&outcome);
                            outcomes.push(outcome);
                        }
                        // The earliest run that failed, whoever was faster.
                        Err(failure) if failed.as_ref().is_none_or(|(index, _)| *index > run.index) => {
                            *failed = Some((run.index, failure));
                        }
                        Err(_) => {}
                    }
                }
            });
        }
    });
    match state.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (_, Some((_, failure))) => Err(failure),
        (outcomes, None) => Ok(outcomes),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
