//! Compares the int8 head with its definition and with the dense head.
#![allow(clippy::unwrap_used, missing_docs)]

use golden::head::Int8Rows;
use golden::{Dtype, linear, quantise};
use half::bf16;
use proptest::prelude::*;

/// Finite values of any magnitude that cannot overflow when multiplied. Sometimes all values are zero.
fn rows(n: usize, cols: usize) -> impl Strategy<Value = Vec<bf16>> {
    let value = (-1.0f32..1.0, -20i32..20).prop_map(|(x, e)| bf16::from_f32(x * (e as f32).exp2()));
    prop_oneof![8 => prop::collection::vec(value, n * cols), 1 => Just(vec![bf16::ZERO; n * cols])]
}

fn dtypes() -> impl Strategy<Value = Dtype> {
    prop_oneof![Just(Dtype::Fp32), Just(Dtype::Bf16)]
}

/// Columns, rows, cut and activations. The cut splits the rows, so that a head can be built in two steps.
fn head() -> impl Strategy<Value = (usize, Vec<bf16>, usize, Vec<f32>)> {
    (1usize..300, 0usize..90, 0usize..5).prop_flat_map(|(cols, n, tokens)| {
        let h = rows(tokens, cols).prop_map(|h| h.iter().map(|x| x.to_f32()).collect());
        (Just(cols), rows(n, cols), 0..=n, h)
    })
}

/// The codes and the scale of one row.
fn quantised(x: &[f32]) -> (Vec<i8>, f32) {
    let mut codes = vec![0; x.len()];
    let scale = quantise::activation_row(x, &mut codes);
    (codes, scale)
}

/// The codes and the scale of one row of the head.
fn quantised_row(row: &[bf16]) -> (Vec<i8>, f32) {
    quantised(&row.iter().map(|w| w.to_f32()).collect::<Vec<_>>())
}

/// The definition, computed row by row and token by token.
fn obvious(rows: &[bf16], cols: usize, h: &[f32], dtype: Dtype) -> Vec<f32> {
    let mut out = Vec::new();
    for h in h.chunks(cols) {
        let (x, x_scale) = quantised(h);
        for row in rows.chunks(cols) {
            let (codes, scale) = quantised_row(row);
            let acc: i64 = x.iter().zip(&codes).map(|(x, code)| *x as i64 * *code as i64).sum();
            out.push(dtype.round(acc as f32 / x_scale / scale));
        }
    }
    out
}

proptest! {
    #[test]
    fn fast_is_obvious((cols, rows, cut, h) in head(), dtype in dtypes()) {
        let mut head = Int8Rows::new(cols);
        head.push_rows(&rows[..cut * cols]);
        head.push_rows(&rows[cut * cols..]);
        prop_assert_eq!((head.rows(), head.cols()), (rows.len() / cols, cols));
        for (i, row) in rows.chunks(cols).enumerate() {
            let (codes, scale) = quantised_row(row);
            prop_assert_eq!((&head.codes()[i * cols..][..cols], head.scales()[i]), (&codes[..], scale));
        }
        let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(head.product(&h, dtype)), bits(obvious(&rows, cols, &h, dtype)));

        let mut wide = Int8Rows::new(cols);
        wide.push_rows(&rows.iter().map(|w| w.to_f32()).collect::<Vec<_>>());
        prop_assert_eq!(wide, head);
    }
}

#[test]
fn the_largest_accumulators() {
    let cols = (i32::MAX / (127 * 127)) as usize;
    for sign in [1.0, -1.0] {
        let mut head = Int8Rows::new(cols);
        head.push_rows(&vec![sign; cols]);
        let want = (sign as f64 * (127 * 127 * cols) as f64) as f32 / 127.0 / 127.0;
        assert_eq!(head.product(&vec![1.0; cols], Dtype::Fp32), [want]);
    }
    assert!(std::panic::catch_unwind(|| Int8Rows::new(cols + 1)).is_err());
    assert!(std::panic::catch_unwind(|| Int8Rows::new(0)).is_err());
}

/// The matrix is large enough for several tasks and for the statistics of rounding: two independent errors of at most
/// half a step in 127, one on either side of a product of Gaussian-like values.
#[test]
fn near_the_dense_head() {
    let (rows, cols) = (1500, 640);
    let noise = |len: usize, mut seed: u64| -> Vec<f32> {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..len).map(|_| next() + next() + next() + next() - 2.0).collect()
    };
    let (embed, h) = (noise(rows * cols, 1), noise(3 * cols, 2));
    let embed: Vec<bf16> = embed.iter().map(|w| bf16::from_f32(*w)).collect();
    let mut head = Int8Rows::new(cols);
    head.push_rows(&embed);
    let (got, want) = (head.product(&h, Dtype::Fp32), linear::dense(&h, &embed, cols, Dtype::Fp32));
    let rms = |x: &mut dyn Iterator<Item = f32>| x.map(|x| (x as f64).powi(2)).sum::<f64>().sqrt();
    let error = rms(&mut got.iter().zip(&want).map(|(a, b)| a - b)) / rms(&mut want.iter().copied());
    assert!(error < 1e-2, "{error}");
}
