//! The C++ around a generated model: fixed sources, and the port list taken from the model's header.

use crate::error::{Error, io};
use std::{fmt::Write, fs, path::Path};

/// Generated models are all called this; the top module's name is free.
pub(crate) const PREFIX: &str = "Vtmv";

/// Declares what a model has for `ffi.rs`, whatever simulates it.
pub(crate) const FACE: &str = include_str!("cpp/face.h");

/// Name and text of every fixed source.
pub(crate) const SOURCES: [(&str, &str); 7] = [
    ("face.h", FACE),
    ("prefix.h", include_str!("cpp/prefix.h")),
    ("hooks.h", include_str!("cpp/hooks.h")),
    ("hooks.cpp", include_str!("cpp/hooks.cpp")),
    ("shim.cpp", include_str!("cpp/shim.cpp")),
    ("lz4.h", include_str!("cpp/lz4.h")),
    ("zlib.h", include_str!("cpp/zlib.h")),
];

/// Writes the fixed sources into `dir`.
pub(crate) fn write_sources(dir: &Path) -> Result<(), Error> {
    for (name, text) in SOURCES {
        fs::write(dir.join(name), text).map_err(io(dir.join(name)))?;
    }
    Ok(())
}

/// `ports.inc` out of the model's header: one `TMV_PORT(name, field, width, direction)` a port.
///
/// Ports that are unpacked arrays are left out.
pub(crate) fn ports(header: &str) -> String {
    let mut list = String::new();
    for line in header.lines() {
        if let Some((field, width, direction)) = port(line.trim()) {
            let name = field.replace("___05F", "__");
            let _ = writeln!(list, "TMV_PORT(\"{name}\", {field}, {width}, {direction})");
        }
    }
    list
}

/// `clock.inc` out of the model's header and sources: the field `TMV_PREVIOUS` that holds the clock's level at the last
/// evaluation, if rising edges of that one signal are all the model reacts to.
///
/// Clearing it makes the next evaluation see an edge without a low half, which saves half of the evaluations. Models
/// that sample values ahead of the edge (concurrent assertions) or use falling edges need both halves.
pub(crate) fn single_phase(header: &str, sources: &[String]) -> String {
    const FIELD: &str = "__Vtrigprevexpr___TOP__";
    let fields: Vec<&str> = header
        .match_indices(FIELD)
        .map(|(at, _)| header[at..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
        .collect();
    let [field] = fields[..] else { return String::new() };
    let Some(clock) = field.strip_prefix(FIELD).and_then(|rest| rest.strip_suffix("__0")) else {
        return String::new();
    };
    let squeezed: String = sources.concat().split_whitespace().collect();
    let rising = format!("vlSelfRef.{clock})&(~(IData)(vlSelfRef.{field})");
    let uses = squeezed.matches(&format!("(IData)(vlSelfRef.{field})")).count();
    if uses != 1 || !squeezed.contains(&rising) || squeezed.contains("__Vsampled") {
        return String::new();
    }
    format!("#define TMV_CLOCK {clock}\n#define TMV_PREVIOUS {field}\n")
}

/// The model's main source without what it calls after each evaluation: to free objects of SystemVerilog classes, of
/// which RTL has none, and to print what other threads have left, of which there are none. Their locks take longer than
/// the evaluation of a small model.
pub(crate) fn without_cleanup(source: &str) -> String {
    source
        .replace("vlSymsp->__Vm_deleter.deleteAll();", "")
        .replace("Verilated::endOfEval(vlSymsp->__Vm_evalMsgQp);", "")
}

/// A source of a model with coverage in which counters are named only where that is asked for: a name for each of a
/// hundred thousand counters takes longer than many a test.
pub(crate) fn unnamed_counters(source: &str) -> String {
    let call = |line: &str| line.ends_with("configure_coverage(this, first);");
    let lines = source
        .lines()
        .map(|line| if call(line) { format!("if (tmv_name_counters) {line}\n") } else { format!("{line}\n") });
    lines.collect()
}

/// Field, width in bits and direction of `VL_OUTW(&name,511,0,16);`.
fn port(line: &str) -> Option<(&str, u32, u32)> {
    let (declaration, rest) = line.strip_prefix("VL_")?.split_once('(')?;
    let (kind, direction) = [("INOUT", 2), ("IN", 0), ("OUT", 1)]
        .into_iter()
        .find_map(|(kind, direction)| Some((declaration.strip_prefix(kind)?, direction)))?;
    if !["", "8", "16", "64", "W"].contains(&kind) {
        return None;
    }
    let mut parts = rest.strip_suffix(");")?.split(',').map(str::trim);
    let field = parts.next()?.trim_start_matches('&');
    let (msb, lsb): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((field, msb.checked_sub(lsb)? + 1, direction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_phase_needs_one_rising_edge() {
        let header = "CData/*0:0*/ clk_i;\nCData/*0:0*/ __Vtrigprevexpr___TOP__clk_i__0;";
        let rising = "((IData)(vlSelfRef.clk_i) \n & (~ (IData)(vlSelfRef.__Vtrigprevexpr___TOP__clk_i__0)))";
        let falling = "((~ (IData)(vlSelfRef.clk_i)) & (IData)(vlSelfRef.__Vtrigprevexpr___TOP__clk_i__0))";
        let of = |header: &str, source: &str| single_phase(header, &[source.into()]);
        let expected = "#define TMV_CLOCK clk_i\n#define TMV_PREVIOUS __Vtrigprevexpr___TOP__clk_i__0\n";
        assert_eq!(of(header, rising), expected);
        assert_eq!(of(header, falling), "");
        assert_eq!(of(header, &[rising, falling].concat()), "");
        assert_eq!(of(header, &[rising, "__Vsampled_x"].concat()), "");
        assert_eq!(of(&header.repeat(2), rising), "");
        assert_eq!(of("", rising), "");
    }

    #[test]
    fn counters_are_named_on_demand() {
        let (call, other) =
            ("  A___configure_coverage(this, first);\n", "void A___configure_coverage(A* self, bool first);\n");
        assert_eq!(unnamed_counters(&[call, other].concat()), format!("if (tmv_name_counters) {call}{other}"));
    }

    #[test]
    fn port_lines() {
        assert_eq!(port("VL_IN8(&clk_i,0,0);"), Some(("clk_i", 1, 0)));
        assert_eq!(port("VL_OUTW(&wide_o,511,0,16);"), Some(("wide_o", 512, 1)));
        assert_eq!(port("VL_INOUT64(&io,39,0);"), Some(("io", 40, 2)));
        assert_eq!(port("VL_IN(word,31,0);"), Some(("word", 32, 0)));
        assert_eq!(port("VlUnpacked<CData/*3:0*/, 2> &arr_i;"), None);
        assert_eq!(port("VL_UNCOPYABLE(Vtmv);"), None);
        assert_eq!(ports("VL_IN8(&a___05Fb,3,0);"), "TMV_PORT(\"a__b\", a___05Fb, 4, 0)\n");
    }
}
