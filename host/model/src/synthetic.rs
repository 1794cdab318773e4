//! A model without a checkpoint: the dimensions and statistics of a real model, with random weights from a seed.
//!
//! Each row depends only on `(seed, layer, part, row)`, and is computed with integers and correctly rounded float
//! operations only. So the model is the same on every platform, for any order of requests and for any number of
//! threads.

use std::ops::Range;

use golden::{Dtype, TernaryMatrix};
use half::bf16;
use half::slice::HalfFloatSliceExt;
use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};
use rayon::prelude::*;

use crate::Result;
use crate::config::{Linear, ModelConfig, Norm};
use crate::gates::{Constant, Gates};
use crate::weights::{BitLinearWeights, HeadRows, WeightSource};

/// One in this many rows of a linear is all zeros.
const ZERO_ROWS: u64 = 128;
/// One in this many norm weights has decayed to [`DEAD`].
const DEAD_NORMS: u64 = 256;
/// The value of a decayed norm weight. Its square underflows.
const DEAD: f32 = 1.05e-32;
/// Number of outlier channels in the residual stream.
const OUTLIERS: usize = 4;
/// The factor by which an outlier channel is larger.
const OUTLIER_GAIN: f32 = 25.0;
/// Standard deviation of an embedding.
const EMBEDDING: f32 = 0.5;

/// The purpose of a random stream. The model of a seed depends on these numbers.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Part {
    Embedding = 100,
    Norm = 200,
    FinalNorm = 300,
    Hidden = 400,
    Outliers = 500,
    Constants = 550,
    Gates = 560,
    Head = 600,
}

/// A model whose weights are drawn from a seed.
///
/// ```
/// use bitnet::{config::ModelConfig, synthetic::Synthetic, weights::WeightSource};
/// let model = Synthetic::new(ModelConfig::bitnet_2b_4t(), 7);
/// let k = model.linear(14, bitnet::config::Linear::K)?;
/// assert_eq!((k.ternary.rows(), k.ternary.cols()), (640, 2560));
/// # Ok::<(), bitnet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Synthetic {
    config: ModelConfig,
    seed: u64,
    gates: Gates,
    /// The channels on which the gates depend; none if gates are left to chance.
    constants: Vec<Constant>,
}

impl Synthetic {
    /// A model with these dimensions, and with the weights of this seed.
    pub fn new(config: ModelConfig, seed: u64) -> Self {
        Self { config, seed, gates: Gates::Chance, constants: Vec::new() }
    }

    /// Like [`Synthetic::new`], with a chosen share of gates above zero.
    pub fn with_gates(config: ModelConfig, seed: u64, gates: Gates) -> Self {
        let mut model = Self { gates, ..Self::new(config, seed) };
        if gates != Gates::Chance {
            let mut rng = model.stream(0, Part::Constants as u64, 0);
            model.constants = Constant::choose(model.config.hidden_size, &mut rng);
        }
        model
    }

    /// A residual stream that resembles the input of `layer`, `[tokens, hidden_size]`: Gaussian values that grow with
    /// depth, and a few outlier channels. All values are exact in bf16.
    ///
    /// # Errors
    /// A layer out of range, or an unsupported number of tokens.
    pub fn hidden(&self, layer: usize, tokens: usize) -> Result<Array2<f32>> {
        self.config.check_layer(layer)?;
        self.config.check_length(tokens)?;
        let rms = self.rms(layer);
        let mut pick = self.stream(0, Part::Outliers as u64, 0);
        let hot: Vec<usize> =
            (0..OUTLIERS).map(|_| below(&mut pick, self.config.hidden_size as u64) as usize).collect();
        Ok(self.rows(tokens, |row, t| {
            gaussian(&mut self.stream(layer, Part::Hidden as u64, t), row, rms);
            for &channel in &hot {
                row[channel] *= OUTLIER_GAIN;
            }
            Constant::put(&self.constants, row, EMBEDDING);
        }))
    }

    /// About the standard deviation of the residual stream at the input of `layer`.
    fn rms(&self, layer: usize) -> f32 {
        geometric(f64::from(EMBEDDING), 800.0, self.depth(layer))
    }

    /// Depth of `layer` in the model, from 0 (first layer) to 1 (last layer).
    fn depth(&self, layer: usize) -> f64 {
        layer as f64 / (self.config.num_hidden_layers - 1).max(1) as f64
    }

