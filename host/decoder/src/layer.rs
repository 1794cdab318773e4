//! The sequence of a decoder layer.

use alloc::vec::Vec;

use golden::attention::{attention, attention_with_probs};
use golden::rope::RopeTables;
use golden::{Dtype, activation, linear, norm, quantise, residual};

use crate::observer::{Observer, Step, Values};
use crate::shape::{Linear, Norm, Shape};

/// Computes ternary products.
pub trait Products {
    /// The reason why products could not be computed.
    type Error;

    /// Computes `acc[t, r] = sum_c x_q[t, c] * weight[r, c]` for each linear. All of `linears` read the activations `x_q`,
    /// `[tokens, in_features]`. Returns a matrix `[tokens, out_features]` for each linear, row-major, in their order.
    ///
    /// # Errors
    /// Anything that prevents an exact result.
    fn products(&mut self, linears: &[Linear], x_q: &[i8], tokens: usize) -> Result<Vec<Vec<i32>>, Self::Error>;
}

/// The reason why a layer stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// An input of the linears has a value that is not finite.
    NotFinite {
        /// The linears that read the input.
        linears: Vec<Linear>,
    },
    /// The products failed.
    Products {
        /// The linears.
        linears: Vec<Linear>,
        /// The reason.
        source: E,
    },
    /// The products have another size than the linears.
    Length {
        /// The linears.
        linears: Vec<Linear>,
        /// Number of values of each linear.
        expected: Vec<usize>,
        /// Number of values found.
        found: Vec<usize>,
    },
}

/// Keys (after rotation) and values of the layer.
#[derive(Debug)]
pub struct Cache<'a> {
    /// Number of tokens before the new ones.
    pub past: usize,
    /// Keys, `[past + tokens, kv_heads, head_dim]`. The layer writes those of the new tokens.
    pub keys: &'a mut [f32],
    /// Values, `[past + tokens, kv_heads, head_dim]`. The layer writes those of the new tokens.
    pub values: &'a mut [f32],
}

/// A decoder layer without its ternary weights.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// The dimensions.
    pub shape: Shape,
    /// The compute type.
    pub dtype: Dtype,
    /// The weights of the norms, in the order of [`Norm::ALL`]; values of the compute type.
    pub norms: [&'a [f32]; 4],
    /// The value of a ternary weight of 1 for each linear, in the order of [`Linear::ALL`].
    pub factors: [f32; 7],
    /// Cosines and sines of the positions of the new tokens.
    pub rope: &'a RopeTables,
}

impl Layer<'_> {
    /// Runs the residual stream `h`, `[tokens, hidden]`, through the layer, in place. The tokens follow those in `cache`.
    ///
    /// # Errors
    /// [`Error`]. `h` and the new rows of `cache` then have no meaning.
    ///
    /// # Panics
    /// If `h`, the norms or the cache do not have the shape of the layer.
    pub fn run<P: Products>(
        &self,
        h: &mut [f32],
        cache: Cache<'_>,
        products: &mut P,
        observer: &mut dyn Observer,
    ) -> Result<(), Error<P::Error>> {
        assert!(h.len().is_multiple_of(self.shape.hidden), "whole tokens of {} values", self.shape.hidden);
        let tokens = h.len() / self.shape.hidden;
        Pass { layer: self, tokens, products, observer }.run(h, cache)
    }
}

/// One pass of some tokens through a layer.
struct Pass<'a, P> {
    layer: &'a Layer<'a>,
    tokens: usize,
    products: &'a mut P,
    observer: &'a mut dyn Observer,
}

