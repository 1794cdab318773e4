//! A register map as Rust constants.

use std::fmt::Write as _;

use crate::map::{Access, RegisterMap};
use crate::source::Source;

/// The longest line, see `rustfmt.toml`.
const WIDTH: usize = 120;

/// The text of the module.
pub fn constants(map: &RegisterMap, source: &Source) -> String {
    let (device, note) = (source.device, source.note());
    let mut s = format!(
        "//! Register map of the {device}. {note}\n\n\
         /// Version of the map: major in 31:16, minor in 15:0.\npub const MAP_VERSION: u32 = {:#x};\n\
         /// First 32 bits of the SHA-256 of the map.\npub const MAP_HASH_VALUE: u32 = {:#x};\n\n",
        map.version[0] << 16 | map.version[1],
        map.hash
    );
    for c in &map.constant {
        let _ = writeln!(s, "/// Constant: {}.\npub const {}: u32 = {:#x};", c.doc, c.name, c.value);
    }
    s += "\n";
    for r in &map.register {
        let (name, offset) = (&r.name, r.offset);
        let _ = writeln!(s, "/// Offset. {}\npub const {name}: u32 = {offset:#x};", r.doc);
        if r.count > 1 {
            let stride = r.stride;
            let _ = writeln!(s, "/// Bytes from one {name} to the next.\npub const {name}_STRIDE: u32 = {stride:#x};");
        }
        for f in &r.fields {
            let _ = writeln!(s, "/// {name}: {}.\npub const {name}_{}: u32 = {:#x};", f.doc, f.name, f.mask());
        }
    }
    s += "\n/// Every register: name, offset, access.\npub const REGISTERS: &[(&str, u32, &str)] = &[\n";
    for r in &map.register {
        let _ = writeln!(s, "    ({:?}, {:#x}, {:?}),", r.name, r.offset, r.access.name());
    }
    s += "];\n\n/// Registers that can be written: offset, and mask of the bits that are not reserved.\npub const WRITABLE: &[(u32, u32)] = &[\n";
    for r in map.register.iter().filter(|r| r.access != Access::Ro) {
        let _ = writeln!(s, "    ({:#x}, {:#x}),", r.offset, r.mask());
    }
    s += "];\n";
    if !map.error.is_empty() {
        errors(&mut s, map);
    }
    if !map.descriptor.is_empty() {
        descriptor(&mut s, map);
    }
    s
}

fn errors(s: &mut String, map: &RegisterMap) {
    *s += "\n/// Error codes: code, name, meaning.\npub const ERRORS: &[(u8, &str, &str)] = &[\n";
    for e in &map.error {
        let _ = writeln!(s, "    ({}, {:?}, {:?}),", e.code, e.name, e.doc);
    }
    *s += "];\n";
    for e in &map.error {
        let _ = writeln!(s, "/// Error code: {}.\npub const ERR_{}: u8 = {};", e.doc, e.name, e.code);
    }
}

fn descriptor(s: &mut String, map: &RegisterMap) {
    *s += "\n";
    for d in &map.descriptor {
        let _ = writeln!(s, "/// Descriptor word: {}.\npub const DESC_{}: usize = {};", d.doc, d.name, d.word);
    }
    let reserved = map.reserved_bits().map(|mask| format!("{mask:#x}"));
    let _ = writeln!(
        s,
        "/// For each word of a descriptor, the mask of the bits that must be zero.\n\
         pub const DESC_RESERVED_BITS: [u32; {}] ={}",
        reserved.len(),
        array(&reserved)
    );
}

/// An array, in lines as rustfmt breaks them.
fn array(items: &[String]) -> String {
    let line = format!("\n    [{}];", items.join(", "));
    if line.len() <= WIDTH + 1 {
        return line;
    }
    let mut lines = vec![String::from("   ")];
    for item in items {
        let item = format!(" {item},");
        match lines.last_mut().filter(|line| line.len() + item.len() <= WIDTH) {
            Some(line) => line.push_str(&item),
            None => lines.push(format!("   {item}")),
        }
    }
    format!(" [\n{}\n];", lines.join("\n"))
}
