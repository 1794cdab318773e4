//! Verilator models of the sequencer, and of the top with all units.

use testbench::model::{checkers, spec_of, unit_label, with_unit};
use tmv::config::UnitConfig;
use toolchain::cache::Cache;
use toolchain::progress::Progress;
use vector::VectorConfig;
use verilated::{ModelLibrary, ModelSpec, Trace};

use crate::core::Core;
use crate::error::Error;

/// Builds the model of a sequencer with `core` and a memory port of `port_bits` bits, or takes it from the cache.
/// `progress` is called at each step.
///
/// # Errors
/// If no toolchain is found, if the core's RTL is not to be had, or if the RTL is missing or cannot be built.
pub fn build(
    core: Core,
    port_bits: usize,
    trace: Trace,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<ModelLibrary, Error> {
    let mut spec = spec_of("tmv_sequencer", &["sequencer"], core_files(core)?, trace).param("PortBits", port_bits);
    spec.label = format!("tmv_sequencer with {}", core.name());
    // A layer takes tens of millions of cycles. In one piece, the code of the core is faster.
    spec.flags.push("--flatten".into());
    spec.long_runs = true;
    build_with(core, spec, progress)
}

/// Builds a model of which `core` is a part.
fn build_with(core: Core, mut spec: ModelSpec, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelLibrary, Error> {
    let cache = Cache::open(None).map_err(verilated::Error::from)?;
    let verilog = core.verilog(&cache, progress).map_err(verilated::Error::from)?;
    spec.files.extend(verilog.files);
    spec.include_dirs.extend(verilog.include_dirs);
    Ok(verilated::build(&spec, progress)?)
}

/// Builds the model of `tmv_system` with `core`, or takes it from the cache. `progress` is called at each step.
///
/// # Errors
/// If no toolchain is found, if the core's RTL is not to be had, or if the RTL is missing or cannot be built.
pub fn build_top(
    core: Core,
    unit: &UnitConfig,
    vector: &VectorConfig,
    trace: Trace,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<ModelLibrary, Error> {
    let waivers = ["verilator", "sequencer", "vector", "system"];
    let spec = with_unit(spec_of("tmv_system", &waivers, top_files(core)?, trace), unit)
        .param("Lanes", vector.lanes)
        .param("VectorPorts", vector.ports)
        .param("Words", vector.words)
        .param("Accs", vector.accs);
    let label = format!("tmv_system with {}, {}, {} lanes", core.name(), unit_label(unit), vector.lanes);
    build_with(core, ModelSpec { label, checkers: checkers()?, ..spec }, progress)
}

/// The files of `tmv_system` with `core`, in order of use, relative to the folder of the RTL.
///
/// # Errors
/// If a list cannot be read.
pub fn top_files(core: Core) -> Result<Vec<String>, rtl::Error> {
    let mut files = Vec::new();
    for list in [
        rtl::listed(rtl::UNIT_LIST)?,
        rtl::listed(rtl::VECTOR_LIST)?,
        core_files(core)?,
        rtl::listed(rtl::SYSTEM_LIST)?,
    ] {
        let new: Vec<String> = list.into_iter().filter(|file| !files.contains(file)).collect();
        files.extend(new);
    }
    Ok(files)
}

/// The files of the sequencer with `core`, in order of use, relative to the folder of the RTL. The list of files has the
/// seam of VexRiscv, in whose place comes the core's.
///
/// # Errors
/// If the list cannot be read.
pub fn core_files(core: Core) -> Result<Vec<String>, rtl::Error> {
    let listed = rtl::listed(rtl::SEQUENCER_LIST)?.into_iter();
    let others = Core::VexRiscv.seam();
    Ok(listed
        .flat_map(|file| match others.contains(&file.as_str()) {
            true => core.seam().iter().map(|file| (*file).to_owned()).collect(),
            false => vec![file],
        })
        .collect())
}
