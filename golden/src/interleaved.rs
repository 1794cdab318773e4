//! Ternary matrices in the order in which a CPU reads them fastest.
//!
//! A weight is the two-bit code `w + 1`. The instruction of the fast kernels multiplies four unsigned codes with four
//! signed activations in each 32-bit lane and adds the products to that lane (`vpdpbusd`). So a lane holds one row:
//! a sum across lanes is never needed, and the four activations are the same for all lanes. The sum of the
//! activations is subtracted at the end, because `(w + 1) x = w x + x`.
//!
//! Rows come in groups of 32, filled up with zero rows. The columns of a group come in *lines* of 16 columns.
//! Lane `r` of a line belongs to row `r` of the group. Its byte `k` holds the codes of four columns: bits `2 p` and
//! `2 p + 1` are the code of *class* `p`. A mask takes the codes of one class out of all bytes of a line, multiplied
//! by `4^p`; no shift is needed. Line `i` of four consecutive lines covers these columns of 64:
//!
//! ```text
//! column(i, k, p) = 32 (i & 1) + 8 k + 2 p + (i >> 1)
//! ```
//!
//! This order makes the codes of 64 columns out of words of two bit planes with five logical operations.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use prefetch_index::prefetch_index;

use crate::TernaryMatrix;
use crate::parallel::{for_each, for_each_chunk, steps};
use crate::ternary::{WORD, tokens_of};

mod lines;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use lines::{CHUNK, CLASSES, Kernel, LINES, ROWS, Sums, TILE};
pub use lines::{Half, Line};

/// Groups of a task: few enough to spread the work, many enough to make the cost of starting a task negligible, and as
/// many as a kernel reads at the same time.
const GROUPS: usize = 4;
/// Tokens that are multiplied with all rows before the next tokens, so that their activations stay in a near cache.
const BLOCK: usize = 8 * TILE;

/// The even bits of a word: the low bits of its codes.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// A matrix over {-1, 0, +1}, shape `[rows, cols]`, in the order of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interleaved {
    rows: usize,
    cols: usize,
    /// The groups one after another, [`LINES`] lines for each [`WORD`] columns.
    lines: Vec<Line>,
}

impl Interleaved {
    /// Puts the weights of `matrix` in order.
    pub fn new(matrix: &TernaryMatrix) -> Self {
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let mut out = Self { rows, cols, lines: Vec::new() };
        out.lines = vec![[Half([0; _]); 2]; rows.div_ceil(ROWS) * out.lines_per_group()];
        let work = steps(&[rows, matrix.words_per_row()]);
        for_each_chunk(&mut out.lines, LINES * matrix.words_per_row(), work, |group, lines| {
            interleave(matrix, group * ROWS, lines);
        });
        out
    }

    /// The bit planes of the same matrix.
    pub fn to_planes(&self) -> TernaryMatrix {
        let words = self.cols.div_ceil(WORD);
        let (mut nz, mut neg) = (vec![0; self.rows * words], vec![0; self.rows * words]);
        for (row, (nz, neg)) in nz.chunks_mut(words.max(1)).zip(neg.chunks_mut(words.max(1))).enumerate() {
            let lines = self.groups(row / ROWS..row / ROWS + 1).as_chunks::<LINES>().0;
            for (lines, (nz, neg)) in lines.iter().zip(nz.iter_mut().zip(neg)) {
                let [even_low, even_high, odd_low, odd_high] =
                    lines.map(|line| line[row % ROWS / (ROWS / 2)].0[row % (ROWS / 2)] as u64);
                let (even, odd) = (even_low | even_high << 32, odd_low | odd_high << 32);
                let low = even & EVEN | (odd & EVEN) << 1;
                let high = even >> 1 & EVEN | odd & !EVEN;
                (*nz, *neg) = (!low, !low & !high);
            }
        }
        TernaryMatrix::from_planes(self.rows, self.cols, nz, neg).expect("the planes have all rows")
    }

    /// Rows: output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: input features.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All lines as they are in memory: two bits a weight, and what fills groups and lines up.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    fn lines_per_group(&self) -> usize {
        LINES * self.cols.div_ceil(WORD)
    }

    fn groups(&self, groups: Range<usize>) -> &[Line] {
        let lines = self.lines_per_group();
        &self.lines[groups.start * lines..groups.end * lines]
    }
}

