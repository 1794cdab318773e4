//! The projection from a run of whole layers to a token: the linears on the unit, driver calls, and all other
//! operators on a named core.
//!
//! `docs/projection.md` explains the assumptions of a projection.

mod amdahl;
mod case;
mod check;
mod cores;
mod operators;
mod records;
mod roofline;
mod simulated;

use bitnet::config::ModelConfig;

use case::CONTEXT;
pub use case::Case;
use operators::EXP_OPS;
pub use records::{
    Amdahl, CoreOperator, CoreRoof, Inputs, LinearTime, OnCore, PeerCheck, Phase, PortTime, Projection, Roofline,
    RooflinePoint, SoftCore,
};
pub use simulated::{Simulated, SimulatedLinear};

use crate::peers::PEERS;
use crate::time::DRIVER_OVERHEAD_BAND_US;

/// Tokens of the prefill that is projected in addition to a run of one token.
const PREFILL_TOKENS: usize = 64;

impl Projection {
    /// The projection from `run`. `None` if `run` does not consist of whole layers.
    pub fn new(case: &Case<'_>, run: &Simulated) -> Option<Self> {
        if !run.is_whole() {
            return None;
        }
        let other = case.by_formula(if run.tokens == 1 { PREFILL_TOKENS } else { 1 });
        let mut phases = vec![case.simulated(run), other];
        phases.sort_by_key(|p| p.tokens);
        let is_2b_4t = case.config == ModelConfig::bitnet_2b_4t();
        Some(Self {
            overlap: "none: the unit, the driver and the core take turns".into(),
            driver_overhead_us: case.overhead_us,
            driver_overhead_band_us: DRIVER_OVERHEAD_BAND_US,
            layers: case.config.num_hidden_layers,
            simulated_layers: run.layers(),
            amdahl: case.amdahl(&phases),
            roofline: case.roofline(&phases),
            ports: run.ports.clone(),
            assumptions: assumptions(case, &phases),
            cores: case.cores().cloned().collect(),
            phases,
            baselines: case.inputs.baselines.clone(),
            published: if is_2b_4t { PEERS.published.clone() } else { vec![] },
            check: check::check()?,
            joules_per_token: None,
        })
    }
}

/// The assumptions of the projection, one per line.
fn assumptions(case: &Case<'_>, phases: &[Phase]) -> Vec<String> {
    let mut lines: Vec<String> = vec![
        "nothing overlaps: linears, driver calls and the core's operators are added up".into(),
        format!("decode has {CONTEXT} positions before its token; prefill starts at none"),
        "the output head is computed once a pass, on the core, from bf16 rows (int8 rows would be half the bytes)"
            .into(),
        format!(
            "a core's operator takes the longer of operations over its rate and bytes over its rate; everything \
             comes from DRAM, keys and values are fp32, an exponential is {EXP_OPS} operations"
        ),
        "a core alone reads the same weight bytes as the unit".into(),
        "energy: absent; no power of this unit was measured, and figures of others are theirs".into(),
    ];
    lines.extend(phases.iter().map(|p| format!("{} of {}: {}", p.name, p.tokens, p.source)));
    for core in case.cores() {
        lines.push(format!("{}, model, not measured: {} GOPS ({})", core.name, core.gops.value, core.gops.source));
        lines.push(format!("{}: {} GB/s ({})", core.name, core.gb_per_s.value, core.gb_per_s.source));
    }
    let offline = &PEERS.offline;
    lines.push(format!(
        "estimate with weights made ternary once: times {} / {}: {}",
        offline.offline_ms, offline.online_ms, offline.source
    ));
    lines
}
