//! The programs of a decoder layer: what lies before, between and behind its ternary products.

use alloc::vec::Vec;
use core::ops::Range as Rows;

use decoder::{Linear, Norm, Shape, Step};
use golden::Dtype;

use crate::config::{PARTIALS, VectorConfig};
use crate::instruction::{Format, Range};
use crate::program::{Assembler, Attention, Words};

/// Rows of a block of accumulators in memory, as the ternary unit writes them.
const ROW_BLOCK: usize = 8;

/// Why a layer cannot run on a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// A dimension is no multiple of what the unit works in.
    #[error("{what} is {found}: the vector unit needs a multiple of {multiple}")]
    Multiple {
        /// The dimension.
        what: &'static str,
        /// Its value.
        found: usize,
        /// What it has to be a multiple of.
        multiple: usize,
    },
    /// The scratchpad is too small.
    #[error("the scratchpad of {words} words is too small for {what}")]
    Scratchpad {
        /// Words of the scratchpad.
        words: usize,
        /// What does not fit.
        what: &'static str,
    },
}

/// A layer: its dimensions and numbers, and where everything is in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// The dimensions.
    pub shape: Shape,
    /// The compute type.
    pub dtype: Dtype,
    /// New tokens.
    pub tokens: usize,
    /// Tokens before them.
    pub past: usize,
    /// The value of a ternary weight of 1 for each linear, in the order of [`Linear::ALL`].
    pub factors: [f32; 7],
    /// Whether the ternary unit skips rows of up whose gate is not above zero, with one token and if the sign of a gate is that
    /// of its accumulator.
    pub skip_rows: bool,
    /// Whether the ternary unit skips columns of down whose activation is zero, with one token.
    pub skip_columns: bool,
    /// Address of the residual stream, singles `[tokens, hidden]`.
    pub hidden: u64,
    /// Addresses of the weights of the norms, singles, in the order of [`Norm::ALL`].
    pub norms: [u64; 4],
    /// Addresses of cosines and sines of the new tokens, singles `[tokens, dim / 2]`.
    pub cos: u64,
    /// See [`Layer::cos`].
    pub sin: u64,
    /// Address of the keys, `[past + tokens, kv, dim]` in the compute type.
    pub keys: u64,
    /// Address of the values.
    pub values: u64,
    /// Addresses of the bytes that the ternary unit reads, for each group of linears, in the order of [`Linear::GROUPS`].
    pub codes: [u64; 4],
    /// Bytes from the codes of a token to those of the next one.
    pub codes_stride: usize,
    /// Addresses of the accumulators of each linear, int32 `[out / 8, tokens, 8]`, in the order of [`Linear::ALL`].
    pub accumulators: [u64; 7],
}

/// Parts of a layer between ternary products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Input norm and quantiser, before the products of queries, keys and values.
    Input = 0,
    /// Rotation, attention, norm, quantiser, before the product of the output projection.
    Attention = 1,
    /// Residual, norm, quantiser, before the products of gate and up.
    PostAttention = 2,
    /// Activation, product, norm, quantiser, before the product of the down projection.
    Mlp = 3,
    /// Residual.
    Output = 4,
}

impl Part {
    /// All parts in order.
    pub const ALL: [Self; 5] = [Self::Input, Self::Attention, Self::PostAttention, Self::Mlp, Self::Output];

    /// The products between this part and the next one.
    pub fn products(self) -> &'static [Linear] {
        Linear::GROUPS.get(self as usize).copied().unwrap_or_default()
    }
}

/// Words that stay from part to part: a scale for each token.
pub(crate) struct Kept {
    pub(crate) scales: Vec<Words>,
    pub(crate) max: Words,
}

impl Layer {
    /// Whether rows are skipped: they may be, and nothing speaks against it.
    pub fn skips(&self) -> bool {
        self.skip_rows && self.tokens == 1 && self.factors[Linear::Gate.index()] > 0.0
    }

    /// Whether the weights of a linear lie by columns, to skip some. Then its results come all at once.
    pub fn by_columns(&self, linear: Linear) -> bool {
        self.skip_columns && self.tokens == 1 && linear == Linear::Down
    }

