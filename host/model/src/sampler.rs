//! Chooses the next token from a row of logits: the most likely token, or a random draw with a seed.
//!
//! The same logits, settings and seed give the same tokens on every platform: `exp` comes from `libm`, and sums are
//! always computed in the same order.

use std::cmp::Ordering;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{Error, Result};

/// Settings of a random draw, applied in the order of `transformers`: temperature, then `top_k`, then `top_p`, then a
/// draw from the remaining tokens.
///
/// If logits are equal, the token with the lower id counts as more likely. So `top_k` keeps exactly `k` tokens;
/// `transformers` also keeps further tokens whose logit equals the `k`-th largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divisor of the logits: finite, above 0. A value below 1 sharpens the distribution, a value above 1 flattens it.
    pub temperature: f64,
    /// Number of most likely tokens that are kept, at least 1; `None` keeps all tokens.
    pub top_k: Option<usize>,
    /// Keeps the fewest most likely tokens whose probabilities together reach this value: above 0, at most 1. The
    /// value 1 keeps all tokens.
    pub top_p: f64,
}

impl Default for Sampling {
    /// Settings that leave the distribution of the model unchanged.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: 1.0 }
    }
}

impl Sampling {
    fn check(&self) -> Result<()> {
        let bad = |setting, expected, found: String| Err(Error::BadSetting { setting, expected, found });
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return bad("temperature", "a finite number above 0", self.temperature.to_string());
        }
        if self.top_k == Some(0) {
            return bad("top_k", "at least 1", "0".into());
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return bad("top_p", "a number above 0 and at most 1", self.top_p.to_string());
        }
        Ok(())
    }
}

/// Chooses the next token from logits, greedily or at random.
///
/// ```
/// use bitnet::sampler::{Sampler, Sampling};
/// let logits = [0.5, 2.0, -1.0, 2.0];
/// assert_eq!(Sampler::greedy().next(&logits)?, 1);
/// let mut sampler = Sampler::seeded(Sampling { top_k: Some(2), ..Sampling::default() }, 7)?;
/// assert!([1, 3].contains(&sampler.next(&logits)?));
/// # Ok::<(), bitnet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sampler {
    /// `None` for a greedy sampler.
    draw: Option<(Sampling, Xoshiro256PlusPlus)>,
}

impl Sampler {
    /// A sampler that always takes the most likely token. If several are equal, it takes the first, like
    /// `torch.argmax`.
    pub fn greedy() -> Self {
        Self { draw: None }
    }

    /// A sampler that draws according to `settings`. Equal seeds give equal draws.
    ///
    /// # Errors
    /// [`Error::BadSetting`] if a setting is out of its range.
    pub fn seeded(settings: Sampling, seed: u64) -> Result<Self> {
        settings.check()?;
        Ok(Self { draw: Some((settings, Xoshiro256PlusPlus::seed_from_u64(seed))) })
    }

    /// Chooses the next token id from `logits`, `[vocab_size]`. A token whose logit is -infinity is never chosen.
    ///
    /// # Errors
    /// [`Error::BadLogit`] with the first logit that is NaN or +infinity, or with logit 0 if all logits are
    /// -infinity. [`Error::Shape`] if `logits` is empty.
    pub fn next(&mut self, logits: &[f32]) -> Result<u32> {
        let best = argmax(logits)?;
        let token = match &mut self.draw {
            None => best,
            Some((settings, rng)) => {
                let weights = weights(logits, logits[best], settings);
                // 53 bits are the precision of an f64: every value is exact, and below 1.
                let unit = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                draw(&weights, unit)
            }
        };
        Ok(u32::try_from(token).expect("a vocabulary has fewer than 2^32 tokens"))
    }
}

/// The index of the largest logit; the first one if several are equal.
fn argmax(logits: &[f32]) -> Result<usize> {
    let bad = |index: usize| Error::BadLogit { index, value: logits[index] };
    if let Some(index) = logits.iter().position(|l| l.is_nan() || *l == f32::INFINITY) {
        return Err(bad(index));
    }
    let best = (0..logits.len()).reduce(|best, i| if logits[i] > logits[best] { i } else { best });
    match best {
        None => Err(Error::Shape { what: "logits".into(), expected: vec![1], found: vec![0] }),
        Some(best) if logits[best] == f32::NEG_INFINITY => Err(bad(best)),
        Some(best) => Ok(best),
    }
}

