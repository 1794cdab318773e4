//! Conversion of verified runs to rows of a report.

use std::time::Instant;

use bitnet::config::Linear;
use cost::projection::Inputs;
use cost::time::{DRIVER_OVERHEAD_BAND_US, milliseconds, share_out};
use golden::Layout;
use program::machine;
use report::nonlinear::Nonlinear;
use report::records::{
    Forward, Identity, OperatorRow, Report, RunRow, SCHEMA_VERSION, STATUS, Simulation, Totals, differences,
};
use report::sections::{MemorySection, ModelSection, ProfileSection, UnitSection};
use testbench::clock::cycles_per_second;
use testbench::outcome::Outcome;
use testbench::recorder::Zeros;
use verilated::ModelLibrary;

use super::job::Job;

impl Job<'_> {
    pub(super) fn simulation(
        &self,
        outcomes: &[Outcome],
        library: Option<&ModelLibrary>,
        started: Instant,
    ) -> Simulation {
        let simulated_cycles = outcomes.iter().map(|o| o.simulated_cycles).sum();
        let seconds: f64 = outcomes.iter().map(|o| o.seconds).sum();
        Simulation {
            wall_s: started.elapsed().as_secs_f64(),
            cycles_per_second: cycles_per_second(simulated_cycles, seconds),
            simulated_cycles,
            jobs: self.jobs,
            resumed_runs: 0,
            golden_s: 0.0,
            peak_resident_bytes: machine::peak_resident_bytes(),
            peak_anonymous_bytes: None,
            model_build_s: library.map_or(0.0, ModelLibrary::build_seconds),
            model_cached: library.is_some_and(ModelLibrary::was_cached),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            build: self.build.clone(),
            seed: self.args.model.seed,
            model: self.model_section(),
            unit: UnitSection::of(&self.setup),
            memory: MemorySection::of(&self.setup),
            selected: self.linears.clone(),
            inject: self.args.unit.injection(),
            skip_zeros: self.skips.any(),
        }
    }

    pub(super) fn model_section(&self) -> ModelSection {
        let section = self.source.section(&self.args.model, self.args.layer, self.tokens, self.ids.as_deref());
        ModelSection { context: self.args.context(), ..section }
    }

    pub(super) fn report(
        &self,
        command: &str,
        outcomes: &[Outcome],
        (forward, zeros): (Option<Forward>, &[Zeros]),
        nonlinear: Option<Nonlinear>,
        simulation: Simulation,
        complete: bool,
    ) -> Report {
        let operators: Vec<OperatorRow> = outcomes.iter().flat_map(|outcome| self.operator_rows(outcome)).collect();
        let cpu_profile = ProfileSection {
            provenance: self.baseline.provenance(),
            not_comparable: self.baseline.refusal().map(Into::into),
            nonlinear_ms_a_layer: self.baseline.nonlinear_ms(),
        };
        let (identity, overhead) = (self.identity(), self.args.driver_overhead_us);
        let totals = Totals::of(&operators, outcomes.len(), &cpu_profile, &identity, overhead);
        Report {
            schema_version: SCHEMA_VERSION,
            command: self.repeatable(command),
            identity,
            shard: self.args.shard,
            complete,
            runs_in_all: self.runs_in_all(),
            cpu_profile,
            remarks: self.source.remarks(),
            injected: outcomes.iter().find_map(|o| o.injected.clone()),
            assumptions: self.assumptions(),
            operators,
            totals,
            runs: outcomes.iter().map(RunRow::of).collect(),
            differences: outcomes.iter().flat_map(|o| differences(o, self.setup.unit.max_tokens())).collect(),
            forward,
            zeros: zeros.to_vec(),
            projection_inputs: Some(Inputs {
                soft_core: nonlinear.as_ref().map(Nonlinear::for_projection),
                ..self.inputs.clone()
            }),
            nonlinear,
            projection: None,
            simulation,
            status: STATUS.into(),
        }
        .projected()
    }

    fn operator_rows(&self, outcome: &Outcome) -> Vec<OperatorRow> {
        let cycles: Vec<u64> = outcome.operators.iter().map(|o| o.cycles).collect();
        let stalls = share_out(outcome.ports.iter().map(|p| p.stalls()).sum(), &cycles);
        let rows = outcome.operators.iter().zip(stalls).map(|(o, stall_cycles)| {
            let (out_features, in_features) = self.shape(o.linear);
            let fpga_ms = milliseconds(o.cycles, self.setup.clock_mhz);
            let cpu_ms = self.baseline.linear_ms(o.linear, outcome.layer);
            OperatorRow {
                layer: outcome.layer,
                name: o.linear,
                in_features,
                out_features,
                tokens: self.tokens,
                outputs: o.outputs,
                mismatches: o.mismatches,
                cycles: o.cycles,
                ideal_cycles: match self.skips.layout(o.linear, self.tokens) {
                    _ if self.tokens > 1 => self.operator_ideal(o.linear),
                    Layout::Blocks => self.operator_ideal(o.linear),
                    Layout::Rows => self.setup.unit.ideal_cycles(o.rows_read as usize, in_features, 1),
                    Layout::Columns => self.setup.unit.ideal_cycles(o.columns_read as usize, out_features, 1),
                },
                stall_cycles,
                weight_bytes: self.setup.unit.weight_bytes(out_features, in_features),
                rows_read: Some(o.rows_read),
                columns_read: Some(o.columns_read),
                fpga_ms,
                cpu_ms,
                speedup: cpu_ms.map(|cpu| cpu / fpga_ms),
            }
        });
        rows.collect()
    }

    fn assumptions(&self) -> Vec<String> {
        let mut lines = self.setup.assumptions();
        lines.push(format!(
            "weights are in memory; driver calls ({} us each assumed, {} to {} seen in published systems) are not in the \
             table",
            self.args.driver_overhead_us, DRIVER_OVERHEAD_BAND_US[0], DRIVER_OVERHEAD_BAND_US[1],
        ));
        if self.skips.any() && self.args.model.model.is_none() {
            lines.push(
                "which weights meet a zero is invented with the model: gates are above zero as often as published for 2B-4T, \
                 or as --gate-share says; --skip-zeros=off reads all weights"
                    .into(),
            );
        }
        if self.linears.len() == Linear::ALL.len() && self.baseline.nonlinear_ms().is_some() {
            lines.push(
                "norms, attention and activation as timed on that CPU; the board's own core is slower. Output head and \
                 embedding are not part of a layer"
                    .into(),
            );
        }
        lines.extend(self.baseline.caveats());
        lines
    }
}
