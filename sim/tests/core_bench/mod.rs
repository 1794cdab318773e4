//! A layer on the soft core, for tests.
#![allow(clippy::unwrap_used, unreachable_pub)]

pub mod chain;
pub mod head;

use std::sync::Arc;

use bitnet::config::{Linear, ModelConfig, Norm};
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache};
use bitnet::skip::Skips;
use bitnet::synthetic::Synthetic;
use bitnet::weights::{LayerWeights, WeightSource};
use decoder::{Cache, Layer};
use golden::Dtype;
use golden::rope::RopeTables;
use ndarray::Array2;
use sequencer::products::UnitProducts;
use soft_core::Error;
use soft_core::compare::{Compared, Expected, compare_all, compare_named, compare_stream};
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::layer::{LayerInput, Output, boot, memory_bytes, run};
use soft_core::operators::results;
use soft_core::system::System;
use soft_core::whole;
use tmv::config::UnitConfig;
use tmv::device::Device;
use tmv::driver::Driver;
use vector::VectorConfig;
use verilated::Trace;
use zynq_memory::{MemoryConfig, Timing};

/// The layer of the model that runs.
const LAYER: usize = 1;

/// Dimensions with which a layer takes the core a second or two.
pub fn small() -> ModelConfig {
    let mut config = ModelConfig::bitnet_2b_4t();
    (config.hidden_size, config.intermediate_size) = (96, 136);
    (config.num_attention_heads, config.num_key_value_heads, config.num_hidden_layers) = (4, 2, 2);
    config
}

/// The ternary unit of a system.
pub fn ternary_unit(port_bits: usize) -> UnitConfig {
    UnitConfig { ports: 4, port_bits, vectors: 4, groups: 2, codec: "base3".parse().unwrap() }
}

/// A system on which the core runs.
pub fn system(
    core: Core,
    firmware: &Firmware,
    unit: &UnitConfig,
    vector: Option<VectorConfig>,
    memory: MemoryConfig,
) -> System {
    let core = soft_core::model::build(core, unit.port_bits, Trace::Off, &mut |_| {}).unwrap();
    let library = testbench::model::build(unit, Trace::Off, &mut |_| {}).unwrap();
    let vector = vector.map(|v| (testbench::model::build_vector(&v, Trace::Off, &mut |_| {}).unwrap(), v));
    let vector = vector.as_ref().map(|(library, config)| (library, config));
    let mut system = System::new(&core, &library, unit, vector, memory, 3).unwrap();
    boot(&mut system, firmware).unwrap();
    system
}

/// A layer with its input, and golden's results.
pub struct Case {
    config: ModelConfig,
    weights: Arc<LayerWeights>,
    dtype: Dtype,
    pub hidden: Array2<f32>,
    pub before: KvCache,
    expected: Expected,
    core: Core,
    pub firmware: Firmware,
    pub unit: UnitConfig,
    /// The vector unit that computes the floats, in place of the core.
    pub vector: Option<VectorConfig>,
    pub memory: MemoryConfig,
    skips: Skips,
}

impl Case {
    pub fn new(config: ModelConfig, tokens: usize, past: usize, dtype: Dtype) -> Self {
        let model = Synthetic::new(config, 7);
        let weights = model.layer(LAYER).unwrap();
        let rounded = |tokens| {
            let mut hidden = model.hidden(LAYER, tokens).unwrap();
            hidden.mapv_inplace(|x| dtype.round(x));
            hidden
        };
        let mut before = KvCache::new();
        if past > 0 {
            let layer = DecoderLayer::new(model.config(), LAYER, &weights);
            layer.forward(&rounded(past), &mut before, dtype, &mut CpuBackend, &mut ()).unwrap();
        }
        Self::of(model.config(), LAYER, weights, rounded(tokens), before, dtype)
    }

    /// A layer of a model, after the tokens in `before`.
    pub fn of(
        config: &ModelConfig,
        layer: usize,
        weights: Arc<LayerWeights>,
        hidden: Array2<f32>,
        before: KvCache,
        dtype: Dtype,
    ) -> Self {
        let expected = Expected::of(config, layer, &weights, &hidden, &mut before.clone(), dtype, false).unwrap();
        let memory = MemoryConfig::plain(0x1000_0000, 16 << 20, Timing::ideal(40));
        Self {
            config: config.clone(),
            weights,
            dtype,
            hidden,
            before,
            expected,
            core: Core::VexRiscv,
            firmware: Firmware::build(Core::VexRiscv, &mut |_| {}).unwrap(),
            unit: ternary_unit(128),
            vector: None,
            memory,
            skips: Skips::default(),
        }
    }

    /// The same case with a ternary unit that skips rows. The layer's output is still that of all rows.
    pub fn skipping(mut self) -> Self {
        let (hidden, mut cache) = (&self.hidden, self.before.clone());
        let skipped = Expected::of(&self.config, LAYER, &self.weights, hidden, &mut cache, self.dtype, true).unwrap();
        assert_eq!(skipped.hidden, self.expected.hidden);
        assert_ne!(skipped.tensors, self.expected.tensors);
        (self.expected, self.skips) = (skipped, Skips::ALL);
        self
    }

