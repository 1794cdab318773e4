//! A register map as a page of documentation.

use std::fmt::Write as _;

use crate::map::RegisterMap;
use crate::source::Source;

/// The text of the page.
pub fn page(map: &RegisterMap, source: &Source) -> String {
    let mut s = format!(
        "# {}\n\n{}\nMap version {}.{}, hash `{:#010x}`.\n\n{}\n\n\
         | offset | name | access | meaning |\n|---|---|---|---|\n",
        source.title,
        source.note(),
        map.version[0],
        map.version[1],
        map.hash,
        source.accesses
    );
    for r in &map.register {
        let bank = if r.count > 1 { format!(" + {:#x} x port", r.stride) } else { String::new() };
        let fields: String =
            r.fields.iter().map(|f| format!("<br>`{}` {}:{} {}", f.name, f.bits[0], f.bits[1], f.doc)).collect();
        let _ = writeln!(s, "| {:#05x}{bank} | `{}` | {} | {}{fields} |", r.offset, r.name, r.access.name(), r.doc);
    }
    s += "\n## Constants\n\nValues that the RTL, the driver and its model agree on.\n\n| name | value | meaning |\n|---|---|---|\n";
    for c in &map.constant {
        let _ = writeln!(s, "| `{}` | {} | {} |", c.name, value(c.value), c.doc);
    }
    if !map.error.is_empty() {
        s += "\n## Error codes\n\n| code | name | meaning |\n|---|---|---|\n";
        for e in &map.error {
            let _ = writeln!(s, "| {} | `{}` | {} |", e.code, e.name, e.doc);
        }
    }
    if !map.descriptor.is_empty() {
        s += "\n## Descriptor\n\n64 bytes, little endian, in a ring of 2^`RING_LOG2` at `RING_BASE`, aligned to 64 bytes.\n\n\
              | word | name | must be zero | meaning |\n|---|---|---|---|\n";
        for d in &map.descriptor {
            let reserved = if d.reserved == 0 { String::new() } else { format!("`{:#010x}`", d.reserved) };
            let _ = writeln!(s, "| {} | `{}` | {reserved} | {} |", d.word, d.name, d.doc);
        }
    }
    s
}

/// Codes are printed in hexadecimal, numbers in decimal.
fn value(value: u32) -> String {
    if value > 1 << 20 || value == 0xB1 { format!("{value:#x}") } else { value.to_string() }
}
