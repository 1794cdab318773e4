//! Passes for the operators of a layer.
//!
//! An [`Assembler`] collects instructions. Its operators take words of the scratchpad and streams of memory, and leave
//! words there; each computes what the operator of [`golden`] with its name computes, rounding by rounding.

use alloc::vec::Vec;
use core::ops::Range as Rows;

use decoder::Step;
use golden::Dtype;

use crate::config::{PARTIALS, VectorConfig};
use crate::instruction::{A, At, B, C, Format, From, Instruction, Kind, Op, Post, Range, To};

/// Lower bound of the maximum of a row that is quantised, as in [`golden::quantise`].
const FLOOR: f32 = 1e-5;
/// Passes of an exponential, and of the rest of softmax.
const EXPONENTIAL: usize = 15;
const OTHERS: usize = 6;
/// A number whose addition leaves an integer in the low byte, as in [`golden::quantise`].
const SHIFT: f32 = 12_582_912.0;

/// Words of the scratchpad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// The first word.
    pub base: u16,
    /// Number of words.
    pub len: u16,
}

impl Words {
    /// `len` words from word `from` of these on.
    ///
    /// # Panics
    /// If these are not as many.
    pub fn part(self, from: usize, len: usize) -> Self {
        assert!(from + len <= usize::from(self.len), "words {from}..{} of {}", from + len, self.len);
        Self { base: self.base + from as u16, len: len as u16 }
    }
}

/// A tensor that a program leaves in memory for whoever compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Module and name, as an observer of [`decoder`] gets them.
    pub name: (&'static str, &'static str),
    /// The token.
    pub token: usize,
    /// Address of the first element.
    pub address: u64,
    /// Rows, elements of a row, and elements from row to row.
    pub rows: usize,
    /// Elements of a row.
    pub elements: usize,
    /// Elements from row to row.
    pub stride: usize,
}

/// The weights of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// In the scratchpad.
    Words(Words),
    /// Singles in memory, at an address.
    Memory(u64),
}

/// A program in the making.
#[derive(Clone, Debug)]
pub struct Assembler {
    config: VectorConfig,
    dtype: Dtype,
    code: Vec<Instruction>,
    /// What the next instruction does besides: tell the other unit, wait for it, wait for what was stored.
    tell: bool,
    after: bool,
    fence: bool,
    /// The first instruction of each step.
    steps: Vec<(Step, usize)>,
    /// Words of the scratchpad in use.
    used: usize,
    /// Where tensors go that are shown.
    show_at: Option<u64>,
    shown: Vec<Shown>,
}

impl Assembler {
    /// A program without instructions for a unit, in compute type `dtype`. With an address in `show_at`, tensors are shown
    /// there.
    pub fn new(config: VectorConfig, dtype: Dtype, show_at: Option<u64>) -> Self {
        let (code, steps, shown) = (Vec::new(), Vec::new(), Vec::new());
        Self { config, dtype, code, tell: false, after: false, fence: false, steps, used: 0, show_at, shown }
    }

    /// The unit.
    pub fn config(&self) -> VectorConfig {
        self.config
    }

    /// The instructions.
    pub fn code(&self) -> &[Instruction] {
        &self.code
    }

    /// The first instruction of each step.
    pub fn steps(&self) -> &[(Step, usize)] {
        &self.steps
    }

    /// The tensors that are shown.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The end of the tensors that are shown.
    pub fn show_end(&self) -> Option<u64> {
        self.show_at
    }

    /// Marks the begin of a step.
    pub fn begin(&mut self, step: Step) {
        self.steps.push((step, self.code.len()));
    }

    /// Words of `elements` singles.
    pub fn words_of(&self, elements: usize) -> usize {
        elements.div_ceil(self.config.lanes)
    }

    /// Words of the scratchpad that are free.
    pub fn free(&self) -> usize {
        self.config.words - self.used
    }