simd! {
    /// Writes the lines of the group that begins at row `first`.
    fn interleave(matrix: &TernaryMatrix, first: usize, lines: &mut [Line]) {
        for lane in 0..ROWS {
            let row = first + lane;
            let (nz, neg) = if row < matrix.rows() { matrix.row(row) } else { (&[][..], &[][..]) };
            for (word, lines) in lines.as_chunks_mut::<LINES>().0.iter_mut().enumerate() {
                let (nz, neg) = (nz.get(word).unwrap_or(&0), neg.get(word).unwrap_or(&0));
                let (low, high) = (!nz, nz & !neg);
                let even = low & EVEN | (high & EVEN) << 1;
                let odd = low >> 1 & EVEN | high & !EVEN;
                for (line, pair) in lines.iter_mut().zip([even, even >> 32, odd, odd >> 32]) {
                    line[lane / (ROWS / 2)].0[lane % (ROWS / 2)] = pair as u32;
                }
            }
        }
    }
}

simd! {
    /// Reads `lines` as fast as one thread can, from four places at once. Returns a sum without meaning. The kernels
    /// cannot be faster than this if a matrix comes from memory.
    pub fn read(lines: &[Line]) -> u32 {
        /// Elements of 64 bytes between the one that is needed and the one that the memory is asked for.
        const AHEAD: usize = 16;
        let (quarter, rest) = (lines.len() / 4, lines.len() % 4);
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| lines[i * quarter..(i + 1) * quarter].as_flattened());
        let mut sums = [0; ROWS / 2];
        for i in 0..a.len() {
            for half in [a, b, c, d] {
                prefetch_index(half, i + AHEAD);
                sums.iter_mut().zip(half[i].0).for_each(|(sum, x)| *sum = x.wrapping_add(*sum));
            }
        }
        for half in lines[lines.len() - rest..].as_flattened() {
            sums.iter_mut().zip(half.0).for_each(|(sum, x)| *sum = x.wrapping_add(*sum));
        }
        sums.into_iter().fold(0, u32::wrapping_add)
    }
}

/// True if this machine has a kernel that is faster on [`Interleaved`] matrices than [`matvecs`](crate::matvec::matvecs) is on bit
/// planes.
pub fn is_faster() -> bool {
    kernels().len() > 1
}

/// Computes the product that [`reference`](crate::matvec::reference) defines, for several matrices with the same activations `x`,
/// `[tokens, cols]`, in one parallel job. There is one result `[tokens, rows]` per matrix.
///
/// ```
/// use golden::interleaved::{Interleaved, products};
///
/// let w = Interleaved::new(&golden::TernaryMatrix::from_rows(2, 3, &[1, 0, -1, 1, 1, 1])?);
/// assert_eq!(products(&[&w], &[10, 20, -128, 1, 2, 3]), [[138, -98, -2, 6]]);
/// # Ok::<(), golden::Error>(())
/// ```
///
/// # Panics
/// If `x` is not a whole number of rows, or if the matrices differ in their columns.
pub fn products(weights: &[&Interleaved], x: &[i8]) -> Vec<Vec<i32>> {
    products_by(fastest(), weights, x)
}

fn products_by(kernel: Kernel, weights: &[&Interleaved], x: &[i8]) -> Vec<Vec<i32>> {
    let Some(first) = weights.first() else { return Vec::new() };
    assert!(weights.iter().all(|w| w.cols == first.cols), "matrices with {} columns each", first.cols);
    let tokens = tokens_of(first.cols, x).len();
    let mut out: Vec<_> = weights.iter().map(|w| vec![0; tokens * w.rows]).collect();
    for (i, x) in x.chunks((BLOCK * first.cols).max(1)).enumerate() {
        let first = i * BLOCK;
        let out = weights.iter().zip(&mut out).map(|(w, out)| {
            let end = tokens.min(first + BLOCK);
            (*w, &mut out[first * w.rows..end * w.rows])
        });
        block_products(kernel, out.collect(), x);
    }
    out
}

/// Computes [`products`] for at most [`BLOCK`] tokens, into slices `[tokens, rows]`.
fn block_products(kernel: Kernel, out: Vec<(&Interleaved, &mut [i32])>, x: &[i8]) {
    let x = Packed::new(x, out[0].0.cols);
    let tokens = x.sums.len();
    let work = out.iter().map(|(w, _)| steps(&[8, w.rows, w.cols.div_ceil(WORD), tokens])).sum();
    let range = |first: usize, rows: usize| first..first + rows.div_ceil(ROWS);
    if tokens == 1 {
        // Without a list of tokens for each task: one token takes so little time that making the lists shows.
        let tasks = out.into_iter().flat_map(|(w, out)| {
            let parts = out.chunks_mut(GROUPS * ROWS).zip((0..).step_by(GROUPS));
            parts.map(move |(out, first)| (w.groups(range(first, out.len())), out))
        });
        return for_each(tasks, work, |(lines, out)| token_task(kernel, lines, &x, out));
    }
    let tasks = out.into_iter().flat_map(|(w, out)| {
        let mut out: Vec<_> = out.chunks_mut(w.rows.max(1)).collect();
        (0..w.rows.div_ceil(ROWS)).step_by(GROUPS).map(move |first| {
            let rows = out[0].len().min(GROUPS * ROWS);
            let part = out.iter_mut().map(|out| out.split_off_mut(..rows).expect("each token has all rows"));
            (w.groups(range(first, rows)), part.collect::<Vec<_>>())
        })
    });
    for_each(tasks, work, |(lines, out)| task(kernel, lines, &x, out));
}

