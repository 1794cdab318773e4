//! The order in which both units work on layers: passes, products, and who waits for whom.
//!
//! Layers that follow each other are one schedule: nobody stops between them. With one token, the residual stream stays in
//! the scratchpad from the first layer to the last.
//!
//! With one token, the vector unit works while the ternary unit does. The rows of a product come in chunks: the values of
//! a chunk are rescaled, added to the residual stream and squared while the ternary unit computes the next one. Queries are
//! scored in the same way. The weights of the norm behind a product are loaded before. So only the last chunk of a product
//! and the norm itself are left when the product ends.
//!
//! The ternary unit works while the vector unit does, too: it reads the weights of the next product before its activations
//! are there.
//!
//! The units wait for each other by wires. The vector unit tells when the activations of a group of products are in memory,
//! and the ternary unit when the results of a product are for which the vector unit waits.

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
    /// Number of the layer, from 0 for the first one of the schedule.
    pub layer: usize,
    /// The linear.
    pub linear: Linear,
    /// Its rows.
    pub rows: Rows<usize>,
    /// It is the first one of a group: its activations are in memory when the vector unit tells.
    pub after: bool,
    /// The vector unit waits for its results.
    pub tell: bool,
}

/// Layers for both units.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The instructions of the vector unit.
    pub code: Assembler,
    /// The products, in order.
    pub products: Vec<Product>,
    /// The layer that is being scheduled.
    layer: usize,
}

impl Schedule {
    /// Queues a group of products, which have the same activations, and starts it: what was stored so far has them.
    fn start(&mut self, products: impl IntoIterator<Item = (Linear, Rows<usize>)>) {
        let (layer, begin) = (self.layer, self.products.len());
        let product = |(linear, rows)| Product { layer, linear, rows, after: false, tell: false };
        self.products.extend(products.into_iter().map(product));
        if let Some(first) = self.products.get_mut(begin) {
            first.after = true;
        }
        self.code.tell();
    }

    /// Lets the next instruction wait for the results of some rows of a linear: of a product that is queued. Products are
    /// completed in order, so there is no wait for one before another one that was waited for.
    fn product_done(&mut self, linear: Linear, rows: &Rows<usize>) {
        let wanted =
            |product: &Product| (product.layer, product.linear) == (self.layer, linear) && product.rows == *rows;
        let index = self.products.iter().position(wanted).expect("a product is queued before it is waited for");
        if self.products[index..].iter().all(|product| !product.tell) {
            self.products[index].tell = true;
            self.code.after();
        }
    }
}

/// The rows whose results have these words.
fn rows(code: &Assembler, words: &Rows<usize>) -> Rows<usize> {
    words.start * code.config().lanes..words.end * code.config().lanes
}

/// What stays in the scratchpad from layer to layer, with one token.
struct Resident {
    kept: Kept,
    sum: Words,
    h: Words,
    x: Words,
}

/// The norm behind a residual, with its layer, and the linear that reads the result of the norm.
type Behind<'a> = (&'a Layer, Norm, Linear);

/// The schedule of layers, one behind the other. They have the same dimensions, compute type and tokens, and one residual
/// stream. Tensors are shown from `show` on, if it is given.
///
/// # Panics
/// If there is no layer, or if tensors of more than one are to be shown.
pub fn schedule(layers: &[Layer], config: VectorConfig, show: Option<u64>) -> Schedule {
    let first = layers.first().expect("there is a layer");
    assert!(show.is_none() || layers.len() == 1, "tensors are shown of one layer");
    let code = Assembler::new(config, first.dtype, show);
    let mut s = Schedule { code, products: Vec::new(), layer: 0 };
    let kept = first.keep(&mut s.code);
    if first.tokens == 1 {
        overlapped(layers, &mut s, kept)
    } else {
        in_turns(layers, &mut s, &kept)
    }
    s
}

/// One unit after the other.
fn in_turns(layers: &[Layer], s: &mut Schedule, kept: &Kept) {
    for (index, layer) in layers.iter().enumerate() {
        s.layer = index;
        if index > 0 {
            // The stream is loaded as the layer before stored it.
            s.code.fence();
        }
        for part in Part::ALL {
            for token in 0..layer.tokens {
                layer.emit(&mut s.code, kept, part, token);
            }
            if let Some(last) = part.products().last() {
                s.start(part.products().iter().map(|linear| (*linear, 0..layer.rows(*linear))));
                s.product_done(*last, &(0..layer.rows(*last)));
            }
        }
    }
}