    /// Takes words of the scratchpad.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn take(&mut self, len: usize) -> Words {
        assert!(len <= self.free(), "{len} words of scratchpad, {} are free", self.free());
        let base = self.used as u16;
        self.used += len;
        Words { base, len: len as u16 }
    }

    /// Gives back all words from the first of `words` on.
    pub fn give(&mut self, words: Words) {
        self.used = usize::from(words.base);
    }

    pub(crate) fn push(&mut self, instruction: Instruction) {
        let [tell, after, fence] = [&mut self.tell, &mut self.after, &mut self.fence].map(core::mem::take);
        self.code.push(Instruction { tell, after, fence: fence || instruction.fence, ..instruction });
    }

    /// Lets the next instruction wait until all that was stored is in memory.
    pub(crate) fn fence(&mut self) {
        self.fence = true;
    }

    /// Tells the other unit, before the next instruction, that all that was stored is in memory.
    pub(crate) fn tell(&mut self) {
        assert!(!core::mem::replace(&mut self.tell, true), "an instruction tells once");
    }

    /// Lets the next instruction wait until the other unit tells.
    pub(crate) fn after(&mut self) {
        assert!(!core::mem::replace(&mut self.after, true), "an instruction waits once");
    }

    fn bf16(&self) -> bool {
        self.dtype == Dtype::Bf16
    }

    pub(crate) fn element(&self, word: Words) -> At {
        At::fixed(word.base * self.config.lanes as u16)
    }

    /// A map over words, one after the other.
    pub(crate) fn map(&self, x: Words, d: Words) -> Instruction {
        assert_eq!(x.len, d.len, "as many words of results");
        Instruction { counts: [1, x.len, 1, 1], x: At::row(x.base), d: At::row(d.base), ..Default::default() }
    }

    /// A row of memory with `elements` elements of `bits` bits.
    pub(crate) fn range(&self, address: u64, elements: usize, format: Format, bits: usize) -> Range {
        let row_beats = elements * bits / self.config.port_bits;
        Range { address, rows: 1, row_beats: row_beats as u16, row_stride: 0, format }
    }

    /// Singles of memory, one row.
    pub fn singles(&self, address: u64, elements: usize) -> Range {
        self.range(address, elements, Format::F32, 32)
    }

    /// Values of the compute type in memory, one row.
    pub fn values(&self, address: u64, elements: usize) -> Range {
        match self.dtype {
            Dtype::Fp32 => self.singles(address, elements),
            Dtype::Bf16 => self.range(address, elements, Format::Bf16, 16),
        }
    }

    /// A stream of words, one after the other.
    pub(crate) fn streamed(range: Range, instruction: Instruction) -> Instruction {
        let words = instruction.counts[1];
        let row = |at: At| At { base: at.base, strides: [1, 0, 0, 0] };
        Instruction {
            counts: [words, 1, 1, 1],
            from: From::Memory(range),
            x: At { base: 0, strides: [1, 0, 0, 0] },
            y: if instruction.y_element { instruction.y } else { row(instruction.y) },
            d: row(instruction.d),
            ..instruction
        }
    }

    /// Loads words.
    pub fn load(&mut self, range: Range, d: Words) {
        let map = self.map(d, d);
        self.push(Self::streamed(range, map));
    }

    /// Stores words.
    pub fn store(&mut self, x: Words, range: Range) {
        let map = self.map(x, x);
        self.push(Instruction { to: To::Memory(range), d: At::default(), ..map });
    }

    /// Whether tensors are shown.
    pub fn shows(&self) -> bool {
        self.show_at.is_some()
    }

    /// Shows `rows` rows of `elements` elements, each from a word on.
    pub fn show(&mut self, name: (&'static str, &'static str), token: usize, x: Words, rows: usize, elements: usize) {
        let Some(address) = self.show_at else { return };
        let singles = usize::from(x.len) * self.config.lanes;
        let stride = singles / rows;
        self.store(x, self.singles(address, singles));
        self.shown.push(Shown { name, token, address, rows, elements, stride });
        self.show_at = Some(address + 4 * singles as u64);
    }

    /// The sum of squares of `x`, as an element of word `d`. The number of elements is a multiple of 32. With `more`, the
    /// sum goes on from the one before; with `hold`, another one goes on from this one.
    pub fn sum_of_squares(&mut self, x: Words, d: Words, more: bool, hold: bool) {
        let sets = self.config.sets() as u16;
        self.push(Instruction {
            kind: Kind::Sum,
            counts: [1, x.len / sets, 1, sets],
            x: At { base: x.base, strides: [0, sets, 0, 1] },
            b: B::A,
            d: self.element(d),
            more,
            hold,
            ..Default::default()
        });
    }

    /// [`golden::norm::rms_norm`] of `x` into `d`; the largest magnitude of the result as an element of word `max`.
    pub fn norm(&mut self, x: Words, d: Words, elements: usize, eps: f32, weight: u64, max: Words) {
        let sum = self.take(1);
        self.sum_of_squares(x, sum, false, false);
        self.normalise(x, d, (elements, eps), Weight::Memory(weight), sum, max);
        self.give(sum);
    }

    /// The norm of `x` whose sum of squares is in word `sum`. `of` has the number of elements and epsilon.
    pub fn normalise(&mut self, x: Words, d: Words, of: (usize, f32), weight: Weight, sum: Words, max: Words) {
        let (elements, eps) = of;
        let root = self.take(1);
        let mean = Instruction {
            op: Op::Div,
            b: B::Imm,
            imm_b: elements as f32,
            c: C::Imm,
            imm_c: eps,
            ..self.map(sum, root)
        };
        self.push(mean);
        self.push(Instruction { op: Op::Root, ..self.map(root, root) });
        let inverse = Instruction { op: Op::Div, a: A::One, b: B::Y, y: At::row(root.base), ..self.map(root, root) };
        self.push(inverse);
        let scaled =
            Instruction { b: B::Y, y: self.element(root), y_element: true, round_m: self.bf16(), ..self.map(x, d) };
        self.push(scaled);
        let largest = Instruction { kind: Kind::MaxAbs, imm_c: FLOOR, r: self.element(max).base, ..self.map(d, d) };
        match weight {
            Weight::Words(weight) => {
                self.push(Instruction { b: B::Y, y: At::row(weight.base), round_m: self.bf16(), ..largest })
            }
            Weight::Memory(weight) => {
                // Loop 0 is that of a stream's blocks and that of a maximum's rows, so this takes two passes.
                let product = Instruction { b: B::Y, y: At::row(d.base), round_m: self.bf16(), ..self.map(d, d) };
                self.push(Self::streamed(self.singles(weight, elements), product));
                self.push(largest);
            }
        }
        self.give(root);
    }

    /// The quantiser: [`golden::quantise::activation_row`] of `x`, whose largest magnitude is in word `max`. Bytes go to
    /// `codes`, and the scale into all elements of word `scale`.
    pub fn quantise(&mut self, x: Words, max: Words, codes: u64, scale: Words) {
        let inverse = Instruction {
            op: Op::Div,
            a: A::One,
            b: B::Y,
            y: self.element(max),
            y_element: true,
            ..self.map(scale, scale)
        };
        self.push(inverse);
        self.push(Instruction { b: B::Imm, imm_b: 127.0, ..self.map(scale, scale) });
        let bytes = self.range(codes, usize::from(x.len) * self.config.lanes, Format::Int, 8);
        self.push(Instruction {
            b: B::Y,
            y: self.element(scale),
            y_element: true,
            c: C::Imm,
            imm_c: SHIFT,
            to: To::Memory(bytes),
            d: At::default(),
            ..self.map(x, x)
        });
    }

    /// The first half of [`golden::linear::rescale`]: accumulators in memory, divided by the scale in word `scale`.
    pub fn divide(&mut self, accumulators: Range, scale: Words, d: Words) {
        let divide = Instruction { op: Op::Div, b: B::Y, y: self.element(scale), y_element: true, ..self.map(d, d) };
        self.push(Self::streamed(accumulators, divide));
    }

    /// The second half: times the factor of the weights.
    pub fn multiply(&mut self, x: Words, factor: f32) {
        self.push(Instruction { b: B::Imm, imm_b: factor, round_m: self.bf16(), ..self.map(x, x) });
    }

    /// `h = rT(h + x)`.
    pub fn residual(&mut self, h: Words, x: Words) {
        self.push(Instruction { c: C::Y, y: At::row(h.base), round_s: self.bf16(), ..self.map(x, h) });
    }

    /// `h = rT(h + rT(x * factor))`; to memory, if a range is given.
    pub fn scaled_residual(&mut self, h: Words, x: Words, factor: f32, to: Option<Range>) {
        let to = to.map_or(To::Scratch, To::Memory);
        let d = if to == To::Scratch { At::row(h.base) } else { At::default() };
        let (c, y) = (C::Y, At::row(h.base));
        let scaled = Instruction { b: B::Imm, imm_b: factor, round_m: self.bf16(), ..self.map(x, h) };
        self.push(Instruction { c, y, round_s: self.bf16(), to, d, ..scaled });
    }

    /// [`golden::activation::relu2`].
    pub fn relu2(&mut self, x: Words) {
        self.push(Instruction { a: A::Relu, b: B::A, round_m: self.bf16(), ..self.map(x, x) });
    }

    /// [`golden::activation::product`]: `x = rT(x * y)`.
    pub fn product(&mut self, x: Words, y: Words) {
        self.push(Instruction { b: B::Y, y: At::row(y.base), round_m: self.bf16(), ..self.map(x, x) });
    }

    /// The rotation of `heads` heads that lie one after the other in `x`. `cos` and `sin` have the values of the position.
    pub fn rotate(&mut self, x: Words, heads: usize, cos: Words, sin: Words) {
        let half = cos.len;
        let products = self.take(2 * heads * usize::from(half));
        let (first, second) = (
            products.part(0, heads * usize::from(half)),
            products.part(heads * usize::from(half), heads * usize::from(half)),
        );
        let bf16 = self.bf16();
        let counts = [heads as u16, half, 1, 1];
        let of_head = |base| At { base, strides: [2 * half, 1, 0, 0] };
        let packed = |base| At { base, strides: [half, 1, 0, 0] };
        // low = low * cos + (-high * sin), high = high * cos + low * sin: the new low waits until high is computed.
        let times = |x: u16, table: Words, b_negative, d: Words| Instruction {
            counts,
            x: of_head(x),
            b: B::Y,
            b_negative,
            y: At::row(table.base),
            round_m: bf16,
            d: packed(d.base),
            ..Default::default()
        };
        let plus = |x: Words, y: Words, d: u16| Instruction {
            counts,
            x: packed(x.base),
            c: C::Y,
            y: packed(y.base),
            round_s: bf16,
            d: of_head(d),
            ..Default::default()
        };
        let more = self.take(2 * heads * usize::from(half));
        let (third, fourth) =
            (more.part(0, heads * usize::from(half)), more.part(heads * usize::from(half), heads * usize::from(half)));
        let (low, high) = (x.base, x.base + half);
        self.push(times(low, cos, false, first));
        self.push(times(high, sin, true, second));
        self.push(times(high, cos, false, third));
        self.push(times(low, sin, false, fourth));
        self.push(plus(first, second, low));
        self.push(plus(third, fourth, high));
        self.give(products);
    }
}

