//! The forward pass on golden's arithmetic. The unit verifies its products.

use std::sync::Arc;
use std::time::Instant;

use bitnet::layer::{DecoderLayer, KvCache};
use bitnet::model::{Model, hidden_entering_layer};
use bitnet::sampler::Sampler;
use bitnet::weights::LayerWeights;
use golden::Dtype;
use ndarray::{Array2, Axis, s};
use report::records::Forward;
use sha2::{Digest, Sha256};
use testbench::recorder::{Interruptible, Recorder, Zeros};

use super::dump::Dump;
use super::job::Job;
use crate::failure::{Exit, Failure};
use crate::head::Token;
use crate::source::Source;

/// What a layer gets.
pub(super) struct Entering {
    pub(super) layer: usize,
    pub(super) weights: Arc<LayerWeights>,
    /// The residual stream, `[tokens, hidden_size]`.
    pub(super) hidden: Array2<f32>,
    /// Keys and values of the tokens before.
    pub(super) cache: KvCache,
}

/// The results of a forward pass, except the result that the report contains.
pub(super) struct Pass {
    /// Every tensor, if requested.
    pub(super) dump: Dump,
    /// The run whose activations differ from those in the journal, if there is such a run.
    pub(super) conflict: Option<String>,
    /// The zeros of each layer.
    pub(super) zeros: Vec<Zeros>,
    /// Seconds that the forward pass took.
    pub(super) seconds: f64,
}

impl Job<'_> {
    /// Executes the forward pass on golden's arithmetic. Its products go through `recorder`.
    pub(super) fn produce(&self, mut recorder: Recorder, pass: &mut Pass) -> Result<Forward, Failure> {
        let started = Instant::now();
        let result = self.forward(&mut recorder, &mut pass.dump);
        pass.seconds = started.elapsed().as_secs_f64();
        pass.conflict = recorder.conflict().map(Into::into);
        pass.zeros = recorder.zeros().to_vec();
        result
    }

    fn forward(&self, recorder: &mut Recorder, dump: &mut Dump) -> Result<Forward, Failure> {
        let (source, dtype) = (self.source.weights(), Dtype::from(self.args.model.dtype));
        if let (None, Some(ids)) = (self.args.layer, &self.ids) {
            let mut model = Model::new(source, dtype);
            let (before, ids) = ids.split_at(self.args.context());
            if !before.is_empty() {
                let hidden = model.embed(before, &mut ())?;
                model.layers(self.layers.clone(), hidden, &mut Interruptible, &mut ())?;
            }
            let logits = model.forward(ids, recorder, dump)?;
            if self.skips.rows {
                let mut dense = Model::new(source, dtype);
                let all = dense.forward(self.ids.as_deref().unwrap_or_default(), &mut Interruptible, &mut ())?;
                check_skipping(self.layers.end - 1, all.slice(s![-(ids.len() as isize).., ..]), &logits)?;
            }
            let last = logits.row(logits.nrows() - 1).to_vec();
            let next_token = Sampler::greedy().next(&last)?;
            return Ok(Forward { sha256: sha256(&logits), next_token: Some(next_token) });
        }
        let layer = self.layers.start;
        let Entering { weights, hidden, mut cache, .. } = self.entering_layer(layer)?;
        let decoder = DecoderLayer::new(source.config(), layer, &weights);
        let (mut before, entering) = (cache.clone(), hidden);
        let hidden = decoder.forward(&entering, &mut cache, dtype, recorder, dump)?;
        if self.skips.rows {
            let all = decoder.forward(&entering, &mut before, dtype, &mut Interruptible, &mut ())?;
            check_skipping(layer, &all, &hidden)?;
        }
        Ok(Forward { sha256: sha256(&hidden), next_token: None })
    }

    /// What enters the requested layer.
    pub(super) fn entering_layer(&self, layer: usize) -> Result<Entering, Failure> {
        let (source, dtype) = (self.source.weights(), Dtype::from(self.args.model.dtype));
        let all = match (&self.source, &self.ids) {
            (Source::Synthetic(synthetic), _) => synthetic.hidden(layer, self.args.context() + self.tokens)?,
            (_, ids) => {
                let ids = ids.as_deref().unwrap_or_default();
                hidden_entering_layer(layer, ids, dtype, source, &mut Interruptible)?
            }
        };
        let (before, hidden) = all.view().split_at(Axis(0), self.args.context());
        let (weights, mut cache) = (source.layer(layer)?, KvCache::new());
        if !before.is_empty() {
            let decoder = DecoderLayer::new(source.config(), layer, &weights);
            decoder.forward(&before.to_owned(), &mut cache, dtype, &mut Interruptible, &mut ())?;
        }
        Ok(Entering { layer, weights, hidden: hidden.to_owned(), cache })
    }

    /// Runs all layers in order on golden. `each` takes what enters a layer, and returns the residual stream behind it.
    /// Returns the next token.
    pub(super) fn entering_layers(
        &self,
        ids: &[u32],
        mut each: impl FnMut(Entering) -> Result<Array2<f32>, Failure>,
    ) -> Result<Token, Failure> {
        let source = self.source.weights();
        let mut model = Model::new(source, self.args.model.dtype.into());
        let (before, ids) = ids.split_at(self.args.context());
        let (mut before, mut hidden) = (model.embed(before, &mut ())?, model.embed(ids, &mut ())?);
        for layer in self.layers.clone() {
            if !before.is_empty() {
                before = model.layers(layer..layer + 1, before, &mut Interruptible, &mut ())?;
            }
            let cache = model.cache(layer).cloned().unwrap_or_default();
            hidden = each(Entering { layer, weights: source.layer(layer)?, hidden, cache })?;
        }
        let last = hidden.slice(s![-1.., ..]).to_owned();
        let logits = model.logits(&last, &mut ())?.into_raw_vec_and_offset().0;
        let chosen = Sampler::greedy().next(&logits)?;
        Ok(Token { hidden: last.into_raw_vec_and_offset().0, logits, chosen })
    }
}

/// Checks that a layer whose rows are skipped gives the same as the layer with all rows, bit for bit.
pub(super) fn check_skipping<'a>(
    layer: usize,
    all: impl IntoIterator<Item = &'a f32>,
    skipped: impl IntoIterator<Item = &'a f32>,
) -> Result<(), Failure> {
    let mut pairs = all.into_iter().zip(skipped);
    match pairs.position(|(all, skipped)| all.to_bits() != skipped.to_bits()) {
        None => Ok(()),
        Some(element) => Err(Failure::new(
            Exit::Mismatch,
            format!(
                "layer {layer}: with rows skipped, element {element} of its output differs from that with all rows"
            ),
        )),
    }
}

/// SHA-256 of `values` as little-endian fp32.
fn sha256(values: &Array2<f32>) -> String {
    let mut hash = Sha256::new();
    values.iter().for_each(|x| hash.update(x.to_le_bytes()));
    hex::encode(hash.finalize())
}