/// The weight of each token in the draw, `[vocab_size]`: a softmax without its division, and 0 for tokens that
/// `top_k` or `top_p` removes.
fn weights(logits: &[f32], max: f32, settings: &Sampling) -> Vec<f64> {
    let weigh = |l: f32| libm::exp((f64::from(l) - f64::from(max)) / settings.temperature);
    let mut weights: Vec<f64> = logits.iter().map(|&l| weigh(l)).collect();

    let top_k = settings.top_k.unwrap_or(usize::MAX).min(logits.len());
    if top_k == logits.len() && settings.top_p == 1.0 {
        return weights;
    }
    // Tokens are ordered by logit and not by weight, because different logits may give the same weight.
    let likelier = |&a: &usize, &b: &usize| -> Ordering {
        let by_logit = logits[b].partial_cmp(&logits[a]).expect("no logit is NaN");
        by_logit.then(a.cmp(&b))
    };
    let mut order: Vec<usize> = (0..logits.len()).collect();
    if top_k < order.len() {
        order.select_nth_unstable_by(top_k, likelier);
    }
    let mut keep = top_k;
    if settings.top_p < 1.0 {
        let top = &mut order[..top_k];
        top.sort_unstable_by(likelier);
        let enough = settings.top_p * top.iter().map(|&i| weights[i]).sum::<f64>();
        let mut mass = 0.0;
        keep = 0;
        // A token is kept if the more likely tokens alone do not reach `top_p`.
        while keep < top_k && mass < enough {
            mass += weights[order[keep]];
            keep += 1;
        }
    }
    order[keep..].iter().for_each(|&i| weights[i] = 0.0);
    weights
}

