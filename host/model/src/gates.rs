//! The gates of a model without a checkpoint: how many of them are above zero.
//!
//! With random weights and inputs, half of the gates are. Where the gates of a model are above zero decides what can be
//! skipped, so a synthetic model can have a chosen share of them. Some channels of its residual stream are constant, and a
//! row of `gate_proj` weighs all of them in favour of its gate or all of them against it. Trained models have channels of
//! large constant values too.

use std::fmt;

use golden::ternary::WORD;
use rand_core::Rng;

/// The share of gates above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Gates {
    /// As random weights make it: about half.
    #[default]
    Chance,
    /// As measured on the published BitNet b1.58-2B-4T: of the inputs of `down_proj` 59.8 % are zero, between 41.6 % and
    /// 78.9 % by layer. Which layer has how many is not published; here their share rises with depth, from 41.6 % to
    /// 78 %.
    Published,
    /// The given share, 0 to 1.
    Share(f64),
}

impl Gates {
    /// The share of gates above zero at a depth in the model, 0 to 1; `None` if it is left to chance.
    pub fn share(self, depth: f64) -> Option<f64> {
        match self {
            Self::Chance => None,
            Self::Published => Some(1.0 - (0.416 + (0.780 - 0.416) * depth)),
            Self::Share(share) => Some(share),
        }
    }
}

/// What the description of a model says about its gates.
impl fmt::Display for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chance => Ok(()),
            Self::Published => write!(f, ", gates above zero as published"),
            Self::Share(share) => write!(f, ", {:.1} % of gates above zero", share * 100.0),
        }
    }
}

/// By how many standard deviations of a random gate the constant channels move it.
const MOVED: f32 = 9.0;
/// Weights that are not zero, of the weights of a row.
const DENSITY: f32 = 0.645;

/// A channel of the residual stream with the same value in all tokens and layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Constant {
    /// The channel.
    pub(crate) channel: usize,
    /// Whether its value is below zero.
    negative: bool,
}

impl Constant {
    /// Number of constant channels of `width`.
    fn count(width: usize) -> usize {
        (width / 40).max(8).min(width)
    }

    /// Chooses channels and their signs.
    pub(crate) fn choose(width: usize, rng: &mut impl Rng) -> Vec<Self> {
        let mut all: Vec<usize> = (0..width).collect();
        let mut one = |index: usize| {
            let other = index + (rng.next_u64() % (width - index) as u64) as usize;
            all.swap(index, other);
            Self { channel: all[index], negative: rng.next_u64() >> 63 != 0 }
        };
        (0..Self::count(width)).map(&mut one).collect()
    }

    /// Size of a constant channel behind the norm, in units of another channel's standard deviation.
    pub(crate) fn strength(width: usize) -> f32 {
        MOVED * (width as f32 * DENSITY).sqrt() / Self::count(width) as f32
    }

    /// Puts the constant channels into a row, with the given magnitude.
    pub(crate) fn put(channels: &[Self], row: &mut [f32], magnitude: f32) {
        channels.iter().for_each(|c| row[c.channel] = if c.negative { -magnitude } else { magnitude });
    }

    /// Sets the weight of this channel in a row, with the sign that moves the gate above zero or below.
    pub(crate) fn weigh(&self, nz: &mut [u64], neg: &mut [u64], above: bool) {
        let (word, bit) = (self.channel / WORD, 1 << (self.channel % WORD));
        nz[word] |= bit;
        if self.negative == above { neg[word] |= bit } else { neg[word] &= !bit }
    }
}
