//! The order in which both units work on a layer: programs, products, and what a processor does to start each.
//!
//! With one token, the vector unit works while the ternary unit does. The rows of a product come in chunks: the values of
//! a chunk are rescaled, added to the residual stream and squared while the ternary unit computes the next one. The
//! weights of the norm behind it are loaded before. So only the last chunk of a product and the norm itself are left when
//! the product ends.

use alloc::vec::Vec;
use core::ops::Range as Rows;

use decoder::{Linear, Norm, Step};

use crate::config::VectorConfig;
use crate::layer::{Kept, Layer, Part};
use crate::program::{Assembler, Weight, Words};

/// The most chunks of a product.
const CHUNKS: usize = 8;

/// A product of the ternary unit: some rows of a linear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The linear.
    pub linear: Linear,
    /// Its rows.
    pub rows: Rows<usize>,
}

/// What a processor does. Numbers count programs and products from the begin of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets the vector unit run so many programs.
    Programs(u16),
    /// Lets the ternary unit compute so many products.
    Products(u16),
    /// Waits until so many programs are complete.
    ProgramsDone(u16),
    /// Waits until so many products are complete.
    ProductsDone(u16),
}

/// A layer for both units.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The instructions of all programs.
    pub code: Assembler,
    /// Where each program ends in them.
    pub ends: Vec<usize>,
    /// The products, in order.
    pub products: Vec<Product>,
    /// What to do, in order.
    pub actions: Vec<Action>,
}

impl Schedule {
    fn program(&mut self) {
        self.ends.push(self.code.code().len());
        self.actions.push(Action::Programs(self.ends.len() as u16));
    }

    fn programs_done(&mut self) {
        self.actions.push(Action::ProgramsDone(self.ends.len() as u16));
    }

    /// Starts products: some rows of linears, in order.
    fn start(&mut self, products: impl IntoIterator<Item = Product>) {
        self.products.extend(products);
        self.actions.push(Action::Products(self.products.len() as u16));
    }

    fn products_done(&mut self, count: usize) {
        self.actions.push(Action::ProductsDone(count as u16));
    }
}

/// What stays in the scratchpad during a layer of one token.
struct Resident {
    kept: Kept,
    sum: Words,
    h: Words,
    x: Words,
}

impl Layer {
    /// The schedule of the layer. Tensors are shown from `show` on, if it is given.
    pub fn schedule(&self, config: VectorConfig, show: Option<u64>) -> Schedule {
        let code = Assembler::new(config, self.dtype, show);
        let mut s = Schedule { code, ends: Vec::new(), products: Vec::new(), actions: Vec::new() };
        let kept = self.keep(&mut s.code);
        if self.tokens == 1 {
            self.overlapped(&mut s, kept)
        } else {
            self.in_turns(&mut s, &kept)
        }
        s
    }

    /// One unit after the other.
    fn in_turns(&self, s: &mut Schedule, kept: &Kept) {
        for part in Part::ALL {
            for token in 0..self.tokens {
                self.emit(&mut s.code, kept, part, token);
            }
            s.program();
            s.programs_done();
            if !part.products().is_empty() {
                s.start(part.products().iter().map(|linear| self.product(*linear, 0..self.rows(*linear))));
                s.products_done(s.products.len());
            }
        }
    }

    fn rows(&self, linear: Linear) -> usize {
        linear.out_features(self.shape)
    }

    fn product(&self, linear: Linear, rows: Rows<usize>) -> Product {
        Product { linear, rows }
    }

    /// Both units at once, for one token.
    fn overlapped(&self, s: &mut Schedule, kept: Kept) {
        let hidden = s.code.words_of(self.shape.hidden);
        let (sum, h, x) = (s.code.take(1), s.code.take(hidden), s.code.take(hidden));
        let r = Resident { kept, sum, h, x };
        s.code.begin(Step::Norm(Norm::Input));
        s.code.load(s.code.singles(self.hidden, self.shape.hidden), r.h);
        s.code.show((Norm::Input.name(), "in"), 0, r.h, 1, self.shape.hidden);
        s.code.sum_of_squares(r.h, r.sum, false, false);
        self.finish(&mut s.code, &r, (Norm::Input, Linear::Q), r.h, r.x, None);
        s.program();
        s.programs_done();

        self.attend_overlapped(s, &r);
        self.residual_overlapped(s, &r, Linear::O, Step::AttentionResidual, Some((Norm::PostAttention, Linear::Gate)));
        self.mlp_overlapped(s, &r);
        self.residual_overlapped(s, &r, Linear::Down, Step::MlpResidual, None);
    }