/// How attention is cut to fit into the scratchpad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Key/value heads at a time.
    pub groups: usize,
    /// Words of a row of scores whose exponentials are computed at a time.
    pub words: usize,
    /// Passes over scores, all in all.
    pub passes: usize,
}

/// The heads of a layer, and where its keys and values are.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Heads and their width.
    pub heads: golden::attention::Heads,
    /// Positions, with that of the token.
    pub positions: usize,
    /// Address of the keys, `[positions, kv, dim]` in the compute type.
    pub keys: u64,
    /// Address of the values.
    pub values: u64,
}

/// Key/value heads whose scores are in the scratchpad at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The first of these heads.
    first: usize,
    tiles: Tiles,
    /// Its first words: a row for each query head of the group of each key/value head.
    pub(crate) scores: Words,
    /// The largest score of each row.
    maxima: Words,
}

impl Batch {
    /// The key/value heads.
    pub fn heads(&self) -> Rows<usize> {
        self.first..self.first + self.tiles.groups
    }

    /// The rows of the group of key/value head `kv`.
    fn of_head(&self, kv: usize) -> Words {
        let words = usize::from(self.scores.len) / self.tiles.groups;
        self.scores.part((kv - self.first) * words, words)
    }
}

impl Assembler {
    /// The key or value row of a new token, in memory.
    pub fn append(&mut self, x: Words, address: u64) {
        let range = self.values(address, usize::from(x.len) * self.config.lanes);
        self.store(x, range);
    }

