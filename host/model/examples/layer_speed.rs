//! Measures the time of one decoder layer of BitNet b1.58-2B-4T on this CPU:
//! `cargo run --release -p bitnet --example layer_speed`.
//!
//! The weights are synthetic and have the true dimensions; the prompts have 1 and 3 tokens. The example first runs
//! the same layer again and again; its weights take 17 MB, which stay in a large cache. It then runs several
//! layers in turn, with 139 MB of weights, like a forward pass.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bitnet::Result;
use bitnet::config::ModelConfig;
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache};
use bitnet::synthetic::Synthetic;
use bitnet::weights::WeightSource;
use golden::Dtype;

const LAYERS: usize = 8;
const RUNS: usize = 120;

fn main() -> Result<()> {
    let model = Synthetic::new(ModelConfig::bitnet_2b_4t(), 1);
    let weights = (0..LAYERS).map(|l| Ok(Arc::new(model.layer(l)?.interleaved()))).collect::<Result<Vec<_>>>()?;
    println!("milliseconds a layer, best and median of {RUNS}, {} threads", rayon::current_num_threads());
    for (dtype, tokens) in [(Dtype::Fp32, 1), (Dtype::Fp32, 3), (Dtype::Bf16, 1), (Dtype::Bf16, 3)] {
        for (layers, what) in [(1, "the same layer"), (LAYERS, "layers in turn")] {
            let hidden = model.hidden(0, tokens)?;
            let mut times = Vec::with_capacity(RUNS);
            for run in 0..RUNS {
                let l = run % layers;
                let layer = DecoderLayer::new(model.config(), l, &weights[l]);
                let start = Instant::now();
                black_box(layer.forward(&hidden, &mut KvCache::new(), dtype, &mut CpuBackend, &mut ())?);
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            println!("{dtype:?}, {tokens} tokens, {what}: {:.2}, {:.2}", times[0], times[RUNS / 2]);
        }
    }
    Ok(())
}
