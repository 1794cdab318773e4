//! The whole model: embedding, layers in order, final norm and output head.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use golden::head::Int8Rows;
use golden::screen::Screen;
use golden::{Dtype, linear, norm};
use ndarray::{Array2, Axis, s};

use crate::Result;
use crate::layer::{DecoderLayer, KvCache, Observer, TernaryBackend, Values, check_hidden, in_dtype, rope, started};
use crate::weights::{HeadRows, WeightSource};

/// The rows of the output head that are loaded at a time.
fn head_parts(vocab: usize) -> impl Iterator<Item = Range<usize>> {
    const ROWS: usize = 4096;
    (0..vocab).step_by(ROWS).map(move |start| start..vocab.min(start + ROWS))
}

/// A model with the key and value caches of the tokens that it has processed.
pub struct Model<'a> {
    source: &'a dyn WeightSource,
    dtype: Dtype,
    caches: Vec<KvCache>,
    head: Head,
}

/// How logits are computed.
#[derive(Clone, Debug, Default)]
pub enum Head {
    /// By the head of the weight source, as in the reference.
    #[default]
    Source,
    /// By this head, which is faster. The logits are not bit-identical to those of the reference.
    Int8(Arc<Int8Rows>),
    /// For one token, this copy of the head finds the rows that can have the largest logit, and only those are computed,
    /// by the head of the weight source. All other logits are minus infinity, so the largest one is right, and no other
    /// use of the logits is.
    Screened(Arc<Screen>),
}

impl<'a> Model<'a> {
    /// A model with empty caches that computes in `dtype`.
    pub fn new(source: &'a dyn WeightSource, dtype: Dtype) -> Self {
        Self { source, dtype, caches: vec![KvCache::new(); source.config().num_hidden_layers], head: Head::Source }
    }

    /// Computes all further logits by `head`.
    ///
    /// # Panics
    /// If the head is not `[vocab_size, hidden_size]`.
    pub fn set_head(&mut self, head: Head) {
        let config = self.source.config();
        let shape = (config.vocab_size, config.hidden_size);
        let found = match &head {
            Head::Source => shape,
            Head::Int8(rows) => (rows.rows(), rows.cols()),
            Head::Screened(screen) => (screen.rows(), screen.cols()),
        };
        assert_eq!(found, shape, "the head fits the model");
        self.head = head;
    }

    /// Number of tokens in the cache of `layer`; 0 if the model has no such layer.
    pub fn past(&self, layer: usize) -> usize {
        self.caches.get(layer).map_or(0, KvCache::tokens)
    }

    /// The keys and values of `layer`; `None` if the model has no such layer.
    pub fn cache(&self, layer: usize) -> Option<&KvCache> {
        self.caches.get(layer)
    }

    /// The embeddings of `ids`, `[ids.len(), hidden_size]`, rounded to the compute type.
    ///
    /// # Errors
    /// A token id out of range, or an error of the weight source.
    pub fn embed(&self, ids: &[u32], observer: &mut dyn Observer) -> Result<Array2<f32>> {
        let start = started(observer);
        let mut h = self.source.embed(ids)?;
        h.mapv_inplace(|x| self.dtype.round(x));
        ran(observer, "embed_tokens", start);
        show(observer, "model.embed_tokens.out", &h);
        Ok(h)
    }

    /// Runs `hidden`, `[tokens, hidden_size]`, through the given layers and returns the result in the same shape. The
    /// weights are requested from the source one layer at a time.
    ///
    /// # Errors
    /// A layer out of range, an error of the weight source, or an error of [`DecoderLayer::forward`].
    pub fn layers(
        &mut self,
        layers: Range<usize>,
        mut hidden: Array2<f32>,
        backend: &mut dyn TernaryBackend,
        observer: &mut dyn Observer,
    ) -> Result<Array2<f32>> {
        let (config, dtype) = (self.source.config(), self.dtype);
        config.check_length(layers.clone().map(|l| self.past(l)).max().unwrap_or(0) + hidden.nrows())?;
        let whole = observer.active() || observer.timing();
        let block = backend.block().filter(|_| !whole).unwrap_or(hidden.nrows()).max(1);
        let mut ropes = BTreeMap::new();
        for l in layers {
            let weights = self.source.layer(l)?;
            for mut rows in hidden.axis_chunks_iter_mut(Axis(0), block) {
                let (past, tokens) = (self.caches[l].tokens(), rows.nrows());
                let rope = ropes.entry(past).or_insert_with(|| rope(config, past, tokens, dtype));
                let layer = DecoderLayer::new(config, l, &weights).with_rope(rope);
                let out = layer.forward(&rows.to_owned(), &mut self.caches[l], dtype, backend, observer)?;
                rows.assign(&out);
            }
        }
        Ok(hidden)
    }