    /// Words that [`Assembler::attention`] needs for `heads` query heads and a tile of `tile` words of positions, beside
    /// queries and results.
    fn attention_words(&self, heads: usize, positions: usize, tile: usize) -> usize {
        let row = self.words_of(positions);
        heads * row + 4 * heads * tile + self.words_of(heads) * 2 + heads
    }

    /// How attention works in `free` words of scratchpad, beside queries and results. None if there is no room for one group
    /// of heads.
    pub fn tiles(&self, attention: &Attention, free: usize) -> Option<Tiles> {
        let heads = attention.heads;
        let group = heads.query / heads.kv;
        let row = self.words_of(attention.positions);
        let of_groups = |groups: usize| {
            let room = free.saturating_sub(self.attention_words(groups * group, attention.positions, 0));
            let words = row.min(room / (4 * groups * group));
            let passes = |tiles: usize| heads.kv / groups * (tiles * EXPONENTIAL + OTHERS);
            (words > 0).then(|| row.div_ceil(words)).map(|tiles| Tiles {
                groups,
                words: row.div_ceil(tiles),
                passes: passes(tiles),
            })
        };
        // Each pass has some cycles in which the lanes are empty, so few passes are best.
        (1..=heads.kv)
            .filter(|groups| heads.kv.is_multiple_of(*groups))
            .filter_map(of_groups)
            .min_by_key(|tiles| tiles.passes)
    }

