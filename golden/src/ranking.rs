//! A ternary copy of the output head, which ranks its rows before some of them are computed exactly.
//!
//! Row r of the head, `w`, is near `factor * t` with `t` ternary. For codes `q` of the input the product `t . q` is an
//! exact integer, and `factor * (t . q)` is near the logit times the scale of the codes. Their difference behaves like a
//! random number: its standard deviation is about `error * |q|`, where `error` comes from what the ternary row leaves of
//! `w` and from the rounding of the codes. So a row whose [`upper`] estimate is below a logit that is known is not the
//! largest one, except with the probability that such a number exceeds `margin` standard deviations.
//!
//! The factor is `w . w / w . t`: for an input in the direction of `w`, the estimate is the logit. With the factor that
//! leaves the smallest difference, `w . t / t . t`, the estimates of the largest logits would be too small, because the
//! row with the largest logit is one whose difference is likely to be large.

use alloc::vec;
use alloc::vec::Vec;

use crate::dtype::Element;
use crate::parallel::for_each_chunk;
use crate::ternary::WORD;
use crate::{TernaryMatrix, quantise};

/// Magnitudes above this share of a row's mean magnitude become -1 or +1. For normally distributed weights it is near the
/// best share, 0.767.
const SHARE: f64 = 0.75;
/// The variance of the rounding of a code, over the least square of the norm of a row of codes, whose largest is 127.
const ROUNDING: f64 = 1.0 / (12.0 * 127.0 * 127.0);

/// A ternary matrix `[rows, cols]` with a factor and an error for each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    cols: usize,
    planes: Vec<(u64, u64)>,
    factors: Vec<f32>,
    errors: Vec<f32>,
}

impl Ranking {
    /// A ranking with `cols` columns and no rows.
    ///
    /// # Panics
    /// If `cols` is 0.
    pub fn new(cols: usize) -> Self {
        assert!(cols > 0, "rows of at least one value");
        Self { cols, planes: Vec::new(), factors: Vec::new(), errors: Vec::new() }
    }

    /// Rows appended so far.
    pub fn rows(&self) -> usize {
        self.factors.len()
    }

    /// The value of a ternary weight of 1 in each row.
    pub fn factors(&self) -> &[f32] {
        &self.factors
    }

    /// The standard deviation of a row's estimate, divided by the norm of the codes.
    pub fn errors(&self) -> &[f32] {
        &self.errors
    }

    /// The ternary weights of all rows.
    pub fn matrix(&self) -> TernaryMatrix {
        let (nz, neg) = self.planes.iter().copied().unzip();
        TernaryMatrix::from_planes(self.rows(), self.cols, nz, neg).expect("the planes have all rows")
    }

    /// Appends rows for `rows`, finite values of shape `[n, cols]`.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn push_rows<E: Element>(&mut self, rows: &[E]) {
        /// Rows per task.
        const ROWS: usize = 16;
        let (cols, words) = (self.cols, self.cols.div_ceil(WORD));
        assert!(rows.len().is_multiple_of(cols), "whole rows of {cols} values");
        let count = rows.len() / cols;
        // A row's planes, and behind them its factor and its error as bits.
        let mut made = vec![(0, 0); count * (words + 1)];
        for_each_chunk(&mut made, ROWS * (words + 1), rows.len(), |i, made| {
            for (made, row) in made.chunks_exact_mut(words + 1).zip(rows[i * ROWS * cols..].chunks_exact(cols)) {
                let (planes, numbers) = made.split_at_mut(words);
                let (factor, error) = rank(row, planes);
                numbers[0] = (u64::from(factor.to_bits()), u64::from(error.to_bits()));
            }
        });
        for row in made.chunks_exact(words + 1) {
            self.planes.extend(&row[..words]);
            self.factors.push(f32::from_bits(row[words].0 as u32));
            self.errors.push(f32::from_bits(row[words].1 as u32));
        }
    }
}

