//! CPU profiles that a run is compared with.

use std::ops::Range;

use bitnet::config::{Linear, ModelConfig};
use cpu_profile::report::{CpuProfile, OperatorProfile, TOKENS};
use serde::{Deserialize, Serialize};

use crate::peers::{PEERS, Part};

/// A CPU profile, and whether it is a profile of the forward pass that is projected.
pub struct Baseline {
    profile: CpuProfile,
    builtin: bool,
    comparable: Result<(), String>,
}

impl Baseline {
    /// Compares `profile` with a forward pass of `tokens` tokens through the layers `layers` of `config`. `builtin`
    /// marks the profile that is part of this program.
    pub fn new(profile: CpuProfile, builtin: bool, config: &ModelConfig, layers: Range<usize>, tokens: usize) -> Self {
        let mut baseline = Self { profile, builtin, comparable: Ok(()) };
        baseline.comparable = layers.into_iter().try_for_each(|layer| baseline.compare(config, layer, tokens));
        baseline
    }

    /// Checks that the profile is of the same number of tokens and of operators of the same shape, as far as the
    /// profile states them.
    fn compare(&self, config: &ModelConfig, layer: usize, tokens: usize) -> Result<(), String> {
        if let Some(profiled) = self.profile.meta.tokens.filter(|t| *t != tokens) {
            return Err(format!("the profile is of {profiled} tokens, this run of {tokens}"));
        }
        for linear in Linear::ALL {
            let (rows, cols) = (linear.out_features(config), linear.in_features(config));
            if self.profile.operator_ms(linear, layer).is_none() {
                return Err(format!("the profile has no time for {linear}"));
            }
            let fits = |o: &OperatorProfile| {
                o.input_shape.last().is_none_or(|k| *k == cols)
                    && o.ops.is_none_or(|ops| ops == 2 * (rows * cols * tokens) as u64)
            };
            if !self.profile.operators.iter().filter(|o| o.name == linear.name()).all(fits) {
                return Err(format!(
                    "the profile is of another shape than {linear} [{rows}, {cols}] with {tokens} tokens"
                ));
            }
        }
        Ok(())
    }

    /// The reason why the profile's times are not comparable with the run; `None` if they are.
    pub fn refusal(&self) -> Option<&str> {
        self.comparable.as_ref().err().map(String::as_str)
    }

    /// Milliseconds of a linear in decoder layer `layer`; `None` if not comparable or not profiled.
    pub fn linear_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        self.profile.operator_ms(linear, layer).filter(|_| self.comparable.is_ok())
    }

    /// Milliseconds of all operators of a layer that stay on the host; `None` if not comparable or not profiled.
    pub fn nonlinear_ms(&self) -> Option<f64> {
        self.profile.nonlinear_ms().filter(|_| self.comparable.is_ok())
    }

    /// Machine, software, model and date of the profile.
    pub fn provenance(&self) -> String {
        self.profile.provenance()
    }

    /// Remarks on the CPU's times for the reader of a report, one per line.
    pub fn caveats(&self) -> Vec<String> {
        if let Some(why) = self.refusal() {
            return vec![format!("no CPU times: {why}")];
        }
        let mut lines = vec![format!("CPU times: {}", self.provenance())];
        if self.builtin {
            lines.push(
                "that CPU run makes the weights ternary again at every call; a CPU that does it once is several times \
                 faster (on another machine 88% of gate_proj was that work): the fair baseline, not in this table"
                    .into(),
            );
            let count = self.profile.contradictions.len();
            lines.push(format!("the CPU report contradicts itself in {count} places; the profile lists them"));
        }
        lines
    }
}

