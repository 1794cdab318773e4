//! Tokens that simulated units choose too, while golden generates the next ones.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use bitnet::generate::{Last, Pass};
use golden::Dtype;
use report::head::OutputHead;
use soft_core::core::Core;
use testbench::pool::drain_with;
use verilated::Trace;

use super::job::Job;
use crate::failure::{Exit, Failure};
use crate::head::{Head, Token};
use crate::output::Progress;
use crate::system::Parts;

/// Takes every pass, with what its token was chosen from.
pub(super) type Each<'a> = &'a (dyn Fn(&Pass, Last<'_>) + Sync);

impl Job<'_> {
    /// Runs `generate`, which hands over every pass. Returns its result, and the tokens that the units chose.
    pub(super) fn chosen<T>(
        &self,
        generate: impl FnOnce(Each<'_>) -> Result<T, Failure>,
    ) -> Result<(T, Option<OutputHead>), Failure> {
        let Some(vector) = self.vector else { return Ok((generate(&|_, _| {})?, None)) };
        let parts = Parts::build(Core::VexRiscv, &self.setup, Some(vector), Trace::Off)?;
        let (source, dtype) = (self.source.weights(), Dtype::from(self.args.model.dtype));
        let head = Head::new(&parts, &self.setup, source, dtype, self.args.head_margin)?;
        let progress = Progress::new("choosing on units", self.limits.tokens as u64);
        let (sender, receiver) = sync_channel(1);
        let (generated, (chosen, failure)) = thread::scope(|scope| {
            let workers = scope.spawn(|| {
                // The receiver is dropped with the workers. Then nobody waits for tokens that are sent.
                let receiver = Mutex::new(receiver);
                let make = || head.system(self.args.model.seed);
                let number = |(number, _): &(usize, Token)| *number;
                drain_with(self.jobs, &receiver, number, make, |on, (number, token)| {
                    head.choose(on, number, &token).inspect(|_| progress.advance(1))
                })
            });
            let count = AtomicUsize::new(0);
            let generated = generate(&|pass, last| {
                let token = Token { hidden: last.hidden.into(), logits: last.logits.into(), chosen: pass.next };
                // Workers that ended have a failure, which is told below.
                let _ = sender.send((count.fetch_add(1, Ordering::Relaxed), token));
            });
            drop(sender);
            (generated, workers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        progress.finish();
        let generated = failure.map_or(generated, Err)?;
        if chosen.is_empty() {
            return Err(Failure::new(Exit::Internal, "the units chose no token"));
        }
        Ok((generated, Some(head.report(chosen))))
    }
}
