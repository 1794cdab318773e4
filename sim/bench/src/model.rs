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
    let mut spec = spec_of(top, &["verilator"], rtl::listed(rtl::UNIT_LIST)?, trace);
    spec.checkers = checkers()?;
    Ok(spec)
}

/// The checkers that are bound to every ternary unit.
///
/// # Errors
/// If their list is missing.
pub fn checkers() -> Result<Vec<PathBuf>, rtl::Error> {
    Ok(rtl::listed(rtl::CHECKER_LIST)?.into_iter().map(|file| rtl::dir().join(file)).collect())
}

/// The specification of a model with module `top` as its top level. `waivers` are the names of lists of waivers; `files` are
/// relative to the folder of the RTL.
pub fn spec_of(top: &str, waivers: &[&str], files: Vec<String>, trace: Trace) -> ModelSpec {
    let dir = rtl::dir();
    let waivers = waivers.iter().map(|name| format!("lint/{name}_waiver.vlt"));
    let mut spec = ModelSpec::new(top, waivers.chain(files).map(|file| dir.join(file)));
    spec.include_dirs.extend(rtl::HEADERS.iter().filter_map(|header| Some(dir.join(header).parent()?.into())));
    spec.trace = trace;
    spec
}

/// Sets the parameters of a ternary unit, by their names in `tmv_unit` and in `tmv_system`.
#[must_use]
pub fn with_unit(spec: ModelSpec, unit: &UnitConfig) -> ModelSpec {
    spec.param("Ports", unit.ports)
        .param("PortBits", unit.port_bits)
        .param("Vectors", unit.vectors)
        .param("Groups", unit.groups)
        .param("BankWords", unit.bank_words())
        .param("Codec", codec::number(unit.codec))
}

/// A ternary unit in a few words.
pub fn unit_label(unit: &UnitConfig) -> String {
    let UnitConfig { ports, port_bits, vectors, groups, codec } = unit;
    format!("tmv_unit {ports} x {port_bits} bits, {vectors} vectors x {groups}, {codec}")
}

/// The specification of a model of the whole unit `unit`, with the checkers bound.
///
/// # Errors
/// If a file list of the RTL is missing.
pub fn unit_spec(unit: &UnitConfig, trace: Trace) -> Result<ModelSpec, rtl::Error> {
    let mut spec = with_unit(spec("tmv_unit", trace)?, unit);
    // These settings let all ports share one body of code, and keep statements in the order that needs no copies:
    // docs/adr/0018.
    spec.files.insert(0, rtl::dir().join("lint/verilator_model.vlt"));
    spec.flags.extend(["--fno-dfg", "--fno-split", "--fno-table"].map(String::from));
    spec.shared.push(("tmv_dot".into(), "gen_port[0].u_port.u_engine.gen_vector[0].u_dot".into()));
    spec.label = unit_label(unit);
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
    let mut spec = spec_of("tmv_vec_unit", &["vector"], rtl::listed(rtl::VECTOR_LIST)?, trace)
        .param("Lanes", unit.lanes)
        .param("Ports", unit.ports)
        .param("PortBits", unit.port_bits)
        .param("Words", unit.words)
        .param("Accs", unit.accs);
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
