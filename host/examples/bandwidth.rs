//! Compares decoding with the memory bandwidth: `cargo run --release -p host --example bandwidth`.
//!
//! Measures how fast all threads together read memory, and how fast the products of one token of BitNet b1.58-2B-4T
//! read their weights: the ternary linears of 30 layers, in the four jobs a layer that a forward pass makes of them, then
//! the output head in bf16 and in int8. The threads are awake, as they are while text is generated. Every matrix has
//! its own memory, 1.5 GB in total, so caches do not help. For comparison, the example measures the same products for
//! three tokens, where arithmetic matters.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use golden::head::Int8Rows;
use golden::interleaved::{self, Interleaved, products};
use golden::{Dtype, TernaryMatrix, linear};
use half::bf16;
use program::pool;
use rayon::prelude::*;

/// The seven linears of a layer, `(rows, cols)`. Those with the same activations are one job.
const JOBS: [&[(usize, usize)]; 4] =
    [&[(2560, 2560), (640, 2560), (640, 2560)], &[(2560, 2560)], &[(6912, 2560), (6912, 2560)], &[(2560, 6912)]];
const LAYERS: usize = 30;
const HIDDEN: usize = 2560;
const VOCAB: usize = 128_256;
const ROUNDS: usize = 15;

/// Time of one call in seconds.
fn time<R>(f: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(f());
    start.elapsed().as_secs_f64()
}

/// Pseudo-random words.
fn noise(words: usize, seed: u64) -> Vec<u64> {
    let word = |i| {
        let x = (seed << 40 | i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    (0..words).into_par_iter().map(word).collect()
}

fn matrix(rows: usize, cols: usize, seed: u64) -> Interleaved {
    let words = rows * cols.div_ceil(64);
    let planes = (noise(words, 2 * seed), noise(words, 2 * seed + 1));
    Interleaved::new(&TernaryMatrix::from_planes(rows, cols, planes.0, planes.1).expect("planes fit the shape"))
}

fn main() {
    pool::join(0);
    pool::awake(run);
}

fn run() {
    let mut seeds = 0..;
    let mut invent = |&(rows, cols): &(usize, usize)| matrix(rows, cols, seeds.next().expect("a range without end"));
    let jobs: Vec<Vec<_>> = (0..LAYERS).flat_map(|_| JOBS).map(|job| job.iter().map(&mut invent).collect()).collect();
    let embed: Vec<bf16> = noise(VOCAB * HIDDEN, 2000).iter().map(|x| bf16::from_f32(*x as i8 as f32)).collect();
    let mut int8 = Int8Rows::new(HIDDEN);
    int8.push_rows(&embed);
    let x: Vec<i8> = noise(3 * 6912, 1000).iter().map(|x| *x as i8).collect();
    let h: Vec<f32> = (0..3 * HIDDEN).map(|i| (i % 1009) as f32 / 1000.0).collect();

    let lines: Vec<_> = jobs.iter().flatten().flat_map(|w| w.lines().chunks(1 << 13)).collect();
    let read = || lines.par_iter().map(|lines| interleaved::read(lines)).reduce(|| 0, u32::wrapping_add);
    let jobs: Vec<Vec<_>> = jobs.iter().map(|job| job.iter().collect()).collect();
    let ternary = |n: usize| jobs.iter().for_each(|job| drop(black_box(products(job, &x[..n * job[0].cols()]))));
    let dense = |n: usize| drop(black_box(linear::dense(&h[..n * HIDDEN], &embed, HIDDEN, Dtype::Bf16)));
    let head = |n: usize| drop(black_box(int8.product(&h[..n * HIDDEN], Dtype::Bf16)));

    // The measurements alternate, so that a disturbance affects all of them. A disturbance changes the minimum least.
    let mut best = [f64::INFINITY; 7];
    for _ in 0..ROUNDS {
        let times = [
            time(read),
            time(|| ternary(1)),
            time(|| dense(1)),
            time(|| head(1)),
            time(|| ternary(3)),
            time(|| dense(3)),
            time(|| head(3)),
        ];
        best.iter_mut().zip(times).for_each(|(best, t)| *best = best.min(t));
    }

    let codes: usize = jobs.iter().flatten().map(|w| size_of_val(w.lines())).sum();
    let sizes = [codes, codes, 2 * embed.len(), int8.codes().len() + 4 * VOCAB];
    let limit = sizes[0] as f64 / best[0] / 1e9;
    println!("reading memory with {} threads: {limit:.1} GB/s", rayon::current_num_threads());
    let names = ["ternary linears of all layers", "head in bf16", "head in int8"];
    for (i, t) in best.iter().skip(1).enumerate() {
        let (bytes, tokens) = (sizes[1 + i % 3], 1 + i / 3 * 2);
        let rate = bytes as f64 / t / 1e9;
        let (mb, ms, share) = (bytes / 1_000_000, t * 1e3, 100.0 * rate / limit);
        println!("{tokens} tokens, {}: {mb} MB in {ms:.1} ms, {rate:.1} GB/s, {share:.0} % of that", names[i % 3]);
    }
}
