//! The operators between the BitLinears on the soft core: `--nonlinear soft-core`.

use std::time::Instant;

use bitnet::config::Linear;
use golden::Dtype;
use program::interrupt::interrupted;
use report::nonlinear::{CoreSimulation, Nonlinear, NonlinearDifference, NonlinearRow};
use soft_core::compare::{Compared, Expected, compare, compare_output};
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::layer::{LayerInput, LayerOutput, boot, memory_bytes, run};
use soft_core::operators::operators;
use soft_core::system::System;
use testbench::model;
use verilated::Trace;
use zynq_memory::{Faults, MemoryConfig};

use super::args::NonlinearArg;
use super::job::Job;
use crate::failure::Failure;
use crate::output::Progress;

/// Physical address of the memory.
const BASE: u64 = 0x1000_0000;
/// Room for the alignment of each matrix, in bytes.
const ALIGNMENT: usize = 4096;

impl Job<'_> {
    /// Runs the layer on the core, if it is to run there, and compares every tensor with golden's.
    pub(super) fn nonlinear(&self) -> Result<Option<Nonlinear>, Failure> {
        if self.args.nonlinear == NonlinearArg::Host {
            return Ok(None);
        }
        let which = Core::from(self.args.core);
        let (layer, dtype) = (self.layers.start, Dtype::from(self.args.model.dtype));
        let weights = self.source.weights().layer(layer)?;
        let (hidden, cache) = self.entering_layer()?;
        let expected = Expected::of(self.config(), layer, &weights, &hidden, &mut cache.clone(), dtype)?;
        let hidden: Vec<f32> = hidden.iter().copied().collect();
        let input = LayerInput { config: self.config(), weights: &weights, dtype, hidden: &hidden, cache: &cache };

        let progress = Progress::new("simulating the core", estimate(&input));
        let mut say = |step: toolchain::progress::Progress<'_>| progress.say(step);
        let firmware = Firmware::build(which, &mut say)?;
        let core = soft_core::model::build(which, self.setup.unit.port_bits, Trace::Off, &mut say)?;
        let unit = model::build(&self.setup.unit, Trace::Off, &mut say)?;
        let mut system = System::new(&core, &unit, &self.setup.unit, self.core_memory(&input), self.args.model.seed)?;
        system.set_stop(interrupted);
        boot(&mut system, &firmware)?;
        let started = Instant::now();
        let bar = progress.clone();
        system.set_progress(move |cycles| bar.advance(cycles));
        let output = run(&mut system, &firmware, &input, true)?;
        let seconds = started.elapsed().as_secs_f64();
        progress.finish();

        let mut compared = compare(&expected.tensors, &output.tensors);
        compared.push(compare_output(&expected.hidden, &output.hidden));
        Ok(Some(self.core_section(&firmware, &output, &compared, seconds)))
    }

    /// The memory of core and unit.
    fn core_memory(&self, input: &LayerInput<'_>) -> MemoryConfig {
        let matrix = |linear: Linear| {
            let (rows, cols) = self.shape(linear);
            self.setup.unit.weight_bytes(rows, cols) + ALIGNMENT
        };
        MemoryConfig {
            base: BASE,
            bytes: memory_bytes(input, Linear::ALL.into_iter().map(matrix).sum()),
            timing: self.setup.timing(),
            stall: self.setup.stall,
            interleave: false,
            shy: false,
            late_writes: false,
            data_first: false,
            seed: self.args.model.seed,
            faults: Faults::default(),
        }
    }

    fn core_section(
        &self,
        firmware: &Firmware,
        output: &LayerOutput,
        compared: &[Compared],
        seconds: f64,
    ) -> Nonlinear {
        let (clock_mhz, context) = (self.args.core_mhz, self.args.context());
        let ms = |cycles: u64| cycles as f64 / clock_mhz / 1e3;
        let rows = operators(self.config(), self.tokens, context, output, compared).into_iter();
        let rows: Vec<NonlinearRow> = rows
            .map(|o| NonlinearRow {
                name: o.name,
                tokens: self.tokens,
                elements: o.elements,
                cycles: o.cycles,
                cycles_per_element: o.cycles as f64 / o.elements as f64,
                ms: ms(o.cycles),
                mismatches: o.mismatches,
            })
            .collect();
        let cycles = rows.iter().map(|row| row.cycles).sum();
        let differences = compared.iter().filter_map(|tensor| {
            let first = tensor.first?;
            Some(NonlinearDifference { tensor: tensor.name.clone(), mismatches: tensor.mismatches, first })
        });
        Nonlinear {
            on: "soft-core".into(),
            core: Core::from(self.args.core).name().into(),
            clock_mhz,
            context,
            operators: rows,
            cycles,
            ms: ms(cycles),
            elements: compared.iter().map(|tensor| tensor.elements).sum(),
            mismatches: compared.iter().map(|tensor| tensor.mismatches).sum(),
            differences: differences.collect(),
            simulation: CoreSimulation {
                firmware_bytes: firmware.image.len(),
                firmware_s: firmware.seconds,
                cycles: output.cycles,
                unit_cycles: output.unit_cycles,
                seconds,
            },
        }
    }
}

/// About how many cycles a layer takes the core, for the bar: so many for a value of a vector, and so many for a
/// multiply-accumulate of attention.
fn estimate(input: &LayerInput<'_>) -> u64 {
    let config = input.config;
    let tokens = input.hidden.len() / config.hidden_size;
    let vectors = tokens * (6 * config.hidden_size + 5 * config.intermediate_size);
    let attention: usize = (1..=tokens).map(|token| 2 * config.hidden_size * (input.cache.tokens() + token)).sum();
    (vectors * 550 + attention * 235) as u64
}