    /// The random stream of one row of one part.
    fn stream(&self, layer: usize, part: u64, row: usize) -> Xoshiro256PlusPlus {
        let key = [layer as u64, part, row as u64].iter().fold(mix(self.seed), |h, &x| mix(h ^ x));
        Xoshiro256PlusPlus::seed_from_u64(key)
    }

    /// A `[rows, hidden_size]` tensor rounded to bf16. `fill` computes its rows, in parallel.
    fn rows(&self, rows: usize, fill: impl Fn(&mut [f32], usize) + Sync) -> Array2<f32> {
        let width = self.config.hidden_size;
        let mut data = vec![0.0; rows * width];
        data.par_chunks_mut(width).enumerate().for_each(|(r, row)| {
            fill(row, r);
            Dtype::Bf16.round_slice(row);
        });
        Array2::from_shape_vec((rows, width), data).expect("the vector was made for this shape")
    }
}

impl Synthetic {
    /// Changes the weights of a linear such that a gate is above zero with the chance `share`. The planes are `nz` and
    /// `neg`, as in [`TernaryMatrix::from_planes`].
    fn set_gates(&self, layer: usize, linear: Linear, share: f64, (nz, neg): (&mut [u64], &mut [u64])) {
        let words = nz.len() / linear.out_features(&self.config);
        match linear {
            Linear::Gate => {
                let rows = nz.chunks_exact_mut(words).zip(neg.chunks_exact_mut(words)).enumerate();
                for (r, (nz, neg)) in rows.filter(|(_, (nz, _))| nz.iter().any(|word| *word != 0)) {
                    let above = f64::from(unit(&mut self.stream(layer, Part::Gates as u64, r))) < share;
                    self.constants.iter().for_each(|c| c.weigh(nz, neg, above));
                }
            }
            // The stream must stay what the embedding made it, in the constant channels.
            Linear::O | Linear::Down => {
                for c in &self.constants {
                    nz[c.channel * words..(c.channel + 1) * words].fill(0);
                    neg[c.channel * words..(c.channel + 1) * words].fill(0);
                }
            }
            _ => {}
        }
    }
}

impl WeightSource for Synthetic {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn linear(&self, layer: usize, linear: Linear) -> Result<BitLinearWeights> {
        self.config.check_layer(layer)?;
        let (rows, cols) = (linear.out_features(&self.config), linear.in_features(&self.config));
        let part = linear.index() as u64;
        let mut whole = self.stream(layer, part, usize::MAX);
        // 154 to 176 of 256 weights are not zero. A matrix of Gaussian masters has about 176.
        let density = 154 + below(&mut whole, 23) as u8;
        let factor = Dtype::Bf16.round(0.75 + 1.25 * unit(&mut whole));

        let words = cols.div_ceil(golden::ternary::WORD);
        let (mut nz, mut neg) = (vec![0; rows * words], vec![0; rows * words]);
        nz.par_chunks_mut(words).zip(neg.par_chunks_mut(words)).with_min_len(16).enumerate().for_each(
            |(r, (nz, neg))| {
                let mut rng = self.stream(layer, part, r);
                if below(&mut rng, ZERO_ROWS) == 0 {
                    return;
                }
                for (nz, neg) in nz.iter_mut().zip(neg) {
                    *nz = biased(&mut rng, density);
                    *neg = *nz & rng.next_u64();
                }
            },
        );
        if let Some(share) = self.gates.share(self.depth(layer)) {
            self.set_gates(layer, linear, share, (&mut nz, &mut neg));
        }
        let ternary = TernaryMatrix::from_planes(rows, cols, nz, neg).expect("the planes were made for this shape");
        Ok(BitLinearWeights { ternary: ternary.into(), factor })
    }

    /// The gains follow the published model: those of the two sub-norms grow with depth, so each layer adds about as
    /// much to the residual stream as all earlier layers together.
    fn norm(&self, layer: usize, norm: Norm) -> Result<Vec<f32>> {
        self.config.check_layer(layer)?;
        let depth = self.depth(layer);
        let gain = match norm {
            Norm::Input => geometric(0.014, 0.025, depth),
            Norm::AttnSub => geometric(0.013, 10.0, depth),
            Norm::PostAttention => geometric(1.35, 1.55, depth),
            Norm::FfnSub => geometric(0.2, 12.0, depth),
        };
        let mut weights = gains(self.stream(layer, Part::Norm as u64 + norm as u64, 0), norm.width(&self.config), gain);
        if norm == Norm::PostAttention {
            // What the norm divides by has grown since the embedding; a constant channel has not.
            let strength = Constant::strength(self.config.hidden_size) * gain * self.rms(layer) / EMBEDDING;
            self.constants.iter().for_each(|c| weights[c.channel] = Dtype::Bf16.round(strength));
        }
        Ok(weights)
    }