/// Writes the ternary row of `row`, and returns its factor and its error.
fn rank<E: Element>(row: &[E], planes: &mut [(u64, u64)]) -> (f32, f32) {
    let magnitude = |w: &E| f64::from(w.to_f32().abs());
    let n = row.len() as f64;
    let least = SHARE * row.iter().map(magnitude).sum::<f64>() / n;
    if least == 0.0 {
        return (0.0, 0.0);
    }
    // That rounds magnitudes above a half to one.
    quantise::ternarise(row, (0.5 / least) as f32, planes);
    let (mut sum, mut count, mut energy) = (0.0, 0.0, 0.0);
    for (at, m) in row.iter().map(magnitude).enumerate() {
        energy += m * m;
        if planes[at / WORD].0 >> (at % WORD) & 1 != 0 {
            (sum, count) = (sum + m, count + 1.0);
        }
    }
    let factor = energy / sum;
    let rest = (energy - 2.0 * factor * sum + factor * factor * count).max(0.0);
    let error = libm::sqrt(rest / n + factor * factor * count * ROUNDING);
    (factor as f32, error as f32)
}

/// The upper estimate of a logit times the scale of the codes: `acc * factor + error * margin`, every operation rounded to
/// fp32. `margin` is a number of standard deviations times the norm of the codes.
pub fn upper(acc: i32, factor: f32, error: f32, margin: f32) -> f32 {
    acc as f32 * factor + error * margin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matvec;

    /// Numbers without a pattern, normally distributed, about.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        };
        (0..count).map(|_| (0..6).map(|_| next()).sum()).collect()
    }

    #[test]
    fn a_ternary_row_is_its_own_copy() {
        let row = [0.5f32, 0.0, -0.5, 0.0, 0.0, 0.5, 0.0, 0.0];
        let mut ranking = Ranking::new(8);
        ranking.push_rows(&[row, [0.0; 8]].concat());
        assert_eq!(ranking.matrix().to_i8(), [1, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ranking.factors(), [0.5, 0.0]);
        // What is left is the rounding of the three codes that count.
        assert!((f64::from(ranking.errors()[0]) / (0.25f64 * 3.0 * ROUNDING).sqrt() - 1.0).abs() < 1e-6);
        assert_eq!(ranking.errors()[1], 0.0);
    }

    /// Estimates are right in the mean, also those of a row for an input in its own direction, and their deviations have the
    /// size that the errors state.
    #[test]
    fn errors_are_standard_deviations() {
        let (rows, cols) = (600, 320);
        let weights = numbers(rows * cols, 1);
        let mut ranking = Ranking::new(cols);
        ranking.push_rows(&weights);
        let matrix = ranking.matrix();
        for row in [0, 17, 599] {
            let w = &weights[row * cols..][..cols];
            let along: f32 = (0..cols).map(|col| f32::from(matrix.get(row, col)) * w[col]).sum();
            let square: f32 = w.iter().map(|w| w * w).sum();
            assert!((along * ranking.factors()[row] / square - 1.0).abs() < 1e-4);
        }
        let codes = quantise::activations(&numbers(cols, 2), cols);
        let acc = matvec::matvec(&matrix, &codes.q);
        let norm = codes.q.iter().map(|q| f64::from(*q) * f64::from(*q)).sum::<f64>().sqrt();
        let deviations: Vec<f64> = (0..rows)
            .map(|row| {
                let w = weights[row * cols..][..cols].iter().zip(&codes.q);
                let exact: f64 = w.map(|(w, q)| f64::from(*w) * f64::from(*q)).sum();
                let estimate = f64::from(upper(acc[row], ranking.factors()[row], ranking.errors()[row], 0.0));
                (exact - estimate) / (f64::from(ranking.errors()[row]) * norm)
            })
            .collect();
        let mean = deviations.iter().sum::<f64>() / rows as f64;
        let rms = (deviations.iter().map(|d| d * d).sum::<f64>() / rows as f64).sqrt();
        assert!(mean.abs() < 0.15 && (0.85..1.1).contains(&rms), "mean {mean}, root mean square {rms}");
        // The margin adds to the estimate.
        let [e, f] = [ranking.errors()[5], ranking.factors()[5]];
        assert_eq!(upper(acc[5], f, e, 100.0), acc[5] as f32 * f + e * 100.0);
    }
}