    /// The same case with the floats on a vector unit of `lanes` lanes.
    pub fn on_vector(mut self, lanes: usize) -> Self {
        let vector = VectorConfig::of(lanes);
        self.unit.port_bits = vector.port_bits;
        self.vector = Some(vector);
        self
    }

    /// The same case on another core.
    pub fn on(self, core: Core) -> Self {
        Self { core, firmware: Firmware::build(core, &mut |_| {}).unwrap(), ..self }
    }

    /// A system with this case's memory, on which the core runs.
    pub fn system(&self) -> System {
        system(self.core, &self.firmware, &self.unit, self.vector, self.memory.clone())
    }

    /// A system of one model, the top of a design, with this case's memory, on which the core runs.
    pub fn top(&self) -> System {
        let vector = self.vector.as_ref().expect("a top has a vector unit");
        let library = soft_core::model::build_top(self.core, &self.unit, vector, Trace::Off, &mut |_| {}).unwrap();
        let mut system = System::top(&library, &self.unit, vector, self.memory.clone(), 3).unwrap();
        boot(&mut system, &self.firmware).unwrap();
        system
    }

    pub fn stream(&self) -> Vec<f32> {
        self.hidden.iter().copied().collect()
    }

    pub fn input(&self) -> LayerInput<'_> {
        let tokens = (self.hidden.nrows(), self.before.tokens());
        assert!(memory_bytes(&self.config, tokens.0, tokens.1, 1 << 20) <= self.memory.bytes);
        let Self { config, weights, dtype, before: cache, skips, .. } = self;
        LayerInput { config, weights, dtype: *dtype, cache, skips: *skips }
    }

    pub fn run(&self, system: &mut System) -> Result<Output, Error> {
        match &self.vector {
            Some(vector) => whole::run(system, &self.firmware, vector, &self.stream(), &[self.input()], true),
            None => run(system, &self.firmware, &self.stream(), &self.input(), true),
        }
    }

    /// Runs the layer's sequence here, with products on `device`. Returns the residual stream after the layer.
    pub fn run_on<D: Device>(&self, device: D) -> Vec<f32> {
        let mut driver = Driver::open(device).unwrap();
        let weights = Linear::ALL.map(|linear| driver.load(&self.weights.linear(linear).ternary.planes()).unwrap());
        let (past, tokens) = (self.before.tokens(), self.hidden.nrows());
        let rope = RopeTables::new(past..past + tokens, self.config.head_dim(), self.config.rope_theta, self.dtype);
        let norms = Norm::ALL.map(|norm| {
            let mut weight = self.weights.norm(norm).to_vec();
            self.dtype.round_slice(&mut weight);
            weight
        });
        let layer = Layer {
            shape: (&self.config).into(),
            dtype: self.dtype,
            norms: norms.each_ref().map(Vec::as_slice),
            factors: Linear::ALL.map(|linear| self.weights.linear(linear).factor),
            rope: &rope,
        };
        let new = vec![0.0; tokens * self.config.kv_dim()];
        let (mut keys, mut values) = ([self.before.keys(), &new].concat(), [self.before.values(), &new].concat());
        let mut hidden: Vec<f32> = self.hidden.iter().copied().collect();
        let cache = Cache { past, keys: &mut keys, values: &mut values };
        let mut products = UnitProducts::new(driver, weights);
        assert!(layer.run(&mut hidden, cache, &mut products, &mut ()).is_ok());
        hidden
    }

    /// Number of elements of all tensors that differ from golden's.
    pub fn mismatches(&self, output: &Output) -> usize {
        self.compared(output).iter().map(|tensor| tensor.mismatches).sum()
    }

    /// Checks every tensor and the output.
    #[track_caller]
    pub fn check(&self, output: &Output, what: &str) {
        let compared = self.compared(output);
        let wrong: Vec<_> = compared.iter().filter(|tensor| tensor.mismatches > 0).collect();
        assert!(wrong.is_empty(), "{what}: {wrong:?}");
        let tensors = if self.vector.is_some() { results().len() } else { self.expected.tensors.len() };
        assert!(compared.len() >= tensors, "{what}: {} tensors", compared.len());
    }

    fn compared(&self, output: &Output) -> Vec<Compared> {
        let layer = &output.layers[0];
        let tensors = match self.vector {
            Some(_) => compare_named(&self.expected, layer, &results()),
            None => compare_all(&self.expected, layer),
        };
        [tensors, compare_stream(&self.expected, output)].concat()
    }
}

/// Replaces the first words of a function of the firmware.
pub fn patch(case: &mut Case, function: &str, words: &[u32]) {
    let at = case.firmware.find(function).unwrap_or_else(|| panic!("the firmware has no {function}")) as usize;
    for (bytes, word) in case.firmware.image[at..].chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}
