//! The order in which both units work on a layer: programs, products, and what a processor does to start each.
//!
//! With one token, the vector unit works while the ternary unit does. The rows of a product come in chunks: the values of
//! a chunk are rescaled, added to the residual stream and squared while the ternary unit computes the next one. Queries are
//! scored in the same way. The weights of the norm behind a product are loaded before. So only the last chunk of a product
//! and the norm itself are left when the product ends.
//!
//! The ternary unit works while the vector unit does, too: it gets the products of a part before their activations are
//! there, and reads their weights.

use alloc::vec::Vec;
use core::ops::Range as Rows;

use decoder::{Linear, Norm, Step};

use crate::config::VectorConfig;
use crate::layer::{Kept, Layer, Part};
use crate::program::{Assembler, Tiles, Weight, Words};

/// The most chunks of a product.
const CHUNKS: usize = 8;
/// Rows whose weights the ternary unit can read before their activations are there. It does that for the first chunk of a
/// product.
const READ_AHEAD: usize = 512;

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
    /// Gives so many products to the ternary unit. It reads weights of those whose activations are not in memory.
    Queue(u16),
    /// Tells the ternary unit that the activations of so many products are in memory.
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

    /// Queues products: some rows of linears, in order.
    fn queue(&mut self, products: impl IntoIterator<Item = Product>) {
        let before = self.products.len();
        self.products.extend(products);
        if self.products.len() > before {
            self.actions.push(Action::Queue(self.products.len() as u16));
        }
    }

    /// Starts all products that are queued.
    fn start(&mut self) {
        self.actions.push(Action::Products(self.products.len() as u16));
    }

    fn products_done(&mut self, count: usize) {
        self.actions.push(Action::ProductsDone(count as u16));
    }

    /// Waits until a product is complete. Products are completed in order.
    fn product_done(&mut self, wanted: &Product) {
        let index = self.products.iter().position(|product| product == wanted);
        self.products_done(index.expect("a product is queued before it is waited for") + 1);
    }
}

