//! A phase whose operators, except the linears, run on one core.

use super::case::Case;
use super::operators::host_operators;
use super::records::{CoreOperator, OnCore, SoftCore};
use crate::baseline::CpuBaseline;
use crate::peers::{Core, Part};
use bitnet::config::Linear;

/// The only operator of a soft core whose work grows with the cache.
const ATTENTION: &str = "self_attn.attention";

impl Case<'_> {
    /// The other operators on a profiled CPU. If the profile has the time of the whole stage (prefill or decode), the
    /// pass contains the whole stage except its linears. It then includes attention and the output head, which are
    /// not operators of the profile.
    pub(crate) fn on_cpu(&self, cpu: &CpuBaseline, tokens: usize, [unit_ms, most_ms]: [f64; 2]) -> OnCore {
        let operators = cpu.others.iter().map(|o| CoreOperator {
            name: o.name.clone(),
            in_layer: true,
            ops: None,
            bytes: None,
            ms: o.ms,
        });
        let others_ms = cpu.layer_ms - cpu.linear_ms;
        let layers = self.config.num_hidden_layers as f64;
        let alone_ms = if tokens == 1 { cpu.decode_token_ms } else { cpu.prefill_ms };
        let rest_ms = alone_ms.map(|all| all - layers * cpu.linear_ms).filter(|rest| *rest > 0.0);
        let pass = |unit_ms: f64| rest_ms.map(|rest| layers * unit_ms + rest);
        let pass_ms = pass(unit_ms);
        let missing = match (tokens, rest_ms) {
            (_, None) => "what is not in its profile is missing",
            (1, _) => "a pass is its decode with the linears exchanged",
            _ => "a pass is its prefill with the linears exchanged",
        };
        OnCore {
            core: cpu.provenance.clone(),
            basis: format!("measured there with {tokens} tokens; {missing}"),
            measured: true,
            simulated: false,
            operators: operators.collect(),
            others_ms,
            layer_ms: unit_ms + others_ms,
            pass_ms,
            pass_ms_most: pass(most_ms),
            tokens_per_s: pass_ms.map(|ms| tokens as f64 * 1e3 / ms),
            linear_percent: pass_ms.map(|ms| 100.0 * layers * unit_ms / ms),
            alone_ms: alone_ms.filter(|_| rest_ms.is_some()),
            alone_linears: cpu.linears.clone(),
        }
    }

    /// The other operators on a simulated soft core. Each takes its simulated cycles an element. The core drives the
    /// unit itself, so no other driver calls are assumed. The embedding is missing, and the output head unless it ran.
    pub(crate) fn on_soft_core(&self, core: &SoftCore, tokens: usize, context: usize, linear_ms: f64) -> OnCore {
        let macs = |tokens: usize, context: usize| (1..=tokens).map(|token| context + token).sum::<usize>() as f64;
        let simulated = (tokens, context) == (core.tokens, core.context);
        let products = core.products.filter(|_| simulated).map(|cycles| cycles as f64 / core.clock_mhz / 1e3);
        let linear_ms = products.unwrap_or(linear_ms);
        let operators = core.operators.iter().map(|(name, cycles)| {
            let times = match name == ATTENTION {
                true => macs(tokens, context) / macs(core.tokens, core.context),
                false => tokens as f64 / core.tokens as f64,
            };
            let ms = *cycles as f64 * times / core.clock_mhz / 1e3;
            CoreOperator { name: name.clone(), in_layer: true, ops: None, bytes: None, ms }
        });
        let operators: Vec<CoreOperator> = operators.collect();
        let others_ms = operators.iter().map(|o| o.ms).sum::<f64>();
        let layers = self.config.num_hidden_layers as f64;
        let head_ms = core.head.map_or(0.0, |cycles| cycles as f64 / core.clock_mhz / 1e3);
        let pass_ms = layers * (linear_ms + others_ms) + head_ms;
        OnCore {
            core: format!("{}, {} MHz", core.name, core.clock_mhz),
            basis: format!(
                "RTL simulation of the core, tokens: {} after {}{}; {}",
                core.tokens,
                core.context,
                if simulated { "" } else { ", in proportion to tokens and positions" },
                match core.head {
                    Some(_) => "with the output head for one token, without embedding",
                    None => "without embedding and output head",
                }
            ),
            measured: false,
            simulated: true,
            operators,
            others_ms,
            layer_ms: linear_ms + others_ms,
            pass_ms: Some(pass_ms),
            pass_ms_most: Some(pass_ms),
            tokens_per_s: Some(tokens as f64 * 1e3 / pass_ms),
            linear_percent: Some(100.0 * layers * linear_ms / pass_ms),
            alone_ms: None,
            alone_linears: Vec::new(),
        }
    }

    /// The other operators on a core that is modelled by two rates.
    pub(crate) fn on_core(&self, core: &Core, tokens: usize, context: usize, [unit_ms, most_ms]: [f64; 2]) -> OnCore {
        let ms = |ops: f64, bytes: f64| (ops / core.gops.value).max(bytes / core.gb_per_s.value) / 1e6;
        let operator = |(name, in_layer, ops, bytes): (&'static str, bool, f64, f64)| CoreOperator {
            name: name.into(),
            in_layer,
            ops: Some(ops),
            bytes: Some(bytes),
            ms: ms(ops, bytes),
        };
        let operators: Vec<CoreOperator> =
            host_operators(&self.config, tokens, context).into_iter().map(operator).collect();
        let sum = |in_layer: bool| operators.iter().filter(|o| o.in_layer == in_layer).map(|o| o.ms).sum::<f64>();
        let (others_ms, once_ms, layers) = (sum(true), sum(false), self.config.num_hidden_layers as f64);
        let pass = |unit_ms: f64| layers * (unit_ms + others_ms) + once_ms;
        let alone = |l: &Linear| Part { name: l.name().into(), ms: ms(self.ops(*l, tokens), self.bytes(*l, 1)) };
        let alone_linears: Vec<Part> = Linear::ALL.iter().map(alone).collect();
        let alone = alone_linears.iter().map(|l| l.ms).sum();
        let pass_ms = pass(unit_ms);
        OnCore {
            core: core.name.clone(),
            basis: "model, not measured".into(),
            measured: false,
            simulated: false,
            operators,
            others_ms,
            layer_ms: unit_ms + others_ms,
            pass_ms: Some(pass_ms),
            pass_ms_most: Some(pass(most_ms)),
            tokens_per_s: Some(tokens as f64 * 1e3 / pass_ms),
            linear_percent: Some(100.0 * layers * unit_ms / pass_ms),
            alone_ms: Some(pass(alone)),
            alone_linears,
        }
    }
}
