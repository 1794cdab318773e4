//! The whole model: embedding, layers in order, final norm and output head.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use golden::head::Int8Rows;
use golden::{Dtype, linear, norm};
use ndarray::{Array2, s};

use crate::Result;
use crate::layer::{DecoderLayer, KvCache, Observer, TernaryBackend, Values, check_hidden, in_dtype, started};
use crate::weights::{HeadRows, WeightSource};

/// Rows of the output head in memory at a time.
const HEAD_ROWS: usize = 4096;

/// A model that has seen some tokens.
pub struct Model<'a> {
    source: &'a dyn WeightSource,
    dtype: Dtype,
    caches: Vec<KvCache>,
    int8_head: Option<Arc<Int8Rows>>,
}

impl<'a> Model<'a> {
    /// A model that has seen nothing yet and computes in `dtype`.
    pub fn new(source: &'a dyn WeightSource, dtype: Dtype) -> Self {
        Self { source, dtype, caches: vec![KvCache::new(); source.config().num_hidden_layers], int8_head: None }
    }

    /// Computes logits with this head from now on: faster than the source's, and not the reference's bits.
    ///
    /// # Panics
    /// If it is not `[vocab_size, hidden_size]`.
    pub fn set_int8_head(&mut self, head: Arc<Int8Rows>) {
        let config = self.source.config();
        assert_eq!((head.rows(), head.cols()), (config.vocab_size, config.hidden_size), "the head fits the model");
        self.int8_head = Some(head);
    }

    /// Tokens that `layer` has in its cache.
    pub fn past(&self, layer: usize) -> usize {
        self.caches.get(layer).map_or(0, KvCache::tokens)
    }

    /// The embeddings of `ids`, `[ids, hidden_size]`.
    ///
    /// # Errors
    /// A token out of range, or what the weight source finds.
    pub fn embed(&self, ids: &[u32], observer: &mut dyn Observer) -> Result<Array2<f32>> {
        let start = started(observer);
        let mut h = self.source.embed(ids)?;
        h.mapv_inplace(|x| self.dtype.round(x));
        ran(observer, "embed_tokens", start);
        show(observer, "model.embed_tokens.out", &h);
        Ok(h)
    }

    /// Takes `hidden` through some layers, one layer's weights in memory at a time.
    ///
    /// # Errors
    /// A layer out of range, what the weight source finds, and what [`DecoderLayer::forward`] gives.
    pub fn layers(
        &mut self,
        layers: Range<usize>,
        mut hidden: Array2<f32>,
        backend: &mut dyn TernaryBackend,
        observer: &mut dyn Observer,
    ) -> Result<Array2<f32>> {
        let config = self.source.config();
        for l in layers {
            let weights = self.source.layer(l)?;
            let layer = DecoderLayer::new(config, l, &weights);
            hidden = layer.forward(&hidden, &mut self.caches[l], self.dtype, backend, observer)?;
        }
        Ok(hidden)
    }

    /// Final norm and output head: the logits, `[tokens, vocab_size]`, of a residual stream that has been
    /// through all layers.
    ///
    /// # Errors
    /// A `hidden` of the wrong shape, or what the weight source finds.
    pub fn logits(&self, hidden: &Array2<f32>, observer: &mut dyn Observer) -> Result<Array2<f32>> {
        let config = self.source.config();
        let (tokens, width) = hidden.dim();
        check_hidden(config, width, tokens)?;
        let weight = self.source.final_norm()?;
        let h: Vec<f32> = hidden.iter().copied().collect();
        let start = started(observer);
        let x = norm::rms_norm(&h, &in_dtype(&weight, self.dtype), config.rms_norm_eps, self.dtype);
        ran(observer, "norm", start);
        let start = started(observer);
        let logits = match &self.int8_head {
            Some(head) => {
                let logits = head.product(&x, self.dtype);
                Array2::from_shape_vec((tokens, config.vocab_size), logits).expect("a logit per token and row")
            }
            None => self.head(&x, tokens)?,
        };
        ran(observer, "lm_head", start);
        if observer.active() {
            let x = Array2::from_shape_vec((tokens, width), x).expect("a norm keeps the shape");
            for (name, tensor) in [("model.norm.in", hidden), ("model.norm.out", &x), ("lm_head.in", &x)] {
                show(observer, name, tensor);
            }
            show(observer, "lm_head.out", &logits);
            show(observer, "logits", &logits);
        }
        Ok(logits)
    }

