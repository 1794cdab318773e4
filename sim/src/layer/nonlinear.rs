//! The operators between the BitLinears on the soft core: `--nonlinear soft-core`.

use std::time::Instant;

use bitnet::config::Linear;
use golden::Dtype;
use program::console::tell;
use program::interrupt::interrupted;
use report::nonlinear::{CoreSimulation, Nonlinear, NonlinearDifference, NonlinearRow};
use soft_core::compare::{Compared, Expected, compare_all};
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::layer::{LayerInput, LayerOutput, boot, check_window, memory_bytes, run, work};
use soft_core::operators::operators;
use soft_core::system::System;
use testbench::model;
use verilated::{ModelLibrary, Trace};
use zynq_memory::MemoryConfig;

use super::args::NonlinearArg;
use super::job::Job;
use crate::failure::Failure;
use crate::output::Progress;

/// Physical address of the memory.
const BASE: u64 = 0x1000_0000;
/// About how many cycles the core takes for each value and multiply-accumulate of a layer, for the bar.
const CYCLES: u64 = 330;
/// Room for the alignment of each matrix, in bytes.
const ALIGNMENT: usize = 4096;

/// What a run on the core needs, made before the unit's products are verified: a missing tool is told at once.
pub(super) struct Prepared {
    firmware: Firmware,
    core: ModelLibrary,
    unit: ModelLibrary,
}

impl Job<'_> {
    /// Makes the firmware and the models, if the layer is to run on the core too, and checks that it fits.
    pub(super) fn prepare_core(&self) -> Result<Option<Prepared>, Failure> {
        if self.args.nonlinear == NonlinearArg::Host {
            return Ok(None);
        }
        let which = Core::from(self.args.core);
        check_window(BASE, self.core_memory_bytes())?;
        let firmware = Firmware::build(which, &mut |step| tell(step))?;
        let core = soft_core::model::build(which, self.setup.unit.port_bits, Trace::Off, &mut |step| tell(step))?;
        let unit = model::build(&self.setup.unit, Trace::Off, &mut |step| tell(step))?;
        Ok(Some(Prepared { firmware, core, unit }))
    }

    /// Runs the layer on the core, and compares every tensor with golden's.
    pub(super) fn nonlinear(&self, prepared: &Prepared) -> Result<Nonlinear, Failure> {
        let Prepared { firmware, core, unit } = prepared;
        let (layer, dtype) = (self.layers.start, Dtype::from(self.args.model.dtype));
        let weights = self.source.weights().layer(layer)?;
        let (hidden, cache) = self.entering_layer()?;
        let expected = Expected::of(self.config(), layer, &weights, &hidden, &mut cache.clone(), dtype)?;
        let hidden: Vec<f32> = hidden.iter().copied().collect();
        let input = LayerInput { config: self.config(), weights: &weights, dtype, hidden: &hidden, cache: &cache };

        let progress = Progress::new("simulating the core", CYCLES * work(&input) as u64);
        let mut system = System::new(core, unit, &self.setup.unit, self.core_memory(), self.args.model.seed)?;
        system.set_stop(interrupted);
        boot(&mut system, firmware)?;
        let started = Instant::now();
        let bar = progress.clone();
        system.set_progress(move |cycles| bar.advance(cycles));
        let output = run(&mut system, firmware, &input, true)?;
        let seconds = started.elapsed().as_secs_f64();
        progress.finish();
        Ok(self.core_section(firmware, &output, &compare_all(&expected, &output), seconds))
    }

    /// Bytes of memory that core and unit need.
    fn core_memory_bytes(&self) -> usize {
        let matrix = |linear: Linear| {
            let (rows, cols) = self.shape(linear);
            self.setup.unit.weight_bytes(rows, cols) + ALIGNMENT
        };
        let weights = Linear::ALL.into_iter().map(matrix).sum();
        memory_bytes(self.config(), self.tokens, self.args.context(), weights)
    }

    /// The memory of core and unit.
    fn core_memory(&self) -> MemoryConfig {
        let plain = MemoryConfig::plain(BASE, self.core_memory_bytes(), self.setup.timing());
        MemoryConfig { stall: self.setup.stall, seed: self.args.model.seed, ..plain }
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
