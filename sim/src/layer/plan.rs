//! `--dry-run`: prints the plan, and builds or writes nothing.

use std::collections::HashSet;

use bitnet::config::Linear;
use program::console::{pretty, print};
use program::table::{grouped, table};
use report::records::SCHEMA_VERSION;
use report::sections::{MemorySection, ModelSection, UnitSection};
use serde::Serialize;

use super::job::Job;
use crate::args::unit::bench;
use crate::failure::{Exit, Failure};
use crate::output::on_stdout;

/// Assumed simulation speed of one thread in cycles per second, for estimates.
const ESTIMATED_SPEED: f64 = 0.5e6;

impl Job<'_> {
    /// Prints the plan. Builds nothing and writes no file.
    pub(super) fn print_plan(&self) -> Result<Exit, Failure> {
        let bench = bench(&self.setup, self.args.model.seed, None);
        let operators = self.operators_here().map(|(layer, l)| {
            let (out_features, in_features) = self.shape(l);
            PlannedOperator {
                layer,
                name: l,
                in_features,
                out_features,
                tokens: self.tokens,
                outputs: out_features * self.tokens,
                weight_bytes: self.setup.unit.weight_bytes(out_features, in_features),
                ideal_cycles: self.operator_ideal(l),
            }
        });
        let groups = self.groups();
        let images = groups.iter().map(|group| bench.memory_bytes(group.iter().map(|l| self.shape(*l)), self.tokens));
        let largest = images.max().unwrap_or_default();
        let ideal_cycles = self.ideal_cycles();
        let plan = Plan {
            schema_version: SCHEMA_VERSION,
            dry_run: true,
            model: self.model_section(),
            unit: UnitSection::of(&self.setup),
            memory: MemorySection::of(&self.setup),
            operators: operators.collect(),
            driver_calls: self.runs_here().len(),
            ideal_cycles,
            jobs: self.jobs,
            // The factor allows for an uneven distribution of runs to threads, and for cycles that the memory model
            // adds.
            estimated_simulation_s: 1.3 * ideal_cycles as f64 / ESTIMATED_SPEED / self.jobs as f64,
            device_memory_bytes: largest * self.jobs,
        };
        // A plan differs from a report: a file that `--json` names is neither checked nor written.
        print(&if on_stdout(self.args.json.as_deref()) { pretty(&plan) } else { plan.text() })?;
        Ok(Exit::Ok)
    }
}

/// The plan that `--dry-run` prints.
#[derive(Serialize)]
struct Plan {
    schema_version: u32,
    dry_run: bool,
    model: ModelSection,
    unit: UnitSection,
    memory: MemorySection,
    operators: Vec<PlannedOperator>,
    driver_calls: usize,
    ideal_cycles: u64,
    jobs: usize,
    estimated_simulation_s: f64,
    device_memory_bytes: usize,
}

#[derive(Serialize)]
struct PlannedOperator {
    layer: usize,
    name: Linear,
    in_features: usize,
    out_features: usize,
    tokens: usize,
    outputs: usize,
    weight_bytes: usize,
    ideal_cycles: u64,
}

impl Plan {
    fn text(&self) -> String {
        let mut table = table(&["operator", "shape", "tokens", "outputs", "weight bytes", "ideal cycles"]);
        // All layers have the same shapes, so the table lists one layer.
        let mut seen = HashSet::new();
        for o in self.operators.iter().filter(|o| seen.insert(o.name)) {
            table.add_row([
                o.name.to_string(),
                format!("{} x {}", o.out_features, o.in_features),
                o.tokens.to_string(),
                grouped(o.outputs as u64),
                grouped(o.weight_bytes as u64),
                grouped(o.ideal_cycles),
            ]);
        }
        format!(
            "Plan for {} of {}\n{table}\n{} operators, {} runs of the unit, {} ideal cycles, about {:.1} s of simulation on {} threads, \
             {} MB of device memory; nothing was built or written\n",
            self.model.layer.map_or("all layers".into(), |layer| format!("layer {layer}")),
            self.model.description,
            self.operators.len(),
            self.driver_calls,
            grouped(self.ideal_cycles),
            self.estimated_simulation_s,
            self.jobs,
            self.device_memory_bytes.div_ceil(1_000_000),
        )
    }
}