impl<P: Products> Pass<'_, P> {
    fn run(&mut self, h: &mut [f32], cache: Cache<'_>) -> Result<(), Error<P::Error>> {
        let dtype = self.layer.dtype;
        self.show("", "in", h);
        let x = self.norm(Norm::Input, h);
        let [q, k, v] = self.linears([Linear::Q, Linear::K, Linear::V], &x)?;
        let a = self.attention(q, k, &v, cache);
        let a = self.norm(Norm::AttnSub, &a);
        let [o] = self.linears([Linear::O], &a)?;
        self.step(Step::AttentionResidual, || residual::add(h, &o, dtype));

        let x = self.norm(Norm::PostAttention, h);
        let [mut m, up] = self.linears([Linear::Gate, Linear::Up], &x)?;
        self.show("mlp.act_fn", "in", &m);
        self.step(Step::Relu2, || activation::relu2(&mut m, dtype));
        self.show("mlp.act_fn", "out", &m);
        self.step(Step::Product, || activation::product(&mut m, &up, dtype));
        let m = self.norm(Norm::FfnSub, &m);
        let [down] = self.linears([Linear::Down], &m)?;
        self.step(Step::MlpResidual, || residual::add(h, &down, dtype));
        self.show("", "out", h);
        Ok(())
    }

    fn step<T>(&mut self, step: Step, run: impl FnOnce() -> T) -> T {
        self.observer.begin(step);
        let out = run();
        self.observer.end(step);
        out
    }

    /// Shows a tensor, `[tokens, ...]`.
    fn show(&mut self, module: &'static str, name: &'static str, x: &[f32]) {
        self.tensor(module, name, &[self.tokens, x.len() / self.tokens.max(1)], Values::F32(x));
    }

    fn tensor(&mut self, module: &'static str, name: &'static str, shape: &[usize], values: Values<'_>) {
        if self.observer.active() {
            self.observer.tensor(module, name, shape, values);
        }
    }

    fn norm(&mut self, which: Norm, x: &[f32]) -> Vec<f32> {
        let Layer { norms, shape, dtype, .. } = *self.layer;
        let weight = norms[which.index()];
        assert_eq!(weight.len(), which.width(shape), "width of {}", which.name());
        let out = self.step(Step::Norm(which), || norm::rms_norm(x, weight, shape.eps, dtype));
        self.show(which.name(), "in", x);
        self.show(which.name(), "out", &out);
        out
    }

    /// Computes linears that all read `x`, in one request or one by one.
    fn linears<const N: usize>(&mut self, group: [Linear; N], x: &[f32]) -> Result<[Vec<f32>; N], Error<P::Error>> {
        if !self.observer.one_by_one() {
            return self.request(group, x);
        }
        let mut outs = core::array::from_fn(|_| Vec::new());
        for (out, linear) in outs.iter_mut().zip(group) {
            [*out] = self.request([linear], x)?;
        }
        Ok(outs)
    }

    /// Computes linears that all read `x` in one request.
    fn request<const N: usize>(&mut self, group: [Linear; N], x: &[f32]) -> Result<[Vec<f32>; N], Error<P::Error>> {
        let (tokens, cols) = (self.tokens, group[0].in_features(self.layer.shape));
        let x_q = self.step(Step::Quantise(group[0]), || quantise::activations(x, cols));
        // A row with a value that is not finite has a scale that is not finite or not positive.
        if !x_q.scale.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(Error::NotFinite { linears: group.into() });
        }
        self.observer.begin(Step::Products(group[0]));
        let acc = self.products.products(&group, &x_q.q, tokens);
        self.observer.end(Step::Products(group[0]));
        let acc = acc.map_err(|source| Error::Products { linears: group.into(), source })?;
        let found: Vec<usize> = acc.iter().map(Vec::len).collect();
        let expected = group.map(|linear| tokens * linear.out_features(self.layer.shape));
        if found != expected {
            return Err(Error::Length { linears: group.into(), expected: expected.into(), found });
        }
        let mut outs = core::array::from_fn(|_| Vec::new());
        for ((out, acc), linear) in outs.iter_mut().zip(&acc).zip(group) {
            *out = self.rescale(linear, acc, &x_q.scale);
            let (name, rows) = (linear.name(), acc.len() / tokens.max(1));
            self.tensor(name, "in", &[tokens, cols], Values::F32(x));
            self.tensor(name, "x_q", &[tokens, cols], Values::I8(&x_q.q));
            self.tensor(name, "x_scale", &[tokens, 1], Values::F32(&x_q.scale));
            self.tensor(name, "acc", &[tokens, rows], Values::I32(acc));
            self.tensor(name, "out", &[tokens, rows], Values::F32(out));
            self.tensor(name, "w_scale", &[], Values::F32(&[self.layer.factors[linear.index()]]));
        }
        Ok(outs)
    }

    fn rescale(&mut self, linear: Linear, acc: &[i32], scales: &[f32]) -> Vec<f32> {
        let (dtype, factor) = (self.layer.dtype, self.layer.factors[linear.index()]);
        self.step(Step::Rescale(linear), || linear::rescale_tokens(acc, scales, factor, dtype))
    }

    fn attention(&mut self, mut q: Vec<f32>, mut k: Vec<f32>, v: &[f32], cache: Cache<'_>) -> Vec<f32> {
        let Layer { shape: Shape { heads, .. }, dtype, rope, .. } = *self.layer;
        let Cache { past, keys, values } = cache;
        self.step(Step::Rope, || {
            rope.rotate(&mut q, heads.query, 0);
            rope.rotate(&mut k, heads.kv, 0);
        });
        self.show_heads("q_rope", &q, heads.query, heads.dim);
        self.show_heads("k_rope", &k, heads.kv, heads.dim);
        self.observer.begin(Step::Attention);
        let new = past * heads.kv * heads.dim;
        keys[new..].copy_from_slice(&k);
        values[new..].copy_from_slice(v);
        if !self.observer.active() {
            let out = attention(heads, &q, keys, values, dtype);
            self.observer.end(Step::Attention);
            return out;
        }
        let (out, probs) = attention_with_probs(heads, &q, keys, values, dtype);
        self.observer.end(Step::Attention);
        let shape = [heads.query, self.tokens, past + self.tokens];
        self.tensor("self_attn", "attn_probs", &shape, Values::F32(&probs));
        out
    }

    /// Shows `x`, `[tokens, heads, dim]`, as `[heads, tokens, dim]`.
    fn show_heads(&mut self, name: &'static str, x: &[f32], heads: usize, dim: usize) {
        if self.observer.active() {
            let row = |h: usize| x.chunks_exact(dim).skip(h).step_by(heads);
            let by_head: Vec<f32> = (0..heads).flat_map(row).flatten().copied().collect();
            self.tensor("self_attn", name, &[heads, self.tokens, dim], Values::F32(&by_head));
        }
    }
}
