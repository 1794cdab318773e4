//! The operators between the BitLinears on the soft core or on the vector unit: `--nonlinear soft-core|vector`.

use std::time::Instant;

use bitnet::config::Linear;
use golden::Dtype;
use program::console::tell;
use program::interrupt::interrupted;
use report::nonlinear::{CoreSimulation, Nonlinear, NonlinearDifference, NonlinearRow};
use soft_core::compare::{Compared, Expected, compare_all, compare_named};
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::layer::{LayerInput, LayerOutput, boot, check_window, memory_bytes, run, work};
use soft_core::operators::{operators, results};
use soft_core::system::System;
use soft_core::whole;
use testbench::model;
use vector::VectorConfig;
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
/// The same for the units, of which the ternary one takes most.
const VECTOR_CYCLES: u64 = 1;
/// Room for the alignment of each matrix, in bytes.
const ALIGNMENT: usize = 4096;

/// What a run on the core needs, made before the unit's products are verified: a missing tool is told at once.
pub(super) struct Prepared {
    firmware: Firmware,
    core: ModelLibrary,
    unit: ModelLibrary,
    vector: Option<(ModelLibrary, VectorConfig)>,
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
        let vector = match self.args.nonlinear {
            NonlinearArg::Vector => {
                let config = self.vector_config()?;
                Some((model::build_vector(&config, Trace::Off, &mut |step| tell(step))?, config))
            }
            _ => None,
        };
        Ok(Some(Prepared { firmware, core, unit, vector }))
    }

    /// Runs the layer on the core, and compares every tensor with golden's.
    pub(super) fn nonlinear(&self, prepared: &Prepared) -> Result<Nonlinear, Failure> {
        let Prepared { firmware, core, unit, vector } = prepared;
        let (layer, dtype) = (self.layers.start, Dtype::from(self.args.model.dtype));
        let weights = self.source.weights().layer(layer)?;
        let (hidden, cache) = self.entering_layer()?;
        let expected = Expected::of(self.config(), layer, &weights, &hidden, &mut cache.clone(), dtype)?;
        let hidden: Vec<f32> = hidden.iter().copied().collect();
        let input = LayerInput { config: self.config(), weights: &weights, dtype, hidden: &hidden, cache: &cache };

        let runs = if vector.is_some() { 2 } else { 1 };
        let each = if vector.is_some() { VECTOR_CYCLES } else { CYCLES };
        let progress = Progress::new("simulating the core", runs * each * work(&input) as u64);
        let started = Instant::now();
        let run_on = |tensors: bool| -> Result<LayerOutput, Failure> {
            let units = vector.as_ref().map(|(library, config)| (library, config));
            let mut system =
                System::new(core, unit, &self.setup.unit, units, self.core_memory(), self.args.model.seed)?;
            system.set_stop(interrupted);
            boot(&mut system, firmware)?;
            let bar = progress.clone();
            system.set_progress(move |cycles| bar.advance(cycles));
            Ok(match vector {
                Some((_, config)) => whole::run(&mut system, firmware, config, &input, tensors)?,
                None => run(&mut system, firmware, &input, tensors)?,
            })
        };
        let mut output = run_on(true)?;
        let mut compared = match vector {
            Some(_) => compare_named(&expected, &output, &results()),
            None => compare_all(&expected, &output),
        };
        if vector.is_some() {
            // Tensors in memory cost the vector unit time, so cycles come from a run without them.
            let plain = run_on(false)?;
            let names: Vec<String> = plain.tensors.iter().map(|(name, _)| name.clone()).collect();
            for tensor in compare_named(&expected, &plain, &names).into_iter().filter(|tensor| tensor.mismatches > 0) {
                compared.push(Compared { name: format!("{}, in the timed run", tensor.name), ..tensor });
            }
            (output.steps, output.busy, output.cycles) = (plain.steps, plain.busy, plain.cycles);
            (output.unit_cycles, output.overlapped) = (plain.unit_cycles, plain.overlapped);
        }
        let seconds = started.elapsed().as_secs_f64() / runs as f64;
        progress.finish();
        Ok(self.core_section(prepared, &output, &compared, seconds))
    }

    /// The vector unit that the options ask for.
    fn vector_config(&self) -> Result<VectorConfig, Failure> {
        let port_bits = self.setup.unit.port_bits;
        let config = VectorConfig::of(self.args.lanes.unwrap_or(if port_bits == 64 { 8 } else { 32 }));
        if config.port_bits != port_bits {
            let lanes = config.lanes;
            return Err(Failure::usage(format!(
                "--lanes {lanes}: its port has {} bits, and the ports of the ternary unit have {port_bits}",
                config.port_bits
            )));
        }
        Ok(config)
    }

    /// Bytes of memory that core and unit need.
    fn core_memory_bytes(&self) -> usize {
        let matrix = |linear: Linear| {
            let (rows, cols) = self.shape(linear);
            self.setup.unit.weight_bytes(rows, cols) + ALIGNMENT
        };
        let weights = Linear::ALL.into_iter().map(matrix).sum();
        match self.args.nonlinear {
            NonlinearArg::Vector => whole::memory_bytes(self.config(), self.tokens, self.args.context(), weights),
            _ => memory_bytes(self.config(), self.tokens, self.args.context(), weights),
        }
    }

    /// The memory of core and unit.
    fn core_memory(&self) -> MemoryConfig {
        let plain = MemoryConfig::plain(BASE, self.core_memory_bytes(), self.setup.timing());
        MemoryConfig { stall: self.setup.stall, seed: self.args.model.seed, ..plain }
    }

    fn core_section(
        &self,
        prepared: &Prepared,
        output: &LayerOutput,
        compared: &[Compared],
        seconds: f64,
    ) -> Nonlinear {
        let (firmware, context) = (&prepared.firmware, self.args.context());
        let lanes = prepared.vector.as_ref().map(|(_, config)| config.lanes);
        // The vector unit has the clock of the ternary unit.
        let clock_mhz = if lanes.is_some() { self.setup.clock_mhz } else { self.args.core_mhz };
        let ms = |cycles: u64| cycles as f64 / clock_mhz / 1e3;
        let rows = operators(self.config(), self.tokens, context, output, compared).into_iter();
        let rows: Vec<NonlinearRow> = rows
            .map(|o| NonlinearRow {
                name: o.name,
                tokens: self.tokens,
                elements: o.elements,
                cycles: o.cycles,
                overlapped_cycles: o.overlapped,
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
            on: if lanes.is_some() { "vector" } else { "soft-core" }.into(),
            lanes,
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
