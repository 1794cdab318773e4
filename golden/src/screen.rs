//! The rows of an output head that can have the largest logit, found with half the bytes of a bf16 head.
//!
//! A copy of the head in int8 estimates all logits, and each estimate has a bound on its error. A row whose estimate
//! plus its bound is below another row's estimate minus that row's bound cannot have the largest logit. All other rows
//! are computed exactly, so the token is that of the whole head.
//!
//! Let `w` be a row with codes `c` and scale `s`, `h` the activations with codes `q` and scale `t`, and
//! `d = w - c / s`, `e = h - q / t` what quantising leaves. Then
//!
//! ```text
//! h . w - (q . c) / (t s) = h . d + e . (c / s),    at most |h| |d| + |e| |c / s|
//! ```
//!
//! by Cauchy's inequality, with Euclidean norms. The exact logit is a sum in fp32. A value goes through at most
//! `cols / 32 + 39` roundings of the sum (`reduce`), so its error is at most that number times 2^-24 times `|h| |w|`,
//! a little more for products of errors, and 2^-149 for each product that is subnormal. Norms and bounds are computed in
//! fp64 and made larger by far more than fp64 rounds.

use alloc::vec;
use alloc::vec::Vec;

use crate::dtype::Element;
use crate::head::Int8Rows;
use crate::parallel::{for_each_chunk, steps};
use crate::{Dtype, quantise};

/// Makes a bound larger by more than any error of its computation in fp64, and of rounding it to fp32.
const SLACK: f64 = 1.0 + 1e-6;

/// An int8 copy of an output head, `[rows, cols]`, with the norms that bound its errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Screen {
    codes: Int8Rows,
    /// For each row, bounds on the norms `|c / s|` and `|d|`.
    norms: Vec<[f32; 2]>,
}

impl Screen {
    /// A copy without rows.
    ///
    /// # Panics
    /// As [`Int8Rows::new`].
    pub fn new(cols: usize) -> Self {
        Self { codes: Int8Rows::new(cols), norms: Vec::new() }
    }

    /// Rows appended so far.
    pub fn rows(&self) -> usize {
        self.codes.rows()
    }

    /// Values in a row.
    pub fn cols(&self) -> usize {
        self.codes.cols()
    }

    /// Bytes that [`candidates`](Self::candidates) reads.
    pub fn bytes(&self) -> usize {
        size_of_val(self.codes.codes()) + size_of_val(self.codes.scales()) + size_of_val(&*self.norms)
    }

    /// Quantises `rows`, finite values of shape `[n, cols]`, and appends them.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn push_rows<E: Element>(&mut self, rows: &[E]) {
        let (cols, old) = (self.cols(), self.rows());
        self.codes.push_rows(rows);
        self.norms.resize(self.rows(), [0.0; 2]);
        let (codes, scales) = (&self.codes.codes()[old * cols..], &self.codes.scales()[old..]);
        for_each_chunk(&mut self.norms[old..], 1, steps(&[4, rows.len()]), |i, norms| {
            let row = i * cols..(i + 1) * cols;
            norms[0] =
                error_norms(&rows[row.clone()], &codes[row], scales[i]).map(|norm| ((norm * SLACK) as f32).next_up());
        });
    }

    /// The rows, in ascending order, that can have the largest logit for the activations `h` of one token, where a logit
    /// is that of [`linear::dense`](crate::linear::dense) with values of `dtype`. If several logits are equal and the
    /// largest, all of their rows are among them. All rows, if `h` has a value that is not finite.
    ///
    /// # Panics
    /// If `h` is not one row.
    pub fn candidates(&self, h: &[f32], dtype: Dtype) -> Vec<usize> {
        assert_eq!(h.len(), self.cols(), "the activations of one token");
        let mut q = vec![0; h.len()];
        let t = quantise::activation_row(h, &mut q);
        let [q_norm, e_norm] = error_norms(h, &q, t);
        let h_norm = (q_norm + e_norm) * SLACK;
        if !h_norm.is_finite() || t == 0.0 {
            return (0..self.rows()).collect();
        }
        let roundings = (self.cols() / 32 + 39) as f64 * f64::from(f32::EPSILON) / 2.0 * 1.01;
        let underflow = self.cols() as f64 * f64::from(f32::from_bits(1));
        let accumulators = self.codes.accumulators(&q);
        let bounds = |row: usize| {
            let [c_norm, d_norm] = self.norms[row].map(f64::from);
            let estimate = f64::from(accumulators[row]) / (f64::from(t) * f64::from(self.codes.scales()[row]));
            let error = h_norm * (d_norm + roundings * (c_norm + d_norm)) + e_norm * SLACK * c_norm + underflow;
            (estimate, error * SLACK + estimate.abs() * 1e-12)
        };
        let mut upper = vec![0.0; self.rows()];
        let mut most = f64::NEG_INFINITY;
        for (row, upper) in upper.iter_mut().enumerate() {
            let (estimate, error) = bounds(row);
            most = most.max(estimate - error);
            *upper = estimate + error;
        }
        // Rounding keeps the order, so what is below before it is at most equal after it.
        let least = dtype.round((most as f32).next_down());
        let possible = |upper: f64| dtype.round((upper as f32).next_up()) >= least;
        (0..self.rows()).filter(|row| possible(upper[*row])).collect()
    }
}

