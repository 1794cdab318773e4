//! The programs of the output head: the final norm, an upper estimate of every logit, and exact logits of some rows.
//!
//! The ternary unit multiplies the codes of the normalised input with a ternary copy of the head ([`golden::ranking`]).
//! Chunk by chunk, the vector unit turns its accumulators into upper estimates, and leaves them in memory. A processor has
//! the exact logits computed of the rows that could be the largest.
//!
//! A processor behind a busy memory cannot read all estimates. So each estimate is cut to an integer and gets its place
//! among [`PLACES`] rows in its low bits: a *tag*. The largest tags of so many rows tell which of them count, unless all of
//! these tags do.

use alloc::vec::Vec;
use core::ops::Range as Words;

use golden::Dtype;

use crate::config::{PARTIALS, VectorConfig};
use crate::instruction::{A, At, B, C, Format, Instruction, Kind, Op, Post, Range};
use crate::layer::Unfit;
use crate::program::{self, Assembler};

/// The most chunks.
pub const CHUNKS: usize = 64;
/// The most programs that compute the exact logits of all rows once.
const MOST_PROGRAMS: usize = 1 << 14;
/// The fewest words of a chunk, unless the head has fewer.
const CHUNK_WORDS: usize = 32;
/// Rows among which an estimate has its place.
pub const PLACES: usize = 128;
/// Largest tags that are kept of so many rows.
pub const TAGS: usize = 8;
/// The most rows whose exact logits are computed together: a group.
const GROUP: usize = 8;
/// The most groups of a program.
pub const GROUPS: usize = 4;
/// Programs for exact logits. Each is used once, so that what it did can be read afterwards; then the last two in turn.
pub const EXACT: usize = 256;
/// The integer that an estimate of the mean error and the whole margin is cut to. Those of the largest logits are some
/// times as large; tags have to be below 2^23.
const MEAN_ERROR: f32 = 4_096.0;

/// An output head: its dimensions and numbers, and where everything is in memory.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Rows: tokens of the vocabulary.
    pub rows: usize,
    /// Columns: width of the residual stream.
    pub cols: usize,
    /// The number that the final norm adds to the mean square before it takes the root.
    pub eps: f32,
    /// The compute type.
    pub dtype: Dtype,
    /// The form of the head's rows in memory: singles or bfloat16.
    pub format: Format,
    /// Standard deviations between a logit and its upper estimate.
    pub margin: f32,
    /// Address of the residual stream, singles `[cols]`.
    pub hidden: u64,
    /// Address of the weights of the final norm, singles `[cols]`.
    pub norm: u64,
    /// Address of the head, `[rows, cols]`.
    pub exact: u64,
    /// Addresses of the factors and errors of the ranking, singles, up to whole [`PLACES`].
    pub factors: u64,
    /// See [`Head::factors`].
    pub errors: u64,
    /// Address of the numbers of all places, singles.
    pub places: u64,
    /// The mean of the errors.
    pub mean_error: f32,
    /// Where everything is that the units write.
    pub results: Results,
}

/// Where the units write what a head comes to: see [`Head::place_results`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Results {
    /// Address of the bytes that the ternary unit reads.
    pub codes: u64,
    /// Address of the normalised input, singles `[cols]`.
    pub normalised: u64,
    /// Address of the accumulators of the ranking, int32, up to whole [`PLACES`].
    pub accumulators: u64,
    /// Address of the upper estimates, singles, up to whole [`PLACES`].
    pub estimates: u64,
    /// Address of the largest tags of chunk 0, singles. The second and all others follow in [`Head::tag_bytes`] each, and
    /// then those of the next chunk.
    pub tags: u64,
    /// Address of three words: the scale of the codes, the margin times the norm of the codes, and the factor by which an
    /// estimate becomes an integer.
    pub numbers: u64,
    /// Address of the logits that the first program for exact logits leaves, a word for each group; those of the other
    /// programs follow.
    pub logits: u64,
}

