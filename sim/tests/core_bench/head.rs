//! An output head on both units, for tests.

use bitnet::config::{Linear, ModelConfig, Norm};
use bitnet::model::Model;
use bitnet::sampler::Sampler;
use bitnet::synthetic::Synthetic;
use bitnet::weights::{BitLinearWeights, HeadRows, WeightSource};
use golden::Dtype;
use half::bf16;
use ndarray::Array2;
use soft_core::Error;
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::head::{HeadOutput, HeadWeights, load};
use soft_core::system::System;
use vector::VectorConfig;
use zynq_memory::{MemoryConfig, Timing};

use super::{small, system, ternary_unit};

/// The margin of the tests, in standard deviations.
pub const MARGIN: f32 = 4.5;

/// A synthetic model with a head of one's own.
pub struct Rows {
    model: Synthetic,
    rows: Vec<f32>,
    bf16: bool,
}

impl Rows {
    /// `rows` of `cols` values each; stored as bf16, or as singles.
    pub fn new(cols: usize, rows: Vec<f32>, bf16: bool) -> Self {
        let mut config = small();
        (config.hidden_size, config.vocab_size) = (cols, rows.len() / cols);
        Self { model: Synthetic::new(config, 5), rows, bf16 }
    }

    /// A synthetic head of `count` rows.
    pub fn synthetic(cols: usize, count: usize) -> Self {
        let mut config = small();
        (config.hidden_size, config.vocab_size) = (cols, count);
        let model = Synthetic::new(config, 5);
        let rows = model.head(0..count).unwrap().to_f32();
        Self { model, rows, bf16: true }
    }

    pub fn rows(&self) -> &[f32] {
        &self.rows
    }
}

impl WeightSource for Rows {
    fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    fn linear(&self, layer: usize, linear: Linear) -> bitnet::Result<BitLinearWeights> {
        self.model.linear(layer, linear)
    }

    fn norm(&self, layer: usize, norm: Norm) -> bitnet::Result<Vec<f32>> {
        self.model.norm(layer, norm)
    }

    fn embed(&self, ids: &[u32]) -> bitnet::Result<Array2<f32>> {
        self.model.embed(ids)
    }

    fn head(&self, vocab: std::ops::Range<usize>) -> bitnet::Result<HeadRows<'_>> {
        let cols = self.config().hidden_size;
        let rows = &self.rows[vocab.start * cols..vocab.end * cols];
        Ok(if self.bf16 {
            HeadRows::Bf16(rows.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<_>>().into())
        } else {
            HeadRows::F32(rows.into())
        })
    }

    fn final_norm(&self) -> bitnet::Result<Vec<f32>> {
        Ok((0..self.config().hidden_size).map(|i| 0.5 + (i % 7) as f32 / 8.0).collect())
    }

    fn describe(&self) -> String {
        "rows of a test".into()
    }
}

/// The residual stream of a token, without a pattern; for seed 0, zeros.
pub fn hidden(cols: usize, seed: u32, dtype: Dtype) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..cols).map(|_| if seed == 0 { 0.0 } else { dtype.round(next() + next() + next()) }).collect()
}

/// Golden's logits of `hidden`, and the token that it chooses.
fn golden_head(source: &Rows, hidden: &[f32], dtype: Dtype) -> (Vec<f32>, u32) {
    let hidden = Array2::from_shape_vec((1, hidden.len()), hidden.to_vec()).unwrap();
    let logits = Model::new(source, dtype).logits(&hidden, &mut ()).unwrap().into_raw_vec_and_offset().0;
    let token = Sampler::greedy().next(&logits).unwrap();
    (logits, token)
}

/// Both units and a core with a head in memory.
pub struct HeadSystem<'a> {
    source: &'a Rows,
    pub weights: HeadWeights,
    dtype: Dtype,
    unit: VectorConfig,
    firmware: Firmware,
    pub system: System,
}

impl<'a> HeadSystem<'a> {
    pub fn new(source: &'a Rows, dtype: Dtype, lanes: usize, stall: u8) -> Self {
        let unit = VectorConfig::of(lanes);
        let firmware = Firmware::build(Core::VexRiscv, &mut |_| {}).unwrap();
        let weights = HeadWeights::of(source, dtype).unwrap();
        let bytes = weights.memory_bytes(1 << 20) + weights.far_bytes();
        let memory = MemoryConfig { stall, ..MemoryConfig::plain(0x1000_0000, bytes, Timing::ideal(40)) };
        let system = system(Core::VexRiscv, &firmware, &ternary_unit(unit.port_bits), Some(unit), memory);
        Self { source, weights, dtype, unit, firmware, system }
    }

    /// Chooses tokens for some streams, one after the other, and checks everything against golden.
    pub fn check(&mut self, seeds: std::ops::Range<u32>, margin: f32) -> Vec<HeadOutput> {
        let head = load(&mut self.system, &self.weights, &self.unit, margin).unwrap();
        let mut outputs = Vec::new();
        for seed in seeds {
            let hidden = hidden(self.source.config().hidden_size, seed, self.dtype);
            let output = head.run(&mut self.system, &self.firmware, &hidden).unwrap();
            let (logits, token) = golden_head(self.source, &hidden, self.dtype);
            for tensor in output.compare(&self.weights, &hidden, &logits, token) {
                assert_eq!((tensor.mismatches, tensor.first), (0, None), "stream {seed}: {}", tensor.name);
            }
            let (noted, all) = (output.logits.len(), output.chosen.logits as usize);
            assert!(noted == all || (noted < all && noted > 4_000), "{noted} of {all} logits can be seen");
            outputs.push(output);
        }
        outputs
    }

    /// The tensors of a stream that differ from those of `golden`.
    pub fn differing(&mut self, seed: u32, golden: &Rows, margin: f32) -> Vec<String> {
        let head = load(&mut self.system, &self.weights, &self.unit, margin).unwrap();
        let hidden = hidden(self.source.config().hidden_size, seed, self.dtype);
        let output = head.run(&mut self.system, &self.firmware, &hidden).unwrap();
        let (logits, token) = golden_head(golden, &hidden, self.dtype);
        let compared = output.compare(&HeadWeights::of(golden, self.dtype).unwrap(), &hidden, &logits, token);
        compared.into_iter().filter(|tensor| tensor.mismatches > 0).map(|tensor| tensor.name).collect()
    }

    /// The error of a job.
    pub fn fails(&mut self, hidden: &[f32]) -> Error {
        let head = load(&mut self.system, &self.weights, &self.unit, MARGIN);
        head.and_then(|head| head.run(&mut self.system, &self.firmware, hidden)).unwrap_err()
    }
}
