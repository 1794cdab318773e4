//! Verification: recorded runs in, differences out.
//!
//! The forward pass runs ahead on golden's arithmetic. A [`Recorder`] turns each of its requests into a [`Run`], an
//! owned record of operators, activations and expected accumulators, and puts it into a bounded queue. Workers take
//! runs from the queue, let a [`Bench`] execute each on a unit of its own, powered up for that run with a seed that
//! depends on the run alone, and compare every output. So the numbers are the same with any number of workers, and
//! memory is bounded however long the stream of runs is.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use host::BackendError;
use host::config::Linear;
use host::layer::{CpuBackend, MatvecRequest, TernaryBackend};
use host::weight_cache::hex;
use host::weights::LayerWeights;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use verilated::ModelLibrary;

use crate::bench::{Bench, Outcome};
use crate::exit::{Failure, check_interrupt, interrupted};
use crate::shard::Shard;

/// One run of the unit, with the answer it has to give.
pub struct Run {
    /// Place in the stream, runs that are left to others included.
    pub index: usize,
    /// Whether it is the first that is verified here.
    pub first: bool,
    /// The forward pass, from 0.
    pub pass: usize,
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

    /// SHA-256 of activations and expected accumulators.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let codes: Vec<u8> = self.x_q.iter().map(|x| *x as u8).collect();
        hash.update(&codes);
        for expected in &self.expected {
            hash.update(expected.iter().flat_map(|acc| acc.to_le_bytes()).collect::<Vec<_>>());
        }
        hex(hash)
    }
}

/// An output that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Which runs are verified.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Operators.
    pub linears: Vec<Linear>,
    /// The part of the runs, and how many runs there are.
    pub shard: Option<(Shard, usize)>,
    /// Runs that were verified before, with their [`Run::sha256`].
    pub done: HashMap<usize, String>,
}

/// Computes on the CPU and queues what it computed.
pub struct Recorder {
    queue: SyncSender<Run>,
    selection: Selection,
    pass: usize,
    /// Layer and operator of the request before.
    before: Option<(usize, Linear)>,
    runs: usize,
    sent: usize,
    conflict: Option<String>,
}

impl Recorder {
    /// Records the products that are in `selection`.
    pub fn new(queue: SyncSender<Run>, selection: Selection) -> Self {
        Self { queue, selection, pass: 0, before: None, runs: 0, sent: 0, conflict: None }
    }

    /// Runs so far, with those that are left to others.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The run that was verified before with other activations, after a request that failed for it.
    pub fn conflict(&self) -> Option<&str> {
        self.conflict.as_deref()
    }
}

impl TernaryBackend for Recorder {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        let accumulators = Interruptible.matvec(request)?;
        // A pass goes through layers and operators in order; where they go back, the next one begins.
        let place = request.operators.first().map(|(l, _)| (request.layer, *l));
        self.pass += usize::from(place <= self.before);
        self.before = place;
        let linears = &self.selection.linears;
        let chosen = request.operators.iter().zip(&accumulators).filter(|((l, _), _)| linears.contains(l));
        let (operators, expected): (Vec<_>, Vec<_>) = chosen.map(|((l, _), acc)| (*l, acc.clone())).unzip();
        if operators.is_empty() {
            return Ok(accumulators);
        }
        let index = self.runs;
        self.runs += 1;
        if self.selection.shard.is_some_and(|(shard, runs)| !shard.takes(index, runs)) {
            return Ok(accumulators);
        }
        let run = Run {
            index,
            first: self.sent == 0,
            pass: self.pass,
            layer: request.layer,
            operators,
            weights: request.weights.clone(),
            x_q: request.x_q.to_vec(),
            tokens: request.tokens,
            expected,
        };
        match self.selection.done.get(&index) {
            Some(sha256) if *sha256 != run.sha256() => {
                self.conflict = Some(run.describe());
                return Err("verified before with other activations".into());
            }
            Some(_) => {}
            None => {
                self.sent += 1;
                self.queue.send(run).map_err(|_| "verification stopped")?;
            }
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
    /// What the producer returned, or the first failure of model, workers or producer, in this order.
    pub produced: Result<T, Failure>,
    /// One outcome a run, in the order of the stream.
    pub outcomes: Vec<Outcome>,
    /// The model that was simulated, if it could be built.
    pub library: Option<ModelLibrary>,
}

/// Feeds the runs that `produce` queues to `jobs` workers on `bench`. `build` makes the model meanwhile; `done` is
/// told of each run that was compared, and may stop it all.
pub fn verify<T>(
    bench: &Bench,
    jobs: usize,
    build: impl FnOnce() -> Result<ModelLibrary, Failure> + Send,
    done: impl Fn(&Outcome) -> Result<(), Failure> + Sync,
    produce: impl FnOnce(SyncSender<Run>) -> Result<T, Failure>,
) -> Verified<T> {
    let (sender, receiver) = sync_channel(jobs);
    thread::scope(|scope| {
        // An error here drops the receiver, which ends the producer.
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

/// The outcomes, and the failure of the earliest run that failed.
fn work(
    bench: &Bench,
    jobs: usize,
    library: &ModelLibrary,
    receiver: &Mutex<Receiver<Run>>,
    done: &(impl Fn(&Outcome) -> Result<(), Failure> + Sync),
) -> (Vec<Outcome>, Option<Failure>) {
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
                    let result = result.and_then(|outcome| done(&outcome).map(|()| outcome));
                    let (outcomes, failed) = &mut *lock(&state);
                    match result {
                        Ok(outcome) => outcomes.push(outcome),
                        Err(failure) if failed.as_ref().is_none_or(|(index, _)| *index > run.index) => {
                            *failed = Some((run.index, failure));
                        }
                        Err(_) => {}
                    }
                }
            });
        }
    });
    let (outcomes, failed) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    (outcomes, failed.map(|(_, failure)| failure))
}

