//! Amdahl's law: the total speed-up if only the linears get faster.

use super::case::Case;
use super::records::{Amdahl, Phase};

/// Speed-ups of the linears at which the curves have points.
const SPEEDUPS: [f64; 13] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

impl Case<'_> {
    /// The curves: each starts from a phase on one CPU or core without the unit.
    pub(crate) fn amdahl(&self, phases: &[Phase]) -> Vec<Amdahl> {
        let curve = |what: String, baseline: &str, basis: &str, linear: f64, all: f64, unit_ms: f64| {
            let rest = all - linear;
            let at = |s: f64| [s, all / (rest + linear / s)];
            Amdahl {
                what,
                baseline: baseline.into(),
                basis: basis.into(),
                linear_percent: 100.0 * linear / all,
                points: SPEEDUPS.map(at).to_vec(),
                unit: at(linear / unit_ms),
                limit: all / rest,
                soft_core: None,
            }
        };
        let mut curves = Vec::new();
        for phase in phases {
            let unit_ms = phase.linear_ms + phase.driver_ms;
            for cpu in self.inputs.baselines.iter().filter(|b| b.fits(phase.tokens)) {
                let what = format!("layer, {} of {}", phase.name, phase.tokens);
                let soft_core = self.inputs.soft_core.as_ref().map(|core| {
                    let on = self.on_soft_core(core, phase.tokens, phase.context, phase.linear_ms);
                    [cpu.linear_ms / phase.linear_ms, cpu.layer_ms / on.layer_ms]
                });
                let of_layer = curve(what, &cpu.provenance, "measured", cpu.linear_ms, cpu.layer_ms, unit_ms);
                curves.push(Amdahl { soft_core, ..of_layer });
            }
            let layers = self.config.num_hidden_layers as f64;
            for on in phase.on_cores.iter().filter(|_| phase.tokens == 1) {
                if let (Some(alone), Some(pass)) = (on.alone_ms, on.pass_ms) {
                    let linear = alone - (pass - layers * unit_ms);
                    curves.push(curve("token".into(), &on.core, &on.basis, linear, alone, layers * unit_ms));
                }
            }
        }
        curves
    }
}
