//! The C++ code around a generated model: fixed sources, and sources that are derived from the generated code.

use toolchain::io;

use crate::error::Error;
use std::{fmt::Write, fs, path::Path};

/// The class name of every generated model, whatever the name of its top module.
pub(crate) const PREFIX: &str = "Vtmv";

/// Declares the C interface that every model has for `ffi.rs`, whichever simulator made the model.
pub(crate) const FACE: &str = include_str!("cpp/face.h");

/// Name and text of every fixed source.
pub(crate) const SOURCES: [(&str, &str); 8] = [
    ("face.h", FACE),
    ("prefix.h", include_str!("cpp/prefix.h")),
    ("hooks.h", include_str!("cpp/hooks.h")),
    ("hooks.cpp", include_str!("cpp/hooks.cpp")),
    ("shim.cpp", include_str!("cpp/shim.cpp")),
    ("lz4.h", include_str!("cpp/lz4.h")),
    ("zlib.h", include_str!("cpp/zlib.h")),
    ("fstcpp/fstcpp_assertion.h", include_str!("cpp/fst_assertion.h")),
];

/// Writes the fixed sources into `dir`.
pub(crate) fn write_sources(dir: &Path) -> Result<(), Error> {
    for (name, text) in SOURCES {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(dir)).and_then(|()| fs::write(&path, text)).map_err(io(path))?;
    }
    Ok(())
}

/// The text of `ports.inc`, made from the header of the model: one `TMV_PORT(name, field, width, direction)` per port.
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

/// The text of `clock.inc`, made from the header and the sources of the model. It defines `TMV_CLOCK` and
/// `TMV_PREVIOUS` if the model reacts only to rising edges of one signal, and is empty otherwise. `TMV_CLOCK` is this
/// signal; `TMV_PREVIOUS` is the field that holds the level of the signal at the last evaluation.
///
/// If the shim clears `TMV_PREVIOUS`, the next evaluation sees an edge without a low half. This saves half of the
/// evaluations. Models that sample values ahead of the edge (concurrent assertions) or use falling edges need both
/// halves.
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

/// Removes two calls after each evaluation from the main source of a model. One call frees objects of SystemVerilog
/// classes, which RTL does not have. The other prints messages of other threads, and there are no other threads. The
/// locks of these calls take longer than the evaluation of a small model.
pub(crate) fn without_cleanup(source: &str) -> String {
    source
        .replace("vlSymsp->__Vm_deleter.deleteAll();", "")
        .replace("Verilated::endOfEval(vlSymsp->__Vm_evalMsgQp);", "")
}

/// Changes a source of a model with coverage such that counters get names only if `tmv_name_counters` is set. It
/// takes longer to name a hundred thousand counters than to run most tests.
pub(crate) fn unnamed_counters(source: &str) -> String {
    let call = |line: &str| line.ends_with("configure_coverage(this, first);");
    let lines = source
        .lines()
        .map(|line| if call(line) { format!("if (tmv_name_counters) {line}\n") } else { format!("{line}\n") });
    lines.collect()
}

/// Parses a port such as `VL_OUTW(&name,511,0,16);`: field, width in bits, and direction (0 input, 1 output, 2 both).
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