/// Writes the sums of a group for token `t`: the codes are one more than the weights.
fn write(out: &mut [i32], sums: &Sums, x: &Packed, t: usize) {
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum.wrapping_sub(x.sums[t]));
}

/// Multiplies at most [`GROUPS`] groups by one token. `out` has the rows of the groups.
fn token_task(kernel: Kernel, lines: &[Line], x: &Packed, out: &mut [i32]) {
    let mut sums = [[0; ROWS]; GROUPS];
    (kernel.token)(lines, &x.words, &mut sums[..out.len().div_ceil(ROWS)]);
    out.chunks_mut(ROWS).zip(&sums).for_each(|(out, sums)| write(out, sums, x, 0));
}

/// Multiplies at most [`GROUPS`] groups. `out` has the rows of the groups for each token.
fn task(kernel: Kernel, lines: &[Line], x: &Packed, mut out: Vec<&mut [i32]>) {
    let groups = out[0].len().div_ceil(ROWS);
    for (group, lines) in lines.chunks_exact(lines.len() / groups).enumerate() {
        for (first, tokens, words) in x.tiles() {
            let mut sums = [[0; ROWS]; TILE];
            (kernel.group)(lines, words, &mut sums[..tokens]);
            for ((t, out), sums) in (first..).zip(&mut out[first..first + tokens]).zip(&sums) {
                let rows = group * ROWS..out.len().min((group + 1) * ROWS);
                write(&mut out[rows], sums, x, t);
            }
        }
    }
}

/// Activations in the order of the kernels. Words have the four activations of a line and class: byte `k` belongs to
/// byte `k` of a lane.
struct Packed {
    /// Tile by tile, in chunks of [`CHUNK`] lines: `[class, line, token]`.
    words: Vec<u32>,
    /// The sum of the activations of each token.
    sums: Vec<i32>,
}

impl Packed {
    fn new(x: &[i8], cols: usize) -> Self {
        let words = LINES * CLASSES * cols.div_ceil(WORD);
        let sums: Vec<_> = x.chunks_exact(cols).map(sum).collect();
        let mut packed = Self { words: vec![0; words * sums.len()], sums };
        let mut tiles = Vec::new();
        let (mut x, mut rest) = (x, &mut *packed.words);
        for tokens in tiles_of(packed.sums.len()) {
            let tile = rest.split_off_mut(..tokens * words).expect("words for each token");
            tiles.push((x.split_off(..tokens * cols).expect("activations of each token"), tile));
        }
        for_each(tiles.into_iter(), steps(&[4, words, packed.sums.len()]), |(x, tile)| pack(x, cols, tile));
        packed
    }

    /// First token, number of tokens and words of each tile.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize, &[u32])> {
        let (mut first, size) = (0, self.words.len() / self.sums.len());
        tiles_of(self.sums.len()).map(move |tokens| {
            let tile = (first, tokens, &self.words[first * size..(first + tokens) * size]);
            first += tokens;
            tile
        })
    }
}

/// The tokens of each tile: almost equal numbers.
fn tiles_of(tokens: usize) -> impl Iterator<Item = usize> {
    let tiles = tokens.div_ceil(TILE);
    (0..tiles).map(move |i| (i + 1) * tokens / tiles - i * tokens / tiles)
}

simd! {
    fn sum(x: &[i8]) -> i32 {
        x.iter().fold(0, |sum: i32, x| sum.wrapping_add(*x as i32))
    }
}

/// The bytes of [`WORD`] activations in the order `[class, line, byte of a lane]`, as indices into them.
const ORDER: [usize; WORD] = {
    let mut order = [0; WORD];
    let mut n = 0;
    while n < WORD {
        let (p, i, k) = (n / 16, n / 4 % LINES, n % 4);
        order[n] = 32 * (i & 1) + 8 * k + 2 * p + (i >> 1);
        n += 1;
    }
    order
};

