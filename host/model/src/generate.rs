//! Token generation: one forward pass for the whole prompt, then one pass per token.

use std::time::{Duration, Instant};

use crate::Result;
use crate::layer::TernaryBackend;
use crate::model::Model;
use crate::sampler::Sampler;

/// When generation stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of generated tokens, 1 or more.
    pub tokens: usize,
    /// Token ids that end the generation. Such a token is the last one that is generated.
    pub stop: Vec<u32>,
}

/// One forward pass of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Number of tokens in the cache before the pass.
    pub past: usize,
    /// Number of tokens that the pass processed.
    pub tokens: usize,
    /// The token that was generated.
    pub next: u32,
    /// Wall time of the pass, including the choice of the token.
    pub time: Duration,
}

/// What the choice of a token came from.
#[derive(Clone, Copy, Debug)]
pub struct Last<'a> {
    /// The residual stream of the last token behind the last layer, `[hidden_size]`.
    pub hidden: &'a [f32],
    /// The logits, `[vocab_size]`.
    pub logits: &'a [f32],
}

/// Generates tokens that follow `prompt`, with one forward pass for the prompt and one for each further token.
/// `model` must not have processed the prompt yet. `each` is called after each pass; if it returns an error, the
/// generation ends with this error.
///
/// ```
/// use golden::Dtype;
/// use bitnet::generate::{Limits, generate};
/// use bitnet::{checkpoint::Checkpoint, layer::CpuBackend, model::Model, sampler::Sampler};
/// let source = Checkpoint::open("../../testdata/tiny-packed")?;
/// let (mut model, mut ids) = (Model::new(&source, Dtype::Fp32), vec![]);
/// let limits = Limits { tokens: 3, stop: vec![] };
/// generate(&mut model, &[318, 2, 282, 0, 1, 7], &limits, &mut Sampler::greedy(), &mut CpuBackend, &mut |pass, _| {
///     ids.push(pass.next);
///     Ok(())
/// })?;
/// assert_eq!(ids, [188, 194, 31]);
/// # Ok::<(), bitnet::Error>(())
/// ```
///
/// # Errors
/// The prompt is empty, has a token out of the vocabulary, or is too long together with the generated tokens; or a
/// pass fails.
pub fn generate(
    model: &mut Model<'_>,
    prompt: &[u32],
    limits: &Limits,
    sampler: &mut Sampler,
    backend: &mut dyn TernaryBackend,
    each: &mut dyn FnMut(&Pass, Last<'_>) -> Result<()>,
) -> Result<()> {
    let mut input = prompt.to_vec();
    for _ in 0..limits.tokens {
        let (past, start) = (model.past(0), Instant::now());
        let hidden = model.last_hidden(&input, backend, &mut ())?;
        let logits = model.logits(&hidden, &mut ())?.into_raw_vec_and_offset().0;
        let hidden = hidden.into_raw_vec_and_offset().0;
        let next = sampler.next(&logits)?;
        let pass = Pass { past, tokens: input.len(), next, time: start.elapsed() };
        each(&pass, Last { hidden: &hidden, logits: &logits })?;
        if limits.stop.contains(&next) {
            break;
        }
        input = vec![next];
    }
    Ok(())
}
