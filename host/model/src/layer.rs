//! A decoder layer of the model. A back end computes its ternary products.
//!
//! The crate [`decoder`] has the sequence of the layer's operators. This module adds weights, a cache that grows, names
//! of tensors in the model, and times.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use decoder::{Cache, Layer, Products, Step};
use golden::rope::RopeTables;
use golden::{Dtype, interleaved, matvec};
use ndarray::Array2;

use crate::config::{Linear, ModelConfig, Norm};
use crate::weights::{BitLinearWeights, LayerWeights, Ternary};
use crate::{BackendError, Error, Result};

pub use decoder::Values;

/// A request for the ternary products of operators that read the same activations.
#[derive(Clone, Copy, Debug)]
pub struct MatvecRequest<'a> {
    /// The decoder layer.
    pub layer: usize,
    /// All weights of the layer. The `Arc` lets a back end keep them after the call.
    pub weights: &'a Arc<LayerWeights>,
    /// The operators with their weights, `[out_features, in_features]` each. All have the same `in_features`.
    pub operators: &'a [(Linear, &'a BitLinearWeights)],
    /// Quantised activations, `[tokens, in_features]`.
    pub x_q: &'a [i8],
    /// Number of tokens: rows of `x_q`.
    pub tokens: usize,
}

/// Computes ternary products.
pub trait TernaryBackend {
    /// Computes `acc[t, r] = sum_c x_q[t, c] * weight[r, c]` for each operator of the request. Returns one row-major
    /// matrix `[tokens, out_features]` per operator, in the order of the request.
    ///
    /// # Errors
    /// Anything that prevents an exact result.
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError>;

    /// The most tokens that should go through a layer at a time, if the back end prefers few at a time to all.
    fn block(&self) -> Option<usize> {
        None
    }
}

/// The tokens that [`CpuBackend`] prefers at a time.
const BLOCK: usize = 128;

/// A back end that computes the products on the CPU of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuBackend;

impl TernaryBackend for CpuBackend {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        let weights = || request.operators.iter().map(|(_, weights)| &weights.ternary);
        let interleaved = weights().map(|ternary| match ternary {
            Ternary::Interleaved(matrix) => Some(matrix),
            Ternary::Planes(_) => None,
        });
        if let Some(matrices) = interleaved.collect::<Option<Vec<_>>>() {
            return Ok(interleaved::products(&matrices, request.x_q));
        }
        let planes: Vec<_> = weights().map(Ternary::planes).collect();
        Ok(matvec::matvecs(&planes.iter().map(|matrix| &**matrix).collect::<Vec<_>>(), request.x_q))
    }

    /// The tensors of so many tokens stay in a near cache, and their memory is used again for the next ones.
    fn block(&self) -> Option<usize> {
        Some(BLOCK)
    }
}

/// Receives the tensors of a forward pass as soon as they are computed.
///
/// Tensor names are the module names of the model with a suffix, such as `model.layers.L.self_attn.q_proj.in`.
/// Linears have the suffixes `in`, `x_q`, `x_scale`, `acc`, `w_scale` and `out`; norms have `in` and `out`. Shapes
/// begin with a batch dimension of 1.
pub trait Observer {
    /// False if the observer needs no tensors. The pass then skips the work that is only needed to show them.
    fn active(&self) -> bool {
        true
    }