simd! {
    /// Writes the activations `x`, `[tokens, cols]`, of a tile as [`Packed::words`].
    fn pack(x: &[i8], cols: usize, words: &mut [u32]) {
        let tokens = x.len() / cols;
        let lines = words.len() / tokens / CLASSES;
        for first in (0..lines).step_by(LINES) {
            let chunk = first / CHUNK * CHUNK;
            let (start, size) = (chunk * CLASSES + first % CHUNK, CHUNK.min(lines - chunk));
            for (t, x) in x.chunks_exact(cols).enumerate() {
                let x = &x[first / LINES * WORD..];
                let mut bytes = [0; WORD];
                bytes.iter_mut().zip(x).for_each(|(byte, x)| *byte = *x as u8);
                let mut ordered = [0; WORD];
                ordered.iter_mut().zip(ORDER).for_each(|(byte, from)| *byte = bytes[from]);
                for (n, word) in ordered.as_chunks().0.iter().enumerate() {
                    words[(start + n / LINES * size + n % LINES) * tokens + t] = u32::from_le_bytes(*word);
                }
            }
        }
    }
}

/// The kernels that this machine can run, from the slowest to the fastest.
fn kernels() -> Vec<Kernel> {
    let portable = Kernel { name: "portable", group: portable::group, token: portable::token };
    #[cfg(target_arch = "x86_64")]
    return core::iter::once(portable).chain(x86::kernels()).collect();
    #[cfg(not(target_arch = "x86_64"))]
    vec![portable]
}

fn fastest() -> Kernel {
    kernels().pop().expect("one runs on any machine")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::matvec::reference;
    use proptest::prelude::*;

    fn matrices() -> impl Strategy<Value = (TernaryMatrix, Vec<i8>)> {
        let cols = prop_oneof![1usize..200, Just(64), Just(CHUNK * 16), CHUNK * 16 - 70..CHUNK * 16 + 70, Just(2600)];
        let tokens = prop_oneof![Just(1usize), 1usize..2 * TILE + 2, BLOCK - 1..BLOCK + 3];
        (1usize..170, cols, tokens).prop_flat_map(|(rows, cols, tokens)| {
            let weights = prop_oneof![
                4 => prop::collection::vec(-1i8..=1, rows * cols),
                1 => (-1i8..=1).prop_map(move |w| vec![w; rows * cols]),
            ];
            let x = prop_oneof![
                4 => prop::collection::vec(any::<i8>(), tokens * cols),
                1 => prop_oneof![Just(-128i8), Just(127)].prop_map(move |x| vec![x; tokens * cols]),
            ];
            weights
                .prop_map(move |w| TernaryMatrix::from_rows(rows, cols, &w).unwrap())
                .prop_flat_map(move |w| (Just(w), x.clone()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn every_kernel_is_the_reference((w, x) in matrices()) {
            let (interleaved, want) = (Interleaved::new(&w), reference(&w, &x));
            prop_assert_eq!(interleaved.to_planes(), w);
            for kernel in kernels() {
                let got = products_by(kernel, &[&interleaved], &x).pop().unwrap();
                prop_assert!(got == want, "kernel {}", kernel.name);
            }
        }
    }

    /// A kernel that no test machine runs would be untested without a word.
    #[test]
    fn kernels_of_this_machine() {
        let names: Vec<_> = kernels().iter().map(|kernel| kernel.name).collect();
        assert_eq!(names[0], "portable");
        #[cfg(target_arch = "x86_64")]
        {
            let has = |name, detected| assert_eq!(names.contains(&name), detected, "{name} among {names:?}");
            has("AVX2", std::is_x86_feature_detected!("avx2"));
            has("AVX-VNNI", std::is_x86_feature_detected!("avxvnni") && std::is_x86_feature_detected!("avx2"));
            // The compiler's name for a machine with these instructions asks for those of the same generation too.
            assert!(!names.contains(&"AVX-512 VNNI") || std::is_x86_feature_detected!("avx512vnni"));
        }
    }

    #[test]
    fn several_matrices_and_none() {
        let [a, b] = [3, 70].map(|rows| TernaryMatrix::from_rows(rows, 5, &vec![1; rows * 5]).unwrap());
        let x: Vec<i8> = (1..=10).collect();
        let want = vec![reference(&a, &x), reference(&b, &x)];
        assert_eq!(products(&[&Interleaved::new(&a), &Interleaved::new(&b)], &x), want);
        assert_eq!(products(&[&Interleaved::new(&a)], &[]), [[]; 1]);
        assert!(products(&[], &x).is_empty());
        assert_eq!(products(&[&Interleaved::new(&TernaryMatrix::zeros(0, 5))], &x), [[]; 1]);
        assert_eq!(products(&[&Interleaved::new(&TernaryMatrix::zeros(2, 0))], &[]), [[]; 1]);
    }
}
