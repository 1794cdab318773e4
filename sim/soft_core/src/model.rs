//! Verilator models of the sequencer, and of the top with all units.

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
    let cache = Cache::open(None).map_err(verilated::Error::from)?;
    let verilog = core.verilog(&cache, progress).map_err(verilated::Error::from)?;
    let dir = rtl::dir();
    let own = core_files(core)?.into_iter().map(|file| dir.join(file));
    let waivers = dir.join("lint/sequencer_waiver.vlt");
    let mut spec = ModelSpec::new("tmv_sequencer", std::iter::once(waivers).chain(own).chain(verilog.files))
        .param("PortBits", port_bits);
    spec.include_dirs.extend(rtl::HEADERS.iter().filter_map(|header| Some(dir.join(header).parent()?.into())));
    spec.include_dirs.extend(verilog.include_dirs);
    spec.trace = trace;
    spec.label = format!("tmv_sequencer with {}", core.name());
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
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<ModelLibrary, Error> {
    let cache = Cache::open(None).map_err(verilated::Error::from)?;
    let verilog = core.verilog(&cache, progress).map_err(verilated::Error::from)?;
    let dir = rtl::dir();
    let mut spec = testbench::model::unit_spec(unit, Trace::Off)?;
    spec.top = "tmv_system".into();
    let waivers = ["verilator", "sequencer", "vector", "system"].map(|name| format!("lint/{name}_waiver.vlt"));
    let own = waivers.into_iter().chain(top_files(core)?);
    spec.files = own.map(|file| dir.join(file)).chain(verilog.files).collect();
    spec.include_dirs.extend(verilog.include_dirs);
    // These are for a model of the ternary unit alone.
    spec.flags.clear();
    spec.shared.clear();
    for (name, value) in
        [("Lanes", vector.lanes), ("VectorPorts", vector.ports), ("Words", vector.words), ("Accs", vector.accs)]
    {
        spec = spec.param(name, value);
    }
    spec.label = format!("tmv_system with {}, {}, {} lanes", core.name(), spec.label, vector.lanes);
    Ok(verilated::build(&spec, progress)?)
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
