//! Measures how fast weights are read: `cargo run --release -p golden --example matvec_speed`.
//!
//! Prints the time of the best of many runs, and the bytes of `nz` and `neg` planes read per second in that run.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use golden::attention::{Heads, attention};
use golden::{Codec, Dtype, TernaryMatrix, linear, matvec, norm, packed, quantise};
use half::bf16;

/// Best time in seconds. The minimum is the figure that other load on the machine disturbs least.
fn best<R>(runs: usize, mut f: impl FnMut() -> R) -> f64 {
    let run = |_| {
        let start = Instant::now();
        black_box(f());
        start.elapsed().as_secs_f64()
    };
    (0..runs).map(run).fold(f64::INFINITY, f64::min)
}

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn matrix(rows: usize, cols: usize) -> TernaryMatrix {
    let mut seed = 1;
    let words = rows * cols.div_ceil(64);
    let plane = |seed: &mut u64| (0..words).map(|_| random(seed)).collect::<Vec<_>>();
    let (a, neg) = (plane(&mut seed), plane(&mut seed));
    TernaryMatrix::from_planes(rows, cols, a, neg).expect("planes fit the shape")
}

fn main() {
    for (rows, cols) in [(2560, 2560), (6912, 2560), (2560, 6912), (27648, 2560)] {
        let w = matrix(rows, cols);
        let bytes = (2 * 8 * rows * w.words_per_row()) as f64;
        for tokens in [1, 3, 8] {
            let mut seed = 2;
            let x: Vec<i8> = (0..tokens * cols).map(|_| random(&mut seed) as i8).collect();
            let t = best(200, || matvec::matvec(black_box(&w), black_box(&x)));
            println!("matvec {rows} x {cols}, {tokens} tokens: {:8.1} us, {:6.1} GB/s", t * 1e6, bytes / t / 1e9);
        }
    }
    let (rows, cols) = (2560, 6912);
    let row: Vec<f32> = (0..cols).map(|i| i as f32 - 3000.5).collect();
    let t = best(200, || quantise::activations(black_box(&row), cols));
    println!("quantise {cols} activations: {:.1} us", t * 1e6);
    let t = best(200, || norm::rms_norm(black_box(&row), &row, 1e-5, Dtype::Bf16));
    println!("RMSNorm of {cols} values, bf16: {:.1} us", t * 1e6);
    let heads = Heads { query: 20, kv: 5, dim: 128 };
    let (q, kv) = (vec![0.5; 2560], (0..1000 * 640).map(|i| (i % 97) as f32 / 97.0).collect::<Vec<_>>());
    let t = best(50, || attention(heads, black_box(&q), &kv, &kv, Dtype::Fp32));
    println!("attention, one token over 1000: {:.1} us", t * 1e6);
    let mut seed = 3;
    let masters: Vec<bf16> = (0..rows * cols).map(|_| bf16::from_f32(random(&mut seed) as i8 as f32)).collect();
    let t = best(10, || quantise::weights(black_box(&masters), rows, cols));
    println!("quantise bf16 weights {rows} x {cols}: {:.1} ms", t * 1e3);
    let w = matrix(rows, cols);
    let bytes = packed::pack(&w).expect("rows are divisible by 4");
    let t = best(10, || packed::unpack(black_box(&bytes), rows, cols));
    println!("unpack {rows} x {cols}: {:.1} ms", t * 1e3);
    let w = matrix(27136, 2560);
    for port in [8, 16] {
        let stride = Codec::Weights2b.block_bytes(w.cols(), port);
        let mut image = vec![0; Codec::Weights2b.image_bytes(w.rows(), w.cols(), port, stride)];
        let t = best(10, || Codec::Weights2b.encode(black_box(&w), port, stride, &mut image));
        println!("encode one layer (69 M weights), port of {port} bytes: {:.1} ms", t * 1e3);
        let t = best(3, || Codec::Weights2b.decode(black_box(&image), w.rows(), w.cols(), port, stride));
        println!("decode one layer, port of {port} bytes: {:.1} ms", t * 1e3);
    }
    let (rows, cols) = (32064, 2560);
    let embed = masters.iter().cycle().take(rows * cols).copied().collect::<Vec<_>>();
    let h: Vec<f32> = (0..cols).map(|i| i as f32 / 1000.0).collect();
    let t = best(5, || linear::dense(black_box(&h), black_box(&embed), cols, Dtype::Bf16));
    println!("dense head {rows} x {cols}: {:.1} ms, {:.1} GB/s", t * 1e3, embed.len() as f64 * 2.0 / t / 1e9);
}
