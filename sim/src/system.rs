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
    core: ModelLibrary,
    unit: ModelLibrary,
    /// The vector unit, if the system has one.
    pub(crate) vector: Option<(ModelLibrary, VectorConfig)>,
}

impl Parts {
    /// Builds the firmware and the models of a system with `setup`'s ternary unit.
    pub(crate) fn build(which: Core, setup: &Setup, vector: Option<VectorConfig>) -> Result<Self, Failure> {
        let firmware = Firmware::build(which, &mut |step| tell(step))?;
        let core = soft_core::model::build(which, setup.unit.port_bits, Trace::Off, &mut |step| tell(step))?;
        let unit = model::build(&setup.unit, Trace::Off, &mut |step| tell(step))?;
        let built = vector.map(|config| {
            let library = model::build_vector(&config, Trace::Off, &mut |step| tell(step))?;
            Ok::<_, Failure>((library, config))
        });
        Ok(Self { firmware, core, unit, vector: built.transpose()? })
    }

    /// A system with `bytes` bytes of memory, whose core has booted.
    pub(crate) fn system(&self, setup: &Setup, bytes: usize, seed: u64) -> Result<System, Failure> {
        let plain = MemoryConfig::plain(BASE, bytes, setup.timing());
        let memory = MemoryConfig { stall: setup.stall, seed, ..plain };
        let units = self.vector.as_ref().map(|(library, config)| (library, config));
        let mut system = System::new(&self.core, &self.unit, &setup.unit, units, memory, seed)?;
        system.set_stop(interrupted);
        boot(&mut system, &self.firmware)?;
        Ok(system)
    }
}

/// Checks that the core reaches `bytes` bytes of memory.
pub(crate) fn check_memory(bytes: usize) -> Result<(), Failure> {
    Ok(check_window(BASE, bytes)?)
}

/// The vector unit beside `setup`'s ternary unit: with `lanes` lanes, or with as many as its ports suit.
pub(crate) fn vector_config(setup: &Setup, lanes: Option<usize>) -> Result<VectorConfig, Failure> {
    let port_bits = setup.unit.port_bits;
    let config = VectorConfig::of(lanes.unwrap_or(if port_bits == 64 { 8 } else { 32 }));
    if config.port_bits != port_bits {
        let lanes = config.lanes;
        return Err(Failure::usage(format!(
            "--lanes {lanes}: its port has {} bits, and the ports of the ternary unit have {port_bits}",
            config.port_bits
        )));
    }
    Ok(config)
}
