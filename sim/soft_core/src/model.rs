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
    let own = rtl::listed(rtl::SEQUENCER_LIST)?.into_iter().map(|file| match file.as_str() {
        SEAM => dir.join(core.seam()),
        _ => dir.join(file),
    });
    let waivers = dir.join("lint/sequencer_waiver.vlt");
    let mut spec = ModelSpec::new("tmv_sequencer", std::iter::once(waivers).chain(own).chain(verilog))
        .param("PortBits", port_bits);
    spec.include_dirs.extend(rtl::HEADERS.iter().filter_map(|header| Some(dir.join(header).parent()?.into())));
    spec.trace = trace;
    spec.label = format!("tmv_sequencer with {}", core.name());
    Ok(verilated::build(&spec, progress)?)
}

/// The seam in the file list, which stands for the seam of any core.
const SEAM: &str = "system/vexriscv/tmv_core.sv";