/// Both units at once, for one token.
fn overlapped(layers: &[Layer], s: &mut Schedule, kept: Kept) {
    let hidden = s.code.words_of(layers[0].shape.hidden);
    let (sum, h, x) = (s.code.take(1), s.code.take(hidden), s.code.take(hidden));
    let r = Resident { kept, sum, h, x };
    layers[0].enter(&mut s.code, &r);
    for (index, layer) in layers.iter().enumerate() {
        s.layer = index;
        layer.attend_overlapped(s, &r);
        let post_attention = (layer, Norm::PostAttention, Linear::Gate);
        layer.residual_overlapped(s, &r, (Linear::O, Step::AttentionResidual), Some(post_attention));
        layer.mlp_overlapped(s, &r);
        let input = layers.get(index + 1).map(|next| (next, Norm::Input, Linear::Q));
        layer.residual_overlapped(s, &r, (Linear::Down, Step::MlpResidual), input);
    }
}

impl Layer {
    fn rows(&self, linear: Linear) -> usize {
        linear.out_features(self.shape)
    }

    /// Loads the residual stream, and computes the input of the first products.
    fn enter(&self, code: &mut Assembler, r: &Resident) {
        code.begin(Step::Norm(Norm::Input));
        code.load(code.singles(self.hidden, self.shape.hidden), r.h);
        code.show((Norm::Input.name(), "in"), 0, r.h, 1, self.shape.hidden);
        code.sum_of_squares(r.h, r.sum, false, false);
        self.finish(code, r, (Norm::Input, Linear::Q), r.h, r.x, None);
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
        s.start(self.attention_products(&s.code));
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

        let group = heads.query / heads.kv;
        for (_, rows) in self.query_products(&tiles) {
            s.product_done(Linear::Q, &rows);
            let lanes = s.code.config().lanes;
            let (heads_of, part) = (rows.len() / heads.dim, q.part(rows.start / lanes, rows.len() / lanes));
            self.rescale(&mut s.code, &r.kept, Linear::Q, 0, part, rows.clone());
            s.code.begin(Step::Rope);
            s.code.rotate(part, heads_of, cos, sin);
            s.code.show(("self_attn", "q_rope"), 0, part, heads_of, heads.dim);
            s.code.begin(Step::Attention);
            let kv = |row: usize| (row / heads.dim / group).min(tiles.groups);
            s.code.scores(&at, &batch, kv(rows.start)..kv(rows.end), q, (self.past, false));
        }
        s.product_done(Linear::K, &(0..self.rows(Linear::K)));
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
        s.product_done(Linear::V, &(0..self.rows(Linear::V)));
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

    /// The products of queries, in chunks.
    fn query_products(&self, tiles: &Tiles) -> impl Iterator<Item = (Linear, Rows<usize>)> + use<> {
        let (heads, chunk) = (self.shape.heads, self.query_chunk(tiles));
        let rows = chunk * heads.query / heads.kv * heads.dim;
        (0..heads.kv / chunk).map(move |number| (Linear::Q, number * rows..(number + 1) * rows))
    }

    /// The products of attention: queries in chunks, keys, values.
    fn attention_products(&self, code: &Assembler) -> Vec<(Linear, Rows<usize>)> {
        let heads = self.shape.heads;
        let free = code.free() - code.words_of(heads.query * heads.dim);
        let tiles = self.tiles(code, free).expect("the layer was checked");
        let others = [Linear::K, Linear::V].map(|linear| (linear, 0..self.rows(linear)));
        self.query_products(&tiles).chain(others).collect()
    }

    /// The words of the chunks of a product that is added to the residual stream. Sums of columns are complete all at the
    /// same time.
    fn residual_chunks(&self, code: &Assembler, linear: Linear) -> Vec<Rows<usize>> {
        let all = code.words_of(self.shape.hidden);
        if self.by_columns(linear) { core::iter::once(0..all).collect() } else { self.chunks(code, all) }
    }

    /// Gate and up, chunk by chunk in turns. If rows of up are skipped, a chunk of up comes behind the next chunk of gate:
    /// then it is known which of its rows are needed when the ternary unit begins with it.
    fn mlp_products(&self, code: &Assembler, chunks: &[Rows<usize>]) -> Vec<(Linear, Rows<usize>)> {
        let late = usize::from(self.skips());
        let product = |linear, number: usize| Some((linear, rows(code, chunks.get(number)?)));
        (0..chunks.len() + late)
            .flat_map(|number| {
                [product(Linear::Gate, number), number.checked_sub(late).and_then(|number| product(Linear::Up, number))]
            })
            .flatten()
            .collect()
    }

    /// A product that is added to the residual stream, chunk by chunk. Then the norm behind it, or the end of all layers.
    fn residual_overlapped(
        &self,
        s: &mut Schedule,
        r: &Resident,
        (linear, step): (Linear, Step),
        behind: Option<Behind<'_>>,
    ) {
        let chunks = self.residual_chunks(&s.code, linear);
        s.start(chunks.iter().map(|words| (linear, rows(&s.code, words))).collect::<Vec<_>>());
        let weight = behind.and_then(|(layer, norm, _)| layer.preload(&mut s.code, norm, 8));
        for (number, words) in chunks.iter().enumerate() {
            let (begins, ends) = (number == 0, number + 1 == chunks.len());
            let rows = rows(&s.code, words);
            s.product_done(linear, &rows);
            let (h, x) = (r.h.part(words.start, words.len()), r.x.part(words.start, words.len()));
            // What nobody needs again goes to memory at once.
            let stored = behind.is_none().then(|| s.code.singles(self.hidden + 4 * rows.start as u64, rows.len()));
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
            if step == Step::MlpResidual {
                s.code.show(("", "out"), 0, h, 1, rows.len());
            }
            if let Some((_, norm, _)) = behind {
                s.code.begin(Step::Norm(norm));
                s.code.show((norm.name(), "in"), 0, h, 1, rows.len());
                s.code.sum_of_squares(h, r.sum, !begins, !ends);
            }
        }
        if let Some((layer, norm, linear)) = behind {
            layer.finish(&mut s.code, r, (norm, linear), r.h, r.x, weight);
        }
        if let Some(weight) = weight {
            s.code.give(weight);
        }
    }

    /// The MLP up to its down projection, while the ternary unit computes gate and up.
    fn mlp_overlapped(&self, s: &mut Schedule, r: &Resident) {
        let all = s.code.words_of(self.shape.intermediate);
        let chunks = self.chunks(&s.code, all);
        s.start(self.mlp_products(&s.code, &chunks));
        let (m, up) = (s.code.take(all), s.code.take(chunks[0].len()));
        let weight = self.preload(&mut s.code, Norm::FfnSub, 8);
        for (number, words) in chunks.iter().enumerate() {
            let (begins, ends) = (number == 0, number + 1 == chunks.len());
            let (part, rows) = (m.part(words.start, words.len()), rows(&s.code, words));
            let up = up.part(0, words.len());
            s.product_done(Linear::Gate, &rows);
            self.rescale(&mut s.code, &r.kept, Linear::Gate, 0, part, rows.clone());
            s.code.begin(Step::Relu2);
            s.code.relu2(part);
            s.code.show(("mlp.act_fn", "out"), 0, part, 1, rows.len());
            s.product_done(Linear::Up, &rows);
            self.rescale(&mut s.code, &r.kept, Linear::Up, 0, up, rows.clone());
            s.code.begin(Step::Product);
            s.code.product(part, up);
            s.code.begin(Step::Norm(Norm::FfnSub));
            s.code.show((Norm::FfnSub.name(), "in"), 0, part, 1, rows.len());
            s.code.sum_of_squares(part, r.sum, !begins, !ends);
        }
        self.finish(&mut s.code, r, (Norm::FfnSub, Linear::Down), m, m, weight);
        s.code.give(m);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use golden::Dtype;
    use golden::attention::Heads;

    use super::*;
    use crate::config::VectorConfig;
    use crate::instruction::{Format, From, Range, To};

    /// Places of a layer in memory, 4 GiB each.
    const PLACES: u64 = 64;

    fn layer(kv: usize, past: usize, skip_zeros: bool) -> Layer {
        let heads = Heads { query: 4 * kv, kv, dim: 128 };
        let other = crate::layer::tests::layer(heads.query * heads.dim, 6912, heads.dim, past);
        Layer {
            shape: decoder::Shape { heads, ..other.shape },
            skip_rows: skip_zeros,
            skip_columns: skip_zeros,
            ..other
        }
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

    /// Every row of every linear is in one product, whatever fits of the heads. Both units come to the end, and what is read
    /// is there: results, of which each unit has only what it must have when it tells; activations; words that the vector unit
    /// stored before.
    #[test]
    fn units_wait_for_each_other() {
        let mut cases = 0;
        for (kv, past, skip_zeros) in
            [(5, 0, false), (5, 256, true), (5, 256, false), (5, 1000, true), (1, 7, true), (2, 600, false)]
        {
            for (lanes, tokens, count) in [(8, 1, 1), (8, 1, 3), (32, 1, 2), (32, 3, 1), (32, 3, 2)] {
                // A layer has its own places in memory, but for the residual stream.
                let of_layer = |number: u64| {
                    let places = |from: u64| move |at: usize| (PLACES * number + from + at as u64) << 32;
                    let (accumulators, codes) = (core::array::from_fn(places(1)), core::array::from_fn(places(16)));
                    let [keys, values, cos, sin] = core::array::from_fn(places(32));
                    let (norms, hidden) = (core::array::from_fn(places(48)), 40 << 32);
                    let layer = Layer { tokens, accumulators, codes, ..layer(kv, past, skip_zeros) };
                    Layer { hidden, norms, cos, sin, keys, values, ..layer }
                };
                let layers: Vec<Layer> = (0..count).map(of_layer).collect();
                let (unit, layer) = (VectorConfig::of(lanes), layers[0]);
                if layer.check(&unit).is_err() {
                    continue;
                }
                cases += 1;
                let case = (kv, past, skip_zeros, lanes, tokens, count);
                let s = schedule(&layers, unit, None);
                for (number, linear) in (0..layers.len()).flat_map(|number| Linear::ALL.map(|linear| (number, linear)))
                {
                    let of = s.products.iter().filter(|product| (product.layer, product.linear) == (number, linear));
                    let rows: Vec<usize> = of.flat_map(|product| product.rows.clone()).collect();
                    assert!(rows.iter().copied().eq(0..layer.rows(linear)), "{case:?}: {number} {linear:?}");
                }
                // Products that have begun, and that are complete for sure.
                let (mut begun, mut complete, mut groups, mut told) = (0, 0, 0, 0);
                // What was stored, and may not be in memory yet; groups whose activations were stored.
                let mut stored: Vec<Rows<u64>> = Vec::new();
                let mut activations = vec![0; 4 * layers.len()];
                for (number, instruction) in s.code.code().iter().enumerate() {
                    if instruction.fence || instruction.tell {
                        stored.clear();
                    }
                    if instruction.tell {
                        assert_eq!(activations[told], tokens, "{case:?}: {number} tells of codes that are not stored");
                        told += 1;
                    }
                    let row = |range: Range| u64::from(range.row_beats) * unit.port_bytes() as u64;
                    if let From::Memory(range) = instruction.from {
                        let end = range.address + u64::from(range.rows - 1) * u64::from(range.row_stride) + row(range);
                        let late = stored.iter().find(|stored| stored.start < end && range.address < stored.end);
                        assert_eq!(late, None, "{case:?}: {number} reads what may not be in memory");
                    }
                    if let To::Memory(range) = instruction.to {
                        stored.push(range.address..range.address + row(range));
                        let all = layers.iter().flat_map(|layer| layer.codes);
                        if let Some(group) = all.into_iter().position(|codes| range.address >> 32 == codes >> 32) {
                            activations[group] += 1;
                        }
                    }
                    groups += usize::from(instruction.tell);
                    while let Some(product) = s.products.get(begun).filter(|product| !product.after || groups > 0) {
                        groups -= usize::from(product.after);
                        begun += 1;
                    }
                    if instruction.after {
                        let told = s.products[complete..begun].iter().position(|product| product.tell);
                        complete += 1 + told.unwrap_or_else(|| panic!("{case:?}: {number} waits for ever"));
                    }
                    if let From::Memory(range) = instruction.from
                        && range.format == Format::Int
                    {
                        let (number, linear) = ((range.address >> 32) / PLACES, (range.address >> 32) % PLACES - 1);
                        let which = (number as usize, Linear::ALL[linear as usize]);
                        let first = range.address as u32 as usize / 4 / tokens / 8 * 8;
                        let rows = usize::from(range.rows) * usize::from(range.row_beats) * unit.port_bytes() / 4;
                        let read = first..first + rows;
                        let done = s.products[..complete].iter().filter(|p| (p.layer, p.linear) == which);
                        let there: usize = done
                            .map(|product| {
                                product.rows.end.min(read.end).saturating_sub(product.rows.start.max(read.start))
                            })
                            .sum();
                        assert_eq!(there, rows, "{case:?}: rows {read:?} of {which:?} are read");
                    }
                }
                let waits = s.code.code().iter().filter(|instruction| instruction.after).count();
                assert_eq!((begun, groups), (s.products.len(), 0), "{case:?}");
                assert_eq!(s.products.iter().filter(|product| product.tell).count(), waits, "{case:?}");
            }
        }
        assert!(cases > 12, "{cases} cases");
    }
}
