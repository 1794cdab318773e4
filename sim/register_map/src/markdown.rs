//! The register map as a page of documentation, `docs/registers.md`.

use std::fmt::Write as _;

use crate::map::RegisterMap;
use crate::source::GENERATED;

/// The text of the page.
pub fn page(map: &RegisterMap) -> String {
    let mut s = format!(
        "# Registers, descriptor and error codes\n\n{GENERATED}
Map version {}.{}, hash `{:#010x}`.\n\n\
         AXI4-Lite, 32-bit data, 4 KiB window. The unit refuses an access to any other offset, a write to a read-only register,\n\
         a write with partial strobes and a write that sets a reserved bit. A refused access changes nothing and reads zero. It\n\
         is answered with OKAY, because Linux on Arm stops with a panic after SLVERR. It sets `IRQ_STATUS.BAD_ACCESS`, and\n\
         `ACCESS_ERROR` keeps its offset.\n\n| offset | name | access | meaning |\n|---|---|---|---|\n",
        map.version[0], map.version[1], map.hash
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
    s += "\n## Error codes\n\n| code | name | meaning |\n|---|---|---|\n";
    for e in &map.error {
        let _ = writeln!(s, "| {} | `{}` | {} |", e.code, e.name, e.doc);
    }
    s += "\n## Descriptor\n\n64 bytes, little endian, in a ring of 2^`RING_LOG2` at `RING_BASE`, aligned to 64 bytes.\n\n\
          | word | name | must be zero | meaning |\n|---|---|---|---|\n";
    for d in &map.descriptor {
        let reserved = if d.reserved == 0 { String::new() } else { format!("`{:#010x}`", d.reserved) };
        let _ = writeln!(s, "| {} | `{}` | {reserved} | {} |", d.word, d.name, d.doc);
    }
    s
}

/// Codes are printed in hexadecimal, numbers in decimal.
fn value(value: u32) -> String {
    if value > 1 << 20 || value == 0xB1 { format!("{value:#x}") } else { value.to_string() }
}