/// Words that stay in the scratchpad: the numbers of [`Results::numbers`] in all lanes, and those of the places.
struct Numbers {
    scale: program::Words,
    margin: program::Words,
    cut: program::Words,
    places: program::Words,
}

/// The programs of a head. Their order is: the beginning, a program for each chunk, and those for exact logits.
#[derive(Clone, Debug)]
pub struct HeadPrograms {
    /// The instructions of all programs.
    pub code: Assembler,
    /// Where each program ends in them.
    pub ends: Vec<usize>,
    /// The words of each chunk.
    pub chunks: Vec<Words<usize>>,
    /// Rows of a group. A program can end behind any of its [`GROUPS`].
    pub group: usize,
    /// The first instruction of the first program for exact logits; the others follow. A group loads its rows, one after
    /// the other, and has [`HeadPrograms::REST`] more instructions.
    pub exact: usize,
}

impl HeadPrograms {
    /// Instructions of a group besides the loads of its rows.
    pub const REST: usize = 2;
}

impl Head {
    /// Words of all rows, up to whole [`PLACES`].
    pub fn words(&self, config: &VectorConfig) -> usize {
        self.rows.div_ceil(PLACES) * (PLACES / config.lanes)
    }

    /// The words of each chunk: equal shares of all words, and whole [`PLACES`].
    pub fn chunks(&self, config: &VectorConfig) -> Vec<Words<usize>> {
        let words = self.words(config);
        let len = words.div_ceil(CHUNKS).max(CHUNK_WORDS).next_multiple_of(PLACES / config.lanes);
        (0..words).step_by(len).map(|first| first..words.min(first + len)).collect()
    }

    /// Bytes of the largest tags of a chunk, which are as many as the second ones: whole words.
    pub fn tag_bytes(&self, config: &VectorConfig) -> usize {
        let longest = self.chunks(config).iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        4 * (longest * config.lanes / PLACES).next_multiple_of(config.lanes)
    }

    /// Gives everything that the units write its place, from `from` on, a multiple of 64. Returns the end.
    pub fn place_results(&mut self, config: &VectorConfig, from: u64) -> u64 {
        let mut next = from;
        let mut place = |bytes: usize| {
            let at = next;
            next += (bytes as u64).next_multiple_of(64);
            at
        };
        let (all, word) = (4 * self.words(config) * config.lanes, 4 * config.lanes);
        self.results = Results {
            // The ternary unit reads codes up to a whole row of weights.
            codes: place(self.cols + 512),
            normalised: place(4 * self.cols),
            accumulators: place(all),
            estimates: place(all),
            tags: place(self.chunks(config).len() * TAGS * self.tag_bytes(config)),
            numbers: place(3 * word),
            logits: place(EXACT * GROUPS * word),
        };
        next
    }

    /// Bytes of a row of the head.
    pub fn row_bytes(&self) -> usize {
        self.cols * if self.format == Format::Bf16 { 2 } else { 4 }
    }

    /// Rows of a group, in the words of the scratchpad that the input leaves.
    fn group(&self, config: &VectorConfig) -> usize {
        let row = self.cols / config.lanes;
        (config.words.saturating_sub(row + 8 + PLACES / config.lanes) / row.max(1))
            .min(GROUP)
            .min(config.accs / config.sets())
    }