    /// [`golden::attention::attention`] of one token: queries `q`, results `out`.
    ///
    /// Scores of as many groups of heads as there is room for, then their exponentials, sums and quotients, then the
    /// weighted values. The first stream waits for the new keys and values.
    ///
    /// # Panics
    /// If there is no room for a group: see [`Assembler::tiles`].
    pub fn attention(&mut self, attention: &Attention, q: Words, out: Words, token: usize) {
        let tiles = self.tiles(attention, self.free()).expect("the scores of a group of heads fit into the scratchpad");
        self.attention_from(attention, (q, out), token, (0, tiles));
    }

    /// The attention of the key/value heads from `first` on, as many at a time as `tiles` says.
    pub fn attention_from(
        &mut self,
        attention: &Attention,
        (q, out): (Words, Words),
        token: usize,
        (first, tiles): (usize, Tiles),
    ) {
        for first in (first..attention.heads.kv).step_by(tiles.groups) {
            let batch = self.batch(attention, first, tiles);
            self.scores(attention, &batch, batch.heads(), q, (attention.positions, first == 0));
            self.probabilities(attention, &batch, token);
            self.weighted(attention, &batch, out, false);
            self.give(batch.scores);
        }
    }

    /// Room for the scores of the key/value heads from `first` on.
    pub fn batch(&mut self, at: &Attention, first: usize, tiles: Tiles) -> Batch {
        let rows = tiles.groups * at.heads.query / at.heads.kv;
        let scores = self.take(rows * self.words_of(at.positions));
        Batch { first, tiles, scores, maxima: self.take(self.words_of(rows)) }
    }

    /// The scores of key/value heads `heads` of a batch at the first `positions` positions: the products of keys in memory
    /// with the queries of their groups. With `fence`, the first stream waits for what was stored.
    pub fn scores(
        &mut self,
        at: &Attention,
        batch: &Batch,
        heads: Rows<usize>,
        q: Words,
        (positions, fence): (usize, bool),
    ) {
        let group = at.heads.query / at.heads.kv;
        // With one word of partial sums for each sum, as many positions together as keep the adders busy.
        let most = 32 / self.words_of(at.heads.dim);
        let together = if self.config.sets() > 1 { 1 } else { 8usize.div_ceil(group).min(most).max(1) };
        let whole = positions - positions % together;
        for kv in heads {
            let fence = fence && kv == batch.first;
            let mut sums = |from: usize, blocks: usize, together: usize| {
                let keys = self.head_rows(at, at.keys, kv, from, blocks * together);
                let sums = self.dots(at, batch, q, (kv, from), (blocks, together));
                self.push(Instruction { from: From::Memory(keys), fence: fence && from == 0, ..sums });
            };
            if whole > 0 {
                sums(0, whole / together, together);
            }
            (whole..positions).for_each(|from| sums(from, 1, 1));
        }
    }