/// Threads of this machine: as many jobs, unless others are asked for.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Locks, whatever happened to another thread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::config::ModelConfig;
    use host::synthetic::Synthetic;
    use host::weights::WeightSource;

    const TOKENS: usize = 2;

    /// Passes of two small layers, recorded; and what the last request said.
    fn recorded(selection: Selection, passes: usize) -> (Recorder, Vec<Run>, Result<(), BackendError>) {
        let mut config = ModelConfig::bitnet_2b_4t();
        (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (256, 512, 2);
        (config.num_attention_heads, config.num_key_value_heads) = (4, 2);
        let source = Synthetic::new(config.clone(), 1);
        let (sender, receiver) = sync_channel(100);
        let mut recorder = Recorder::new(sender, selection);
        let mut last = Ok(());
        for (layer, group) in (0..passes * 2).flat_map(|i| Linear::GROUPS.iter().map(move |group| (i % 2, group))) {
            let weights = source.layer(layer).expect("invented weights");
            let operators: Vec<_> = group.iter().map(|l| (*l, weights.linear(*l))).collect();
            let x_q = vec![layer as i8 + 1; TOKENS * group[0].in_features(&config)];
            let request = MatvecRequest { layer, weights: &weights, operators: &operators, x_q: &x_q, tokens: TOKENS };
            let told = recorder
                .matvec(&request)
                .map(|got| assert_eq!(got, CpuBackend.matvec(&request).expect("the CPU multiplies")));
            last = last.and(told);
        }
        let runs = receiver.try_iter().collect();
        (recorder, runs, last)
    }

    fn all() -> Selection {
        Selection { linears: Linear::ALL.to_vec(), ..Selection::default() }
    }

    #[test]
    fn every_run_is_recorded() {
        let (recorder, runs, told) = recorded(all(), 2);
        assert!(told.is_ok() && recorder.conflict().is_none());
        assert_eq!((recorder.runs(), runs.len()), (16, 16));
        for (i, run) in runs.iter().enumerate() {
            assert_eq!((run.index, run.first, run.pass, run.layer), (i, i == 0, i / 8, i / 4 % 2));
            assert_eq!(run.operators, Linear::GROUPS[i % 4]);
            assert_eq!(run.expected.len(), run.operators.len());
            assert_eq!(run.tokens, TOKENS);
        }
        assert_eq!(runs[4].describe(), "layer 1, self_attn.q_proj, self_attn.k_proj, self_attn.v_proj");
        let other = Run {
            x_q: vec![0; runs[0].x_q.len()],
            weights: runs[0].weights.clone(),
            operators: vec![],
            expected: vec![],
            ..runs[0]
        };
        assert_ne!(other.sha256(), runs[0].sha256());
    }

    #[test]
    fn what_is_not_selected_is_left_out() {
        let (recorder, runs, _) = recorded(Selection { linears: vec![Linear::V, Linear::Down], ..all() }, 1);
        assert_eq!(recorder.runs(), 4);
        assert_eq!(
            runs.iter().map(|run| run.operators.clone()).collect::<Vec<_>>()[..2],
            [[Linear::V], [Linear::Down]]
        );
        let shard = Shard { index: 1, of: 2 };
        let (recorder, runs, _) = recorded(Selection { shard: Some((shard, 8)), ..all() }, 1);
        let indices: Vec<usize> = runs.iter().map(|run| run.index).collect();
        assert_eq!(recorder.runs(), 8);
        assert_eq!(indices, (0..8).filter(|i| shard.takes(*i, 8)).collect::<Vec<_>>());
        assert!(runs[0].first && runs.iter().skip(1).all(|run| !run.first));
    }

    #[test]
    fn what_was_verified_is_not_verified_again() {
        let (_, runs, _) = recorded(all(), 1);
        let done: HashMap<usize, String> = runs.iter().take(3).map(|run| (run.index, run.sha256())).collect();
        let (recorder, rest, told) = recorded(Selection { done: done.clone(), ..all() }, 1);
        assert!(told.is_ok() && recorder.conflict().is_none());
        assert_eq!(rest.iter().map(|run| run.index).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        assert!(rest[0].first);
        let wrong = done.into_iter().map(|(i, sha256)| (i, if i == 1 { "other".into() } else { sha256 })).collect();
        let (recorder, _, told) = recorded(Selection { done: wrong, ..all() }, 1);
        assert!(told.is_err());
        assert_eq!(recorder.conflict(), Some("layer 0, self_attn.o_proj"));
    }

    #[test]
    fn differences_have_their_place() {
        let at = |token, row, expected, got| Mismatch { token, row, expected, got };
        assert_eq!(mismatches(&[1, 2, 3, 4, 5, 6], &[1, 0, 3, 4, 5, 0], 3), [at(0, 1, 2, 0), at(1, 2, 6, 0)]);
    }
}
