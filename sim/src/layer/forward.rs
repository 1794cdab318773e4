//! The forward pass on golden's arithmetic. The unit verifies its products.

use std::time::Instant;

use bitnet::layer::{DecoderLayer, KvCache};
use bitnet::model::{Model, hidden_entering_layer};
use bitnet::sampler::Sampler;
use golden::Dtype;
use ndarray::{Array2, Axis};
use report::records::Forward;
use sha2::{Digest, Sha256};
use testbench::recorder::{Interruptible, Recorder};

use super::dump::Dump;
use super::job::Job;
use crate::failure::Failure;
use crate::source::Source;

/// The results of a forward pass, except the result that the report contains.
pub(super) struct Pass {
    /// Every tensor, if requested.
    pub(super) dump: Dump,
    /// The run whose activations differ from those in the journal, if there is such a run.
    pub(super) conflict: Option<String>,
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
        result
    }

    fn forward(&self, recorder: &mut Recorder, dump: &mut Dump) -> Result<Forward, Failure> {
        let (source, dtype) = (self.source.weights(), Dtype::from(self.args.model.dtype));
        if let (None, Some(ids)) = (self.args.layer, &self.ids) {
            let logits = Model::new(source, dtype).forward(ids, recorder, dump)?;
            let last = logits.row(logits.nrows() - 1).to_vec();
            let next_token = Sampler::greedy().next(&last)?;
            return Ok(Forward { sha256: sha256(&logits), next_token: Some(next_token) });
        }
        let layer = self.layers.start;
        let (hidden, mut cache) = self.entering_layer()?;
        let weights = source.layer(layer)?;
        let decoder = DecoderLayer::new(source.config(), layer, &weights);
        let hidden = decoder.forward(&hidden, &mut cache, dtype, recorder, dump)?;
        Ok(Forward { sha256: sha256(&hidden), next_token: None })
    }

    /// The residual stream at the input of the layer, `[tokens, hidden_size]`, and the cache with the tokens before.
    pub(super) fn entering_layer(&self) -> Result<(Array2<f32>, KvCache), Failure> {
        let (source, dtype, layer) = (self.source.weights(), Dtype::from(self.args.model.dtype), self.layers.start);
        let mut cache = KvCache::new();
        let Source::Synthetic(synthetic) = &self.source else {
            let ids = self.ids.as_deref().unwrap_or_default();
            return Ok((hidden_entering_layer(layer, ids, dtype, source, &mut Interruptible)?, cache));
        };
        let context = self.args.context();
        let all = synthetic.hidden(layer, context + self.tokens)?;
        let (before, hidden) = all.view().split_at(Axis(0), context);
        if context > 0 {
            let weights = source.layer(layer)?;
            let decoder = DecoderLayer::new(source.config(), layer, &weights);
            decoder.forward(&before.to_owned(), &mut cache, dtype, &mut Interruptible, &mut ())?;
        }
        Ok((hidden.to_owned(), cache))
    }
}

/// SHA-256 of `values` as little-endian fp32.
fn sha256(values: &Array2<f32>) -> String {
    let mut hash = Sha256::new();
    values.iter().for_each(|x| hash.update(x.to_le_bytes()));
    hex::encode(hash.finalize())
}
