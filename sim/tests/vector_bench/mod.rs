//! A decoder layer whose floats are computed by programs of the vector unit, and whose products by golden.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bitnet::checkpoint::Checkpoint;
use bitnet::config::{Linear, ModelConfig};
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache};
use bitnet::weights::{LayerWeights, WeightSource};
use decoder::Norm;
use golden::rope::RopeTables;
use golden::{Codec, Dtype};
use ndarray::Array2;
use sequencer::record::Elements;
use soft_core::compare::Expected;
use testbench::device::VerilatedDevice;
use testbench::model::vector_spec;
use tmv::config::UnitConfig;
use tmv::device::Device;
use vector::driver::Driver;
use vector::layer::{Layer, Part};
use vector::machine::{Machine, Memory};
use vector::program::Shown;
use vector::{Instruction, VectorConfig};
use verilated::{Trace, VerilatedContext};
use zynq_memory::{MemoryConfig, Timing};

const BASE: u64 = 0x1000_0000;

pub fn checkpoint(name: &str) -> Box<dyn WeightSource> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name);
    Box::new(Checkpoint::open(&folder).unwrap())
}

/// A layer, its input, and golden's tensors.
pub struct Case {
    config: ModelConfig,
    weights: Arc<LayerWeights>,
    dtype: Dtype,
    hidden: Array2<f32>,
    before: KvCache,
    expected: Expected,
}

/// What differs, and the cycles of each part.
#[derive(Default)]
pub struct Report {
    pub compared: BTreeMap<String, (usize, usize)>,
    pub cycles: Vec<(Part, u32)>,
}

impl Report {
    pub fn mismatches(&self) -> usize {
        assert!(self.compared.len() > 20, "tensors were compared");
        self.compared.values().map(|(_, mismatches)| mismatches).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, (elements, mismatches)) in &self.compared {
            if *mismatches > 0 {
                writeln!(f, "{name}: {mismatches} of {elements} differ")?;
            }
        }
        writeln!(f, "cycles: {:?}", self.cycles)
    }
}

/// Something that runs a program in its memory, and the cycles that it took.
type Run<'a> = &'a mut dyn FnMut(&[Instruction]) -> u32;

impl Case {
    /// `tokens` tokens after `past` others through layer `layer`.
    pub fn of(source: &dyn WeightSource, layer: usize, tokens: usize, past: usize, dtype: Dtype) -> Self {
        let config = source.config().clone();
        let weights = source.layer(layer).unwrap();
        let model = bitnet::synthetic::Synthetic::new(config.clone(), 3);
        let all = model.hidden(layer, past + tokens).unwrap();
        let (first, hidden) = all.view().split_at(ndarray::Axis(0), past);
        let mut cache = KvCache::new();
        if past > 0 {
            let block = DecoderLayer::new(&config, layer, &weights);
            block.forward(&first.to_owned(), &mut cache, dtype, &mut CpuBackend, &mut ()).unwrap();
        }
        let before = cache.clone();
        let hidden = hidden.to_owned();
        let expected = Expected::of(&config, layer, &weights, &hidden, &mut cache, dtype, false).unwrap();
        Self { config, weights, dtype, hidden, before, expected }
    }

    pub fn on_machine(&self, unit: VectorConfig) -> Report {
        let mut machine = Machine::new(unit);
        let mut bytes = vec![0; self.bytes()];
        let layout = self.lay_out(&mut bytes);
        let mut report = Report::default();
        for part in Part::ALL {
            let code = layout.layer.part(unit, part, Some(BASE + layout.show as u64));
            let run = machine.run(code.code(), Memory { base: BASE, bytes: &mut bytes });
            run.unwrap_or_else(|(at, fault)| panic!("{part:?}, instruction {at}: {fault:?}: {:#?}", code.code()[at]));
            self.after(&mut bytes, &layout, part, code.shown(), &mut report);
        }
        report
    }