    /// Called with each tensor: its name, its shape and its elements.
    fn tensor(&mut self, name: &str, shape: &[usize], values: Values<'_>);

    /// True if the observer needs the time of each operator, reported through [`ran`](Self::ran). Each linear then
    /// runs alone and quantises its input itself. Other software runs a linear like this, but it is not the fastest
    /// way for this program.
    fn timing(&self) -> bool {
        false
    }

    /// Called after each operator, if [`timing`](Self::timing) is true. `operator` is a name such as `mlp.gate_proj`
    /// with its layer, or a name such as `lm_head` without a layer; `time` is its wall time.
    fn ran(&mut self, _layer: Option<usize>, _operator: &'static str, _time: Duration) {}
}

/// The current time, if `observer` needs the times of operators.
pub(crate) fn started(observer: &dyn Observer) -> Option<Instant> {
    observer.timing().then(Instant::now)
}

/// An observer that ignores everything.
impl Observer for () {
    fn active(&self) -> bool {
        false
    }

    fn tensor(&mut self, _: &str, _: &[usize], _: Values<'_>) {}
}

/// Keys (after rotation) and values of one layer, for all tokens so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KvCache {
    tokens: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of tokens in the cache, which is also the position of the next token.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Keys, `[tokens, kv_heads, head_dim]`.
    pub fn keys(&self) -> &[f32] {
        &self.keys
    }

    /// Values, `[tokens, kv_heads, head_dim]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Adds `tokens` tokens with `width` keys and `width` values each, all zero.
    fn grow(&mut self, tokens: usize, width: usize) {
        self.tokens += tokens;
        self.keys.resize(self.tokens * width, 0.0);
        self.values.resize(self.tokens * width, 0.0);
    }

    /// Removes all tokens but the first `tokens`.
    pub fn truncate(&mut self, tokens: usize) {
        let width = self.keys.len().checked_div(self.tokens).unwrap_or(0);
        self.tokens = self.tokens.min(tokens);
        self.keys.truncate(self.tokens * width);
        self.values.truncate(self.tokens * width);
    }
}

/// A decoder layer with its weights.
///
/// ```
/// use golden::Dtype;
/// use bitnet::config::ModelConfig;
/// use bitnet::layer::{CpuBackend, DecoderLayer, KvCache};
/// use bitnet::{synthetic::Synthetic, weights::WeightSource};
///
/// let model = Synthetic::new(ModelConfig::bitnet_2b_4t(), 1);
/// let (weights, hidden) = (model.layer(14)?, model.hidden(14, 1)?);
/// let layer = DecoderLayer::new(model.config(), 14, &weights);
/// let out = layer.forward(&hidden, &mut KvCache::new(), Dtype::Fp32, &mut CpuBackend, &mut ())?;
/// assert_eq!(out.dim(), (1, 2560));
/// # Ok::<(), bitnet::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DecoderLayer<'a> {
    config: &'a ModelConfig,
    layer: usize,
    weights: &'a Arc<LayerWeights>,
    rope: Option<&'a RopeTables>,
}

impl<'a> DecoderLayer<'a> {
    /// Layer number `layer`, from 0, with its weights.
    pub fn new(config: &'a ModelConfig, layer: usize, weights: &'a Arc<LayerWeights>) -> Self {
        Self { config, layer, weights, rope: None }
    }

    /// Uses these tables, which must be of the positions and the compute type of the next [`forward`](Self::forward).
    /// All layers need the same ones.
    pub(crate) fn with_rope(self, rope: &'a RopeTables) -> Self {
        Self { rope: Some(rope), ..self }
    }

    /// Runs the residual stream `hidden`, `[tokens, hidden_size]`, through the layer and returns it in the same
    /// shape. The tokens follow those in `cache`, and their keys and values are appended to it. After an error,
    /// `cache` is unchanged.
    ///
    /// # Errors
    /// A `hidden` of the wrong shape, a sequence that becomes too long, a failing back end, or activations that are
    /// not finite.
    pub fn forward(
        &self,
        hidden: &Array2<f32>,
        cache: &mut KvCache,
        dtype: Dtype,
        backend: &mut dyn TernaryBackend,
        observer: &mut dyn Observer,
    ) -> Result<Array2<f32>> {
        let (tokens, width) = hidden.dim();
        check_hidden(self.config, width, tokens)?;
        let past = cache.tokens();
        self.config.check_length(past + tokens)?;
        let heads = self.config.num_key_value_heads * self.config.head_dim();
        let own = self.rope.is_none().then(|| rope(self.config, past, tokens, dtype));
        let rope = self.rope.or(own.as_ref()).expect("there are tables");
        let norms = Norm::ALL.map(|norm| in_dtype(self.weights.norm(norm), dtype));
        let layer = Layer {
            shape: self.config.into(),
            dtype,
            norms: norms.each_ref().map(|norm| &**norm),
            factors: Linear::ALL.map(|linear| self.weights.linear(linear).factor),
            rope,
        };
        let mut products = Requests { layer: self.layer, weights: self.weights, backend };
        let mut tap = Tap { layer: self.layer, active: observer.active(), time: Duration::ZERO, begun: None, observer };
        let mut h: Vec<f32> = hidden.iter().copied().collect();
        cache.grow(tokens, heads);
        let rows = Cache { past, keys: &mut cache.keys, values: &mut cache.values };
        if let Err(error) = layer.run(&mut h, rows, &mut products, &mut tap) {
            cache.truncate(past);
            return Err(self.error(error));
        }
        Ok(Array2::from_shape_vec((tokens, width), h).expect("the residual stream keeps its shape"))
    }