simd! {
    /// The norms of `codes / scale`, and of the difference between it and `x`.
    fn error_norms<E: Element>(x: &[E], codes: &[i8], scale: f32) -> [f64; 2] {
        let mut sums = [[0.0; 8]; 2];
        for (x, codes) in x.chunks(8).zip(codes.chunks(8)) {
            for (i, (x, code)) in x.iter().zip(codes).enumerate() {
                let value = f64::from(*code) / f64::from(scale);
                let rest = f64::from(x.to_f32()) - value;
                sums[0][i] += value * value;
                sums[1][i] += rest * rest;
            }
        }
        sums.map(|sums| libm::sqrt(sums.iter().sum()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::linear::dense;
    use half::bf16;
    use proptest::prelude::*;

    /// Rows that differ much, little, or not at all, of any magnitude.
    fn head() -> impl Strategy<Value = (usize, Vec<bf16>, Vec<f32>)> {
        (1usize..200, 1usize..60, -60i32..60, 0usize..4).prop_flat_map(|(cols, rows, exponent, kind)| {
            let value = move |x: f32| bf16::from_f32(x * (exponent as f32).exp2());
            let row = prop::collection::vec(-1.0f32..1.0, cols);
            let head = (row, prop::collection::vec(-1.0f32..1.0, rows * cols)).prop_map(move |(one, all)| {
                let near = |i: usize, x: f32| match kind {
                    0 => x,
                    1 => one[i % cols],
                    2 => one[i % cols] * (1.0 + x / 300.0),
                    _ => {
                        if i.is_multiple_of(cols) {
                            x
                        } else {
                            one[i % cols]
                        }
                    }
                };
                all.iter().enumerate().map(|(i, x)| value(near(i, *x))).collect::<Vec<_>>()
            });
            let h = prop::collection::vec((-1.0f32..1.0, -30i32..10).prop_map(|(x, e)| x * (e as f32).exp2()), cols);
            (Just(cols), head, h)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_largest_logit_is_missed((cols, head, h) in head()) {
            let mut screen = Screen::new(cols);
            screen.push_rows(&head);
            for dtype in [Dtype::Fp32, Dtype::Bf16] {
                let h: Vec<f32> = h.iter().map(|x| dtype.round(*x)).collect();
                let logits = dense(&h, &head, cols, dtype);
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let candidates = screen.candidates(&h, dtype);
                for (row, logit) in logits.iter().enumerate().filter(|(_, logit)| **logit == most) {
                    prop_assert!(candidates.contains(&row), "{dtype:?}: row {row}, logit {logit:e}, of {candidates:?}");
                }
            }
        }

        /// Activations along what quantising left of a row, and a row along what it left of the activations: the estimate
        /// is as wrong as its bound allows.
        #[test]
        fn a_row_that_is_worth_more_than_it_seems(x in prop::collection::vec(-1.0f32..1.0, 64)) {
            let mut codes = [0; 64];
            let scale = quantise::activation_row(&x, &mut codes);
            let rest: Vec<f32> = x.iter().zip(codes).map(|(x, code)| x - code as f32 / scale).collect();
            // Whole numbers up to 127, which are their own codes.
            let most = rest.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let along: Vec<f32> = rest.iter().map(|x| (x / most * 127.0).round_ties_even()).collect();
            let dot = |x: &[f32]| along.iter().zip(x).map(|(a, x)| f64::from(*a) * f64::from(*x)).sum::<f64>();
            let between = dot(&x) - 0.2 * dot(&rest);
            for (row, h) in [(&x, &along), (&along, &x)] {
                // A second row, without an error, has a logit between the estimate and the logit of the first one.
                let at = (0..64).reduce(|a, b| if h[b].abs() > h[a].abs() { b } else { a }).unwrap();
                let mut second = vec![0.0; 64];
                second[at] = (between / f64::from(h[at])) as f32;
                let mut screen = Screen::new(64);
                screen.push_rows(&[row.clone(), second].concat());
                prop_assert!(screen.candidates(h, Dtype::Fp32).contains(&0));
            }
        }

        #[test]
        fn rows_without_a_chance_are_left_out((cols, head, _) in head(), row in 0usize..60) {
            let row = row % (head.len() / cols);
            let mut screen = Screen::new(cols);
            // The row itself as activations, far from zero, beside rows of zeros.
            let one: Vec<bf16> = head[row * cols..][..cols].to_vec();
            prop_assume!(one.iter().any(|x| x.to_f32().abs() > 1e-3));
            let mut rows = vec![bf16::ZERO; 9 * cols];
            rows[4 * cols..][..cols].copy_from_slice(&one);
            screen.push_rows(&rows);
            let h: Vec<f32> = one.iter().map(|x| x.to_f32()).collect();
            prop_assert_eq!(screen.candidates(&h, Dtype::Bf16), [4]);
        }
    }

    /// 257 rounds to 256 in bf16, so the first of both rows is the token.
    #[test]
    fn logits_that_rounding_makes_equal() {
        let mut screen = Screen::new(1);
        screen.push_rows(&[256.0f32, 257.0, 250.0]);
        assert_eq!(screen.candidates(&[1.0], Dtype::Bf16), [0, 1]);
        assert_eq!(screen.candidates(&[1.0], Dtype::Fp32), [1]);
    }

    #[test]
    fn activations_that_are_not_finite_leave_no_row_out() {
        let mut screen = Screen::new(2);
        screen.push_rows(&[1.0f32, 2.0, 3.0, 4.0, 0.0, 0.0]);
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(screen.candidates(&[1.0, bad], Dtype::Fp32), [0, 1, 2]);
        }
        assert_eq!(screen.candidates(&[0.0, 0.0], Dtype::Fp32), [0, 1, 2]);
        assert_eq!(screen.candidates(&[1.0, 1.0], Dtype::Fp32), [1]);
    }
}
