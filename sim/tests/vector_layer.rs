//! Decoder layers whose floats are computed by the vector unit: every tensor equals golden's, bit for bit.
#![allow(clippy::unwrap_used)]

mod common;
mod vector_bench;

use bitnet::config::ModelConfig;
use bitnet::synthetic::Synthetic;
use golden::Dtype;
use vector::VectorConfig;
use vector_bench::{Case, checkpoint};

/// The arithmetic of the programs, without hardware: layers of the tiny checkpoints, and of 2B-4T.
#[test]
fn programs_compute_a_layer() {
    for (lanes, tokens, past) in [(8, 1, 0), (16, 3, 5), (32, 1, 40), (32, 4, 33)] {
        for dtype in [Dtype::Fp32, Dtype::Bf16] {
            let source = checkpoint("tiny-packed");
            let case = Case::of(&*source, 1, tokens, past, dtype);
            let report = case.on_machine(VectorConfig::of(lanes));
            assert_eq!(report.mismatches(), 0, "{lanes} lanes, {tokens} tokens after {past}, {dtype:?}: {report}");
        }
    }
    let source = Synthetic::new(ModelConfig::bitnet_2b_4t(), 7);
    for (lanes, tokens, past, dtype) in [(32, 1, 16, Dtype::Fp32), (8, 1, 70, Dtype::Bf16)] {
        let case = Case::of(&source, 14, tokens, past, dtype);
        let report = case.on_machine(VectorConfig::of(lanes));
        assert_eq!(report.mismatches(), 0, "{lanes} lanes, {tokens} tokens after {past}, {dtype:?}: {report}");
    }
}

/// The same in RTL.
#[test]
fn the_unit_computes_a_layer() {
    let source = checkpoint("tiny-packed");
    for (lanes, tokens, past, dtype) in [
        (8, 1, 0, Dtype::Bf16),
        (8, 2, 40, Dtype::Fp32),
        (16, 3, 5, Dtype::Bf16),
        (32, 1, 40, Dtype::Bf16),
        (32, 4, 33, Dtype::Fp32),
    ] {
        let case = Case::of(&*source, 1, tokens, past, dtype);
        let report = case.on_unit(VectorConfig::of(lanes));
        assert_eq!(report.mismatches(), 0, "{lanes} lanes, {tokens} tokens after {past}, {dtype:?}: {report}");
    }
    let source = Synthetic::new(ModelConfig::bitnet_2b_4t(), 7);
    let report = Case::of(&source, 14, 1, 40, Dtype::Fp32).on_unit(VectorConfig::of(32));
    assert_eq!(report.mismatches(), 0, "{report}");
}
