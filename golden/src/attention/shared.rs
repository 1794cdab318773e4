//! [`attention`](super::attention()) on several threads, with each key and value read once for all query heads that
//! share it. The order of every sum is that of [`one_head`](super::one_head).

use alloc::vec;
use alloc::vec::Vec;

use super::heads::{Heads, Tokens, scale};
use crate::Dtype;
use crate::exp::exp;
use crate::parallel::{for_each, steps};
use crate::reduce::{dot, dots, sum};

/// Tokens whose scores are in memory at the same time.
const TOKENS: usize = 64;
/// Keys or values of a head that all query heads use before the next ones are read: 32 KiB for heads of 128 values.
const POSITIONS: usize = 64;
/// Values of a head that one task adds up. Their sums stay in registers.
const COLUMNS: usize = 64;

/// Writes the attention of all tokens to `out`.
pub(super) fn attention(
    heads: Heads,
    n: &Tokens,
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    dtype: Dtype,
    out: &mut [f32],
) {
    if out.is_empty() {
        return;
    }
    let width = heads.query * heads.dim;
    for (first, (q, out)) in (0..).step_by(TOKENS).zip(q.chunks(TOKENS * width).zip(out.chunks_mut(TOKENS * width))) {
        let block = Block { heads, first: n.past + first, tokens: q.len() / width, dtype };
        let mut probs = block.scores(q, keys);
        block.normalise(&mut probs);
        block.weigh(&probs, values, out);
    }
}

/// Some new tokens. Token `t` of them sees the positions `0..=first + t`.
#[derive(Clone, Copy)]
struct Block {
    heads: Heads,
    first: usize,
    tokens: usize,
    dtype: Dtype,
}

impl Block {
    /// Positions that the last token sees.
    fn positions(&self) -> usize {
        self.first + self.tokens
    }

    /// Query heads for each key/value head.
    fn group(&self) -> usize {
        self.heads.query / self.heads.kv
    }

    fn work(&self) -> usize {
        steps(&[self.tokens, self.positions(), self.heads.query, self.heads.dim])
    }

    /// Scores `[tokens, query, positions]`. Those of positions that a token does not see are zero.
    fn scores(&self, q: &[f32], keys: &[f32]) -> Vec<f32> {
        let Heads { query, dim, .. } = self.heads;
        let mut scores = vec![0.0; self.tokens * query * self.positions()];
        let groups = scores.chunks_mut(self.group() * self.positions()).zip(q.chunks(self.group() * dim)).enumerate();
        let tasks = groups.flat_map(|(i, (scores, q))| {
            let (t, head) = (i / self.heads.kv, i % self.heads.kv);
            let mut rows: Vec<_> = scores.chunks_mut(self.positions()).map(|row| &mut row[..=self.first + t]).collect();
            (0..=self.first + t).step_by(POSITIONS).map(move |first| {
                let count = POSITIONS.min(rows[0].len());
                let part = rows.iter_mut().map(|row| row.split_off_mut(..count).expect("the row is as long"));
                (head, first, q, part.collect::<Vec<_>>())
            })
        });
        for_each(tasks, self.work(), |(head, first, q, rows)| score(self, head, first, q, keys, rows));
        scores
    }

    /// Turns scores into probabilities.
    fn normalise(&self, scores: &mut [f32]) {
        let tasks = scores.chunks_mut(self.positions()).enumerate().map(|(i, row)| {
            let seen = self.first + i / self.heads.query;
            &mut row[..=seen]
        });
        for_each(tasks, self.work(), |row| softmax(row, self.dtype));
    }

    /// Adds up the values, weighted by `probs`, in `out`.
    fn weigh(&self, probs: &[f32], values: &[f32], out: &mut [f32]) {
        let dim = self.heads.dim;
        let groups = probs.chunks(self.group() * self.positions()).zip(out.chunks_mut(self.group() * dim)).enumerate();
        let tasks = groups.flat_map(|(i, (probs, out))| {
            let (t, head) = (i / self.heads.kv, i % self.heads.kv);
            let probs: Vec<_> = probs.chunks(self.positions()).map(|row| &row[..=self.first + t]).collect();
            let mut rows: Vec<_> = out.chunks_mut(dim).collect();
            (0..dim).step_by(COLUMNS).map(move |column| {
                let count = COLUMNS.min(rows[0].len());
                let part = rows.iter_mut().map(|row| row.split_off_mut(..count).expect("the row is as long"));
                (head * dim + column, probs.clone(), part.collect::<Vec<_>>())
            })
        });
        for_each(tasks, self.work(), |(column, probs, out)| add_values(self, column, &probs, values, out));
    }
}

simd! {
    /// Writes the scores of some positions, from `first` on, for the query heads `q` of one key head.
    fn score(block: &Block, head: usize, first: usize, q: &[f32], keys: &[f32], mut rows: Vec<&mut [f32]>) {
        /// Keys at a time.
        const KEYS: usize = 4;
        let Heads { kv, dim, .. } = block.heads;
        let (scale, dtype) = (scale(dim), block.dtype);
        let key = |i: usize| &keys[((first + i) * kv + head) * dim..][..dim];
        let fours = rows[0].len() / KEYS * KEYS;
        for i in (0..fours).step_by(KEYS) {
            let four = core::array::from_fn(|k| key(i + k));
            for (row, q) in rows.iter_mut().zip(q.chunks_exact(dim)) {
                let scores: [f32; KEYS] = dots!(q, four, 0);
                for (score, x) in row[i..i + KEYS].iter_mut().zip(scores) {
                    *score = dtype.round(dtype.round(x) * scale);
                }
            }
        }
        for i in fours..rows[0].len() {
            for (row, q) in rows.iter_mut().zip(q.chunks_exact(dim)) {
                row[i] = dtype.round(dtype.round(dot(q, key(i))) * scale);
            }
        }
    }
}

simd! {
    fn softmax(row: &mut [f32], dtype: Dtype) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|p| *p -= max);
        exp(row);
        let total = sum(row);
        row.iter_mut().for_each(|p| *p = dtype.round(*p / total));
    }
}

simd! {
    /// Adds up the columns of the values from `column` on, for the query heads with the probabilities `probs`.
    fn add_values(block: &Block, column: usize, probs: &[&[f32]], values: &[f32], mut out: Vec<&mut [f32]>) {
        let stride = block.heads.kv * block.heads.dim;
        for first in (0..probs[0].len()).step_by(POSITIONS) {
            for (probs, out) in probs.iter().zip(&mut out) {
                let probs = &probs[first..probs.len().min(first + POSITIONS)];
                let rows = values[first * stride + column..].chunks(stride);
                match <&mut [f32; COLUMNS]>::try_from(&mut **out).ok() {
                    Some(out) => {
                        let mut sums = *out;
                        for (p, row) in probs.iter().zip(rows) {
                            for (sum, v) in sums.iter_mut().zip(&row[..COLUMNS]) {
                                *sum += p * v;
                            }
                        }
                        *out = sums;
                    }
                    None => {
                        for (p, row) in probs.iter().zip(rows) {
                            out.iter_mut().zip(row).for_each(|(sum, v)| *sum += p * v);
                        }
                    }
                }
            }
        }
        out.iter_mut().for_each(|out| block.dtype.round_slice(out));
    }
}
