//! Golden's forward pass as a stream of runs.
//!
//! The forward pass computes on golden's arithmetic and runs ahead of the simulation. A [`Recorder`] turns each
//! request of the forward pass into a [`Run`]: an owned record of operators, activations and expected accumulators.
//! It puts the run into a bounded queue.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::SyncSender;

use bitnet::BackendError;
use bitnet::config::{Linear, ModelConfig};
use bitnet::layer::{CpuBackend, MatvecRequest, TernaryBackend};
use bitnet::skip::{self, Skips};
use program::interrupt::interrupted;
use serde::{Deserialize, Serialize};
use tmv::regs;

use crate::run::Run;

/// What the unit can leave out of a model: it has room for the signs of so many rows, and for so many sums and activations
/// of columns.
pub fn possible_skips(config: &ModelConfig) -> Skips {
    let ModelConfig { hidden_size, intermediate_size, .. } = *config;
    let [rows, columns, sums] = [regs::MAX_RECORDED_ROWS, regs::MAX_COLUMNS, regs::MAX_COLUMN_ROWS].map(|n| n as usize);
    Skips { rows: intermediate_size <= rows, columns: intermediate_size <= columns && hidden_size <= sums }
}

/// The runs that are verified.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The operators to verify.
    pub linears: Vec<Linear>,
    /// Indices of the runs to verify; all runs if `None`.
    pub runs: Option<BTreeSet<usize>>,
    /// Runs that were verified earlier: the index of each and its [`Run::sha256`].
    pub done: HashMap<usize, String>,
    /// What the unit skips.
    pub skips: Skips,
}

/// Numbers of zeros in the feed-forward part of a layer, over all tokens of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zeros {
    /// The decoder layer.
    pub layer: usize,
    /// Gates.
    pub gates: usize,
    /// Gates above zero. The rows of `up_proj` behind the others are not needed.
    pub gates_above_zero: usize,
    /// Inputs of `down_proj`.
    pub down_inputs: usize,
    /// Inputs of `down_proj` whose int8 code is zero.
    pub zero_down_inputs: usize,
}

/// A backend that computes on the CPU and queues each computed run for verification.
pub struct Recorder {
    queue: SyncSender<Run>,
    selection: Selection,
    pass: usize,
    /// Layer and first operator of the previous request.
    before: Option<(usize, Linear)>,
    runs: usize,
    sent: usize,
    conflict: Option<String>,
    zeros: Vec<Zeros>,
}

impl Recorder {
    /// Creates a recorder that sends the runs of `selection` to `queue`.
    pub fn new(queue: SyncSender<Run>, selection: Selection) -> Self {
        Self { queue, selection, pass: 0, before: None, runs: 0, sent: 0, conflict: None, zeros: Vec::new() }
    }

    /// Number of runs so far, including the runs that `selection` excludes.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The run whose activations differ from those of its earlier verification. Set when a request fails for this
    /// reason.
    pub fn conflict(&self) -> Option<&str> {
        self.conflict.as_deref()
    }

    /// The zeros of each layer, in the order of the pass.
    pub fn zeros(&self) -> &[Zeros] {
        &self.zeros
    }

    fn count(&mut self, request: &MatvecRequest<'_>, accumulators: &[Vec<i32>]) {
        for ((linear, _), accumulators) in request.operators.iter().zip(accumulators) {
            if *linear == Linear::Gate {
                let gates_above_zero = accumulators.iter().filter(|gate| **gate > 0).count();
                let counted =
                    Zeros { layer: request.layer, gates: accumulators.len(), gates_above_zero, ..Zeros::default() };
                self.zeros.push(counted);
            }
            if let (Linear::Down, Some(zeros)) = (linear, self.zeros.last_mut()) {
                zeros.down_inputs = request.x_q.len();
                zeros.zero_down_inputs = request.x_q.iter().filter(|code| **code == 0).count();
            }
        }
    }
}

impl TernaryBackend for Recorder {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        let mut accumulators = Interruptible.matvec(request)?;
        self.count(request, &accumulators);
        // A forward pass requests layers and operators in order. A request that goes back in this order starts the
        // next pass.
        let place = request.operators.first().map(|(l, _)| (request.layer, *l));
        self.pass += usize::from(place <= self.before);
        self.before = place;
        let linears = &self.selection.linears;
        // Rows are skipped if the unit computes the gates before.
        let skips_rows = self.selection.skips.rows
            && request.operators.iter().all(|(l, _)| linears.contains(l))
            && skip::leave_out(request, &mut accumulators);
        let chosen = request.operators.iter().zip(&accumulators).filter(|((l, _), _)| linears.contains(l));
        let (operators, expected): (Vec<_>, Vec<_>) = chosen.map(|((l, _), acc)| (*l, acc.clone())).unzip();
        if operators.is_empty() {
            return Ok(accumulators);
        }
        let index = self.runs;
        self.runs += 1;
        if self.selection.runs.as_ref().is_some_and(|runs| !runs.contains(&index)) {
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
            skips: self.selection.skips,
            skips_rows,
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

/// [`CpuBackend`] that fails with an error after Ctrl-C.
pub struct Interruptible;

impl TernaryBackend for Interruptible {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        if interrupted() { Err("interrupted".into()) } else { CpuBackend.matvec(request) }
    }

    fn block(&self) -> Option<usize> {
        CpuBackend.block()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use bitnet::config::ModelConfig;
    use bitnet::synthetic::Synthetic;
    use bitnet::weights::WeightSource;

    const TOKENS: usize = 2;

    /// Records `passes` forward passes of two small layers; returns the recorder, its runs and the first error.
    fn recorded(selection: Selection, passes: usize) -> (Recorder, Vec<Run>, Result<(), BackendError>) {
        let mut config = ModelConfig::bitnet_2b_4t();
        (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (256, 512, 2);
        (config.num_attention_heads, config.num_key_value_heads) = (4, 2);
        let source = Synthetic::new(config.clone(), 1);
        let (sender, receiver) = sync_channel(100);
        let mut recorder = Recorder::new(sender, selection);
        let mut last = Ok(());
        for (layer, group) in (0..passes * 2).flat_map(|i| Linear::GROUPS.iter().map(move |group| (i % 2, group))) {
            let weights = source.layer(layer).expect("synthetic weights");
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
            assert_eq!((run.tokens, run.skips, run.skips_rows), (TOKENS, Skips::default(), false));
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
        let wanted = [0, 3, 5, 6];
        let (recorder, runs, _) = recorded(Selection { runs: Some(wanted.into()), ..all() }, 1);
        let indices: Vec<usize> = runs.iter().map(|run| run.index).collect();
        assert_eq!(recorder.runs(), 8);
        assert_eq!(indices, wanted);
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
}