    /// The output head as the source has it, a part of its rows at a time.
    fn head(&self, x: &[f32], tokens: usize) -> Result<Array2<f32>> {
        let config = self.source.config();
        let width = config.hidden_size;
        let mut logits = Array2::zeros((tokens, config.vocab_size));
        for start in (0..config.vocab_size).step_by(HEAD_ROWS) {
            let rows = start..config.vocab_size.min(start + HEAD_ROWS);
            let part = match self.source.head(rows.clone())? {
                HeadRows::Bf16(head) => linear::dense(x, &head, width, self.dtype),
                HeadRows::F32(head) => linear::dense(x, &in_dtype(&head, self.dtype), width, self.dtype),
            };
            let part = Array2::from_shape_vec((tokens, rows.len()), part).expect("a logit per token and row");
            logits.slice_mut(s![.., rows]).assign(&part);
        }
        Ok(logits)
    }

    /// One forward pass: the logits of `ids`, which follow the tokens seen before.
    ///
    /// # Errors
    /// As [`embed`](Self::embed), [`layers`](Self::layers) and [`logits`](Self::logits). Layers that ran before an error
    /// keep the tokens: start again from a new model.
    pub fn forward(
        &mut self,
        ids: &[u32],
        backend: &mut dyn TernaryBackend,
        observer: &mut dyn Observer,
    ) -> Result<Array2<f32>> {
        let hidden = self.embed(ids, observer)?;
        let hidden = self.layers(0..self.caches.len(), hidden, backend, observer)?;
        self.logits(&hidden, observer)
    }

    /// One forward pass of which only the last token's logits are wanted, `[vocab_size]`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn next_logits(
        &mut self,
        ids: &[u32],
        backend: &mut dyn TernaryBackend,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>> {
        let hidden = self.embed(ids, observer)?;
        let hidden = self.layers(0..self.caches.len(), hidden, backend, observer)?;
        let last = hidden.slice(s![-1.., ..]).to_owned();
        Ok(self.logits(&last, observer)?.into_raw_vec_and_offset().0)
    }
}

/// The output head of `source` in int8.
///
/// # Errors
/// What the weight source finds.
pub fn int8_head(source: &dyn WeightSource) -> Result<Int8Rows> {
    let config = source.config();
    let mut head = Int8Rows::new(config.hidden_size);
    for start in (0..config.vocab_size).step_by(HEAD_ROWS) {
        match source.head(start..config.vocab_size.min(start + HEAD_ROWS))? {
            HeadRows::Bf16(rows) => head.push_rows(&rows),
            HeadRows::F32(rows) => head.push_rows(&rows),
        }
    }
    Ok(head)
}

/// The residual stream of a prompt as it enters `layer`: embeddings taken through the layers before it.
///
/// # Errors
/// A layer or token out of range, and what [`Model::layers`] gives.
pub fn hidden_entering_layer(
    layer: usize,
    ids: &[u32],
    dtype: Dtype,
    source: &dyn WeightSource,
    backend: &mut dyn TernaryBackend,
) -> Result<Array2<f32>> {
    source.config().check_layer(layer)?;
    let mut model = Model::new(source, dtype);
    let hidden = model.embed(ids, &mut ())?;
    model.layers(0..layer, hidden, backend, &mut ())
}

fn ran(observer: &mut dyn Observer, operator: &'static str, started: Option<Instant>) {
    if let Some(started) = started {
        observer.ran(None, operator, started.elapsed());
    }
}

fn show(observer: &mut dyn Observer, name: &str, x: &Array2<f32>) {
    if observer.active() {
        let (tokens, width) = x.dim();
        observer.tensor(name, &[1, tokens, width], Values::F32(&x.iter().copied().collect::<Vec<_>>()));
    }
}