    /// The scores of a batch at the last position, whose keys are in `k`: a block for each head.
    pub fn last_scores(&mut self, at: &Attention, batch: &Batch, q: Words, k: Words) {
        let words = self.words_of(at.heads.dim) as u16;
        let first = batch.first as u16;
        let one = self.dots(at, batch, q, (batch.first, at.positions - 1), (batch.tiles.groups, 1));
        let next = |at: At, stride: u16| At { strides: [stride, at.strides[1], at.strides[2], at.strides[3]], ..at };
        let group = (at.heads.query / at.heads.kv) as u16;
        let row = self.words_of(at.positions) * self.config.lanes;
        self.push(Instruction {
            x: At { base: k.base + first * words, ..next(one.x, words) },
            y: next(one.y, group * words),
            d: next(one.d, group * row as u16),
            ..one
        });
    }

    /// The products of the queries of head `kv` with keys from position `from` on: `blocks` blocks of `together` positions.
    fn dots(
        &self,
        at: &Attention,
        batch: &Batch,
        q: Words,
        (kv, from): (usize, usize),
        (blocks, together): (usize, usize),
    ) -> Instruction {
        let (sets, group) = (self.config.sets() as u16, (at.heads.query / at.heads.kv) as u16);
        let (words, row) = (self.words_of(at.heads.dim) as u16, self.words_of(at.positions) as u16);
        let (blocks, together, row) = (blocks as u16, together as u16, row * self.config.lanes as u16);
        let (counts, x, y, d) = if sets > 1 {
            ([blocks, words / sets, group, sets], [words, sets, 0, 1], [0, sets, words, 1], [1, 0, row, 0])
        } else {
            ([blocks, words, together, group], [together * words, 1, words, 0], [0, 1, 0, words], [together, 0, 1, row])
        };
        Instruction {
            kind: Kind::Sum,
            counts,
            x: At { base: 0, strides: x },
            b: B::Y,
            y: At { base: q.base + kv as u16 * group * words, strides: y },
            d: At { base: self.element(batch.of_head(kv)).base + from as u16, strides: d },
            round_s: self.bf16(),
            ..Default::default()
        }
    }

    /// The probabilities of a batch, in place of its scores.
    pub fn probabilities(&mut self, at: &Attention, batch: &Batch, token: usize) {
        let Batch { tiles: Tiles { groups, words: tile, .. }, scores, maxima, .. } = *batch;
        let lanes = self.config.lanes;
        let (group, positions) = (at.heads.query / at.heads.kv, at.positions);
        let (rows, row) = (groups * group, self.words_of(positions));
        let scale = (1.0 / libm::sqrt(at.heads.dim as f64)) as f32;
        self.push(Instruction {
            kind: Kind::Max,
            counts: [rows as u16, row as u16, 1, 1],
            x: At { base: scores.base, strides: [row as u16, 1, 0, 0] },
            d: At { base: scores.base, strides: [row as u16, 1, 0, 0] },
            b: B::Imm,
            imm_b: scale,
            round_m: self.bf16(),
            last: (positions % lanes) as u8,
            r: maxima.base * lanes as u16,
            ..Default::default()
        });
        for from in (0..row).step_by(tile) {
            self.exponentials(scores, maxima, rows, row, from, tile.min(row - from));
        }
        let totals = self.totals(scores, rows, row, positions, group);
        self.push(Instruction {
            counts: [rows as u16, row as u16, 1, 1],
            x: At { base: scores.base, strides: [row as u16, 1, 0, 0] },
            d: At { base: scores.base, strides: [row as u16, 1, 0, 0] },
            op: Op::Div,
            b: B::Y,
            y: totals,
            y_element: true,
            round_m: self.bf16(),
            ..Default::default()
        });
        if self.show_at.is_some() {
            self.show(("self_attn", "attn_probs"), token, scores, rows, positions);
        }
    }

    /// Keys or values of a key/value head: a row for each of `rows` positions.
    fn head_rows(&self, at: &Attention, base: u64, kv: usize, from: usize, rows: usize) -> Range {
        let heads = at.heads;
        let bytes = if self.bf16() { 2 } else { 4 };
        let stride = heads.kv * heads.dim * bytes;
        let address = base + (from * stride + kv * heads.dim * bytes) as u64;
        Range { rows: rows as u16, row_stride: stride as u32, ..self.values(address, heads.dim) }
    }