    /// Checks that a unit can run the programs.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn check(&self, config: &VectorConfig) -> Result<(), Unfit> {
        let multiple = PARTIALS.max(config.lanes);
        if !self.cols.is_multiple_of(multiple) {
            return Err(Unfit::Multiple { what: "hidden_size", found: self.cols, multiple });
        }
        // The input twice, while it is normalised.
        let (row, places) = (self.cols / config.lanes, PLACES / config.lanes);
        if self.group(config) == 0 || 2 * row + 8 + places > config.words {
            return Err(Unfit::Scratchpad { words: config.words, what: "the input of the output head" });
        }
        // The tags of a chunk, and its estimates with their errors, of as many rows as have places.
        let tags = TAGS * self.tag_bytes(config) / 4 / config.lanes;
        if row + 8 + 3 * places + tags > config.words || self.rows.div_ceil(GROUPS * self.group(config)) > MOST_PROGRAMS
        {
            return Err(Unfit::Scratchpad { words: config.words, what: "so many rows of the output head" });
        }
        Ok(())
    }

    /// The programs.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn programs(&self, config: VectorConfig) -> Result<HeadPrograms, Unfit> {
        self.check(&config)?;
        let mut code = Assembler::new(config, self.dtype, None);
        let mut ends = Vec::new();
        let row = code.words_of(self.cols);
        let x = code.take(row);
        let numbers = Numbers {
            scale: code.take(1),
            margin: code.take(1),
            cut: code.take(1),
            places: code.take(PLACES / config.lanes),
        };
        self.begin(&mut code, x, &numbers);
        ends.push(code.code().len());
        let chunks = self.chunks(&config);
        for (index, chunk) in chunks.iter().enumerate() {
            self.estimate(&mut code, index, chunk.clone(), &numbers);
            ends.push(code.code().len());
        }
        let group = self.group(&config);
        let exact = code.code().len();
        for program in 0..EXACT {
            for index in 0..GROUPS {
                let word = program * GROUPS + index;
                self.exact(&mut code, x, group, self.results.logits + (4 * word * config.lanes) as u64);
            }
            ends.push(code.code().len());
        }
        Ok(HeadPrograms { code, ends, chunks, group, exact })
    }

    /// The final norm, its codes, and the numbers.
    fn begin(&self, code: &mut Assembler, x: program::Words, n: &Numbers) {
        let lanes = code.config().lanes;
        let h = code.take(usize::from(x.len));
        let max = code.take(1);
        code.load(code.singles(self.hidden, self.cols), h);
        code.norm(h, x, self.cols, self.eps, self.norm, max);
        code.quantise(x, max, self.results.codes, n.scale);
        code.store(x, code.singles(self.results.normalised, self.cols));
        code.sum_of_squares(x, n.margin, false, false);
        let margin = code.map(n.margin, n.margin);
        code.push(Instruction { op: Op::Root, ..margin });
        code.push(Instruction { b: B::Y, y: At::row(n.scale.base), ..margin });
        // The norm of codes is 127 at least, unless all of them are zero.
        code.push(Instruction { b: B::Imm, imm_b: self.margin, post: Post::Floor, imm_c: 1.0, ..margin });
        let cut = code.map(n.cut, n.cut);
        code.push(Instruction { op: Op::Div, a: A::One, b: B::Y, y: At::row(n.margin.base), ..cut });
        // Rows without an error have no mean error.
        let mean = if self.mean_error > 0.0 { self.mean_error } else { 1.0 };
        code.push(Instruction { b: B::Imm, imm_b: MEAN_ERROR / mean, ..cut });
        for (index, word) in [n.scale, n.margin, n.cut].into_iter().enumerate() {
            code.store(word, code.singles(self.results.numbers + (4 * index * lanes) as u64, lanes));
        }
        code.load(code.singles(self.places, PLACES), n.places);
        code.give(h);
    }

    /// [`golden::ranking::upper`] of the rows of a chunk, and their largest tags.
    fn estimate(&self, code: &mut Assembler, index: usize, chunk: Words<usize>, n: &Numbers) {
        let config = code.config();
        let lanes = config.lanes;
        let of_place = PLACES / lanes;
        let tags = [0; TAGS].map(|_| code.take(code.words_of(chunk.len() / of_place)));
        let piece = (code.free() / 2 / of_place * of_place).min(chunk.len());
        for first in chunk.clone().step_by(piece) {
            let len = piece.min(chunk.end - first);
            let (f, u) = (code.take(len), code.take(len));
            let at = |base: u64| base + (4 * first * lanes) as u64;
            code.load(code.singles(at(self.factors), len * lanes), f);
            let sums = code.range(at(self.results.accumulators), len * lanes, Format::Int, 32);
            let scaled = Instruction { b: B::Y, y: At::row(f.base), ..code.map(u, u) };
            code.push(Assembler::streamed(sums, scaled));
            let errors = code.singles(at(self.errors), len * lanes);
            let room = Instruction { b: B::Y, y: code.element(n.margin), y_element: true, ..code.map(f, f) };
            code.push(Assembler::streamed(errors, room));
            code.push(Instruction { c: C::Y, y: At::row(u.base), ..code.map(f, u) });
            code.store(u, code.singles(at(self.results.estimates), len * lanes));
            let cut = Instruction { b: B::Y, y: code.element(n.cut), y_element: true, ..code.map(u, u) };
            code.push(Instruction { post: Post::Trunc, ..cut });
            let by_places = |base| At { base, strides: [of_place as u16, 1, 0, 0] };
            let counts = [(len / of_place) as u16, of_place as u16, 1, 1];
            let element = |tags: program::Words| tags.base * lanes as u16 + ((first - chunk.start) / of_place) as u16;
            // The largest tags, as elements one after the other.
            let largest = |tags: program::Words| Instruction {
                kind: Kind::Max,
                counts,
                x: by_places(u.base),
                d: by_places(u.base),
                r: element(tags),
                ..Default::default()
            };
            code.push(Instruction {
                b: B::Imm,
                imm_b: PLACES as f32,
                c: C::Y,
                y: At::row(n.places.base),
                ..largest(tags[0])
            });
            for pair in tags.windows(2) {
                // 0 for the largest tag, -1 for the others. Then 0 and the tag.
                code.push(Instruction {
                    counts,
                    x: by_places(u.base),
                    c: C::Y,
                    c_negative: true,
                    y: At { base: element(pair[0]), strides: [1, 0, 0, 0] },
                    y_element: true,
                    post: Post::Floor,
                    imm_c: -1.0,
                    d: by_places(f.base),
                    ..Default::default()
                });
                code.push(Instruction { b: B::Y, b_negative: true, y: by_places(f.base), ..largest(pair[1]) });
            }
            code.give(f);
        }
        let bytes = self.tag_bytes(&config);
        for (rank, words) in tags.into_iter().enumerate() {
            let at = self.results.tags + ((index * TAGS + rank) * bytes) as u64;
            code.store(words, code.singles(at, usize::from(words.len) * lanes));
        }
        code.give(tags[0]);
    }

    /// The logits of a group of rows, as [`golden::linear::dense`] computes them. A processor replaces the addresses of the
    /// rows.
    fn exact(&self, code: &mut Assembler, x: program::Words, group: usize, logits: u64) {
        let (lanes, sets) = (code.config().lanes, code.config().sets() as u16);
        let row = usize::from(x.len);
        let rows = code.take(group * row);
        let sums = code.take(1);
        let bits = if self.format == Format::Bf16 { 16 } else { 32 };
        for index in 0..group {
            let range: Range = code.range(self.exact, self.cols, self.format, bits);
            code.load(range, rows.part(index * row, row));
        }
        let (group, row) = (group as u16, x.len);
        let (counts, of_rows, of_x, d) = if sets > 1 {
            ([1, row / sets, group, sets], [0, sets, row, 1], [0, sets, 0, 1], [0, 0, 1, 0])
        } else {
            ([1, row, 1, group], [0, 1, 0, row], [0, 1, 0, 0], [0, 0, 0, 1])
        };
        code.push(Instruction {
            kind: Kind::Sum,
            counts,
            x: At { base: rows.base, strides: of_rows },
            b: B::Y,
            y: At { base: x.base, strides: of_x },
            d: At { base: sums.base * lanes as u16, strides: d },
            round_s: self.dtype == Dtype::Bf16,
            ..Default::default()
        });
        code.store(sums, code.singles(logits, lanes));
        code.give(rows);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use golden::ranking::{Ranking, upper};
    use golden::{linear, matvec, norm, quantise};

    use super::*;
    use crate::instruction::From;
    use crate::machine::{Machine, Memory};

    /// Numbers without a pattern, near 0.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 16) as u16) / 65_536.0 - 0.5
        };
        (0..count).map(|_| (next() + next() + next()) * 0.1).collect()
    }

    /// A head without places in memory.
    fn nowhere() -> Head {
        Head {
            rows: 0,
            cols: 0,
            eps: 1e-5,
            dtype: Dtype::Fp32,
            format: Format::Bf16,
            margin: 4.5,
            hidden: 0,
            norm: 0,
            exact: 0,
            factors: 0,
            errors: 0,
            places: 0,
            mean_error: 0.0,
            results: Results::default(),
        }
    }

    fn singles(memory: &[u8], at: u64, count: usize) -> Vec<f32> {
        memory[at as usize..][..4 * count].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    /// The programs, by their arithmetic, leave what golden computes: codes, estimates, maxima and logits.
    #[test]
    fn programs_compute_what_golden_computes() {
        for (lanes, dtype) in [(8, Dtype::Fp32), (16, Dtype::Bf16), (32, Dtype::Fp32), (32, Dtype::Bf16)] {
            let config = VectorConfig::of(lanes);
            let (rows, cols) = (1_500usize, 192);
            let padded = rows.next_multiple_of(PLACES);
            let mut weights = numbers(rows * cols, 1);
            Dtype::Bf16.round_slice(&mut weights);
            let (hidden, mut gains) = (numbers(cols, 2), vec![1.25; cols]);
            dtype.round_slice(&mut gains);
            let mut ranking = Ranking::new(cols);
            ranking.push_rows(&weights);
            let mut next = 64;
            let mut place = |bytes: usize| {
                let at = next;
                next += (bytes as u64).next_multiple_of(64);
                at
            };
            let mut head = Head {
                rows,
                cols,
                dtype,
                hidden: place(4 * cols),
                norm: place(4 * cols),
                exact: place(2 * rows * cols),
                factors: place(4 * padded),
                errors: place(4 * padded),
                places: place(4 * PLACES),
                mean_error: ranking.errors().iter().sum::<f32>() / rows as f32,
                ..nowhere()
            };
            let next = head.place_results(&config, next);
            let mut memory = vec![0u8; next as usize];
            let mut write = |at: u64, bytes: Vec<u8>| memory[at as usize..][..bytes.len()].copy_from_slice(&bytes);
            let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
            write(head.hidden, bytes(&hidden));
            write(head.norm, bytes(&gains));
            write(head.exact, weights.iter().flat_map(|w| ((w.to_bits() >> 16) as u16).to_le_bytes()).collect());
            write(head.factors, bytes(ranking.factors()));
            write(head.errors, bytes(ranking.errors()));
            write(head.places, bytes(&(0..PLACES).map(|place| place as f32).collect::<Vec<_>>()));
            let x = norm::rms_norm(&hidden, &gains, head.eps, dtype);
            let codes = quantise::activations(&x, cols);
            let acc = matvec::matvec(&ranking.matrix(), &codes.q);
            write(head.results.accumulators, acc.iter().flat_map(|acc| acc.to_le_bytes()).collect());

            let programs = head.programs(config).expect("the head fits");
            let all = programs.code.code();
            let mut machine = Machine::new(config);
            let mut run = |from: usize, program: &[Instruction], memory: &mut [u8]| {
                for (index, instruction) in program.iter().enumerate() {
                    let memory = Memory { base: 0, bytes: memory };
                    machine
                        .run(core::slice::from_ref(instruction), memory)
                        .unwrap_or_else(|error| panic!("{lanes} lanes, instruction {}: {error:?}", from + index));
                }
            };
            let (before, last) = (programs.exact, programs.ends[programs.ends.len() - EXACT + 1]);
            run(0, &all[..before], &mut memory);
            assert_eq!(singles(&memory, head.results.normalised, cols), x);
            let found: Vec<i8> = memory[head.results.codes as usize..][..cols].iter().map(|b| *b as i8).collect();
            assert_eq!(found, codes.q);
            assert_eq!(singles(&memory, head.results.numbers, 1), codes.scale);
            let margin = singles(&memory, head.results.numbers + 4 * lanes as u64, 1)[0];
            let size = libm::sqrt(codes.q.iter().map(|q| f64::from(*q) * f64::from(*q)).sum());
            assert!((f64::from(margin) / (4.5 * size) - 1.0).abs() < 0.01, "{margin} for codes of norm {size}");
            let mut estimates: Vec<f32> =
                (0..rows).map(|r| upper(acc[r], ranking.factors()[r], ranking.errors()[r], margin)).collect();
            assert_eq!(singles(&memory, head.results.estimates, rows), estimates);
            estimates.resize(padded, 0.0);
            let cut = singles(&memory, head.results.numbers + 8 * lanes as u64, 1)[0];
            let groups: Vec<Vec<i32>> = estimates
                .chunks(PLACES)
                .map(|estimates| {
                    let tag = |(place, x): (usize, &f32)| (x * cut) as i32 * PLACES as i32 + place as i32;
                    let mut tags: Vec<i32> = estimates.iter().enumerate().map(tag).collect();
                    tags.sort_unstable_by_key(|tag| -tag);
                    tags
                })
                .collect();
            for (index, chunk) in programs.chunks.iter().enumerate() {
                let of_chunk = chunk.start * lanes / PLACES..chunk.end * lanes / PLACES;
                for rank in 0..TAGS {
                    let at = head.results.tags + ((index * TAGS + rank) * head.tag_bytes(&config)) as u64;
                    // In place of the tags that are larger there are zeros.
                    let tag = |tags: &Vec<i32>| if rank > 0 { tags[rank].max(0) } else { tags[0] } as f32;
                    let expected: Vec<f32> = groups[of_chunk.clone()].iter().map(tag).collect();
                    assert!(expected.iter().all(|tag| *tag < 8_388_608.0), "{expected:?}");
                    assert_eq!(singles(&memory, at, of_chunk.len()), expected, "{lanes} lanes, tags {rank}");
                }
            }

            let logits = linear::dense(&x, &weights, cols, dtype);
            let mut exact = all[before..last].to_vec();
            let group = programs.group;
            // Two of the programs.
            let rows_of = |program: usize| (0..GROUPS * group).map(move |index| 7 + 31 * index + 400 * program);
            let of_program = GROUPS * (group + HeadPrograms::REST);
            assert_eq!(last - before, 2 * of_program);
            for program in 0..2 {
                for (index, row) in rows_of(program).enumerate() {
                    let at = program * of_program + index / group * (group + HeadPrograms::REST) + index % group;
                    let From::Memory(range) = &mut exact[at].from else { panic!("a load") };
                    range.address += (row * head.row_bytes()) as u64;
                }
            }
            run(before, &exact, &mut memory);
            for program in 0..2 {
                for (index, row) in rows_of(program).enumerate() {
                    let at =
                        head.results.logits + (4 * ((program * GROUPS + index / group) * lanes + index % group)) as u64;
                    assert_eq!(singles(&memory, at, 1)[0], logits[row], "{lanes} lanes, row {row}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_has_a_name() {
        let head = Head { rows: 100, cols: 2_560, ..nowhere() };
        assert_eq!(head.check(&VectorConfig::of(8)), Ok(()));
        let text = |head: Head, unit| alloc::format!("{}", head.check(&unit).expect_err("it does not fit"));
        assert!(text(Head { cols: 2_570, ..head }, VectorConfig::of(8)).starts_with("hidden_size is 2570"));
        let small = VectorConfig { words: 128, ..VectorConfig::of(32) };
        assert!(text(head, small).contains("128 words is too small for the input of the output head"));
        for (many, lanes) in [(Head { rows: 20_000_000, ..head }, 32), (Head { rows: 80_000, cols: 6_144, ..head }, 8)]
        {
            assert!(text(many, VectorConfig::of(lanes)).contains("too small for so many rows of the output head"));
        }
        assert_eq!(Head { rows: 60_000, cols: 6_144, ..head }.check(&VectorConfig::of(8)), Ok(()));
    }
}