    pub fn on_unit(&self, unit: VectorConfig) -> Report {
        let ports =
            UnitConfig { ports: unit.ports, port_bits: unit.port_bits, vectors: 1, groups: 1, codec: Codec::Weights2b };
        let memory = MemoryConfig::plain(BASE, self.bytes(), Timing::ideal(60));
        let library = crate::common::model(&vector_spec(&unit, Trace::Off).unwrap());
        let mut device = VerilatedDevice::new(&library, &VerilatedContext::default(), &ports, memory).unwrap();
        device.set_patience(10_000_000);
        let layout = self.lay_out(device.memory());
        let mut driver = Driver::open(device).unwrap();
        let mut report = Report::default();
        // With all tensors in memory, then without, for the cycles.
        for show in [Some(BASE + layout.show as u64), None] {
            self.lay_out(driver.device().memory());
            for part in Part::ALL {
                let code = layout.layer.part(unit, part, show);
                let done = driver.run(code.code(), layout.program, 0..self.bytes()).unwrap();
                if show.is_none() {
                    report.cycles.push((part, done.cycles));
                }
                self.after(driver.device().memory(), &layout, part, code.shown(), &mut report);
            }
        }
        report
    }

    fn bytes(&self) -> usize {
        let c = &self.config;
        let tokens = self.hidden.nrows();
        let positions = self.before.tokens() + tokens;
        let shown =
            16 * tokens * (8 * c.hidden_size + 4 * c.intermediate_size + c.num_attention_heads * (positions + 32));
        (shown + 8 * positions * c.kv_dim() + (4 << 20)).next_multiple_of(1 << 20)
    }

    fn lay_out(&self, memory: &mut [u8]) -> Layout {
        let c = &self.config;
        let (tokens, past) = (self.hidden.nrows(), self.before.tokens());
        let mut next = 1 << 20;
        let mut take = |bytes: usize| {
            let at = next;
            next = (next + bytes).next_multiple_of(64);
            at
        };
        let put = |memory: &mut [u8], at: usize, values: &[f32], dtype: Dtype| match dtype {
            Dtype::Fp32 => {
                for (bytes, x) in memory[at..].as_chunks_mut::<4>().0.iter_mut().zip(values) {
                    *bytes = x.to_le_bytes();
                }
            }
            Dtype::Bf16 => {
                for (bytes, x) in memory[at..].as_chunks_mut::<2>().0.iter_mut().zip(values) {
                    *bytes = ((x.to_bits() >> 16) as u16).to_le_bytes();
                }
            }
        };
        let mut singles = |memory: &mut [u8], values: &[f32]| {
            let at = take(4 * values.len());
            put(memory, at, values, Dtype::Fp32);
            BASE + at as u64
        };
        let hidden = singles(memory, self.hidden.as_slice().unwrap());
        let norms = Norm::ALL.map(|norm| {
            let mut weight = self.weights.norm(norm).to_vec();
            self.dtype.round_slice(&mut weight);
            singles(memory, &weight)
        });
        let rope = RopeTables::new(past..past + tokens, c.head_dim(), c.rope_theta, self.dtype);
        let (cos, sin) = (singles(memory, &rope.cos), singles(memory, &rope.sin));
        let cache = 4 * (past + tokens) * c.kv_dim();
        let (keys, values) = (take(cache), take(cache));
        put(memory, keys, self.before.keys(), self.dtype);
        put(memory, values, self.before.values(), self.dtype);
        let codes_stride = c.intermediate_size.max(c.hidden_size).next_multiple_of(64);
        let codes = [0; 4].map(|_| BASE + take(tokens * codes_stride) as u64);
        let accumulators =
            Linear::ALL.map(|linear| BASE + take(4 * tokens * linear.out_features(c).next_multiple_of(8)) as u64);
        let show = take(0);
        let layer = Layer {
            shape: c.into(),
            dtype: self.dtype,
            tokens,
            past,
            factors: Linear::ALL.map(|linear| self.weights.linear(linear).factor),
            skip_rows: false,
            skip_columns: false,
            hidden,
            norms,
            cos,
            sin,
            keys: BASE + keys as u64,
            values: BASE + values as u64,
            codes,
            codes_stride,
            accumulators,
        };
        Layout { layer, keys, values, program: 0, show }
    }