    fn error(&self, error: decoder::Error<BackendError>) -> Error {
        let layer = self.layer;
        let names = |linears: Vec<Linear>| linears.into_iter().map(Linear::name).collect::<Vec<_>>().join(", ");
        match error {
            decoder::Error::NotFinite { linears } => Error::NotFinite { layer, operator: linears[0].name() },
            decoder::Error::Products { linears, source } => Error::Backend { layer, operators: names(linears), source },
            decoder::Error::Length { linears, expected, found } => {
                let source = format!("the back end returned {found:?} values, expected {expected:?}").into();
                Error::Backend { layer, operators: names(linears), source }
            }
        }
    }
}

/// The tables of the rotation of `tokens` tokens that follow `past` tokens.
pub(crate) fn rope(config: &ModelConfig, past: usize, tokens: usize, dtype: Dtype) -> RopeTables {
    RopeTables::new(past..past + tokens, config.head_dim(), config.rope_theta, dtype)
}

/// Checks that a hidden state has the width of the model and at least one token.
pub(crate) fn check_hidden(config: &ModelConfig, width: usize, tokens: usize) -> Result<()> {
    if width == config.hidden_size && tokens > 0 {
        return Ok(());
    }
    let expected = vec![tokens.max(1), config.hidden_size];
    Err(Error::Shape { what: "hidden state".into(), expected, found: vec![tokens, width] })
}

/// `weight` rounded to the compute type.
pub(crate) fn in_dtype(weight: &[f32], dtype: Dtype) -> Cow<'_, [f32]> {
    let mut weight = Cow::Borrowed(weight);
    if dtype != Dtype::Fp32 {
        dtype.round_slice(weight.to_mut());
    }
    weight
}

/// Requests the products of a layer from a back end.
struct Requests<'a> {
    layer: usize,
    weights: &'a Arc<LayerWeights>,
    backend: &'a mut dyn TernaryBackend,
}

impl Products for Requests<'_> {
    type Error = BackendError;

    fn products(&mut self, linears: &[Linear], x_q: &[i8], tokens: usize) -> Result<Vec<Vec<i32>>, BackendError> {
        let operators: Vec<_> = linears.iter().map(|l| (*l, self.weights.linear(*l))).collect();
        let Self { layer, weights, .. } = *self;
        self.backend.matvec(&MatvecRequest { layer, weights, operators: &operators, x_q, tokens })
    }
}

/// Gives tensors their names in the model, and adds up the times of an operator's steps.
struct Tap<'a> {
    layer: usize,
    active: bool,
    /// Time of the operator's steps so far.
    time: Duration,
    /// When the step in progress began, if times are needed.
    begun: Option<Instant>,
    observer: &'a mut dyn Observer,
}

impl decoder::Observer for Tap<'_> {
    fn active(&self) -> bool {
        self.active
    }

    fn tensor(&mut self, module: &'static str, name: &'static str, shape: &[usize], values: Values<'_>) {
        let dot = if module.is_empty() { "" } else { "." };
        let name = format!("model.layers.{}.{module}{dot}{name}", self.layer);
        let shape: Vec<usize> = [1].iter().chain(shape).copied().collect();
        self.observer.tensor(&name, &shape, values);
    }

    fn one_by_one(&self) -> bool {
        self.observer.timing()
    }

    fn begin(&mut self, _: Step) {
        self.begun = started(self.observer);
    }

    fn end(&mut self, step: Step) {
        let Some(begun) = self.begun.take() else { return };
        self.time += begun.elapsed();
        // Other steps of the same operator follow these.
        if !matches!(step, Step::Quantise(_) | Step::Products(_) | Step::Rope) {
            self.observer.ran(Some(self.layer), step.operator(), std::mem::take(&mut self.time));
        }
    }
}
