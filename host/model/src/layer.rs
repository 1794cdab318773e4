//! One decoder layer. A back end computes its ternary products.
//!
//! ```text
//! x = norm(h); q, k, v = BitLinear(x); a = norm(attention(rope(q), rope(k), v)); h += BitLinear_o(a)
//! x = norm(h); g, u = BitLinear(x);    m = norm(relu(g)^2 * u);                  h += BitLinear_down(m)
//! ```
//!
//! A BitLinear quantises the activations of each token to int8, requests exact integer products from the back end,
//! and rescales them. Everything else is computed here with the operators of [`golden`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use golden::attention::{Heads, attention, attention_with_probs};
use golden::rope::RopeTables;
use golden::{Dtype, activation, linear, matvec, norm, quantise, residual};
use ndarray::Array2;

use crate::config::{Linear, ModelConfig, Norm};
use crate::weights::{BitLinearWeights, LayerWeights};
use crate::{BackendError, Error, Result};

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
}

/// A back end that computes the products on the CPU of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuBackend;

impl TernaryBackend for CpuBackend {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        let matrices: Vec<_> = request.operators.iter().map(|(_, w)| &w.ternary).collect();
        Ok(matvec::matvecs(&matrices, request.x_q))
    }
}

/// The elements of an observed tensor, row-major.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// Activations in the compute type, or scales.
    F32(&'a [f32]),
    /// Quantised activations.
    I8(&'a [i8]),
    /// Accumulators.
    I32(&'a [i32]),
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

    fn append(&mut self, tokens: usize, keys: &[f32], values: &[f32]) {
        self.tokens += tokens;
        self.keys.extend_from_slice(keys);
        self.values.extend_from_slice(values);
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
}

impl<'a> DecoderLayer<'a> {
    /// Layer number `layer`, from 0, with its weights.
    pub fn new(config: &'a ModelConfig, layer: usize, weights: &'a Arc<LayerWeights>) -> Self {
        Self { config, layer, weights }
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
        let tap = Tap { layer: self.layer, active: observer.active(), observer };
        let mut pass = Pass { config: self.config, weights: self.weights, tokens, dtype, backend, tap };
        let h = hidden.iter().copied().collect();
        let out = pass.run(h, cache).inspect_err(|_| cache.truncate(past))?;
        Ok(Array2::from_shape_vec((tokens, width), out).expect("the residual stream keeps its shape"))
    }
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

/// Names the tensors of a layer and shows them to the observer, if it is active.
struct Tap<'a> {
    layer: usize,
    active: bool,
    observer: &'a mut dyn Observer,
}

impl Tap<'_> {
    fn started(&self) -> Option<Instant> {
        started(self.observer)
    }

    fn ran(&mut self, operator: &'static str, started: Option<Instant>) {
        if let Some(started) = started {
            self.observer.ran(Some(self.layer), operator, started.elapsed());
        }
    }

    fn show(&mut self, module: &str, what: &str, shape: &[usize], values: Values<'_>) {
        if self.active {
            let dot = if module.is_empty() { "" } else { "." };
            let name = format!("model.layers.{}.{module}{dot}{what}", self.layer);
            let shape: Vec<usize> = [1].iter().chain(shape).copied().collect();
            self.observer.tensor(&name, &shape, values);
        }
    }

    /// Shows `x`, `[tokens, heads, dim]`, as `[heads, tokens, dim]`.
    fn show_heads(&mut self, what: &str, x: &[f32], heads: usize, dim: usize) {
        if self.active {
            let row = |h: usize| x.chunks_exact(dim).skip(h).step_by(heads);
            let by_head: Vec<f32> = (0..heads).flat_map(row).flatten().copied().collect();
            self.show("self_attn", what, &[heads, x.len() / (heads * dim), dim], Values::F32(&by_head));
        }
    }
}

/// One pass of some tokens through a layer.
struct Pass<'a> {
    config: &'a ModelConfig,
    weights: &'a Arc<LayerWeights>,
    tokens: usize,
    dtype: Dtype,
    backend: &'a mut dyn TernaryBackend,
    tap: Tap<'a>,
}

impl Pass<'_> {
    fn run(&mut self, mut h: Vec<f32>, cache: &mut KvCache) -> Result<Vec<f32>> {
        self.show("", "in", &h);
        let x = self.norm(Norm::Input, &h);
        let [q, k, v] = self.linears([Linear::Q, Linear::K, Linear::V], &x)?;
        let a = self.timed("self_attn.attention", |pass| pass.attention(q, k, &v, cache));
        let a = self.norm(Norm::AttnSub, &a);
        let [o] = self.linears([Linear::O], &a)?;
        self.timed("self_attn.residual", |pass| residual::add(&mut h, &o, pass.dtype));

        let x = self.norm(Norm::PostAttention, &h);
        let [mut m, up] = self.linears([Linear::Gate, Linear::Up], &x)?;
        self.show("mlp.act_fn", "in", &m);
        self.timed("mlp.act_fn", |pass| activation::relu2(&mut m, pass.dtype));
        self.show("mlp.act_fn", "out", &m);
        self.timed("mlp.product", |pass| activation::product(&mut m, &up, pass.dtype));
        let m = self.norm(Norm::FfnSub, &m);
        let [down] = self.linears([Linear::Down], &m)?;
        self.timed("mlp.residual", |pass| residual::add(&mut h, &down, pass.dtype));
        self.show("", "out", &h);
        Ok(h)
    }

    /// Runs an operator and reports its time, if the observer needs the times of operators.
    fn timed<T>(&mut self, operator: &'static str, run: impl FnOnce(&mut Self) -> T) -> T {
        let started = self.tap.started();
        let out = run(self);
        self.tap.ran(operator, started);
        out
    }

    fn show(&mut self, module: &str, what: &str, x: &[f32]) {
        self.tap.show(module, what, &[self.tokens, x.len() / self.tokens], Values::F32(x));
    }

    fn norm(&mut self, which: Norm, x: &[f32]) -> Vec<f32> {
        let out = self.timed(which.name(), |pass| {
            let weight = in_dtype(pass.weights.norm(which), pass.dtype);
            norm::rms_norm(x, &weight, pass.config.rms_norm_eps, pass.dtype)
        });
        self.show(which.name(), "in", x);
        self.show(which.name(), "out", &out);
        out
    }

    /// Computes linears that all read `x`: in one request, or one by one if the observer needs the times of operators.
    fn linears<const N: usize>(&mut self, group: [Linear; N], x: &[f32]) -> Result<[Vec<f32>; N]> {
        if !self.tap.observer.timing() {
            return self.request(group, x);
        }
        let mut outs = std::array::from_fn(|_| Vec::new());
        for (out, linear) in outs.iter_mut().zip(group) {
            [*out] = self.timed(linear.name(), |pass| pass.request([linear], x))?;
        }
        Ok(outs)
    }

    /// Computes linears that all read `x` in one request.
    fn request<const N: usize>(&mut self, group: [Linear; N], x: &[f32]) -> Result<[Vec<f32>; N]> {
        let (layer, tokens, cols) = (self.tap.layer, self.tokens, group[0].in_features(self.config));
        let x_q = quantise::activations(x, cols);
        // A row with a value that is not finite has a scale that is not finite or not positive.
        if !x_q.scale.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(Error::NotFinite { layer, operator: group[0].name() });
        }
        let operators = group.map(|l| (l, self.weights.linear(l)));
        let request = MatvecRequest { layer, weights: self.weights, operators: &operators, x_q: &x_q.q, tokens };
        let fail = |source| Error::Backend { layer, operators: group.map(Linear::name).join(", "), source };
        let acc = self.backend.matvec(&request).map_err(fail)?;
        let found: Vec<usize> = acc.iter().map(Vec::len).collect();
        let expected = group.map(|l| tokens * l.out_features(self.config));
        if found != expected {
            return Err(fail(format!("the back end returned {found:?} values, expected {expected:?}").into()));
        }
        let mut outs = acc.iter().zip(operators).map(|(acc, (linear, weights))| {
            let rows = acc.len() / tokens;
            let scaled = acc.chunks_exact(rows).zip(&x_q.scale);
            let mut out = Vec::with_capacity(acc.len());
            scaled.for_each(|(acc, &s)| out.extend(linear::rescale(acc, s, weights.factor, self.dtype)));
            let (tap, name) = (&mut self.tap, linear.name());
            tap.show(name, "in", &[tokens, cols], Values::F32(x));
            tap.show(name, "x_q", &[tokens, cols], Values::I8(&x_q.q));
            tap.show(name, "x_scale", &[tokens, 1], Values::F32(&x_q.scale));
            tap.show(name, "acc", &[tokens, rows], Values::I32(acc));
            tap.show(name, "out", &[tokens, rows], Values::F32(&out));
            if tap.active {
                let full = format!("model.layers.{layer}.{name}.w_scale");
                tap.observer.tensor(&full, &[1], Values::F32(&[weights.factor]));
            }
            out
        });
        Ok(std::array::from_fn(|_| outs.next().expect("one accumulator per operator was checked")))
    }

    fn attention(&mut self, mut q: Vec<f32>, mut k: Vec<f32>, v: &[f32], cache: &mut KvCache) -> Vec<f32> {
        let c = self.config;
        let heads = Heads { query: c.num_attention_heads, kv: c.num_key_value_heads, dim: c.head_dim() };
        let past = cache.tokens();
        let tables = RopeTables::new(past..past + self.tokens, heads.dim, c.rope_theta, self.dtype);
        tables.rotate(&mut q, heads.query, 0);
        tables.rotate(&mut k, heads.kv, 0);
        self.tap.show_heads("q_rope", &q, heads.query, heads.dim);
        self.tap.show_heads("k_rope", &k, heads.kv, heads.dim);
        cache.append(self.tokens, &k, v);
        if !self.tap.active {
            return attention(heads, &q, cache.keys(), cache.values(), self.dtype);
        }
        let (out, probs) = attention_with_probs(heads, &q, cache.keys(), cache.values(), self.dtype);
        let shape = [heads.query, self.tokens, cache.tokens()];
        self.tap.show("self_attn", "attn_probs", &shape, Values::F32(&probs));
        out
    }
}