    /// `exp(s - max)` of a tile of the rows in `s`: the operations of `expf` of the crate libm, for arguments that are not
    /// positive. A test compares the two for every such argument.
    fn exponentials(&mut self, s: Words, maxima: Words, rows: usize, row: usize, from: usize, tile: usize) {
        const INV_LN2: f32 = f32::from_bits(0x3fb8_aa3b);
        const LN2_HI: f32 = f32::from_bits(0x3f31_7200);
        const LN2_LO: f32 = f32::from_bits(0x35bf_be8e);
        const P1: f32 = 1.666_662_5e-1;
        const P2: f32 = -2.766_733_2e-3;
        /// Its exponential is 0, and so are those of smaller numbers.
        const LOWEST: f32 = -104.0;

        let len = rows * tile;
        let words = self.take(4 * len);
        let [k, r, q, u] =
            [0, 1, 2, 3].map(|i| At { base: words.part(i * len, len).base, strides: [tile as u16, 1, 0, 0] });
        let s = At { base: s.base + from as u16, strides: [row as u16, 1, 0, 0] };
        let max = At { base: maxima.base * self.config.lanes as u16, strides: [1, 0, 0, 0] };
        let base = Instruction { counts: [rows as u16, tile as u16, 1, 1], ..Default::default() };
        let imm = |x, imm_b, d| Instruction { x, b: B::Imm, imm_b, d, ..base };
        let times = |x, y, d| Instruction { x, b: B::Y, y, d, ..base };
        for instruction in [
            // x = max(s - max, LOWEST), k = trunc(x / ln 2 - 1/2)
            Instruction {
                x: s,
                c: C::Y,
                c_negative: true,
                y: max,
                y_element: true,
                post: Post::Floor,
                imm_c: LOWEST,
                d: s,
                ..base
            },
            Instruction { c: C::Imm, imm_c: -0.5, post: Post::Trunc, ..imm(s, INV_LN2, k) },
            // hi = x - k * LN2_HI, r = hi - k * LN2_LO, which is zero for the smallest x
            Instruction { c: C::Y, y: s, ..imm(k, -LN2_HI, s) },
            Instruction { c: C::Y, y: s, post: Post::Flush, ..imm(k, -LN2_LO, r) },
            // q = r * r, u = r - q * (P1 + q * P2)
            Instruction { x: r, b: B::A, d: q, ..base },
            Instruction { c: C::Imm, imm_c: P1, ..imm(q, P2, u) },
            times(q, u, u),
            Instruction { x: r, c: C::Y, c_negative: true, y: u, d: u, ..base },
            // r = r * u / (2 - u)
            times(r, u, r),
            Instruction { c: C::Imm, imm_c: 2.0, ..imm(u, -1.0, u) },
            Instruction { op: Op::Div, ..times(r, u, r) },
            // half of y = 1 + (r - k * LN2_LO + hi), times 2^(k + 1)
            Instruction { c: C::Y, y: r, ..imm(k, -LN2_LO, r) },
            Instruction { x: r, c: C::Y, y: s, d: r, ..base },
            Instruction { c: C::Imm, imm_c: 0.5, ..imm(r, 0.5, r) },
            Instruction { x: r, b: B::Exp2, y: k, d: s, ..base },
        ] {
            self.push(instruction);
        }
        self.give(words);
    }

