//! Tokens that simulated units choose too, while golden generates the next ones.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use golden::Dtype;
use report::head::OutputHead;
use soft_core::core::Core;

use super::job::Job;
use crate::failure::{Exit, Failure};
use crate::head::{Head, OnUnits, Token};
use crate::output::Progress;
use crate::system::Parts;

/// A token and its number.
type Numbered = (usize, Token);

impl Job<'_> {
    /// Runs `generate`, which hands over every token. Returns its result, and the tokens that the units chose.
    pub(super) fn chosen<T>(
        &self,
        generate: impl FnOnce(&(dyn Fn(Token) + Sync)) -> Result<T, Failure>,
    ) -> Result<(T, Option<OutputHead>), Failure> {
        let Some(vector) = self.vector else { return Ok((generate(&|_| {})?, None)) };
        let parts = Parts::build(Core::VexRiscv, &self.setup, Some(vector))?;
        let (source, dtype) = (self.source.weights(), Dtype::from(self.args.model.dtype));
        let head = Head::new(&parts, &self.setup, source, dtype, self.args.head_margin)?;
        let progress = Progress::new("choosing on units", self.limits.tokens as u64);
        let (sender, receiver) = sync_channel(1);
        let receiver = Arc::new(Mutex::new(receiver));
        let (generated, chosen) = thread::scope(|scope| {
            let worker = |receiver: Arc<Mutex<Receiver<Numbered>>>| {
                let (head, progress) = (&head, &progress);
                scope.spawn(move || self.choose(head, &receiver, progress))
            };
            let workers: Vec<_> = (0..self.jobs).map(|_| worker(receiver.clone())).collect();
            // Only the workers have it now: if all of them panic, tokens are not waited for.
            drop(receiver);
            let generated = generate(&numbered(sender));
            let mut chosen: Result<Vec<OnUnits>, Failure> = Ok(Vec::new());
            for worker in workers {
                let ended = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                chosen = chosen.and_then(|mut all| ended.map(|some| all.extend(some)).map(|()| all));
            }
            (generated, chosen)
        });
        progress.finish();
        let (generated, chosen) = (generated?, chosen?);
        if chosen.is_empty() {
            return Err(Failure::new(Exit::Internal, "the units chose no token"));
        }
        Ok((generated, Some(head.report(chosen))))
    }

    /// Chooses tokens on a system until no more come. After a failure, tokens that still come are dropped.
    fn choose(
        &self,
        head: &Head<'_>,
        tokens: &Mutex<Receiver<Numbered>>,
        progress: &Progress,
    ) -> Result<Vec<OnUnits>, Failure> {
        let next = || tokens.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        let mut chosen = Vec::new();
        let result = head.choose(self.args.model.seed, std::iter::from_fn(next), |token| {
            chosen.push(token);
            progress.advance(1);
        });
        while result.is_err() && next().is_some() {}
        result.map(|()| chosen)
    }
}

/// Sends tokens with their numbers. Sending fails only if all workers panicked, which is told when they are joined.
fn numbered(sender: SyncSender<Numbered>) -> impl Fn(Token) + Sync {
    let state = Mutex::new((sender, 0));
    move |token| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.1;
        state.1 += 1;
        let _ = state.0.send((number, token));
    }
}
