//! The output head on both units, for commands: tokens in turn, compared with golden.

use std::time::Instant;

use bitnet::weights::WeightSource;
use cost::setup::Setup;
use golden::Dtype;
use report::head::OutputHead;
use report::tensor::TensorDifference;
use soft_core::compare::Compared;
use soft_core::head::{Deviations, HeadOutput, HeadWeights, LoadedHead, load};
use soft_core::system::System;
use vector::VectorConfig;

use crate::failure::{Exit, Failure};
use crate::system::{Parts, check_memory};

/// Standard deviations between the estimate of a logit and its upper estimate, unless the user wants others: about as many
/// as the units have time for while the ternary one ranks a head of 2B-4T.
pub(crate) const MARGIN: f32 = 3.2;
/// Bytes for the alignment of the ternary copy.
const ALIGNMENT: usize = 4096;

/// A token to choose, and golden's choice.
pub(crate) struct Token {
    /// The residual stream behind the last layer, `[hidden_size]`.
    pub(crate) hidden: Vec<f32>,
    /// Golden's logits.
    pub(crate) logits: Vec<f32>,
    /// The largest of them.
    pub(crate) chosen: u32,
}

/// An output head, ready for any number of systems.
pub(crate) struct Head<'a> {
    parts: &'a Parts,
    setup: &'a Setup,
    pub(crate) unit: VectorConfig,
    pub(crate) weights: HeadWeights,
    /// Bytes of memory: within reach of the core, and beyond.
    pub(crate) bytes: [usize; 2],
    pub(crate) margin: f32,
}

/// A system with a head in its memory.
pub(crate) struct OnSystem<'a> {
    system: System,
    head: LoadedHead<'a>,
}

/// A token that the units chose.
pub(crate) struct OnUnits {
    /// The token's number.
    index: usize,
    output: HeadOutput,
    compared: Vec<Compared>,
    deviations: Deviations,
    seconds: f64,
}

impl<'a> Head<'a> {
    /// The head of a model, for systems of `parts`, which have a vector unit.
    pub(crate) fn new(
        parts: &'a Parts,
        setup: &'a Setup,
        source: &dyn WeightSource,
        dtype: Dtype,
        margin: f32,
    ) -> Result<Self, Failure> {
        let no_unit = || Failure::new(Exit::Internal, "the system has no vector unit");
        let unit = *parts.vector().ok_or_else(no_unit)?;
        let weights = HeadWeights::of(source, dtype)?;
        let config = source.config();
        let ternary = setup.unit.weight_bytes(config.vocab_size, config.hidden_size) + ALIGNMENT;
        let bytes = [weights.memory_bytes(ternary), weights.far_bytes()];
        check_memory(bytes[0])?;
        Ok(Self { parts, setup, unit, weights, bytes, margin })
    }

    /// A system with the head in its memory.
    pub(crate) fn system(&self, seed: u64) -> Result<OnSystem<'_>, Failure> {
        let mut system = self.parts.system(self.setup, self.bytes.iter().sum(), seed)?;
        let head = load(&mut system, &self.weights, &self.unit, self.margin)?;
        Ok(OnSystem { system, head })
    }

    /// Chooses a token.
    pub(crate) fn choose(&self, on: &mut OnSystem<'_>, index: usize, token: &Token) -> Result<OnUnits, Failure> {
        let started = Instant::now();
        let output = on.head.run(&mut on.system, &self.parts.firmware, &token.hidden)?;
        Ok(self.chosen(output, index, token, started.elapsed().as_secs_f64()))
    }

    /// A token that was chosen within `seconds`, compared with golden's.
    pub(crate) fn chosen(&self, output: HeadOutput, index: usize, token: &Token, seconds: f64) -> OnUnits {
        let Token { hidden, logits, chosen } = token;
        let compared = output.compare(&self.weights, hidden, logits, *chosen);
        let deviations = output.deviations(&self.weights, logits, self.margin);
        OnUnits { index, output, compared, deviations, seconds }
    }

    /// The report of some tokens.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn report(&self, mut tokens: Vec<OnUnits>) -> OutputHead {
        tokens.sort_by_key(|token| token.index);
        let count = tokens.len() as f64;
        let mean = |of: &dyn Fn(&HeadOutput) -> u64| tokens.iter().map(|t| of(&t.output) as f64).sum::<f64>() / count;
        let cycles = [mean(&|o| o.times.begin), mean(&|o| o.times.busy), mean(&|o| o.times.cycles)];
        let logits: Vec<u32> = tokens.iter().map(|token| token.output.chosen.logits).collect();
        let compared = || tokens.iter().flat_map(|t| t.compared.iter().map(|tensor| (t.index, tensor)));
        let differences = compared().filter_map(|(index, tensor)| {
            let name = if tokens.len() > 1 { format!("token {index}, {}", tensor.name) } else { tensor.name.clone() };
            Some(TensorDifference { tensor: name, mismatches: tensor.mismatches, first: tensor.first? })
        });
        let deviations = || tokens.iter().map(|token| token.deviations);
        let square = deviations().map(|d| d.rms * d.rms).sum::<f64>() / count;
        OutputHead {
            lanes: self.unit.lanes,
            rows: self.weights.rows(),
            tokens: tokens.len(),
            margin: (f64::from(self.margin) * 1e4).round() / 1e4,
            logits: [
                f64::from(logits.iter().copied().min().unwrap_or_default()),
                logits.iter().map(|count| f64::from(*count)).sum::<f64>() / count,
                f64::from(logits.iter().copied().max().unwrap_or_default()),
            ],
            cycles,
            clock_mhz: self.setup.clock_mhz,
            ms: cycles[2] / self.setup.clock_mhz / 1e3,
            deviations: [square.sqrt(), deviations().map(|d| d.largest).fold(0.0, f64::max)],
            chosen_deviation: deviations().map(|d| d.chosen).fold(f64::NEG_INFINITY, f64::max),
            beyond: deviations().map(|d| d.beyond).sum(),
            elements: compared().map(|(_, tensor)| tensor.elements).sum(),
            mismatches: compared().map(|(_, tensor)| tensor.mismatches).sum(),
            differences: differences.collect(),
            simulated_cycles: tokens.iter().map(|token| token.output.times.cycles).sum(),
            seconds: tokens.iter().map(|token| token.seconds).sum(),
        }
    }
}