    /// The sums of the first `positions` elements of each row of `s`. Returns the element of the first row's sum, and how
    /// loop 0 moves from row to row.
    fn totals(&mut self, s: Words, rows: usize, row: usize, positions: usize, group: usize) -> At {
        let (lanes, sets) = (self.config.lanes as u16, self.config.sets() as u16);
        let (whole, tail) = (positions / PARTIALS, positions % PARTIALS);
        let (rows, row) = (rows as u16, row as u16);
        let sums = self.take(self.words_of(usize::from(rows)));
        let sums = sums.base * lanes;
        if whole > 0 {
            // As many rows at a time as have accumulators.
            let together = if sets > 1 { group as u16 } else { rows };
            let (counts, x, d) = if sets > 1 {
                ([rows / together, whole as u16, together, sets], [together * row, sets, row, 1], [together, 0, 1, 0])
            } else {
                ([1, whole as u16, 1, rows], [0, 1, 0, row], [0, 0, 0, 1])
            };
            self.push(Instruction {
                kind: Kind::Sum,
                counts,
                x: At { base: s.base, strides: x },
                d: At { base: sums, strides: d },
                ..Default::default()
            });
        }
        if tail == 0 {
            return At { base: sums, strides: [1, 0, 0, 0] };
        }
        // The elements that are left are added one after the other. All lanes do the same.
        let tails = self.take(usize::from(rows));
        self.push(Instruction {
            kind: Kind::Keep,
            counts: [tail as u16, rows, 1, 1],
            a: A::One,
            b: B::Y,
            y: At { base: s.base * lanes + (whole * PARTIALS) as u16, strides: [1, row * lanes, 0, 0] },
            y_element: true,
            d: At::row(tails.base),
            ..Default::default()
        });
        if whole > 0 {
            self.push(Instruction {
                counts: [rows, 1, 1, 1],
                x: At { base: tails.base, strides: [1, 0, 0, 0] },
                c: C::Y,
                y: At { base: sums, strides: [1, 0, 0, 0] },
                y_element: true,
                d: At { base: tails.base, strides: [1, 0, 0, 0] },
                ..Default::default()
            });
        }
        At { base: tails.base * lanes, strides: [lanes, 0, 0, 0] }
    }

    /// The values of the heads of a batch, weighted with its probabilities, into `out`. With `fence`, the first stream
    /// waits for what was stored.
    pub fn weighted(&mut self, at: &Attention, batch: &Batch, out: Words, fence: bool) {
        let lanes = self.config.lanes as u16;
        let group = (at.heads.query / at.heads.kv) as u16;
        let words = self.words_of(at.heads.dim) as u16;
        for kv in batch.heads() {
            let p = batch.of_head(kv);
            let row = p.len / group * lanes;
            self.push(Instruction {
                kind: Kind::Keep,
                counts: [at.positions as u16, words, group, 1],
                from: From::Memory(self.head_rows(at, at.values, kv, 0, at.positions)),
                x: At { base: 0, strides: [words, 1, 0, 0] },
                b: B::Y,
                y: At { base: p.base * lanes, strides: [1, 0, row, 0] },
                y_element: true,
                d: At { base: out.base + kv as u16 * group * words, strides: [0, 1, words, 0] },
                round_s: self.bf16(),
                fence: fence && kv == batch.first,
                ..Default::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::machine::{Machine, Memory};

    /// Exponentials of `x`, none of which is positive, as a program computes them.
    fn exponentials(x: &[f32]) -> Vec<f32> {
        let config = VectorConfig::of(32);
        let mut code = Assembler::new(config, Dtype::Fp32, None);
        let row = code.words_of(x.len());
        let (s, max) = (code.take(row), code.take(1));
        code.exponentials(s, max, 1, row, 0, row);
        let mut machine = Machine::new(config);
        machine.scratch[..x.len()].copy_from_slice(x);
        machine.run(code.code(), Memory { base: 0, bytes: &mut [] }).expect("the program is right");
        machine.scratch[..x.len()].to_vec()
    }

    /// The straight line of the program has the bits of `expf`, for arguments everywhere: large ones, those at the borders
    /// of cases of `expf`, those whose exponential is subnormal, and those at which it becomes 1. All arguments that are
    /// not positive were compared once, without a difference; that takes minutes.
    #[test]
    fn exponentials_are_those_of_libm() {
        let borders = [0x42ae_ac50u32, 0x42cf_f1b5, 0x3eb1_7218, 0x3f85_1592, 0x3900_0000, 0x42d0_0000, 0x33ff_ffff, 0];
        let around = borders.into_iter().flat_map(|bits| (bits.saturating_sub(200)..bits + 200).map(f32::from_bits));
        let everywhere = (0..0x7f80_0000u32).step_by(65_521).map(f32::from_bits);
        let reduced = (0..40_000).map(|i| i as f32 * 0.002_603);
        let all: Vec<f32> = around.chain(everywhere).chain(reduced).chain([f32::INFINITY]).map(|x| -x).collect();
        for x in all.chunks(4096) {
            for (x, found) in x.iter().zip(exponentials(x)) {
                assert_eq!(found.to_bits(), libm::expf(*x).to_bits(), "exp({x:e})");
            }
        }
    }
}
