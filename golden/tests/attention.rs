//! The fast code for attention and for the head gives the bits of its definition.
#![allow(clippy::unwrap_used, missing_docs)]

use golden::attention::{Heads, attention, attention_with_probs};
use golden::{Dtype, linear};
use half::bf16;
use proptest::prelude::*;

/// Floats between -1 and 1, determined by the seed.
fn noise(len: usize, mut seed: u64, dtype: Dtype) -> Vec<f32> {
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        dtype.round((seed >> 40) as f32 / (1 << 23) as f32 - 1.0)
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn dtypes() -> impl Strategy<Value = Dtype> {
    prop_oneof![Just(Dtype::Fp32), Just(Dtype::Bf16)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Many tokens and few, positions around the borders of the parts into which the work is cut, sharp and flat scores.
    #[test]
    fn attention_is_its_definition(
        kv in 1usize..4,
        group in 1usize..6,
        dim in prop_oneof![Just(128usize), Just(64), 1usize..140],
        new in prop_oneof![Just(1usize), 1usize..70],
        past in 0usize..140,
        scale in prop_oneof![Just(0.1f32), Just(2.0), Just(40.0)],
        seed: u64,
        dtype in dtypes(),
    ) {
        let heads = Heads { query: kv * group, kv, dim };
        let scaled = |x: Vec<f32>| x.into_iter().map(|x| dtype.round(x * scale)).collect::<Vec<_>>();
        let q = scaled(noise(new * heads.query * dim, seed, dtype));
        let keys = scaled(noise((past + new) * kv * dim, seed ^ 1, dtype));
        let values = noise((past + new) * kv * dim, seed ^ 2, dtype);
        let (want, _) = attention_with_probs(heads, &q, &keys, &values, dtype);
        prop_assert!(bits(&attention(heads, &q, &keys, &values, dtype)) == bits(&want));
    }

    #[test]
    fn nothing_to_attend_to(kv in 1usize..3, dim in 0usize..2) {
        let heads = Heads { query: 2 * kv, kv, dim };
        prop_assert!(attention(heads, &[], &[], &[], Dtype::Fp32).is_empty());
    }

    /// One token reads several rows of the head at the same time; several tokens read one row after another.
    #[test]
    fn logits_of_one_token_are_those_of_many(cols in 1usize..300, rows in 0usize..40, seed: u64, dtype in dtypes()) {
        let h = noise(2 * cols, seed, dtype);
        let weight: Vec<bf16> = noise(rows * cols, seed ^ 1, Dtype::Bf16).into_iter().map(bf16::from_f32).collect();
        let floats: Vec<f32> = weight.iter().map(|w| w.to_f32()).collect();
        let both = linear::dense(&h, &weight, cols, dtype);
        let some: Vec<usize> = (0..rows).step_by(3).collect();
        for (h, want) in h.chunks(cols).zip(both.chunks(rows.max(1))) {
            prop_assert!(bits(&linear::dense(h, &weight, cols, dtype)) == bits(want));
            prop_assert!(bits(&linear::dense(h, &floats, cols, dtype)) == bits(want));
            let chosen: Vec<f32> = some.iter().map(|row| want[*row]).collect();
            prop_assert!(bits(&linear::dense_of(h, &weight, cols, &some, dtype)) == bits(&chosen));
        }
    }
}
