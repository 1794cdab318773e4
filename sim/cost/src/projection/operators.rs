//! The operators that the unit does not execute: the operations and bytes that a core needs for them.

use bitnet::config::{Linear, ModelConfig, Norm};

/// Operations that an exponential counts as.
pub(crate) const EXP_OPS: f64 = 20.0;

/// The operators that the unit does not execute: name, whether the operator is in every layer, operations, bytes.
pub(crate) fn host_operators(c: &ModelConfig, tokens: usize, context: usize) -> Vec<(&'static str, bool, f64, f64)> {
    let t = tokens as f64;
    let [h, i, kv, heads] = [c.hidden_size, c.intermediate_size, c.kv_dim(), c.num_attention_heads].map(|n| n as f64);
    // Number of pairs of a token and a position that the token attends to.
    let pairs: f64 = (1..=tokens).map(|n| (context + n) as f64).sum();
    let inputs = 3.0 * h + i;
    let outputs: f64 = Linear::ALL.iter().map(|l| l.out_features(c) as f64).sum();
    let norm = |n: Norm| (n.name(), true, 3.0 * t * n.width(c) as f64, 8.0 * t * n.width(c) as f64);
    let mut all: Vec<_> = Norm::ALL.into_iter().map(norm).collect();
    all.extend([
        ("quantise inputs", true, 3.0 * t * inputs, 5.0 * t * inputs),
        ("rescale outputs", true, t * outputs, 8.0 * t * outputs),
        ("RoPE", true, 3.0 * t * (h + kv), 8.0 * t * (h + kv)),
        ("self_attn.attention", true, pairs * (4.0 * h + EXP_OPS * heads), 8.0 * pairs * kv),
        ("mlp.act_fn", true, 2.0 * t * i, 8.0 * t * i),
        ("mlp.product", true, t * i, 12.0 * t * i),
        ("residuals", true, 2.0 * t * h, 24.0 * t * h),
        ("embed_tokens", false, 0.0, 6.0 * t * h),
        ("norm", false, 3.0 * h, 8.0 * h),
        ("lm_head", false, 2.0 * h * c.vocab_size as f64, 2.0 * h * c.vocab_size as f64),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_head_is_most_of_what_a_core_reads() {
        let operators = host_operators(&ModelConfig::bitnet_2b_4t(), 1, 256);
        let head = operators.iter().find(|o| o.0 == "lm_head").expect("it is listed");
        assert_eq!(head.3, 656_670_720.0);
    }
}