    /// A norm whose squares are summed, and its quantiser. `weight` has the norm's weights, if they were loaded.
    fn finish(
        &self,
        code: &mut Assembler,
        r: &Resident,
        (norm, linear): (Norm, Linear),
        x: Words,
        d: Words,
        weight: Option<Words>,
    ) {
        let width = norm.width(self.shape);
        code.begin(Step::Norm(norm));
        let weight = weight.map_or(Weight::Memory(self.norms[norm.index()]), Weight::Words);
        code.normalise(x, d, (width, self.shape.eps), weight, r.sum, r.kept.max);
        code.show((norm.name(), "out"), 0, d, 1, width);
        self.quantise(code, &r.kept, linear, 0, d);
    }

    /// Loads the weights of a norm, if there is room for them and for `others` words more.
    fn preload(&self, code: &mut Assembler, norm: Norm, others: usize) -> Option<Words> {
        let width = norm.width(self.shape);
        let words = code.words_of(width);
        (words + others <= code.free()).then(|| {
            let weight = code.take(words);
            code.begin(Step::Norm(norm));
            code.load(code.singles(self.norms[norm.index()], width), weight);
            weight
        })
    }

    /// Loads the weights of the norm behind attention, if its results of `results` words and as few passes as without the
    /// weights have room beside them.
    fn preload_attn_sub(&self, code: &mut Assembler, results: usize) -> Option<Words> {
        let free = code.free() - results;
        let tiles = |free| code.tiles(&self.attention(0), free).map(|tiles| tiles.passes);
        let alone = tiles(free.saturating_sub(code.words_of(self.shape.hidden)));
        (alone.is_some() && alone == tiles(free)).then(|| self.preload(code, Norm::AttnSub, 0)).flatten()
    }

    /// Queries, keys and values one after the other, each while the next one is computed.
    fn attend_overlapped(&self, s: &mut Schedule, r: &Resident) {
        let heads = self.shape.heads;
        let first = s.products.len();
        s.start(Part::Input.products().iter().map(|linear| self.product(*linear, 0..self.rows(*linear))));
        let (q, kv) = (s.code.words_of(heads.query * heads.dim), s.code.words_of(heads.kv * heads.dim));
        let q = s.code.take(q);
        let weight = self.preload_attn_sub(&mut s.code, usize::from(q.len));
        let (k, v) = (s.code.take(kv), s.code.take(kv));
        let half = heads.dim / 2;
        s.code.begin(Step::Rope);
        let (cos, sin) = (s.code.take(s.code.words_of(half)), s.code.take(s.code.words_of(half)));
        s.code.load(s.code.singles(self.cos, half), cos);
        s.code.load(s.code.singles(self.sin, half), sin);
        s.program();
        let [keys, values] = [self.keys, self.values].map(|base| base + self.cache_row(0));
        for (index, (linear, d)) in [(Linear::Q, q), (Linear::K, k), (Linear::V, v)].into_iter().enumerate() {
            s.products_done(first + index + 1);
            self.rescale(&mut s.code, &r.kept, linear, 0, d, 0..self.rows(linear));
            match linear {
                Linear::Q => {
                    s.code.begin(Step::Rope);
                    s.code.rotate(q, heads.query, cos, sin);
                    s.code.show(("self_attn", "q_rope"), 0, q, heads.query, heads.dim);
                }
                Linear::K => {
                    s.code.begin(Step::Rope);
                    s.code.rotate(k, heads.kv, cos, sin);
                    s.code.show(("self_attn", "k_rope"), 0, k, heads.kv, heads.dim);
                    s.code.begin(Step::Attention);
                    s.code.append(k, keys);
                }
                _ => {
                    s.code.begin(Step::Attention);
                    s.code.append(v, values);
                    // What is behind the queries is not needed any more.
                    s.code.give(k);
                    let a = s.code.take(usize::from(q.len));
                    s.code.attention(&self.attention(0), q, a, 0);
                    s.code.begin(Step::Norm(Norm::AttnSub));
                    s.code.show((Norm::AttnSub.name(), "in"), 0, a, 1, self.shape.hidden);
                    s.code.sum_of_squares(a, r.sum, false, false);
                    self.finish(&mut s.code, r, (Norm::AttnSub, Linear::O), a, a, weight);
                    s.code.give(q);
                }
            }
            s.program();
        }
        s.programs_done();
    }