    /// Compares what a part left, and computes the products behind it.
    fn after(&self, memory: &mut [u8], layout: &Layout, part: Part, shown: &[Shown], report: &mut Report) {
        let tokens = self.hidden.nrows();
        let mut tensors: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        // Tensors with heads come head by head.
        let heads = |name: &str| matches!(name, "q_rope" | "k_rope" | "attn_probs");
        let mut by_head: BTreeMap<String, Vec<(usize, usize, Vec<f32>)>> = BTreeMap::new();
        for shown in shown {
            let (module, name) = shown.name;
            let full = if module.is_empty() { name.to_owned() } else { format!("{module}.{name}") };
            let at = (shown.address - BASE) as usize;
            for row in 0..shown.rows {
                let from = at + 4 * row * shown.stride;
                let values = memory[from..from + 4 * shown.elements].as_chunks::<4>().0;
                let mut values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
                if heads(name) {
                    let all = if name == "attn_probs" { self.before.tokens() + tokens } else { values.len() };
                    values.resize(all, 0.0);
                    // Batches of heads come one after the other.
                    let list = by_head.entry(full.clone()).or_default();
                    let head = list.iter().filter(|(_, token, _)| *token == shown.token).count();
                    list.push((head, shown.token, values));
                } else {
                    tensors.entry(full.clone()).or_default().extend(values);
                }
            }
        }
        for (name, mut rows) in by_head {
            rows.sort_by_key(|(head, token, _)| (*head, *token));
            tensors.insert(name, rows.into_iter().flat_map(|(_, _, values)| values).collect());
        }
        for (name, found) in tensors {
            let (_, expected) =
                self.expected.tensors.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name}"));
            let Elements::F32(expected) = expected else { panic!("{name} has floats") };
            let found: Vec<u32> = found.iter().map(|x| x.to_bits()).collect();
            report.compared.insert(name, (expected.len(), differing(expected, &found)));
        }
        if part.products().is_empty() {
            let at = (layout.layer.hidden - BASE) as usize;
            let found = words(&memory[at..at + 4 * self.expected.hidden.len()]);
            let expected: Vec<u32> = self.expected.hidden.iter().map(|x| x.to_bits()).collect();
            report.compared.insert("output in memory".into(), (expected.len(), differing(&expected, &found)));
            for (name, at, expected) in [
                ("keys in memory", layout.keys, self.expected.cache.keys()),
                ("values in memory", layout.values, self.expected.cache.values()),
            ] {
                let expected: Vec<u32> = expected.iter().map(|x| x.to_bits()).collect();
                let found = match self.dtype {
                    Dtype::Fp32 => words(&memory[at..at + 4 * expected.len()]),
                    Dtype::Bf16 => {
                        let halves = memory[at..at + 2 * expected.len()].as_chunks::<2>().0;
                        halves.iter().map(|b| u32::from(u16::from_le_bytes(*b)) << 16).collect()
                    }
                };
                report.compared.insert(name.into(), (expected.len(), differing(&expected, &found)));
            }
        }
        for linear in part.products() {
            let cols = linear.in_features(&self.config);
            let mut x = Vec::new();
            for token in 0..tokens {
                let at = (layout.layer.codes[part as usize] - BASE) as usize + token * layout.layer.codes_stride;
                x.extend(memory[at..at + cols].iter().map(|b| *b as i8));
            }
            let name = format!("{}.x_q", linear.name());
            let (_, expected) = self.expected.tensors.iter().find(|(n, _)| *n == name).unwrap();
            let Elements::I8(expected) = expected else { panic!("{name} has bytes") };
            let mismatches = expected.iter().zip(&x).filter(|(a, b)| a != b).count();
            report.compared.insert(name, (expected.len(), mismatches));
            let acc = golden::matvec::matvec(&self.weights.linear(*linear).ternary.planes(), &x);
            let rows = linear.out_features(&self.config);
            let at = (layout.layer.accumulators[linear.index()] - BASE) as usize;
            for (token, acc) in acc.chunks_exact(rows).enumerate() {
                for (row, value) in acc.iter().enumerate() {
                    let at = at + 4 * ((row / 8 * tokens + token) * 8 + row % 8);
                    memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }
}

struct Layout {
    layer: Layer,
    keys: usize,
    values: usize,
    program: usize,
    show: usize,
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

fn differing(expected: &[u32], found: &[u32]) -> usize {
    if expected.len() != found.len() {
        return expected.len().max(1);
    }
    let nan = |bits: u32| f32::from_bits(bits).is_nan();
    expected.iter().zip(found).filter(|(a, b)| a != b && !(nan(**a) && nan(**b))).count()
}
