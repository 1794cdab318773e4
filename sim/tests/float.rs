//! The cells of `rtl/float` against the arithmetic of the host, with both of their bodies.
//!
//! `TMV_OPERANDS=n` takes n pairs of operands for each body; a million by default.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;

use common::{Random, pick};
use golden::Dtype;
use rand_core::{Rng, SeedableRng};
use verilated::{Model, ModelSpec, Pin, Trace, VerilatedContext};

/// What the host computes of two operands.
type Host = fn(u32, u32) -> f32;

/// The cells, with the cycles from operands to result, and what the host says of operands.
const CELLS: [(&str, usize, Host); 5] = [
    ("add_o", 6, |a, b| f32::from_bits(a) + f32::from_bits(b)),
    ("mul_o", 5, |a, b| f32::from_bits(a) * f32::from_bits(b)),
    ("div_o", 21, |a, b| f32::from_bits(a) / f32::from_bits(b)),
    ("from_int_o", 4, |a, _| a as i32 as f32),
    ("bf16_o", 0, |a, _| Dtype::Bf16.round(f32::from_bits(a))),
];
const ROOT_CYCLES: u64 = 33;

fn model(lut: bool) -> Model {
    let dir = rtl::dir();
    let files = rtl::listed(rtl::VECTOR_LIST).unwrap().into_iter().filter(|file| file.starts_with("float/"));
    let files = files.chain(["tb/tmv_float_tb.sv".into()]).map(|file| dir.join(file));
    let mut spec = ModelSpec::new("tmv_float_tb", std::iter::once(dir.join("lint/vector_waiver.vlt")).chain(files));
    spec.include_dirs.push(dir.join("prim"));
    spec.trace = Trace::Off;
    if lut {
        spec.defines.insert("TMV_LUT_BODIES".into(), "1".into());
        spec.label = "tmv_float_tb, bodies for LUTs".into();
    }
    let mut model = Model::new(&common::model(&spec), &VerilatedContext::default()).unwrap();
    for (name, value) in [("rst_ni", 0), ("valid_i", 1), ("root_start_i", 0)] {
        let pin = model.pin(name).unwrap();
        model.set(pin, value);
    }
    model.cycle().unwrap();
    model.cycle().unwrap();
    let pin = model.pin("rst_ni").unwrap();
    model.set(pin, 1);
    model
}

/// A fraction of few ones, of few zeros, around a half of the last place of bf16, or any.
fn fraction(rng: &mut Random) -> u32 {
    let any = rng.next_u32();
    let few = 1 << ((any >> 8) % 23) | 1 << ((any >> 16) % 23);
    let fraction = match any % 8 {
        0 => few,
        1 => !few,
        2 => 0x8000 ^ (any >> 4 & 1) ^ (any >> 5 & 0x3f) << 16,
        3 => 0,
        _ => any >> 9,
    };
    fraction & 0x7f_ffff
}

/// Operands whose result is hard to round: everywhere, at close exponents, with results around the smallest normal and
/// the largest one, that cancel, subnormal, special.
fn operands(rng: &mut Random) -> (u32, u32) {
    let signs = (rng.next_u32() & 1) << 31;
    let float = |exponent: i32, fraction: u32| (exponent.clamp(0, 255) as u32) << 23 | fraction;
    let below = |rng: &mut Random, n: u32| (rng.next_u32() % n) as i32;
    let first = below(rng, 255);
    let a = float(first, fraction(rng));
    let b = match rng.next_u32() % 10 {
        0 => rng.next_u32(),
        // Every distance that an addition tells from others.
        1 | 2 => float(first + below(rng, 60) - 30, fraction(rng)),
        // Close magnitudes.
        3 => a.wrapping_add(rng.next_u32() % 5).wrapping_sub(2) & 0x7fff_ffff,
        // Products at the smallest normal, quotients there, products at the largest.
        4 => float(127 - first + below(rng, 28) - 26, fraction(rng)),
        5 => float(first + 126 + below(rng, 28) - 2, fraction(rng)),
        6 => float(381 - first + below(rng, 4) - 2, fraction(rng)),
        7 => float(0, fraction(rng)),
        8 => pick(rng, &[0, 1, 0x7f_ffff, 0x80_0000, 0x3f80_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7fc0_0000]),
        _ => float(below(rng, 255), fraction(rng)),
    };
    let b = b ^ (rng.next_u32() & 1) << 31;
    // A quarter of the pairs in the other order, so that either operand is special.
    if rng.next_u32() & 3 == 0 { (b, a | signs) } else { (a | signs, b) }
}

fn differs(found: u32, expected: f32) -> bool {
    found != expected.to_bits() && !(f32::from_bits(found).is_nan() && expected.is_nan())
}

fn check(lut: bool) {
    let count: u64 = std::env::var("TMV_OPERANDS").map_or(1_000_000, |count| count.parse().unwrap());
    let mut rng = Random::seed_from_u64(if lut { 11 } else { 12 });
    let mut model = model(lut);
    let pins: Vec<Pin> = CELLS.iter().map(|(name, ..)| model.pin(name).unwrap()).collect();
    let [a_pin, b_pin] = ["a_i", "b_i"].map(|name| model.pin(name).unwrap());
    let longest = CELLS.iter().map(|(_, latency, _)| *latency).max().unwrap();
    // Operands of the last cycles, youngest first.
    let mut past = VecDeque::from(vec![(0, 0); longest + 1]);
    for _ in 0..count {
        past.pop_back();
        past.push_front(operands(&mut rng));
        model.set(a_pin, u64::from(past[0].0));
        model.set(b_pin, u64::from(past[0].1));
        model.eval().unwrap();
        for ((name, latency, host), pin) in CELLS.iter().zip(&pins) {
            let (a, b) = past[*latency];
            let (found, expected) = (model.get(*pin) as u32, host(a, b));
            let settled = model.cycles() > longest as u64 + 4;
            assert!(!settled || !differs(found, expected), "{name}, {a:#010x}, {b:#010x}: {found:#010x}, {expected:e}");
        }
        model.cycle().unwrap();
    }
}

#[test]
fn cells_round_as_the_host() {
    check(false);
}

#[test]
fn bodies_for_luts_round_as_the_host() {
    check(true);
}

#[test]
fn root_rounds_as_the_host() {
    let mut model = model(false);
    let [a_pin, start, done, root] =
        ["a_i", "root_start_i", "root_done_o", "root_o"].map(|name| model.pin(name).unwrap());
    let mut rng = Random::seed_from_u64(13);
    let count: u64 = std::env::var("TMV_OPERANDS").map_or(1_000_000, |count| count.parse().unwrap());
    for index in 0..count / 40 {
        let a = match index {
            0 => 0x8000_0000,
            1 => 0xff80_0000,
            2 => 0x7f80_0000,
            _ => operands(&mut rng).0 & if index % 8 == 0 { u32::MAX } else { 0x7fff_ffff },
        };
        model.set(a_pin, u64::from(a));
        model.set(start, 1);
        model.cycle().unwrap();
        // The operand may change after the start.
        model.set(a_pin, u64::from(rng.next_u32()));
        model.set(start, 0);
        let begin = model.cycles();
        while model.get(done) == 0 {
            model.cycle().unwrap();
            assert!(model.cycles() < begin + 100, "no root of {a:#010x}");
        }
        assert_eq!(model.cycles() - begin + 1, ROOT_CYCLES, "cycles of a root");
        let (found, expected) = (model.get(root) as u32, f32::from_bits(a).sqrt());
        assert!(!differs(found, expected), "root of {a:#010x}: {found:#010x}, {expected:e}");
    }
}
