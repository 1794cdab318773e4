//! A register map as a package for the RTL.

use std::fmt::Write as _;

use crate::map::{Access, RegisterMap};
use crate::source::Source;

/// The text of the package.
pub fn package(map: &RegisterMap, source: &Source) -> String {
    let note = source.note();
    let (has_errors, has_descriptor) = (!map.error.is_empty(), !map.descriptor.is_empty());
    let also = if has_errors || has_descriptor { ", error\n/// codes and descriptor words (32 bits each)" } else { "" };
    let mut s = format!(
        "// {note}\n\n\
         /// Constants, register offsets (bytes), masks of the bits that are not reserved, field positions (bits){also}.\n\
         package {};\n  localparam logic [31:0] MapVersion = 32'h{:04x}_{:04x};\n  \
         localparam logic [31:0] MapHash = 32'h{:04x}_{:04x};\n\n",
        source.package.1,
        map.version[0],
        map.version[1],
        map.hash >> 16,
        map.hash & 0xffff
    );
    for c in &map.constant {
        let _ = writeln!(s, "  /// {}.\n  localparam int unsigned {} = {};", sentence(&c.doc), camel(&c.name), c.value);
    }
    s += "\n";
    for r in &map.register {
        let _ = writeln!(s, "  localparam logic [11:0] {}Offset = 12'h{:03x};", camel(&r.name), r.offset);
        if r.access != Access::Ro && r.mask() != u32::MAX {
            let _ = writeln!(s, "  localparam logic [31:0] {}Bits = 32'h{:08x};", camel(&r.name), r.mask());
        }
        for f in &r.fields {
            let name = format!("{}{}", camel(&r.name), camel(&f.name));
            let _ = writeln!(s, "  localparam int unsigned {name}Lsb = {};", f.bits[1]);
        }
    }
    if has_errors {
        s += "\n  typedef enum logic [7:0] {\n";
    }
    for (i, e) in map.error.iter().enumerate() {
        let comma = if i + 1 == map.error.len() { "" } else { "," };
        let _ = writeln!(s, "    Err{} = 8'd{}{comma}", camel(&e.name), e.code);
    }
    if has_errors {
        s += "  } error_e;\n\n";
    }
    for d in &map.descriptor {
        let _ = writeln!(s, "  localparam int unsigned Desc{}Word = {};", camel(&d.name), d.word);
    }
    if !has_descriptor {
        return s + "endpackage\n";
    }
    let reserved: Vec<String> = map.reserved_bits().iter().rev().map(|mask| format!("32'h{mask:08x}")).collect();
    let _ = writeln!(
        s,
        "\n  /// Bits of a descriptor that must be zero.\n  localparam logic [{}:0] DescReservedBits = {{\n    {}\n  }};",
        32 * reserved.len() - 1,
        reserved.join(",\n    ")
    );
    s + "endpackage\n"
}

/// Converts `PORT_STALL_DATA` to `PortStallData`.
fn camel(name: &str) -> String {
    name.split('_').map(|part| part[..1].to_string() + &part[1..].to_lowercase()).collect()
}

/// `doc` with a capital letter at the beginning.
fn sentence(doc: &str) -> String {
    doc[..1].to_uppercase() + &doc[1..]
}
