//! Layers one behind the other on both units.

use std::path::PathBuf;
use std::sync::Arc;

use bitnet::checkpoint::Checkpoint;
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache};
use bitnet::skip::Skips;
use bitnet::synthetic::Synthetic;
use bitnet::weights::{LayerWeights, WeightSource};
use golden::Dtype;
use ndarray::{Array2, s};
use soft_core::compare::{Compared, Expected, compare_named, compare_stream};
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::layer::{LayerInput, Output};
use soft_core::whole;
use vector::VectorConfig;
use vector::layer::Layer;
use vector::schedule::schedule;
use zynq_memory::{MemoryConfig, Timing};

use super::{system, ternary_unit};

/// Layers of a checkpoint, again and again from the first one, with golden's results of each.
pub struct Chain {
    source: Checkpoint,
    dtype: Dtype,
    skips: Skips,
    hidden: Array2<f32>,
    layers: Vec<(Arc<LayerWeights>, KvCache, Expected)>,
}

impl Chain {
    pub fn new(folder: PathBuf, count: usize, tokens: usize, past: usize, dtype: Dtype, skips: Skips) -> Self {
        let source = Checkpoint::open(folder).unwrap();
        let config = source.config();
        let mut all = Synthetic::new(config.clone(), 5).hidden(0, past + tokens).unwrap();
        all.mapv_inplace(|x| dtype.round(x));
        let (mut before, hidden) = (all.slice(s![..past, ..]).to_owned(), all.slice(s![past.., ..]).to_owned());
        let (mut stream, mut layers) = (hidden.clone(), Vec::new());
        for index in (0..config.num_hidden_layers).cycle().take(count) {
            let (weights, mut cache) = (source.layer(index).unwrap(), KvCache::new());
            if past > 0 {
                let layer = DecoderLayer::new(config, index, &weights);
                before = layer.forward(&before, &mut cache, dtype, &mut CpuBackend, &mut ()).unwrap();
            }
            let mut after = cache.clone();
            let expected = Expected::of(config, index, &weights, &stream, &mut after, dtype, skips.rows).unwrap();
            stream = Array2::from_shape_vec(stream.dim(), expected.hidden.clone()).unwrap();
            layers.push((weights, cache, expected));
        }
        Self { source, dtype, skips, hidden, layers }
    }

    /// Runs the layers, in the order that `order` gives them.
    pub fn run<'a>(
        &'a self,
        lanes: usize,
        stall: u8,
        order: impl FnOnce(Vec<LayerInput<'a>>) -> Vec<LayerInput<'a>>,
    ) -> Output {
        let unit = VectorConfig::of(lanes);
        let firmware = Firmware::build(Core::VexRiscv, &mut |_| {}).unwrap();
        let memory = MemoryConfig { stall, ..MemoryConfig::plain(0x1000_0000, 64 << 20, Timing::ideal(40)) };
        let mut system = system(Core::VexRiscv, &firmware, &ternary_unit(unit.port_bits), Some(unit), memory);
        let (config, dtype, skips) = (self.source.config(), self.dtype, self.skips);
        let inputs = self.layers.iter().map(|(weights, cache, _)| LayerInput { config, weights, dtype, cache, skips });
        let inputs = order(inputs.collect());
        let stream: Vec<f32> = self.hidden.iter().copied().collect();
        whole::run(&mut system, &firmware, &unit, &stream, &inputs, false).unwrap()
    }

    /// The tensors that differ from golden's.
    pub fn differing(&self, output: &Output) -> Vec<String> {
        assert_eq!(output.layers.len(), self.layers.len());
        let mut all: Vec<(String, Compared)> = Vec::new();
        for (number, ((.., expected), found)) in self.layers.iter().zip(&output.layers).enumerate() {
            let names: Vec<String> = found.tensors.iter().map(|(name, _)| name.clone()).collect();
            let compared = compare_named(expected, found, &names);
            assert!(compared.len() >= 13, "codes and accumulators of all linears, keys and values: {compared:?}");
            all.extend(compared.into_iter().map(|tensor| (format!("layer {number}: "), tensor)));
        }
        let (.., last) = self.layers.last().unwrap();
        all.extend(compare_stream(last, output).into_iter().map(|tensor| (String::new(), tensor)));
        let wrong = all.into_iter().filter(|(_, tensor)| tensor.mismatches > 0);
        wrong.map(|(of, tensor)| of + &tensor.name).collect()
    }

    /// Instructions of the vector unit.
    pub fn instructions(&self, lanes: usize) -> usize {
        let layer = Layer {
            shape: self.source.config().into(),
            dtype: self.dtype,
            tokens: self.hidden.nrows(),
            past: self.layers[0].1.tokens(),
            factors: [1.0; 7],
            skip_rows: self.skips.rows,
            skip_columns: self.skips.columns,
            hidden: 0,
            norms: [0; 4],
            cos: 0,
            sin: 0,
            keys: 0,
            values: 0,
            codes: [0; 4],
            codes_stride: 0,
            accumulators: [0; 7],
        };
        schedule(&vec![layer; self.layers.len()], VectorConfig::of(lanes), None).code.code().len()
    }
}