    fn embed(&self, ids: &[u32]) -> Result<Array2<f32>> {
        self.config.check_tokens(ids)?;
        Ok(self.rows(ids.len(), |row, i| {
            gaussian(&mut self.stream(0, Part::Embedding as u64, ids[i] as usize), row, EMBEDDING);
            Constant::put(&self.constants, row, EMBEDDING);
        }))
    }

    fn head(&self, vocab: Range<usize>) -> Result<HeadRows<'_>> {
        let part = if self.config.tie_word_embeddings { Part::Embedding } else { Part::Head };
        let width = self.config.hidden_size;
        let mut head = vec![bf16::ZERO; vocab.len() * width];
        head.par_chunks_mut(width).enumerate().with_min_len(16).for_each_init(
            || vec![0.0; width],
            |row, (i, head)| {
                gaussian(&mut self.stream(0, part as u64, vocab.start + i), row, EMBEDDING);
                if self.config.tie_word_embeddings {
                    Constant::put(&self.constants, row, EMBEDDING);
                }
                head.convert_from_f32_slice(row);
            },
        );
        Ok(HeadRows::Bf16(head.into()))
    }

    fn final_norm(&self) -> Result<Vec<f32>> {
        Ok(gains(self.stream(0, Part::FinalNorm as u64, 0), self.config.hidden_size, 1.0))
    }

    fn describe(&self) -> String {
        let c = &self.config;
        let gates = self.gates;
        format!(
            "synthetic weights, seed {}, {} layers, hidden {}{gates}",
            self.seed, c.num_hidden_layers, c.hidden_size
        )
    }
}

/// A word whose bits are set with probability `p / 256`. One random word is used per binary digit of `p`, lowest first.
fn biased(rng: &mut impl Rng, p: u8) -> u64 {
    (p.trailing_zeros()..8).fold(0, |word, bit| {
        let random = rng.next_u64();
        if p >> bit & 1 == 1 { word | random } else { word & random }
    })
}

/// Fills `row` with approximately Gaussian values of mean 0 and standard deviation `rms`. Each is the sum of eight
/// random bytes, so it deviates by at most 4.9 standard deviations.
fn gaussian(rng: &mut impl Rng, row: &mut [f32], rms: f32) {
    // The variance of one byte is (256^2 - 1) / 12.
    let scale = rms / (8.0f32 * 65535.0 / 12.0).sqrt();
    for x in row {
        let bytes = rng.next_u64();
        // `pairs` holds four sums of two bytes. The product adds these four sums up in its highest 16 bits.
        let pairs = (bytes & 0x00ff_00ff_00ff_00ff) + (bytes >> 8 & 0x00ff_00ff_00ff_00ff);
        let sum = pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48;
        *x = (sum as i32 as f32 - 1020.0) * scale;
    }
}

/// Norm weights around `gain`, a few of them decayed to [`DEAD`].
fn gains(mut rng: Xoshiro256PlusPlus, width: usize, gain: f32) -> Vec<f32> {
    let mut weights = vec![0.0; width];
    gaussian(&mut rng, &mut weights, 0.2);
    for w in &mut weights {
        *w = if below(&mut rng, DEAD_NORMS) == 0 { DEAD } else { gain * (1.0 + *w).max(0.1) };
    }
    Dtype::Bf16.round_slice(&mut weights);
    weights
}

/// A random integer below `n`. All `n` are small, so the bias is negligible and no value is rejected.
fn below(rng: &mut impl Rng, n: u64) -> u64 {
    ((rng.next_u64() >> 32) * n) >> 32
}

/// A random number, uniform in [0, 1).
fn unit(rng: &mut impl Rng) -> f32 {
    (rng.next_u64() >> 40) as f32 / (1u64 << 24) as f32
}

/// Computes `a * (b / a)^t` for `t` from 0 to 1 with repeated square roots. Unlike powers, they round the same on
/// every platform.
fn geometric(a: f64, b: f64, mut t: f64) -> f32 {
    let (mut root, mut value) = (b / a, a);
    if t >= 1.0 {
        return b as f32;
    }
    for _ in 0..24 {
        root = root.sqrt();
        t *= 2.0;
        if t >= 1.0 {
            t -= 1.0;
            value *= root;
        }
    }
    value as f32
}

