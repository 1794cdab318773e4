//! Verilator models of the sequencer.

use toolchain::cache::Cache;
use toolchain::progress::Progress;
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
