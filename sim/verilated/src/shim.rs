//! The C++ around a generated model: fixed sources, and the port list taken from the model's header.

use crate::error::{Error, io};
use std::{fmt::Write, fs, path::Path};

/// Generated models are all called this; the top module's name is free.
pub(crate) const PREFIX: &str = "Vtmv";

/// Name and text of every fixed source.
pub(crate) const SOURCES: [(&str, &str); 6] = [
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

/// The model's main source without the call that frees objects of SystemVerilog classes. RTL has none, and the
/// call's locks take longer than the evaluation of a small model.
pub(crate) fn without_collector(source: &str) -> String {
    source.replace("vlSymsp->__Vm_deleter.deleteAll();", "")
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