    /// Chunks of `words` words: how many, and the words of each.
    fn chunks(&self, code: &Assembler, words: usize) -> (usize, usize) {
        let groups = words / code.config().sets();
        let count = (1..=CHUNKS).rev().find(|count| groups.is_multiple_of(*count)).unwrap_or(1);
        (count, words / count)
    }

    /// A product that is added to the residual stream, chunk by chunk. Then the norm of the stream, if there is one.
    fn residual_overlapped(
        &self,
        s: &mut Schedule,
        r: &Resident,
        linear: Linear,
        step: Step,
        next: Option<(Norm, Linear)>,
    ) {
        let first = s.products.len();
        let all = usize::from(r.h.len);
        // Sums of columns are complete all at the same time.
        let (count, words) = if self.by_columns(linear) { (1, all) } else { self.chunks(&s.code, all) };
        let rows = words * s.code.config().lanes;
        s.start((0..count).map(|chunk| self.product(linear, chunk * rows..(chunk + 1) * rows)));
        let weight = next.and_then(|(norm, _)| {
            let weight = self.preload(&mut s.code, norm, 8)?;
            s.program();
            Some(weight)
        });
        for chunk in 0..count {
            s.products_done(first + chunk + 1);
            let (h, x) = (r.h.part(chunk * words, words), r.x.part(chunk * words, words));
            self.rescale(&mut s.code, &r.kept, linear, 0, x, chunk * rows..(chunk + 1) * rows);
            s.code.begin(step);
            s.code.residual(h, x);
            if let Some((norm, _)) = next {
                s.code.begin(Step::Norm(norm));
                s.code.show((norm.name(), "in"), 0, h, 1, rows);
                s.code.sum_of_squares(h, r.sum, chunk > 0, chunk + 1 < count);
            } else {
                s.code.store(h, s.code.singles(self.hidden + (4 * chunk * rows) as u64, rows));
                s.code.show(("", "out"), 0, h, 1, rows);
            }
            if let Some(next) = next.filter(|_| chunk + 1 == count) {
                self.finish(&mut s.code, r, next, r.h, r.x, weight);
            }
            s.program();
        }
        if let Some(weight) = weight {
            s.code.give(weight);
        }
        s.programs_done();
    }

    /// Gate and up, chunk by chunk in turns. If rows of up are skipped, a chunk of up comes behind the next chunk of gate:
    /// then it is known which of its rows are needed when the ternary unit begins with it.
    fn mlp_overlapped(&self, s: &mut Schedule, r: &Resident) {
        let first = s.products.len();
        let all = s.code.words_of(self.shape.intermediate);
        let (count, words) = self.chunks(&s.code, all);
        let rows = words * s.code.config().lanes;
        let late = usize::from(self.skips());
        let both: Vec<(Linear, usize)> = (0..count + late)
            .flat_map(|chunk| [(Linear::Gate, Some(chunk)), (Linear::Up, chunk.checked_sub(late))])
            .filter_map(|(linear, chunk)| Some((linear, chunk.filter(|chunk| *chunk < count)?)))
            .collect();
        let behind = |chunk: usize| 1 + both.iter().position(|product| *product == (Linear::Up, chunk)).unwrap_or(0);
        let chunk_of = |chunk: usize| chunk * rows..(chunk + 1) * rows;
        s.start(both.iter().map(|(linear, chunk)| self.product(*linear, chunk_of(*chunk))));
        let (m, up) = (s.code.take(all), s.code.take(words));
        let weight = self.preload(&mut s.code, Norm::FfnSub, 8);
        if weight.is_some() {
            s.program();
        }
        for chunk in 0..count {
            s.products_done(first + behind(chunk));
            let (part, rows) = (m.part(chunk * words, words), chunk * rows..(chunk + 1) * rows);
            self.rescale(&mut s.code, &r.kept, Linear::Gate, 0, part, rows.clone());
            s.code.begin(Step::Relu2);
            s.code.relu2(part);
            s.code.show(("mlp.act_fn", "out"), 0, part, 1, rows.len());
            self.rescale(&mut s.code, &r.kept, Linear::Up, 0, up, rows.clone());
            s.code.begin(Step::Product);
            s.code.product(part, up);
            s.code.begin(Step::Norm(Norm::FfnSub));
            s.code.show((Norm::FfnSub.name(), "in"), 0, part, 1, rows.len());
            s.code.sum_of_squares(part, r.sum, chunk > 0, chunk + 1 < count);
            if chunk + 1 == count {
                self.finish(&mut s.code, r, (Norm::FfnSub, Linear::Down), m, m, weight);
            }
            s.program();
        }
        s.code.give(m);
        s.programs_done();
    }
}
