//! Jobs large enough to be shared among threads give the same, correct bits for any number of threads.
#![allow(clippy::unwrap_used, missing_docs)]
#![cfg(feature = "parallel")]

use golden::attention::{Heads, attention, attention_with_probs};
use golden::head::Int8Rows;
use golden::{Codec, Dtype, TernaryMatrix, linear, matvec, quantise};
use half::bf16;

/// Pseudo-random bytes, determined by the seed.
fn noise(len: usize, mut seed: u64) -> Vec<i8> {
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as i8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn masters(rows: usize, cols: usize) -> Vec<bf16> {
    noise(rows * cols, 1).iter().map(|x| bf16::from_f32(*x as f32 / 77.0)).collect()
}

fn with_threads<R: Send>(threads: usize, f: impl Fn() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// The result with one thread, after checking that other numbers of threads give the same result.
fn steady<R: Send + PartialEq + std::fmt::Debug>(f: impl Fn() -> R + Send + Sync) -> R {
    let one = with_threads(1, &f);
    for threads in [2, 5] {
        assert!(with_threads(threads, &f) == one, "{threads} threads give another result than one");
    }
    one
}

#[test]
fn weights_and_products() {
    let (rows, cols, tokens) = (1003, 1237, 3);
    let w = masters(rows, cols);
    let got = steady(|| quantise::weights(&w, rows, cols).unwrap());
    let mean = w.iter().map(|w| w.to_f32().abs() as f64).sum::<f64>() / w.len() as f64;
    assert_eq!(got.absmean, mean as f32);
    let trits: Vec<i8> =
        w.iter().map(|w| libm::rintf(w.to_f32() * (1.0 / got.absmean)).clamp(-1.0, 1.0) as i8).collect();
    assert_eq!(got.matrix, TernaryMatrix::from_rows(rows, cols, &trits).unwrap());

    let x = noise(tokens * cols, 2);
    assert!(steady(|| matvec::matvec(&got.matrix, &x)) == matvec::reference(&got.matrix, &x));
}

#[test]
fn weight_image() {
    let (rows, cols) = (2055, 2500);
    let w = quantise::weights(&masters(rows, cols), rows, cols).unwrap().matrix;
    for port in [8, 16] {
        let stride = Codec::Weights2b.block_bytes(cols, port) + 64;
        let image = steady(|| {
            let mut image = vec![0x5a; Codec::Weights2b.image_bytes(rows, cols, port, stride)];
            Codec::Weights2b.encode(&w, port, stride, &mut image).unwrap();
            image
        });
        assert!(Codec::Weights2b.decode(&image, rows, cols, port, stride).unwrap() == w);
    }
}

#[test]
fn dense_head() {
    let (rows, cols, tokens) = (1003, 517, 3);
    let w = masters(rows, cols);
    let h: Vec<f32> = noise(tokens * cols, 3).iter().map(|x| *x as f32 / 50.0).collect();
    let got = steady(|| linear::dense(&h, &w, cols, Dtype::Fp32));
    for (i, got) in got.iter().enumerate() {
        let (h, w) = (&h[i / rows * cols..][..cols], &w[i % rows * cols..][..cols]);
        let want: f64 = h.iter().zip(w).map(|(h, w)| *h as f64 * w.to_f32() as f64).sum();
        assert!((*got as f64 - want).abs() < 1e-3, "{got} is not {want} at {i}");
    }
    let upcast: Vec<f32> = w.iter().map(|w| w.to_f32()).collect();
    assert!(linear::dense(&h, &upcast, cols, Dtype::Fp32) == got);
}

#[test]
fn int8_head() {
    let (rows, cols, tokens) = (1003, 517, 3);
    let h: Vec<f32> = noise(tokens * cols, 3).iter().map(|x| *x as f32 / 50.0).collect();
    steady(|| {
        let mut head = Int8Rows::new(cols);
        head.push_rows(&masters(rows, cols));
        let logits = head.product(&h, Dtype::Fp32);
        (head, logits)
    });
}

#[test]
fn long_attention() {
    let heads = Heads { query: 6, kv: 3, dim: 24 };
    let (new, all) = (5, 400);
    let float = |len, seed| -> Vec<f32> { noise(len, seed).iter().map(|x| *x as f32 / 40.0).collect() };
    let (q, k, v) = (float(new * 6 * 24, 4), float(all * 3 * 24, 5), float(all * 3 * 24, 6));
    let got = steady(|| attention(heads, &q, &k, &v, Dtype::Bf16));
    assert!(attention_with_probs(heads, &q, &k, &v, Dtype::Bf16).0 == got);
}