    /// Applies the final norm and the output head to `hidden`, `[tokens, hidden_size]`, the residual stream after the
    /// last layer. Returns the logits, `[tokens, vocab_size]`.
    ///
    /// # Errors
    /// A `hidden` of the wrong shape, or an error of the weight source.
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
        let logits = match &self.head {
            Head::Int8(head) => {
                let logits = head.product(&x, self.dtype);
                Array2::from_shape_vec((tokens, config.vocab_size), logits).expect("a logit per token and row")
            }
            Head::Screened(screen) if tokens == 1 => self.screened_head(screen, &x)?,
            Head::Screened(_) | Head::Source => self.head(&x, tokens)?,
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

    /// Computes logits with the output head of the weight source, which is loaded in parts.
    fn head(&self, x: &[f32], tokens: usize) -> Result<Array2<f32>> {
        let config = self.source.config();
        let width = config.hidden_size;
        let mut logits = Array2::zeros((tokens, config.vocab_size));
        for rows in head_parts(config.vocab_size) {
            let part = match self.source.head(rows.clone())? {
                HeadRows::Bf16(head) => linear::dense(x, &head, width, self.dtype),
                HeadRows::F32(head) => linear::dense(x, &in_dtype(&head, self.dtype), width, self.dtype),
            };
            let part = Array2::from_shape_vec((tokens, rows.len()), part).expect("a logit per token and row");
            logits.slice_mut(s![.., rows]).assign(&part);
        }
        Ok(logits)
    }

    /// Computes the logits that can be the largest one.
    fn screened_head(&self, screen: &Screen, x: &[f32]) -> Result<Array2<f32>> {
        let (config, dtype) = (self.source.config(), self.dtype);
        let width = config.hidden_size;
        let rows = screen.candidates(x, dtype);
        let mut logits = Array2::from_elem((1, config.vocab_size), f32::NEG_INFINITY);
        let known = match self.source.head(0..config.vocab_size)? {
            HeadRows::Bf16(head) => linear::dense_of(x, &head, width, &rows, dtype),
            HeadRows::F32(head) => {
                let chosen: Vec<f32> = rows.iter().flat_map(|row| &head[row * width..][..width]).copied().collect();
                linear::dense(x, &in_dtype(&chosen, dtype), width, dtype)
            }
        };
        rows.into_iter().zip(known).for_each(|(row, logit)| logits[[0, row]] = logit);
        Ok(logits)
    }

    /// Runs one forward pass and returns the logits of all tokens, `[ids.len(), vocab_size]`. The tokens `ids` follow
    /// the tokens that the model has processed before.
    ///
    /// # Errors
    /// An error of [`embed`](Self::embed), [`layers`](Self::layers) or [`logits`](Self::logits). After an error, this
    /// model must not be used any more, because the layers that ran before the error keep the new tokens in their
    /// caches.
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

    /// Runs one forward pass and returns the logits of the last token only, `[vocab_size]`. The tokens `ids` follow
    /// the tokens that the model has processed before.
    ///
    /// # Errors
    /// The errors of [`forward`](Self::forward). This model must not be used after an error.
    pub fn next_logits(
        &mut self,
        ids: &[u32],
        backend: &mut dyn TernaryBackend,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>> {
        let last = self.last_hidden(ids, backend, observer)?;
        Ok(self.logits(&last, observer)?.into_raw_vec_and_offset().0)
    }

    /// Runs one forward pass without final norm and output head. Returns the residual stream of the last token,
    /// `[1, hidden_size]`. The tokens `ids` follow the tokens that the model has processed before.
    ///
    /// # Errors
    /// The errors of [`forward`](Self::forward). This model must not be used after an error.
    pub fn last_hidden(
        &mut self,
        ids: &[u32],
        backend: &mut dyn TernaryBackend,
        observer: &mut dyn Observer,
    ) -> Result<Array2<f32>> {
        let hidden = self.embed(ids, observer)?;
        let hidden = self.layers(0..self.caches.len(), hidden, backend, observer)?;
        Ok(hidden.slice(s![-1.., ..]).to_owned())
    }
}

/// Quantises the output head of `source`, `[vocab_size, hidden_size]`, to int8.
///
/// # Errors
/// An error of the weight source.
pub fn int8_head(source: &dyn WeightSource) -> Result<Head> {
    let config = source.config();
    let mut head = Int8Rows::new(config.hidden_size);
    for rows in head_parts(config.vocab_size) {
        match source.head(rows)? {
            HeadRows::Bf16(rows) => head.push_rows(&rows),
            HeadRows::F32(rows) => head.push_rows(&rows),
        }
    }
    Ok(Head::Int8(head.into()))
}

/// Makes a copy of the output head of `source`, in `dtype`, that screens its rows.
///
/// # Errors
/// An error of the weight source.
pub fn screened_head(source: &dyn WeightSource, dtype: Dtype) -> Result<Head> {
    let config = source.config();
    let mut screen = Screen::new(config.hidden_size);
    for rows in head_parts(config.vocab_size) {
        match source.head(rows)? {
            HeadRows::Bf16(rows) => screen.push_rows(&rows),
            HeadRows::F32(rows) => screen.push_rows(&in_dtype(&rows, dtype)),
        }
    }
    Ok(Head::Screened(screen.into()))
}

/// The residual stream of the prompt `ids` at the input of `layer`, `[ids.len(), hidden_size]`: the embeddings after
/// all earlier layers.
///
/// # Errors
/// A layer or token id out of range, or an error of [`Model::layers`].
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