/// The rows whose results have these words.
fn rows(code: &Assembler, words: &Rows<usize>) -> Rows<usize> {
    words.start * code.config().lanes..words.end * code.config().lanes
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
            let products = part.products().iter().map(|linear| self.product(*linear, 0..self.rows(*linear)));
            s.queue(products);
            for token in 0..self.tokens {
                self.emit(&mut s.code, kept, part, token);
            }
            s.program();
            s.programs_done();
            if !part.products().is_empty() {
                s.start();
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
        s.queue(self.attention_products(&s.code));
        s.code.begin(Step::Norm(Norm::Input));
        s.code.load(s.code.singles(self.hidden, self.shape.hidden), r.h);
        s.code.show((Norm::Input.name(), "in"), 0, r.h, 1, self.shape.hidden);
        s.code.sum_of_squares(r.h, r.sum, false, false);
        self.finish(&mut s.code, &r, (Norm::Input, Linear::Q), r.h, r.x, None);
        s.program();
        s.programs_done();

        self.attend_overlapped(s, &r);
        let next = Some((Norm::PostAttention, Linear::Gate));
        self.residual_overlapped(s, &r, (Linear::O, Step::AttentionResidual), next, self.mlp_products(&s.code));
        self.mlp_overlapped(s, &r);
        self.residual_overlapped(s, &r, (Linear::Down, Step::MlpResidual), None, Vec::new());
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

    /// Key/value heads whose queries are a product of their own, with one token, if so many are in a batch.
    fn query_chunk(&self, tiles: &Tiles) -> usize {
        let (kv, batch) = (self.shape.heads.kv, tiles.groups);
        (1..batch).find(|chunk| batch.is_multiple_of(*chunk) && kv / chunk <= CHUNKS).unwrap_or(batch)
    }

    /// How attention works with one token, beside the residual stream, queries and results. Queries and keys are rotated
    /// beside the scores of a batch.
    pub(crate) fn tiles(&self, code: &Assembler, free: usize) -> Option<Tiles> {
        let (heads, at) = (self.shape.heads, self.attention(0));
        let group = heads.query / heads.kv;
        let fits = |tiles: &Tiles| {
            let (rows, rotated) = (tiles.groups * group, heads.kv.max(self.query_chunk(tiles) * group));
            let rotation = (2 + 4 * rotated) * code.words_of(heads.dim / 2);
            let keys = code.words_of(heads.kv * heads.dim);
            rows * code.words_of(at.positions) + code.words_of(rows) + keys + rotation <= free
        };
        code.tiles(&at, free).filter(fits)
    }

    /// Loads the weights of the norm behind attention, if that costs attention no pass.
    fn preload_attn_sub(&self, code: &mut Assembler) -> Option<Words> {
        let cut = |free| self.tiles(code, free).map(|tiles| (tiles.groups, tiles.passes));
        let beside = cut(code.free().saturating_sub(code.words_of(self.shape.hidden)));
        (beside.is_some() && beside == cut(code.free())).then(|| self.preload(code, Norm::AttnSub, 0)).flatten()
    }

    /// Attention while the ternary unit computes its inputs. Queries come first, in chunks: their scores at the older
    /// positions need no other product. The new keys complete the scores, and while the new values are computed, the
    /// scores become probabilities. Heads whose scores have no room beside these come last.
    fn attend_overlapped(&self, s: &mut Schedule, r: &Resident) {
        let (heads, at, half) = (self.shape.heads, self.attention(0), self.shape.heads.dim / 2);
        // The input of the products is not needed any more, and as long as the results.
        let a = r.x;
        let q = s.code.take(usize::from(a.len));
        let weight = self.preload_attn_sub(&mut s.code);
        let tiles = self.tiles(&s.code, s.code.free()).expect("the layer was checked");
        let batch = s.code.batch(&at, 0, tiles);
        let [tables, kv] = [half, heads.kv * heads.dim].map(|elements| s.code.words_of(elements));
        let (cos, sin) = (s.code.take(tables), s.code.take(tables));
        s.code.begin(Step::Rope);
        s.code.load(s.code.singles(self.cos, half), cos);
        s.code.load(s.code.singles(self.sin, half), sin);

        s.start();
        s.queue(self.residual_products(&s.code, Linear::O));
        s.program();
        let group = heads.query / heads.kv;
        let queries: Vec<Product> = s.products.iter().filter(|product| product.linear == Linear::Q).cloned().collect();
        for product in &queries {
            s.product_done(product);
            let (rows, lanes) = (product.rows.clone(), s.code.config().lanes);
            let (heads_of, part) = (rows.len() / heads.dim, q.part(rows.start / lanes, rows.len() / lanes));
            self.rescale(&mut s.code, &r.kept, Linear::Q, 0, part, rows.clone());
            s.code.begin(Step::Rope);
            s.code.rotate(part, heads_of, cos, sin);
            s.code.show(("self_attn", "q_rope"), 0, part, heads_of, heads.dim);
            s.code.begin(Step::Attention);
            let kv = |row: usize| (row / heads.dim / group).min(tiles.groups);
            s.code.scores(&at, &batch, kv(rows.start)..kv(rows.end), q, (self.past, false));
            s.program();
        }
        s.product_done(&self.product(Linear::K, 0..self.rows(Linear::K)));
        let k = s.code.take(kv);
        self.rescale(&mut s.code, &r.kept, Linear::K, 0, k, 0..self.rows(Linear::K));
        s.code.begin(Step::Rope);
        s.code.rotate(k, heads.kv, cos, sin);
        s.code.show(("self_attn", "k_rope"), 0, k, heads.kv, heads.dim);
        s.code.begin(Step::Attention);
        s.code.append(k, self.keys + self.cache_row(0));
        s.code.last_scores(&at, &batch, q, k);
        s.code.give(cos);
        s.code.probabilities(&at, &batch, 0);
        s.program();
        s.product_done(&self.product(Linear::V, 0..self.rows(Linear::V)));
        let v = s.code.take(kv);
        self.rescale(&mut s.code, &r.kept, Linear::V, 0, v, 0..self.rows(Linear::V));
        s.code.begin(Step::Attention);
        s.code.append(v, self.values + self.cache_row(0));
        s.code.weighted(&at, &batch, a, true);
        s.code.give(batch.scores);
        s.code.attention_from(&at, (q, a), 0, (tiles.groups, tiles));
        s.code.begin(Step::Norm(Norm::AttnSub));
        s.code.show((Norm::AttnSub.name(), "in"), 0, a, 1, self.shape.hidden);
        s.code.sum_of_squares(a, r.sum, false, false);
        self.finish(&mut s.code, r, (Norm::AttnSub, Linear::O), a, a, weight);
        s.code.give(q);
        s.program();
        s.programs_done();
    }

    /// `words` words in chunks. The last one is short, because nothing hides the work on its results.
    fn chunks(&self, code: &Assembler, words: usize) -> Vec<Rows<usize>> {
        let (sets, lanes) = (code.config().sets(), code.config().lanes);
        let counts = || (1..=CHUNKS).rev().filter(|count| (words / sets).is_multiple_of(*count));
        let ahead = |count: &usize| words / count * lanes >= READ_AHEAD;
        let count = counts().find(ahead).or_else(|| counts().next()).unwrap_or(1);
        let chunk = words / count;
        let mut starts: Vec<usize> = (0..count).map(|number| number * chunk).collect();
        let short = (chunk / 2).next_multiple_of(sets);
        if 0 < short && short < chunk {
            starts.push(words - short);
        }
        let ends = starts.iter().skip(1).copied().chain([words]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }

    /// The products of attention: queries in chunks, keys, values.
    fn attention_products(&self, code: &Assembler) -> Vec<Product> {
        let heads = self.shape.heads;
        let free = code.free() - code.words_of(heads.query * heads.dim);
        let tiles = self.tiles(code, free).expect("the layer was checked");
        let chunk = self.query_chunk(&tiles);
        let rows = chunk * heads.query / heads.kv * heads.dim;
        let queries = (0..heads.kv / chunk).map(|number| self.product(Linear::Q, number * rows..(number + 1) * rows));
        queries.chain([Linear::K, Linear::V].map(|linear| self.product(linear, 0..self.rows(linear)))).collect()
    }

    /// The words of the chunks of a product that is added to the residual stream. Sums of columns are complete all at the
    /// same time.
    fn residual_chunks(&self, code: &Assembler, linear: Linear) -> Vec<Rows<usize>> {
        let all = code.words_of(self.shape.hidden);
        if self.by_columns(linear) { core::iter::once(0..all).collect() } else { self.chunks(code, all) }
    }

    fn residual_products(&self, code: &Assembler, linear: Linear) -> Vec<Product> {
        let chunks = self.residual_chunks(code, linear);
        chunks.into_iter().map(|words| self.product(linear, rows(code, &words))).collect()
    }

    /// Gate and up, chunk by chunk in turns. If rows of up are skipped, a chunk of up comes behind the next chunk of gate:
    /// then it is known which of its rows are needed when the ternary unit begins with it.
    fn mlp_products(&self, code: &Assembler) -> Vec<Product> {
        let chunks = self.chunks(code, code.words_of(self.shape.intermediate));
        let late = usize::from(self.skips());
        let product = |linear, number: usize| Some(self.product(linear, rows(code, chunks.get(number)?)));
        (0..chunks.len() + late)
            .flat_map(|number| {
                [product(Linear::Gate, number), number.checked_sub(late).and_then(|number| product(Linear::Up, number))]
            })
            .flatten()
            .collect()
    }

    /// A product that is added to the residual stream, chunk by chunk. Then the norm of the stream, if there is one. `queue`
    /// are the products behind it.
    fn residual_overlapped(
        &self,
        s: &mut Schedule,
        r: &Resident,
        (linear, step): (Linear, Step),
        next: Option<(Norm, Linear)>,
        queue: Vec<Product>,
    ) {
        let chunks = self.residual_chunks(&s.code, linear);
        s.start();
        s.queue(queue);
        let weight = next.and_then(|(norm, _)| {
            let weight = self.preload(&mut s.code, norm, 8)?;
            s.program();
            Some(weight)
        });
        for (number, words) in chunks.iter().enumerate() {
            let (begins, ends) = (number == 0, number + 1 == chunks.len());
            let rows = rows(&s.code, words);
            s.product_done(&self.product(linear, rows.clone()));
            let (h, x) = (r.h.part(words.start, words.len()), r.x.part(words.start, words.len()));
            // What nobody needs again goes to memory at once.
            let stored = next.is_none().then(|| s.code.singles(self.hidden + 4 * rows.start as u64, rows.len()));
            if s.code.shows() {
                self.rescale(&mut s.code, &r.kept, linear, 0, x, rows.clone());
                s.code.begin(step);
                s.code.residual(h, x);
                if let Some(range) = stored {
                    s.code.store(h, range);
                }
            } else {
                s.code.begin(Step::Rescale(linear));
                s.code.divide(self.sums(s.code.config(), linear, 0, rows.clone()), r.kept.scales[0], x);
                s.code.begin(step);
                s.code.scaled_residual(h, x, self.factors[linear.index()], stored);
            }
            if let Some((norm, _)) = next {
                s.code.begin(Step::Norm(norm));
                s.code.show((norm.name(), "in"), 0, h, 1, rows.len());
                s.code.sum_of_squares(h, r.sum, !begins, !ends);
            } else {
                s.code.show(("", "out"), 0, h, 1, rows.len());
            }
            if let Some(next) = next.filter(|_| ends) {
                self.finish(&mut s.code, r, next, r.h, r.x, weight);
            }
            s.program();
        }
        if let Some(weight) = weight {
            s.code.give(weight);
        }
        s.programs_done();
    }

    /// The MLP up to its down projection, while the ternary unit computes gate and up.
    fn mlp_overlapped(&self, s: &mut Schedule, r: &Resident) {
        let all = s.code.words_of(self.shape.intermediate);
        let chunks = self.chunks(&s.code, all);
        s.start();
        s.queue(self.residual_products(&s.code, Linear::Down));
        let (m, up) = (s.code.take(all), s.code.take(chunks[0].len()));
        let weight = self.preload(&mut s.code, Norm::FfnSub, 8);
        if weight.is_some() {
            s.program();
        }
        for (number, words) in chunks.iter().enumerate() {
            let (begins, ends) = (number == 0, number + 1 == chunks.len());
            let (part, rows) = (m.part(words.start, words.len()), rows(&s.code, words));
            let up = up.part(0, words.len());
            s.product_done(&self.product(Linear::Gate, rows.clone()));
            self.rescale(&mut s.code, &r.kept, Linear::Gate, 0, part, rows.clone());
            s.code.begin(Step::Relu2);
            s.code.relu2(part);
            s.code.show(("mlp.act_fn", "out"), 0, part, 1, rows.len());
            s.program();
            s.product_done(&self.product(Linear::Up, rows.clone()));
            self.rescale(&mut s.code, &r.kept, Linear::Up, 0, up, rows.clone());
            s.code.begin(Step::Product);
            s.code.product(part, up);
            s.code.begin(Step::Norm(Norm::FfnSub));
            s.code.show((Norm::FfnSub.name(), "in"), 0, part, 1, rows.len());
            s.code.sum_of_squares(part, r.sum, !begins, !ends);
            if ends {
                self.finish(&mut s.code, r, (Norm::FfnSub, Linear::Down), m, m, weight);
            }
            s.program();
        }
        s.code.give(m);
        s.programs_done();
    }
}

#[cfg(test)]
mod tests {
    use golden::Dtype;
    use golden::attention::Heads;

    use super::*;
    use crate::config::VectorConfig;

    fn layer(kv: usize, past: usize, skip_zeros: bool) -> Layer {
        let heads = Heads { query: 4 * kv, kv, dim: 128 };
        let other = crate::layer::tests::layer(heads.query * heads.dim, 6912, heads.dim, past);
        Layer { shape: decoder::Shape { heads, ..other.shape }, skip_zeros, ..other }
    }

    #[test]
    fn chunks_are_all_words_once() {
        for lanes in [8, 16, 32] {
            let code = Assembler::new(VectorConfig::of(lanes), Dtype::Fp32, None);
            for words in (0..300).map(|n| (n + 1) * code.config().sets()) {
                let chunks = layer(5, 0, false).chunks(&code, words);
                assert!(
                    chunks.len() <= CHUNKS + 1 && chunks.iter().all(|chunk| !chunk.is_empty()),
                    "{words}: {chunks:?}"
                );
                assert!(
                    chunks.iter().all(|chunk| chunk.start.is_multiple_of(code.config().sets())),
                    "{words}: {chunks:?}"
                );
                let ends: Vec<usize> = chunks.iter().map(|chunk| chunk.end).collect();
                let starts: Vec<usize> = chunks.iter().map(|chunk| chunk.start).collect();
                assert_eq!((starts[0], *ends.last().unwrap_or(&0)), (0, words));
                assert_eq!(starts[1..], ends[..ends.len() - 1]);
            }
        }
    }

    /// Every row of every linear is in one product, each is queued before it is started and waited for behind that, and so
    /// are programs; whatever fits of the heads.
    #[test]
    fn products_are_all_rows_once() {
        for (kv, past, skip_zeros) in
            [(5, 0, false), (5, 256, true), (5, 256, false), (5, 1000, true), (1, 7, true), (2, 600, false)]
        {
            for lanes in [8, 32] {
                let layer = layer(kv, past, skip_zeros);
                let unit = VectorConfig::of(lanes);
                if layer.check(&unit).is_err() {
                    continue;
                }
                let s = layer.schedule(unit, None);
                for linear in Linear::ALL {
                    let of = s.products.iter().filter(|product| product.linear == linear);
                    let rows: Vec<usize> = of.flat_map(|product| product.rows.clone()).collect();
                    assert!(rows.iter().copied().eq(0..layer.rows(linear)), "{kv}, {past}: {linear:?}");
                }
                let (mut queued, mut started, mut rung) = (0, 0, 0);
                for action in &s.actions {
                    match *action {
                        Action::Queue(count) => queued = count,
                        Action::Products(count) => started = count,
                        Action::ProductsDone(count) => assert!(count <= started),
                        Action::Programs(count) => rung = count,
                        Action::ProgramsDone(count) => assert!(count <= rung),
                    }
                    assert!(started <= queued, "{action:?}");
                }
                assert_eq!((usize::from(started), usize::from(rung)), (s.products.len(), s.ends.len()));
            }
        }
    }
}
