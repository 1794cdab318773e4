//! The unit, the memory and the model of a projection, and its phases (prefill and decode).

use bitnet::config::{Linear, ModelConfig};
use tmv::config::UnitConfig;
use zynq_memory::Timing;

use super::records::{Inputs, LinearTime, Phase};
use super::simulated::Simulated;
use crate::board::Board;
use crate::formula::linear_cycles;
use crate::peers::{Core, PEERS};
use crate::time::DRIVER_OVERHEAD_BAND_US;

/// Positions in the context before the token that decode computes.
pub(crate) const CONTEXT: usize = 256;

/// Everything that a projection depends on, except the simulated run.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The vocabulary, and the CPUs to compare with.
    pub inputs: &'a Inputs,
    /// The model.
    pub config: ModelConfig,
    /// The board.
    pub board: &'a Board,
    /// The unit.
    pub unit: UnitConfig,
    /// Clock of the unit, in MHz.
    pub clock_mhz: f64,
    /// Timing of the memory.
    pub timing: Timing,
    /// GB/s that plain readers, which do nothing but read, get from the memory; `None` if the memory is ideal.
    pub reader_gb_per_s: Option<f64>,
    /// The lowest and the highest GB/s that such a memory has been observed to deliver.
    pub band_gb_per_s: Option<[f64; 2]>,
    /// Overhead of a driver call, in microseconds.
    pub overhead_us: f64,
}

impl Case<'_> {
    /// The cores that the board contains or has room for.
    pub(crate) fn cores(&self) -> impl Iterator<Item = &'static Core> {
        PEERS.core.iter().filter(|c| c.families.contains(&self.board.family.synthesis))
    }

    /// Operations of a linear. A multiply-accumulate counts as two operations.
    pub(crate) fn ops(&self, l: Linear, tokens: usize) -> f64 {
        2.0 * (l.out_features(&self.config) * l.in_features(&self.config) * tokens) as f64
    }

    /// Bytes of weights that the unit reads in a forward pass of `tokens` tokens.
    pub(crate) fn bytes(&self, l: Linear, tokens: usize) -> f64 {
        let image = self.unit.weight_bytes(l.out_features(&self.config), l.in_features(&self.config));
        (image * tokens.div_ceil(self.unit.max_tokens())) as f64
    }

    /// The phase that was simulated, with the cycles of `run`.
    pub(crate) fn simulated(&self, run: &Simulated) -> Phase {
        let layers = run.layers() as f64;
        let cycles = |l: Linear| run.operators.iter().filter(|o| o.linear == l).map(|o| o.cycles).sum::<u64>() as f64;
        let band = run.linear_ms_band.map(|band| band.map(|ms| ms / layers));
        self.phase(run.tokens, true, Linear::ALL.map(|l| cycles(l) / layers).to_vec(), band)
    }

    /// A phase that was not simulated, with cycles by formula.
    pub(crate) fn by_formula(&self, tokens: usize) -> Phase {
        let cycles = |gb_per_s| linear_cycles(&self.unit, &self.config, tokens, &self.timing, self.clock_mhz, gb_per_s);
        let band = self.band_gb_per_s.map(|[least, most]| {
            [most, least].map(|rate| cycles(Some(rate)).iter().sum::<f64>() / self.clock_mhz / 1e3)
        });
        self.phase(tokens, false, cycles(self.reader_gb_per_s), band)
    }

    fn phase(&self, tokens: usize, simulated: bool, cycles: Vec<f64>, linear_ms_band: Option<[f64; 2]>) -> Phase {
        let linears = Linear::ALL.iter().zip(cycles).map(|(l, cycles)| LinearTime {
            name: *l,
            cycles,
            ms: cycles / self.clock_mhz / 1e3,
            ops: self.ops(*l, tokens),
            weight_bytes: self.bytes(*l, tokens),
        });
        let linears: Vec<LinearTime> = linears.collect();
        let linear_ms: f64 = linears.iter().map(|l| l.ms).sum();
        let calls = Linear::GROUPS.len();
        let driver = |us: f64| calls as f64 * us / 1e3;
        let context = if tokens == 1 { CONTEXT } else { 0 };
        let [driver_ms, driver_ms_most] =
            [self.overhead_us, DRIVER_OVERHEAD_BAND_US[1].max(self.overhead_us)].map(driver);
        let unit_ms = [linear_ms + driver_ms, linear_ms + driver_ms_most];
        let measured = self.inputs.baselines.iter().filter(|b| b.fits(tokens)).map(|b| self.on_cpu(b, tokens, unit_ms));
        let soft_core = self.inputs.soft_core.iter();
        let simulated_core = soft_core.map(|core| self.on_soft_core(core, tokens, context, linear_ms));
        let modelled = self.cores().map(|core| self.on_core(core, tokens, context, unit_ms));
        Phase {
            name: if tokens == 1 { "decode" } else { "prefill" }.into(),
            tokens,
            context,
            source: if simulated {
                "RTL simulation".into()
            } else {
                "analytic model, checked against the RTL by a test, not simulated here".into()
            },
            simulated,
            linear_ms_band,
            calls,
            driver_ms,
            driver_ms_most,
            on_cores: measured.chain(modelled).chain(simulated_core).collect(),
            linears,
            linear_ms,
        }
    }
}
