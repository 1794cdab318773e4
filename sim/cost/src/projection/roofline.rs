//! The rooflines of the unit and of the core beside it, and each operator below its roofline.

use super::case::Case;
use super::records::{CoreOperator, CoreRoof, Phase, Roofline, RooflinePoint};

impl CoreRoof {
    /// The point of an operator on this core. `None` for an operator that only moves bytes.
    fn point(&self, phase: &str, operator: &CoreOperator) -> Option<RooflinePoint> {
        let (ops, bytes) = (operator.ops.filter(|ops| *ops > 0.0)?, operator.bytes?);
        let (ops_per_byte, gops) = (ops / bytes, ops / operator.ms / 1e6);
        let roof_gops = self.peak_gops.min(self.gb_per_s * ops_per_byte);
        Some(RooflinePoint {
            phase: phase.into(),
            name: operator.name.clone(),
            on: "core".into(),
            ops_per_byte,
            gops,
            roof_gops,
            percent: 100.0 * gops / roof_gops,
            bound: if roof_gops < self.peak_gops { "memory" } else { "operations" }.into(),
        })
    }
}

impl Case<'_> {
    /// The roofline of all operators of `phases`.
    pub(crate) fn roofline(&self, phases: &[Phase]) -> Roofline {
        let one = 2.0 * self.unit.lanes() as f64 * self.clock_mhz / 1e3;
        let peak = one * self.unit.vectors as f64;
        let ports = (self.unit.ports * self.unit.port_bits / 8) as f64 * self.clock_mhz / 1e3;
        let rate = self.reader_gb_per_s.unwrap_or(ports);
        let linears = phases.iter().flat_map(|phase| {
            let lanes = one * self.unit.vectors.min(phase.tokens) as f64;
            phase.linears.iter().map(move |l| {
                let (ops_per_byte, gops) = (l.ops / l.weight_bytes, l.ops / l.ms / 1e6);
                let roof_gops = lanes.min(rate * ops_per_byte);
                RooflinePoint {
                    phase: phase.name.clone(),
                    name: l.name.name().into(),
                    on: "unit".into(),
                    ops_per_byte,
                    gops,
                    roof_gops,
                    percent: 100.0 * gops / roof_gops,
                    bound: if lanes < rate * ops_per_byte { "lanes" } else { "memory" }.into(),
                }
            })
        });
        let core = self.cores().next().map(|core| CoreRoof {
            name: core.name.clone(),
            peak_gops: core.gops.value,
            gb_per_s: core.gb_per_s.value,
        });
        let mut points: Vec<RooflinePoint> = linears.collect();
        for (phase, roof) in phases.iter().flat_map(|phase| core.iter().map(move |roof| (phase, roof))) {
            let on = phase.on_cores.iter().filter(|on| on.core == roof.name);
            points.extend(on.flat_map(|on| &on.operators).filter_map(|o| roof.point(&phase.name, o)));
        }
        Roofline {
            peak_gops_one_vector: one,
            peak_gops: peak,
            gb_per_s: rate,
            gb_per_s_band: self.band_gb_per_s,
            core,
            points,
        }
    }
}
