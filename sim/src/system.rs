//! The simulated system of a core, the ternary unit and the vector unit.

use cost::setup::Setup;
use program::console::tell;
use program::interrupt::interrupted;
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::layer::{boot, check_window};
use soft_core::system::System;
use testbench::model;
use vector::VectorConfig;
use verilated::{ModelLibrary, Trace};
use zynq_memory::MemoryConfig;

use crate::failure::Failure;

/// Physical address of the memory.
const BASE: u64 = 0x1000_0000;

/// What a system is made of, built before anything runs: a missing tool is told at once.
pub(crate) struct Parts {
    pub(crate) firmware: Firmware,
    models: Models,
}

/// The models of core and units.
enum Models {
    /// One for each, stepped together.
    Apart { core: ModelLibrary, unit: ModelLibrary, vector: Option<(ModelLibrary, VectorConfig)> },
    /// One of `tmv_system`, which has a vector unit.
    Top(ModelLibrary, VectorConfig),
}

impl Parts {
    /// Builds the firmware and the models of a system with `setup`'s ternary unit; that of the core can write a waveform in the
    /// form `trace`.
    pub(crate) fn build(
        which: Core,
        setup: &Setup,
        vector: Option<VectorConfig>,
        trace: Trace,
    ) -> Result<Self, Failure> {
        let firmware = Firmware::build(which, &mut |step| tell(step))?;
        let core = soft_core::model::build(which, setup.unit.port_bits, trace, &mut |step| tell(step))?;
        let unit = model::build(&setup.unit, Trace::Off, &mut |step| tell(step))?;
        let vector = vector.map(|config| {
            let library = model::build_vector(&config, Trace::Off, &mut |step| tell(step))?;
            Ok::<_, Failure>((library, config))
        });
        Ok(Self { firmware, models: Models::Apart { core, unit, vector: vector.transpose()? } })
    }

    /// Builds the firmware, and one model of core and units.
    pub(crate) fn build_top(which: Core, setup: &Setup, vector: VectorConfig, trace: Trace) -> Result<Self, Failure> {
        let firmware = Firmware::build(which, &mut |step| tell(step))?;
        let top = soft_core::model::build_top(which, &setup.unit, &vector, trace, &mut |step| tell(step))?;
        Ok(Self { firmware, models: Models::Top(top, vector) })
    }

    /// A system with `bytes` bytes of memory, whose core has booted.
    pub(crate) fn system(&self, setup: &Setup, bytes: usize, seed: u64) -> Result<System, Failure> {
        let plain = MemoryConfig::plain(BASE, bytes, setup.timing());
        let memory = MemoryConfig { stall: setup.stall, seed, ..plain };
        let mut system = match &self.models {
            Models::Apart { core, unit, vector } => {
                let vector = vector.as_ref().map(|(library, config)| (library, config));
                System::new(core, unit, &setup.unit, vector, memory, seed)?
            }
            Models::Top(top, vector) => System::top(top, &setup.unit, vector, memory, seed)?,
        };
        system.set_stop(interrupted);
        boot(&mut system, &self.firmware)?;
        Ok(system)
    }

    /// The vector unit, if the system has one.
    pub(crate) fn vector(&self) -> Option<&VectorConfig> {
        match &self.models {
            Models::Apart { vector, .. } => vector.as_ref().map(|(_, config)| config),
            Models::Top(_, config) => Some(config),
        }
    }

    /// The name of the top, if one model has core and units.
    pub(crate) fn top(&self) -> Option<String> {
        matches!(self.models, Models::Top(..)).then(|| "tmv_system".into())
    }
}

/// Checks that the core reaches `bytes` bytes of memory.
pub(crate) fn check_memory(bytes: usize) -> Result<(), Failure> {
    Ok(check_window(BASE, bytes)?)
}

/// The vector unit beside `setup`'s ternary unit: with `lanes` lanes, or with as many as its ports suit.
pub(crate) fn vector_config(setup: &Setup, lanes: Option<usize>) -> Result<VectorConfig, Failure> {
    let port_bits = setup.unit.port_bits;
    let config = lanes.map_or(VectorConfig::for_ports_of(port_bits), VectorConfig::of);
    if config.port_bits != port_bits {
        let lanes = config.lanes;
        return Err(Failure::usage(format!(
            "--lanes {lanes}: its port has {} bits, and the ports of the ternary unit have {port_bits}",
            config.port_bits
        )));
    }
    Ok(config)
}
