//! Verilator models of the unit and of its modules.

use std::path::PathBuf;

use tmv::codec;
use tmv::config::UnitConfig;
use vector::VectorConfig;
use verilated::{ModelLibrary, ModelSpec, Progress, Trace};

use crate::error::Error;

/// The specification of a model with module `top` of the unit as its top level and the checkers bound.
///
/// # Errors
/// If a file list of the RTL is missing.
pub fn spec(top: &str, trace: Trace) -> Result<ModelSpec, rtl::Error> {
    let dir = rtl::dir();
    let sources = |list| -> Result<Vec<PathBuf>, rtl::Error> {
        Ok(rtl::listed(list)?.iter().map(|file| dir.join(file)).collect())
    };
    let waivers = dir.join("lint/verilator_waiver.vlt");
    let mut spec = ModelSpec::new(top, std::iter::once(waivers).chain(sources(rtl::UNIT_LIST)?));
    spec.checkers = sources(rtl::CHECKER_LIST)?;
    spec.include_dirs.extend(rtl::HEADERS.iter().filter_map(|header| Some(dir.join(header).parent()?.into())));
    spec.trace = trace;
    Ok(spec)
}

/// The specification of a model of the whole unit `unit`, with the checkers bound.
///
/// # Errors
/// If a file list of the RTL is missing.
pub fn unit_spec(unit: &UnitConfig, trace: Trace) -> Result<ModelSpec, rtl::Error> {
    let mut spec = spec("tmv_unit", trace)?
        .param("Ports", unit.ports)
        .param("PortBits", unit.port_bits)
        .param("Vectors", unit.vectors)
        .param("Groups", unit.groups)
        .param("BankWords", unit.bank_words())
        .param("Codec", codec::number(unit.codec));
    // These settings let all ports share one body of code, and keep statements in the order that needs no copies:
    // docs/adr/0018.
    spec.files.insert(0, rtl::dir().join("lint/verilator_model.vlt"));
    spec.flags.extend(["--fno-dfg", "--fno-split", "--fno-table"].map(String::from));
    spec.shared.push(("tmv_dot".into(), "gen_port[0].u_port.u_engine.gen_vector[0].u_dot".into()));
    spec.label = format!(
        "tmv_unit {} x {} bits, {} vectors x {}, {}",
        unit.ports, unit.port_bits, unit.vectors, unit.groups, unit.codec
    );
    Ok(spec)
}

/// Builds the model of a vector unit, or takes it from the cache. `progress` is called at each step.
///
/// # Errors
/// If no toolchain is found, or if the RTL is missing or cannot be built.
pub fn build_vector(
    unit: &VectorConfig,
    trace: Trace,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<ModelLibrary, Error> {
    Ok(verilated::build(&vector_spec(unit, trace)?, progress)?)
}

/// The specification of a model of a vector unit.
///
/// # Errors
/// If a file list of the RTL is missing.
pub fn vector_spec(unit: &VectorConfig, trace: Trace) -> Result<ModelSpec, rtl::Error> {
    let dir = rtl::dir();
    let files = rtl::listed(rtl::VECTOR_LIST)?;
    let waivers = dir.join("lint/vector_waiver.vlt");
    let mut spec =
        ModelSpec::new("tmv_vec_unit", std::iter::once(waivers).chain(files.iter().map(|file| dir.join(file))))
            .param("Lanes", unit.lanes)
            .param("Ports", unit.ports)
            .param("PortBits", unit.port_bits)
            .param("Words", unit.words)
            .param("Accs", unit.accs);
    spec.include_dirs.extend(rtl::HEADERS.iter().filter_map(|header| Some(dir.join(header).parent()?.into())));
    spec.trace = trace;
    spec.label = format!("tmv_vec_unit, {} lanes", unit.lanes);
    Ok(spec)
}

/// Builds the model of a unit, or takes it from the cache. `progress` is called at each step.
///
/// # Errors
/// If no toolchain is found, or if the RTL is missing or cannot be built.
pub fn build(unit: &UnitConfig, trace: Trace, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelLibrary, Error> {
    Ok(verilated::build(&unit_spec(unit, trace)?, progress)?)
}
