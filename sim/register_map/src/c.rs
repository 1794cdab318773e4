//! The register map as a C header.

use std::fmt::Write as _;

use crate::map::RegisterMap;
use crate::source::Source;

/// The text of the header.
pub fn header(map: &RegisterMap, source: &Source) -> String {
    let c = source.c;
    let mut s = format!(
        "/* Registers of the {}. Made by `sim handoff` from {}; do not edit. */\n\
         #ifndef {c}_REGS_H\n#define {c}_REGS_H\n\n\
         /* Version of the map: major in 31:16, minor in 15:0. VERSION must read this. */\n\
         #define {c}_MAP_VERSION 0x{:08x}u\n\
         /* MAP_HASH must read this; a driver refuses a unit with another map. */\n\
         #define {c}_MAP_HASH_VALUE 0x{:08x}u\n",
        source.device,
        source.path,
        map.version[0] << 16 | map.version[1],
        map.hash
    );
    let mut heading = "\n/* Constants of unit and driver. */\n";
    for constant in &map.constant {
        let _ = writeln!(
            s,
            "{heading}#define {c}_{} 0x{:x}u /* {} */",
            constant.name,
            constant.value,
            comment(&constant.doc)
        );
        heading = "";
    }
    s += "\n/* Offsets in bytes; 32 bits each. Fields as masks and shifts. */\n";
    for r in &map.register {
        let name = &r.name;
        let _ = writeln!(s, "/* {} */\n#define {c}_{name} 0x{:03x}u", comment(&r.doc), r.offset);
        if r.count > 1 {
            let _ = writeln!(
                s,
                "/* Bytes to the next port's, and how many there are. */\n\
                 #define {c}_{name}_STRIDE 0x{:x}u\n#define {c}_{name}_COUNT {}u",
                r.stride, r.count
            );
        }
        for f in &r.fields {
            let field = format!("{c}_{name}_{}", f.name);
            let (doc, mask, shift) = (comment(&f.doc), f.mask(), f.bits[1]);
            let _ = writeln!(s, "/* {doc} */\n#define {field} 0x{mask:08x}u\n#define {field}_SHIFT {shift}u");
        }
    }
    heading = "\n/* Error codes: ERROR.CODE. */\n";
    for e in &map.error {
        let _ = writeln!(s, "{heading}#define {c}_ERR_{} {}u /* {} */", e.name, e.code, comment(&e.doc));
        heading = "";
    }
    heading = "\n/* Words of a descriptor: 32 bits each, little endian. */\n";
    for d in &map.descriptor {
        let _ = writeln!(s, "{heading}#define {c}_DESC_{} {}u /* {} */", d.name, d.word, comment(&d.doc));
        heading = "";
    }
    s + "\n#endif\n"
}

fn comment(text: &str) -> String {
    text.replace("*/", "* /")
}
