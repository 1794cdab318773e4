//! The operators of a layer on the core: elements, cycles, and elements that differ from golden's.

use bitnet::config::{Linear, ModelConfig, Norm};
use decoder::Step;

use crate::compare::Compared;
use crate::layer::Output;

/// An operator of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Name of the operator within the layer.
    pub name: String,
    /// Elements: results; for attention, multiply-accumulates.
    pub elements: usize,
    /// Cycles of the core. The time in which the unit computes products is not among them.
    pub cycles: u64,
    /// Cycles in which the ternary unit worked too. They are not among `cycles`.
    pub overlapped: u64,
    /// Elements of the operator's tensors that differ from golden's.
    pub mismatches: usize,
}

/// The operators of a job on `tokens` tokens after `past` tokens, each the sum of all layers. `compared` are all its tensors; each tensor that only
/// repeats another one counts for no operator.
pub fn operators(
    config: &ModelConfig,
    tokens: usize,
    past: usize,
    output: &Output,
    compared: &[Compared],
) -> Vec<Operator> {
    let mut busy = output.busy.iter();
    let one = |(step, cycles): &(Step, u64)| {
        let cycles = match step {
            Step::Products(_) => cycles.saturating_sub(busy.next().copied().unwrap_or(0)),
            _ => *cycles,
        };
        let names = tensors(*step);
        let of_step = compared.iter().filter(|tensor| names.contains(&tensor.name));
        Operator {
            name: name(*step),
            elements: output.layers.len() * elements(*step, config, tokens, past),
            cycles,
            overlapped: output.overlapped.iter().filter(|(other, _)| other == step).map(|(_, cycles)| cycles).sum(),
            mismatches: of_step.map(|tensor| tensor.mismatches).sum(),
        }
    };
    output.steps.iter().map(one).collect()
}

/// The names of the tensors that show the results of all steps.
pub fn results() -> Vec<String> {
    Step::ALL.into_iter().flat_map(tensors).collect()
}

/// The linears that read the same input as `first`.
fn group(first: Linear) -> &'static [Linear] {
    Linear::GROUPS.into_iter().find(|group| group[0] == first).unwrap_or_default()
}

fn name(step: Step) -> String {
    let suffix = match step {
        Step::Quantise(_) => "quantise",
        Step::Products(_) => "driver",
        Step::Rescale(_) => "rescale",
        Step::Rope => return "self_attn.rope".into(),
        _ => return step.operator().into(),
    };
    format!("{}.{suffix}", step.operator())
}

fn elements(step: Step, config: &ModelConfig, tokens: usize, past: usize) -> usize {
    let per_token = match step {
        Step::Norm(norm) => norm.width(config),
        Step::Quantise(linear) => linear.in_features(config),
        Step::Products(linear) => group(linear).iter().map(|linear| linear.out_features(config)).sum(),
        Step::Rescale(linear) => linear.out_features(config),
        Step::Rope => config.hidden_size + config.kv_dim(),
        Step::AttentionResidual | Step::MlpResidual => config.hidden_size,
        Step::Relu2 | Step::Product => config.intermediate_size,
        Step::Attention => {
            let positions: usize = (1..=tokens).map(|token| past + token).sum();
            return 2 * config.hidden_size * positions;
        }
    };
    tokens * per_token
}

/// The tensors that show the results of a step.
fn tensors(step: Step) -> Vec<String> {
    let of = |module: &str, names: &[&str]| names.iter().map(|name| format!("{module}.{name}")).collect();
    match step {
        Step::Norm(norm) => of(norm.name(), &["out"]),
        Step::Quantise(linear) => of(linear.name(), &["x_q", "x_scale"]),
        Step::Products(linear) => group(linear).iter().flat_map(|linear| of(linear.name(), &["acc"])).collect(),
        Step::Rescale(linear) => of(linear.name(), &["out"]),
        Step::Rope => of("self_attn", &["q_rope", "k_rope"]),
        Step::Attention => [of("self_attn", &["attn_probs"]), of(Norm::AttnSub.name(), &["in"])].concat(),
        Step::AttentionResidual => of(Norm::PostAttention.name(), &["in"]),
        Step::Relu2 => of("mlp.act_fn", &["out"]),
        Step::Product => of(Norm::FfnSub.name(), &["in"]),
        Step::MlpResidual => vec!["out".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_results() {
        let config = ModelConfig::bitnet_2b_4t();
        let mut seen = Vec::new();
        for step in Step::ALL {
            assert!(elements(step, &config, 1, 16) > 0, "{step:?}");
            seen.extend(tensors(step));
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!((once.len(), seen.len()), (34, 34), "a tensor counts once");
        assert_eq!(elements(Step::Attention, &config, 3, 16), 2 * 2560 * (17 + 18 + 19));
    }
}