/// The token at the relative position `unit`, 0 <= `unit` < 1, on a line on which the weights lie end to end.
fn draw(weights: &[f64], unit: f64) -> usize {
    let mut left = unit * weights.iter().sum::<f64>();
    let mut last = 0;
    for (i, &w) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        if left < w {
            return i;
        }
        left -= w;
        last = i;
    }
    // This line is reached only through rounding.
    last
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [0.25, 3.0, -2.0, 3.0, 1.5, f32::NEG_INFINITY];

    fn tokens(settings: Sampling, seed: u64, count: usize, logits: &[f32]) -> Vec<u32> {
        let mut sampler = Sampler::seeded(settings, seed).unwrap();
        (0..count).map(|_| sampler.next(logits).unwrap()).collect()
    }

    /// Draws many tokens and compares their frequencies with the expected probabilities.
    fn check_frequencies(settings: Sampling, logits: &[f32], expected: &[f64]) {
        const DRAWS: usize = 40_000;
        let drawn = tokens(settings, 1, DRAWS, logits);
        for (token, p) in expected.iter().enumerate() {
            let count = drawn.iter().filter(|t| **t == token as u32).count();
            let frequency = count as f64 / DRAWS as f64;
            // Five standard deviations of the frequency.
            let tolerance = 5.0 * (p * (1.0 - p) / DRAWS as f64).sqrt();
            assert!((frequency - p).abs() <= tolerance, "token {token}: {frequency}, expected {p} within {tolerance}");
        }
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        for (logits, token) in
            [(&LOGITS[..], 1), (&[-1.0], 0), (&[0.0, -0.0], 0), (&[-0.0, 0.0], 0), (&[f32::MIN, f32::MIN, f32::MAX], 2)]
        {
            assert_eq!(Sampler::greedy().next(logits).unwrap(), token, "{logits:?}");
        }
    }

    #[test]
    fn narrow_settings_equal_greedy() {
        for settings in [
            Sampling { top_k: Some(1), ..Sampling::default() },
            Sampling { top_p: 1e-12, ..Sampling::default() },
            Sampling { top_p: f64::MIN_POSITIVE, ..Sampling::default() },
            Sampling { temperature: f64::MAX, top_k: Some(1), top_p: 0.5 },
        ] {
            assert_eq!(tokens(settings, 3, 200, &LOGITS), [1; 200], "{settings:?}");
        }
    }

    #[test]
    fn temperature_limits() {
        let cold = Sampling { temperature: f64::from_bits(1), ..Sampling::default() };
        assert_eq!(tokens(cold, 3, 200, &[0.0, 1.0, f32::MAX, f32::MIN]), [2; 200]);
        let hot = Sampling { temperature: f64::MAX, ..Sampling::default() };
        check_frequencies(hot, &[f32::MIN, 0.0, f32::MAX, f32::NEG_INFINITY], &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0]);
    }

    #[test]
    fn frequencies() {
        let p = [0.5, 0.25, 0.125, 0.125, 0.0];
        let logits = p.map(|p: f64| p.ln() as f32 + 3.0);
        check_frequencies(Sampling::default(), &logits, &p);
        let squared = p.map(|p| p * p / 0.34375);
        check_frequencies(Sampling { temperature: 0.5, ..Sampling::default() }, &logits, &squared);
        check_frequencies(Sampling { top_k: Some(99), ..Sampling::default() }, &logits, &p);
        let two = [2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, 0.0];
        check_frequencies(Sampling { top_k: Some(2), ..Sampling::default() }, &logits, &two);
        check_frequencies(Sampling { top_p: 0.6, ..Sampling::default() }, &logits, &two);
        // The first of the two equally likely tokens is kept.
        let three = [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0, 0.0, 0.0];
        check_frequencies(Sampling { top_k: Some(3), ..Sampling::default() }, &logits, &three);
        check_frequencies(Sampling { top_p: 0.8, ..Sampling::default() }, &logits, &three);
        // `top_p` applies to the tokens that `top_k` keeps. Their probabilities are 2/3 and 1/3, so the first alone
        // reaches 0.6.
        let one = [1.0, 0.0, 0.0, 0.0, 0.0];
        check_frequencies(Sampling { top_k: Some(2), top_p: 0.6, ..Sampling::default() }, &logits, &one);
    }

    #[test]
    fn seeds() {
        let logits: Vec<f32> = (0..320).map(|i| (i % 7) as f32 * 0.1).collect();
        let run = |seed| tokens(Sampling { top_p: 0.9, ..Sampling::default() }, seed, 16, &logits);
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
        // Fixed values: a seed must give the same tokens on every platform and in every version.
        assert_eq!(run(5)[..8], [92, 194, 30, 17, 167, 223, 145, 19]);
    }

    #[test]
    fn a_draw_is_a_place_on_the_line() {
        let weights = [0.0, 2.0, 0.0, 1.0, 1.0, 0.0];
        let below_one = 1.0 - f64::EPSILON / 2.0;
        for (unit, token) in [(0.0, 1), (0.499, 1), (0.5, 3), (0.75, 4), (below_one, 4)] {
            assert_eq!(draw(&weights, unit), token, "{unit}");
        }
    }

    #[test]
    fn settings_out_of_range() {
        let default = Sampling::default();
        for (settings, message) in [
            (Sampling { temperature: 0.0, ..default }, "temperature: expected a finite number above 0, found 0"),
            (Sampling { temperature: -1.0, ..default }, "temperature: expected a finite number above 0, found -1"),
            (Sampling { temperature: f64::NAN, ..default }, "found NaN"),
            (Sampling { temperature: f64::INFINITY, ..default }, "found inf"),
            (Sampling { top_k: Some(0), ..default }, "top_k: expected at least 1, found 0"),
            (Sampling { top_p: 0.0, ..default }, "top_p: expected a number above 0 and at most 1, found 0"),
            (Sampling { top_p: 1.5, ..default }, "found 1.5"),
            (Sampling { top_p: f64::NAN, ..default }, "found NaN"),
        ] {
            let error = Sampler::seeded(settings, 0).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Usage);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn logits_that_are_no_distribution() {
        const NONE: f32 = f32::NEG_INFINITY;
        for (logits, message) in [
            (&[0.0, f32::NAN, f32::NAN][..], "logit 1 is NaN"),
            (&[1.0, 0.0, f32::INFINITY], "logit 2 is inf"),
            (&[NONE, NONE], "logit 0 is -inf"),
            (&[], "logits: expected"),
        ] {
            for mut sampler in [Sampler::greedy(), Sampler::seeded(Sampling::default(), 0).unwrap()] {
                let message_found = sampler.next(logits).unwrap_err().to_string();
                assert!(message_found.contains(message), "{message_found}");
            }
        }
    }
}
