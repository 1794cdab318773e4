//! Runs layer 14 of 2B-4T on the soft core, and prints cycles and speed.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use bitnet::config::ModelConfig;
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache};
use bitnet::synthetic::Synthetic;
use bitnet::weights::WeightSource;
use golden::Dtype;
use soft_core::compare::{Expected, compare};
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::layer::{LayerInput, boot, memory_bytes, run};
use soft_core::system::System;
use tmv::config::UnitConfig;
use verilated::Trace;
use zynq_memory::{Faults, MemoryConfig, Timing};

fn main() {
    let argument = |n: usize, default: usize| std::env::args().nth(n).map_or(default, |text| text.parse().unwrap());
    let (tokens, context) = (argument(1, 1), argument(2, 16));
    let model = Synthetic::new(ModelConfig::bitnet_2b_4t(), 1);
    let config = model.config();
    let weights = Arc::clone(&model.layer(14).unwrap());
    let mut cache = KvCache::new();
    if context > 0 {
        let hidden = model.hidden(14, context).unwrap();
        let layer = DecoderLayer::new(config, 14, &weights);
        layer.forward(&hidden, &mut cache, Dtype::Fp32, &mut CpuBackend, &mut ()).unwrap();
    }
    let hidden = model.hidden(14, tokens).unwrap();
    let before = cache.clone();
    let expected = Expected::of(config, 14, &weights, &hidden, &mut cache, Dtype::Fp32).unwrap();
    let mut say = |step: toolchain::progress::Progress<'_>| eprintln!("{step}");
    let firmware = Firmware::build(Core::VexRiscv, &mut say).unwrap();
    println!("firmware {} bytes, {:.1} s", firmware.image.len(), firmware.seconds);
    let core =
        soft_core::model::build(Core::VexRiscv, 128, Trace::Off, &mut say).unwrap_or_else(|error| panic!("{error}"));
    let config_unit = UnitConfig { ports: 4, port_bits: 128, vectors: 4, groups: 2, codec: "base3".parse().unwrap() };
    let unit = testbench::model::build(&config_unit, Trace::Off, &mut say).unwrap();
    let hidden: Vec<f32> = hidden.iter().copied().collect();
    let input = LayerInput { config, weights: &weights, dtype: Dtype::Fp32, hidden: &hidden, cache: &before };
    let memory = MemoryConfig {
        base: 0x1000_0000,
        bytes: memory_bytes(&input, 20 << 20),
        timing: Timing::ideal(40),
        stall: 0,
        interleave: false,
        shy: false,
        late_writes: false,
        data_first: false,
        seed: 1,
        faults: Faults::default(),
    };
    let mut system = System::new(&core, &unit, &config_unit, memory, 1).unwrap();
    boot(&mut system, &firmware).unwrap();
    println!("booted in {} cycles", system.cycles());
    let start = Instant::now();
    let output = run(&mut system, &firmware, &input, true).unwrap_or_else(|error| panic!("{error}"));
    let seconds = start.elapsed().as_secs_f64();
    for (step, cycles) in &output.steps {
        println!("{step:?}: {cycles}");
    }
    let total: u64 = output.steps.iter().map(|step| step.1).sum();
    println!(
        "{} cycles, {total} in steps, {} of the unit, {seconds:.2} s, {:.2} M cycles/s",
        output.cycles,
        output.unit_cycles,
        output.cycles as f64 / seconds / 1e6
    );
    let compared = compare(&expected.tensors, &output.tensors);
    let mismatches: usize = compared.iter().map(|tensor| tensor.mismatches).sum();
    let elements: usize = compared.iter().map(|tensor| tensor.elements).sum();
    println!("{mismatches} of {elements} elements differ; {} tensors", compared.len());
    for tensor in compared.iter().filter(|tensor| tensor.mismatches > 0) {
        println!("{tensor:?}");
    }
    println!("output equal: {}", expected.hidden == output.hidden);
}
