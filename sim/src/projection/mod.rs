//! From cycles to milliseconds, beside a CPU profile; and to a [whole](mod@whole) token.

pub mod whole;

use std::ops::Range;

use host::config::{Linear, ModelConfig};
use host::profile::{CpuProfile, OperatorProfile};

/// Overheads of a driver call seen in published systems, in microseconds.
pub const DRIVER_OVERHEAD_BAND_US: [f64; 2] = [15.0, 375.0];

/// A CPU profile, if it is of the forward pass that is projected.
pub struct Baseline {
    profile: CpuProfile,
    builtin: bool,
    comparable: Result<(), String>,
}

impl Baseline {
    /// `profile` beside `tokens` tokens through `layers` of `config`.
    pub fn new(profile: CpuProfile, builtin: bool, config: &ModelConfig, layers: Range<usize>, tokens: usize) -> Self {
        let mut baseline = Self { profile, builtin, comparable: Ok(()) };
        baseline.comparable = layers.into_iter().try_for_each(|layer| baseline.compare(config, layer, tokens));
        baseline
    }

    /// The profile must be of as many tokens, and of operators as large as far as it tells.
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

    /// Why there is nothing to compare with.
    pub fn refusal(&self) -> Option<&str> {
        self.comparable.as_ref().err().map(String::as_str)
    }

    /// Time of a linear.
    pub fn linear_ms(&self, linear: Linear, layer: usize) -> Option<f64> {
        self.profile.operator_ms(linear, layer).filter(|_| self.comparable.is_ok())
    }

    /// Time of the operators of a layer that stay on the host.
    pub fn nonlinear_ms(&self) -> Option<f64> {
        self.profile.nonlinear_ms().filter(|_| self.comparable.is_ok())
    }

    /// Machine, software, model and date.
    pub fn provenance(&self) -> String {
        self.profile.provenance()
    }

    /// What to bear in mind about the CPU's times.
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

/// Milliseconds of `cycles` at `clock_mhz`.
pub fn milliseconds(cycles: u64, clock_mhz: f64) -> f64 {
    cycles as f64 / (clock_mhz * 1e3)
}

/// A layer's time: its linears on the unit, `calls` driver calls and the rest on the profiled CPU.
pub fn layer_ms(linear_ms: f64, nonlinear_ms: f64, calls: usize, overhead_us: f64) -> f64 {
    linear_ms + nonlinear_ms + calls as f64 * overhead_us / 1e3
}

/// `whole` shared out in proportion to `weights`: whole numbers that add up to it.
pub fn share_out(whole: u64, weights: &[u64]) -> Vec<u64> {
    let total = u128::from(weights.iter().sum::<u64>().max(1));
    let (mut seen, mut given) = (0u128, 0);
    let shares = weights.iter().map(|w| {
        seen += u128::from(*w);
        let upto = (u128::from(whole) * seen / total) as u64;
        let share = upto - given;
        given = upto;
        share
    });
    shares.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!(share_out(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(share_out(7, &[0, 5]), [0, 7]);
        assert_eq!(share_out(u64::MAX, &[u64::MAX >> 2, u64::MAX >> 2]).iter().sum::<u64>(), u64::MAX);
    }

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
}