/// The part of a CPU profile that projections need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuBaseline {
    /// Machine, software, model and date of the profile.
    pub provenance: String,
    /// Tokens of the profiled forward pass, if the profile states them.
    pub tokens: Option<usize>,
    /// The reason why the profile's times are left out; `None` if they are used.
    pub not_comparable: Option<String>,
    /// The linears of a layer, each with its mean time over the layers of the run.
    pub linears: Vec<Part>,
    /// The other timed operators of a layer.
    pub others: Vec<Part>,
    /// Sum of the times in `linears`.
    pub linear_ms: f64,
    /// Sum of the times in `linears` and `others`.
    pub layer_ms: f64,
    /// An estimate of `layer_ms` with weights made ternary only once. Present only for a profile that makes them
    /// ternary at every call.
    pub offline_layer_ms: Option<f64>,
    /// Milliseconds of the prefill of the whole prompt, as measured.
    pub prefill_ms: Option<f64>,
    /// Milliseconds of one token of decode, as measured.
    pub decode_token_ms: Option<f64>,
}

impl CpuBaseline {
    /// The part of `profile` that projections need, if the profile fits `config`. Times are means over the layers
    /// `layers`.
    pub fn new(profile: &CpuProfile, builtin: bool, config: &ModelConfig, layers: Range<usize>) -> Self {
        let tokens = profile.meta.tokens;
        let count = layers.len() as f64;
        let baseline = Baseline::new(profile.clone(), builtin, config, layers.clone(), tokens.unwrap_or(TOKENS));
        let mean = |l: Linear| layers.clone().map(|layer| baseline.linear_ms(l, layer)).sum::<Option<f64>>();
        let linears: Option<Vec<Part>> =
            Linear::ALL.iter().map(|l| Some(Part { name: l.name().into(), ms: mean(*l)? / count })).collect();
        let others = profile.typical().filter(|o| o.linear().is_none());
        let others: Vec<Part> = others.map(|o| Part { name: o.name.clone(), ms: o.ms() }).collect();
        let not_comparable = baseline
            .refusal()
            .map(Into::into)
            .or_else(|| others.is_empty().then(|| "the profile has no times of other operators".into()));
        let (linears, others) =
            if not_comparable.is_some() { (vec![], vec![]) } else { (linears.unwrap_or_default(), others) };
        let sum = |parts: &[Part]| parts.iter().map(|p| p.ms).sum::<f64>();
        let linear_ms = sum(&linears);
        let layer_ms = linear_ms + sum(&others);
        let offline = &PEERS.offline;
        let stage = |name| profile.stage(name).filter(|_| !builtin && not_comparable.is_none());
        Self {
            provenance: profile.provenance(),
            tokens,
            linear_ms,
            layer_ms,
            offline_layer_ms: (builtin && layer_ms > 0.0).then(|| layer_ms * offline.offline_ms / offline.online_ms),
            prefill_ms: stage("Prefill").and_then(|s| s.duration_ms.as_ref()?.value()),
            decode_token_ms: stage("Decode").and_then(|s| Some(s.a_token?.median_ms)),
            not_comparable,
            linears,
            others,
        }
    }

    /// Whether the profile is comparable and its forward pass has `tokens` tokens.
    pub(crate) fn fits(&self, tokens: usize) -> bool {
        self.not_comparable.is_none() && self.tokens.is_none_or(|t| t == tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_another_pass_is_refused() {
        let config = ModelConfig::bitnet_2b_4t();
        let beside = |config: &ModelConfig, tokens| Baseline::new(CpuProfile::builtin(), true, config, 0..30, tokens);
        assert_eq!(beside(&config, 3).linear_ms(Linear::Gate, 14), Some(11.92));
        assert_eq!(beside(&config, 1).linear_ms(Linear::Gate, 14), None);
        let mut small = config.clone();
        small.intermediate_size = 1024;
        assert!(beside(&small, 3).refusal().is_some_and(|why| why.contains("mlp.gate_proj [1024, 2560]")));
    }

    #[test]
    fn a_layer_on_the_built_in_cpu() {
        let config = ModelConfig::bitnet_2b_4t();
        let cpu = CpuBaseline::new(&CpuProfile::builtin(), true, &config, 0..30);
        assert!((cpu.linear_ms - 42.26).abs() < 0.01 && (cpu.layer_ms - 43.16).abs() < 0.01, "{cpu:?}");
        assert!(cpu.fits(3) && !cpu.fits(1));
        let mut small = config.clone();
        small.intermediate_size = 1024;
        assert!(!CpuBaseline::new(&CpuProfile::builtin(), true, &small, 0..30).fits(3));
    }
}
