//! The corner cases of both quantisers, and proof that they would catch a quantiser that is nearly right.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Tensors, mismatches, ulps};
use golden::{Dtype, packed, quantise};

fn edge() -> Tensors {
    Tensors::read("tiny-edge/expected.safetensors")
}

#[test]
fn activations_are_exact() {
    let e = edge();
    for (name, dtype) in [("bf16", Dtype::Bf16), ("fp32", Dtype::Fp32)] {
        let get = |suffix: &str| e.get(&format!("act.{name}.{suffix}"));
        let got = quantise::activations(&get("x").f32(), 64);
        assert_eq!(mismatches(&got.q, &get("x_q").i8()), 0, "{name}");
        assert_eq!(mismatches(&got.scale, &get("x_scale").f32()), 0, "{name}");
        let value = |(i, q): (usize, &i8)| dtype.round(*q as f32 / got.scale[i / 64]);
        let values: Vec<f32> = got.q.iter().enumerate().map(value).collect();
        assert_eq!(mismatches(&values, &get("dequantised").f32()), 0, "{name}");
    }
}

#[test]
fn weights_are_exact() {
    let e = edge();
    let cases: Vec<_> = e.0.keys().filter_map(|k| k.strip_suffix(".ternary")).collect();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let get = |suffix: &str| e.get(&format!("{case}{suffix}"));
        let (rows, cols) = (get("").shape[0], get("").shape[1]);
        let got = quantise::weights(&get("").bf16(), rows, cols).unwrap();
        assert_eq!(got.matrix.to_i8(), get(".ternary").i8(), "{case}");
        assert_eq!(packed::unpack(get(".packed").u8(), rows, cols).unwrap(), got.matrix, "{case}");
        assert_eq!(packed::pack(&got.matrix).unwrap(), get(".packed").u8(), "{case}");
        assert!(ulps(got.absmean, get(".factor").f32()[0]) <= 2, "{case}");
        let scale = 1.0 / got.absmean;
        let values: Vec<f32> = got.matrix.to_i8().iter().map(|t| Dtype::Bf16.round(*t as f32 / scale)).collect();
        assert_eq!(mismatches(&values, &get(".dequantised").f32()), 0, "{case}");
    }
}

/// Each nearly right quantiser must give a known number of wrong codes out of 1,536.
#[test]
fn nearly_right_activation_quantisers_are_caught() {
    type Quantiser = fn(m: f32, x: f32) -> f32;
    let right: Quantiser = |m, x| ((1.0 / m.max(1e-5)) * 127.0 * x).round_ties_even();
    let wrong: [(&str, usize, Quantiser); 8] = [
        ("one division", 4, |m, x| (127.0 / m.max(1e-5) * x).round_ties_even()),
        ("division by m/127", 6, |m, x| (x / (m.max(1e-5) / 127.0)).round_ties_even()),
        ("half away from zero", 95, |m, x| ((1.0 / m.max(1e-5)) * 127.0 * x).round()),
        ("floor(x + 1/2)", 101, |m, x| ((1.0 / m.max(1e-5)) * 127.0 * x + 0.5).floor()),
        ("truncation", 711, |m, x| ((1.0 / m.max(1e-5)) * 127.0 * x).trunc()),
        ("scale in bf16", 72, |m, x| (Dtype::Bf16.round((1.0 / m.max(1e-5)) * 127.0) * x).round_ties_even()),
        ("no clamp", 62, |m, x| ((1.0 / m) * 127.0 * x).round_ties_even()),
        ("128 for 127", 550, |m, x| ((1.0 / m.max(1e-5)) * 128.0 * x).round_ties_even()),
    ];
    let e = edge();
    let (x, want) = (e.f32("act.bf16.x"), e.get("act.bf16.x_q").i8());
    let run = |quantiser: Quantiser| -> Vec<i8> {
        let row = |x: &[f32]| {
            let m = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            x.iter().map(|x| quantiser(m, *x).clamp(-128.0, 127.0) as i8).collect::<Vec<_>>()
        };
        x.chunks(64).flat_map(row).collect()
    };
    assert_eq!(mismatches(&run(right), &want), 0);
    for (name, count, quantiser) in wrong {
        assert_eq!(mismatches(&run(quantiser), &want), count, "{name}");
    }
}

/// Nearly right weight quantisers must give wrong codes: one rounds ties away from zero, one truncates, one does not
/// clamp the mean.
#[test]
fn nearly_right_weight_quantisers_are_caught() {
    let e = edge();
    let caught = |case: &str, quantise: fn(f32, f32) -> f32| {
        let w = e.f32(&format!("weight.{case}"));
        let mean = (w.iter().map(|w| w.abs() as f64).sum::<f64>() / w.len() as f64) as f32;
        let got: Vec<i8> = w.iter().map(|w| quantise(mean, *w).clamp(-1.0, 1.0) as i8).collect();
        mismatches(&got, &e.get(&format!("weight.{case}.ternary")).i8()) > 0
    };
    assert!(!caught("ties", |mean, w| (w * (1.0 / mean.max(1e-5))).round_ties_even()));
    assert!(caught("ties", |mean, w| (w * (1.0 / mean.max(1e-5))).round()));
    assert!(caught("heavy", |mean, w| (w * (1.0 / mean.max(1e-5))).trunc()));
    assert!(caught("below_clamp", |mean, w| (w * (1.0 / mean)).round_ties_even()));
}