/// A bijection that spreads every input bit over the word (a step of SplitMix64).
fn mix(x: u64) -> u64 {
    SplitMix64::from_seed(x.to_le_bytes()).next_u64()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use sha2::{Digest, Sha256};

    fn small() -> ModelConfig {
        let mut config = ModelConfig::bitnet_2b_4t();
        (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (192, 420, 6);
        (config.num_attention_heads, config.num_key_value_heads, config.vocab_size) = (6, 3, 700);
        config
    }

    /// Digests of the layers, computed in the order of `layers`, and of the head with the final norm.
    fn digest(model: &Synthetic, layers: &[usize]) -> Vec<String> {
        let mut out = vec![String::new(); layers.len() + 1];
        let hex = |hash: Sha256| hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect::<String>();
        for &l in layers {
            let (layer, mut hash) = (model.layer(l).unwrap(), Sha256::new());
            for w in Linear::ALL.map(|op| layer.linear(op)) {
                let matrix = w.ternary.planes();
                for (nz, neg) in (0..matrix.rows()).map(|r| matrix.row(r)) {
                    nz.iter().chain(neg).for_each(|word| hash.update(word.to_le_bytes()));
                }
                hash.update(w.factor.to_le_bytes());
            }
            let hidden = model.hidden(l, 3).unwrap();
            Norm::ALL.iter().flat_map(|n| layer.norm(*n)).chain(&hidden).for_each(|x| hash.update(x.to_le_bytes()));
            out[l] = hex(hash);
        }
        let mut hash = Sha256::new();
        let (head, norm) = (model.head(0..700).unwrap(), model.final_norm().unwrap());
        head.to_f32().iter().chain(&norm).for_each(|x| hash.update(x.to_le_bytes()));
        out[layers.len()] = hex(hash);
        out
    }

    /// Gates above zero in layers of a whole pass, as the model was asked for.
    #[test]
    fn gates_are_as_asked_for() {
        struct Shares(Vec<f64>);
        impl crate::layer::Observer for Shares {
            fn tensor(&mut self, name: &str, _: &[usize], values: crate::layer::Values<'_>) {
                if let (true, crate::layer::Values::I32(acc)) = (name.ends_with("gate_proj.acc"), values) {
                    self.0.push(acc.iter().filter(|acc| **acc > 0).count() as f64 / acc.len() as f64);
                }
            }
        }
        let config = ModelConfig { intermediate_size: 1200, ..small() };
        for (gates, wanted) in [
            (Gates::Share(0.0), [0.0; 6]),
            (Gates::Share(0.25), [0.25; 6]),
            (Gates::Share(1.0), [1.0; 6]),
            (Gates::Published, [0.584, 0.511, 0.438, 0.366, 0.293, 0.22]),
        ] {
            let source = Synthetic::with_gates(config.clone(), 3, gates);
            let mut shares = Shares(Vec::new());
            let mut model = crate::model::Model::new(&source, Dtype::Fp32);
            model.forward(&[5, 9, 40], &mut crate::layer::CpuBackend, &mut shares).unwrap();
            assert_eq!(shares.0.len(), 6);
            for (found, wanted) in shares.0.iter().zip(wanted) {
                // One row in 128 is zeros.
                assert!((found - wanted * 127.0 / 128.0).abs() < 0.03, "{gates:?}: {:?}", shares.0);
            }
        }
    }

    /// The model of a seed must not change unnoticed, because reports name the seed.
    #[test]
    fn a_seed_gives_the_same_model_everywhere() {
        let model = Synthetic::new(small(), 7);
        let want = digest(&model, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(want, SNAPSHOT);
        assert_eq!(digest(&model, &[5, 2, 0, 1, 4, 3]), want, "in any order");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| digest(&model, &[0, 1, 2, 3, 4, 5])), want, "with {threads} threads");
        }
        let other = digest(&Synthetic::new(small(), 8), &[0, 1, 2, 3, 4, 5]);
        let distinct: std::collections::BTreeSet<_> = want.iter().chain(&other).collect();
        assert_eq!(distinct.len(), 14, "seeds and layers differ");
    }

    const SNAPSHOT: [&str; 7] = [
        "8723fda3bb0a",
        "3c228c5b3a4a",
        "676682f92ce2",
        "cb00664566a1",
        "10b92abbc9f5",
        "87803727c0d8",
        "e752381527d4",
    ];

    #[test]
    fn weights_have_the_statistics_of_a_model() {
        let model = Synthetic::new(ModelConfig::bitnet_2b_4t(), 1);
        let layer = model.layer(14).unwrap();
        for w in Linear::ALL.map(|l| layer.linear(l)) {
            let matrix = w.ternary.planes();
            let (rows, cols) = (matrix.rows(), matrix.cols());
            let (mut zero_rows, mut nonzero, mut negative) = (0, 0u32, 0u32);
            for (nz, neg) in (0..rows).map(|r| matrix.row(r)) {
                let ones = |plane: &[u64]| plane.iter().map(|w| w.count_ones()).sum::<u32>();
                zero_rows += usize::from(ones(nz) == 0);
                (nonzero, negative) = (nonzero + ones(nz), negative + ones(neg));
            }
            let density = f64::from(nonzero) / ((rows - zero_rows) * cols) as f64;
            assert!((0.6..0.69).contains(&density), "density {density}");
            assert!((0.495..0.505).contains(&(f64::from(negative) / f64::from(nonzero))));
            assert!((1..rows / 40).contains(&zero_rows), "{zero_rows} rows of {rows} are zero");
            assert!((0.75..=2.0).contains(&w.factor) && Dtype::Bf16.round(w.factor) == w.factor);
        }
        for (norm, range) in [(Norm::Input, 0.012..0.027), (Norm::PostAttention, 1.3..1.6)] {
            let mut weights = layer.norm(norm).to_vec();
            weights.sort_by(f32::total_cmp);
            assert!(range.contains(&weights[weights.len() / 2]) && weights[0] < 1e-30);
        }
        let medians = [(0, 0.013, 0.2), (29, 10.0, 12.0)];
        for (l, attn, ffn) in medians {
            for (norm, want) in [(Norm::AttnSub, attn), (Norm::FfnSub, ffn)] {
                let mut weights = model.norm(l, norm).unwrap();
                weights.sort_by(f32::total_cmp);
                assert!((weights[weights.len() / 2] / want - 1.0f32).abs() < 0.05, "layer {l} {}", norm.name());
            }
        }
    }

    #[test]
    fn hidden_states_have_outlier_channels_and_are_exact_in_bf16() {
        let model = Synthetic::new(ModelConfig::bitnet_2b_4t(), 1);
        let h = model.hidden(14, 3).unwrap();
        assert!(h.iter().all(|x| Dtype::Bf16.round(*x) == *x));
        let rms = |c: usize| (h.column(c).iter().map(|x| x * x).sum::<f32>() / 3.0).sqrt();
        let mut by_size: Vec<f32> = (0..2560).map(rms).collect();
        by_size.sort_by(f32::total_cmp);
        let (median, fifth) = (by_size[1280], by_size[2555]);
        assert!(by_size[2559] > 10.0 * median && fifth < 4.0 * median, "{:?}", &by_size[2550..]);
        assert!(h.row(0) != h.row(1) && model.hidden(13, 3).unwrap() != h);
        assert!(matches!(model.hidden(30, 3), Err(crate::Error::LayerOutOfRange { .. })));
        assert_eq!(model.embed(&[5, 9]).unwrap().row(1).to_vec(), model.head(9..10).unwrap().to_f32(), "tied");
    }

    #[test]
    fn the_helpers_do_what_they_say() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for p in [1u8, 96, 128, 154, 255] {
            let ones: u32 = (0..20_000).map(|_| biased(&mut rng, p).count_ones()).sum();
            assert!((f64::from(ones) / 1_280_000.0 - f64::from(p) / 256.0).abs() < 0.003, "{p}");
        }
        let mut x = vec![0.0; 100_000];
        gaussian(&mut rng, &mut x, 2.0);
        let mean = x.iter().sum::<f32>() / 1e5;
        let var = x.iter().map(|x| x * x).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.03 && (var - 4.0).abs() < 0.08, "{mean} {var}");
        for t in [0.0, 0.25, 0.4, 1.0] {
            assert!((f64::from(geometric(0.013, 10.0, t)) / (0.013 * (10.0f64 / 0.013).powf(t)) - 1.0).abs() < 1e-5);
        }
    }
}
