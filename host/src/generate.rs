//! Generation: a prompt in one pass, then a token a pass.

use std::time::{Duration, Instant};

use crate::Result;
use crate::layer::TernaryBackend;
use crate::model::Model;
use crate::sampler::Sampler;

/// When to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tokens at most, 1 or more.
    pub tokens: usize,
    /// Tokens that end the text; they are the last to be generated.
    pub stop: Vec<u32>,
}

/// One forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Tokens in the cache before it.
    pub past: usize,
    /// Tokens it took.
    pub tokens: usize,
    /// The token it gave.
    pub next: u32,
    /// Wall time.
    pub time: Duration,
}

/// Generates tokens behind `prompt`, which `model` has not seen; a pass a token. `each` is told of each pass, and its
/// error ends the generation.
///
/// ```
/// use golden::Dtype;
/// use host::generate::{Limits, generate};
/// use host::{checkpoint::Checkpoint, layer::CpuBackend, model::Model, sampler::Sampler};
/// let source = Checkpoint::open("../testdata/tiny-packed")?;
/// let (mut model, mut ids) = (Model::new(&source, Dtype::Fp32), vec![]);
/// let limits = Limits { tokens: 3, stop: vec![] };
/// generate(&mut model, &[318, 2, 282, 0, 1, 7], &limits, &mut Sampler::greedy(), &mut CpuBackend, &mut |pass| {
///     ids.push(pass.next);
///     Ok(())
/// })?;
/// assert_eq!(ids, [188, 194, 31]);
/// # Ok::<(), host::Error>(())
/// ```
///
/// # Errors
/// A prompt that is empty, out of the vocabulary or too long with what is generated, and what a pass gives.
pub fn generate(
    model: &mut Model<'_>,
    prompt: &[u32],
    limits: &Limits,
    sampler: &mut Sampler,
    backend: &mut dyn TernaryBackend,
    each: &mut dyn FnMut(&Pass) -> Result<()>,
) -> Result<()> {
    let mut input = prompt.to_vec();
    for _ in 0..limits.tokens {
        let (past, start) = (model.past(0), Instant::now());
        let logits = model.next_logits(&input, backend, &mut ())?;
        let next = sampler.next(&logits)?;
        each(&Pass { past, tokens: input.len(), next, time: start.elapsed() })?;
        if limits.stop.contains(&next) {
            break;
        }
        input = vec![next];
    }
    Ok(())
}