    /// Checks that a unit can run the layer.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn check(&self, config: &VectorConfig) -> Result<(), Unfit> {
        let Shape { hidden, intermediate, heads, .. } = self.shape;
        let half = 2 * config.lanes.max(PARTIALS / 2);
        for (what, found, multiple) in [
            ("hidden_size", hidden, PARTIALS),
            ("intermediate_size", intermediate, PARTIALS),
            ("head_dim", heads.dim, half),
        ] {
            if !found.is_multiple_of(multiple) {
                return Err(Unfit::Multiple { what, found, multiple });
            }
        }
        let words = config.words;
        let mut code = Assembler::new(*config, self.dtype, None);
        let kept = self.tokens + 8;
        if kept + 3 * intermediate.max(2 * hidden) / config.lanes > words + intermediate / config.lanes {
            return Err(Unfit::Scratchpad { words, what: "the vectors of the MLP" });
        }
        // Queries and results, and with one token the residual stream.
        code.take(kept + if self.tokens == 1 { 3 } else { 2 } * hidden / config.lanes);
        let tiles = match self.tokens {
            1 => self.tiles(&code, code.free()),
            _ => code.tiles(&self.attention(self.tokens - 1), code.free()),
        };
        if tiles.is_none() {
            return Err(Unfit::Scratchpad { words, what: "the scores of so many positions" });
        }
        Ok(())
    }

    /// The program of a part.
    pub fn part(&self, config: VectorConfig, part: Part, show_at: Option<u64>) -> Assembler {
        let mut code = Assembler::new(config, self.dtype, show_at);
        let kept = self.keep(&mut code);
        for token in 0..self.tokens {
            self.emit(&mut code, &kept, part, token);
        }
        code
    }

    pub(crate) fn keep(&self, code: &mut Assembler) -> Kept {
        let scales = (0..self.tokens).map(|_| code.take(1)).collect();
        Kept { scales, max: code.take(1) }
    }

    /// The instructions of a part for one token.
    pub(crate) fn emit(&self, code: &mut Assembler, kept: &Kept, part: Part, token: usize) {
        match part {
            Part::Input => self.input(code, kept, token),
            Part::Attention => self.attend(code, kept, token),
            Part::PostAttention => self.post_attention(code, kept, token),
            Part::Mlp => self.mlp(code, kept, token),
            Part::Output => self.output(code, kept, token),
        }
    }

    pub(crate) fn attention(&self, token: usize) -> Attention {
        Attention { heads: self.shape.heads, positions: self.past + token + 1, keys: self.keys, values: self.values }
    }

    fn row(&self, base: u64, token: usize, elements: usize) -> u64 {
        base + (4 * token * elements) as u64
    }

    /// The accumulators of some rows of a linear for a token.
    pub(crate) fn sums(&self, config: VectorConfig, linear: Linear, token: usize, rows: Rows<usize>) -> Range {
        let block = 4 * ROW_BLOCK;
        let beats = block / config.port_bytes();
        let address = self.accumulators[linear.index()] + (4 * self.tokens * rows.start + token * block) as u64;
        let rows = rows.len() / ROW_BLOCK;
        let whole = self.tokens == 1;
        Range {
            address,
            rows: if whole { 1 } else { rows as u16 },
            row_beats: (if whole { beats * rows } else { beats }) as u16,
            row_stride: (self.tokens * block) as u32,
            format: Format::Int,
        }
    }

    /// Values of some rows of a linear of a token, in words `d`.
    pub(crate) fn rescale(
        &self,
        code: &mut Assembler,
        kept: &Kept,
        linear: Linear,
        token: usize,
        d: Words,
        rows: Rows<usize>,
    ) {
        let count = rows.len();
        code.begin(Step::Rescale(linear));
        code.divide(self.sums(code.config(), linear, token, rows), kept.scales[token], d);
        code.multiply(d, self.factors[linear.index()]);
        code.show((linear.name(), "out"), token, d, 1, count);
    }

    /// Where the key of a token is in a cache.
    pub(crate) fn cache_row(&self, token: usize) -> u64 {
        let (heads, bytes) = (self.shape.heads, if self.dtype == Dtype::Bf16 { 2 } else { 4 });
        ((self.past + token) * heads.kv * heads.dim * bytes) as u64
    }

    /// The quantiser, and the bytes for the products of `linear` and of those that read the same input.
    pub(crate) fn quantise(&self, code: &mut Assembler, kept: &Kept, linear: Linear, token: usize, x: Words) {
        code.begin(Step::Quantise(linear));
        let group = Linear::GROUPS.iter().position(|group| group[0] == linear).unwrap_or_default();
        let codes = self.codes[group] + (token * self.codes_stride) as u64;
        code.quantise(x, kept.max, codes, kept.scales[token]);
        code.show((linear.name(), "x_scale"), token, kept.scales[token], 1, 1);
    }

    /// A norm of `x` into `d`, and the bytes for the products of `linear`.
    fn normalise(
        &self,
        code: &mut Assembler,
        kept: &Kept,
        (norm, linear): (Norm, Linear),
        token: usize,
        x: Words,
        d: Words,
    ) {
        let width = norm.width(self.shape);
        code.begin(Step::Norm(norm));
        code.show((norm.name(), "in"), token, x, 1, width);
        code.norm(x, d, width, self.shape.eps, self.norms[norm.index()], kept.max);
        code.show((norm.name(), "out"), token, d, 1, width);
        self.quantise(code, kept, linear, token, d);
    }

    fn hidden(&self, code: &mut Assembler, token: usize) -> Words {
        let h = code.take(code.words_of(self.shape.hidden));
        code.load(code.singles(self.row(self.hidden, token, self.shape.hidden), self.shape.hidden), h);
        h
    }

    fn input(&self, code: &mut Assembler, kept: &Kept, token: usize) {
        code.begin(Step::Norm(Norm::Input));
        let h = self.hidden(code, token);
        let x = code.take(usize::from(h.len));
        self.normalise(code, kept, (Norm::Input, Linear::Q), token, h, x);
        code.give(h);
    }

    fn attend(&self, code: &mut Assembler, kept: &Kept, token: usize) {
        let heads = self.shape.heads;
        let (q, kv) = (code.words_of(heads.query * heads.dim), code.words_of(heads.kv * heads.dim));
        let all = code.take(q + kv);
        let (q, k) = (all.part(0, q), all.part(q, kv));
        let v = code.take(kv);
        for (linear, d) in [(Linear::Q, q), (Linear::K, k), (Linear::V, v)] {
            self.rescale(code, kept, linear, token, d, 0..linear.out_features(self.shape));
        }
        code.begin(Step::Rope);
        let half = heads.dim / 2;
        let tables = code.take(2 * code.words_of(half));
        let (cos, sin) = (tables.part(0, code.words_of(half)), tables.part(code.words_of(half), code.words_of(half)));
        code.load(code.singles(self.row(self.cos, token, half), half), cos);
        code.load(code.singles(self.row(self.sin, token, half), half), sin);
        code.rotate(all, heads.query + heads.kv, cos, sin);
        code.show(("self_attn", "q_rope"), token, q, heads.query, heads.dim);
        code.show(("self_attn", "k_rope"), token, k, heads.kv, heads.dim);
        code.begin(Step::Attention);
        let row = self.cache_row(token);
        code.append(k, self.keys + row);
        code.append(v, self.values + row);
        code.give(v);
        let a = code.take(usize::from(q.len));
        code.attention(&self.attention(token), q, a, token);
        self.normalise(code, kept, (Norm::AttnSub, Linear::O), token, a, a);
        code.give(all);
    }

    fn post_attention(&self, code: &mut Assembler, kept: &Kept, token: usize) {
        code.begin(Step::Rescale(Linear::O));
        let h = self.hidden(code, token);
        let x = code.take(usize::from(h.len));
        self.rescale(code, kept, Linear::O, token, x, 0..self.shape.hidden);
        self.residual(code, Step::AttentionResidual, h, x, token);
        self.normalise(code, kept, (Norm::PostAttention, Linear::Gate), token, h, x);
        code.give(h);
    }

    fn residual(&self, code: &mut Assembler, step: Step, h: Words, x: Words, token: usize) {
        code.begin(step);
        code.residual(h, x);
        code.store(h, code.singles(self.row(self.hidden, token, self.shape.hidden), self.shape.hidden));
    }

    fn mlp(&self, code: &mut Assembler, kept: &Kept, token: usize) {
        let g = code.take(code.words_of(self.shape.intermediate));
        self.rescale(code, kept, Linear::Gate, token, g, 0..self.shape.intermediate);
        code.begin(Step::Relu2);
        code.relu2(g);
        code.show(("mlp.act_fn", "out"), token, g, 1, self.shape.intermediate);
        let u = code.take(usize::from(g.len));
        self.rescale(code, kept, Linear::Up, token, u, 0..self.shape.intermediate);
        code.begin(Step::Product);
        code.product(g, u);
        code.give(u);
        self.normalise(code, kept, (Norm::FfnSub, Linear::Down), token, g, g);
        code.give(g);
    }

    fn output(&self, code: &mut Assembler, kept: &Kept, token: usize) {
        code.begin(Step::Rescale(Linear::Down));
        let h = self.hidden(code, token);
        let x = code.take(usize::from(h.len));
        self.rescale(code, kept, Linear::Down, token, x, 0..self.shape.hidden);
        self.residual(code, Step::MlpResidual, h, x, token);
        code.show(("", "out"), token, h, 1, self.shape.hidden);
        code.give(h);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use golden::attention::Heads;

    use super::*;

    /// A layer with one key/value head.
    pub(crate) fn layer(hidden: usize, intermediate: usize, dim: usize, past: usize) -> Layer {
        Layer {
            shape: Shape { hidden, intermediate, heads: Heads { query: hidden / dim, kv: 1, dim }, eps: 1e-5 },
            dtype: Dtype::Fp32,
            tokens: 1,
            past,
            factors: [1.0; 7],
            skip_rows: false,
            skip_columns: false,
            hidden: 0,
            norms: [0; 4],
            cos: 0,
            sin: 0,
            keys: 0,
            values: 0,
            codes: [0; 4],
            codes_stride: 0,
            accumulators: [0; 7],
        }
    }

    #[test]
    fn what_does_not_fit_has_a_name() {
        let unit = VectorConfig::of(32);
        assert_eq!(layer(256, 576, 64, 9).check(&unit), Ok(()));
        let text =
            |layer: Layer, unit: VectorConfig| alloc::format!("{}", layer.check(&unit).expect_err("it does not fit"));
        assert!(text(layer(250, 576, 64, 9), unit).starts_with("hidden_size is 250"));
        assert!(text(layer(256, 570, 64, 9), unit).starts_with("intermediate_size is 570"));
        assert!(text(layer(256, 576, 32, 9), unit).starts_with("head_dim is 32"));
        assert_eq!(layer(256, 576, 32, 9).check(&VectorConfig::of(8)), Ok(()));
        let small = VectorConfig { words: 24, ..unit };
        assert!(text(layer(256, 576, 64, 9), small).contains("24 words is too small for the vectors of the MLP"));
        assert!(text(layer(256, 576, 64, 30_000), unit).contains("the scores of so many positions"));
    }

    /// All parts of layers with many positions stay within the scratchpad, else the assembler panics.
    #[test]
    fn programs_stay_within_the_scratchpad() {
        for (lanes, past) in [(8, 0), (8, 2_000), (16, 31), (32, 255), (32, 1_000)] {
            let unit = VectorConfig::of(lanes);
            let layer = layer(256, 576, 64, past);
            assert_eq!(layer.check(&unit), Ok(()));
            for part in Part::ALL {
                let code = layer.part(unit, part, None);
                assert!(!code.code().is_empty() && code.code().len() < 400, "{part:?}: {}", code.code().len());
            }
        }
    }
}
