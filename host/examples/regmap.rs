//! Generates everything that knows the register map from its one source, `rtl/ternary/registers.toml`:
//! the SystemVerilog package, the Rust constants and the documentation.
//!
//! `cargo run -p host --example regmap` rewrites the files; `host/tests/regmap.rs` fails when they are stale.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

const SOURCE: &str = "rtl/ternary/registers.toml";

#[derive(Deserialize)]
struct Map {
    version: [u32; 2],
    register: Vec<Register>,
    error: Vec<ErrorCode>,
    descriptor: Vec<DescriptorWord>,
}

#[derive(Deserialize)]
struct Register {
    name: String,
    offset: u32,
    access: String,
    doc: String,
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    stride: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
struct Field {
    name: String,
    /// Most and least significant bit.
    bits: [u32; 2],
    doc: String,
}

#[derive(Deserialize)]
struct ErrorCode {
    name: String,
    code: u8,
    doc: String,
}

#[derive(Deserialize)]
struct DescriptorWord {
    name: String,
    word: u32,
    doc: String,
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every generated file: path from the root, and text.
pub(crate) fn generate() -> [(&'static str, String); 3] {
    let source = std::fs::read_to_string(root().join(SOURCE)).expect("the register map is in the repository");
    let map: Map = toml::from_str(&source).expect("the register map is valid TOML");
    let hash = Sha256::digest(source.as_bytes());
    let hash = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    [
        ("rtl/ternary/tmv_reg_pkg.sv", systemverilog(&map, hash)),
        ("host/src/regs.rs", rust(&map, hash)),
        ("docs/registers.md", markdown(&map, hash)),
    ]
}

/// `PORT_STALL_DATA` as `PortStallData`.
fn camel(name: &str) -> String {
    name.split('_').map(|part| part[..1].to_string() + &part[1..].to_lowercase()).collect()
}

fn systemverilog(map: &Map, hash: u32) -> String {
    let mut s = format!(
        "// Generated from {SOURCE} by `cargo run -p host --example regmap`; do not edit.\n\n\
         /// Register offsets (bytes), field positions (bits), error codes and descriptor words (32 bits each).\n\
         package tmv_reg_pkg;\n  localparam logic [31:0] MapVersion = 32'h{:04x}_{:04x};\n  localparam logic [31:0] MapHash = 32'h{:04x}_{:04x};\n\n",
        map.version[0],
        map.version[1],
        hash >> 16,
        hash & 0xffff
    );
    for r in &map.register {
        writeln!(s, "  localparam logic [11:0] {}Offset = 12'h{:03x};", camel(&r.name), r.offset).expect("to a string");
        for f in &r.fields {
            let name = format!("{}{}", camel(&r.name), camel(&f.name));
            writeln!(s, "  localparam int unsigned {name}Lsb = {};", f.bits[1]).expect("to a string");
        }
    }
    s += "\n  typedef enum logic [7:0] {\n";
    for (i, e) in map.error.iter().enumerate() {
        let comma = if i + 1 == map.error.len() { "" } else { "," };
        writeln!(s, "    Err{} = 8'd{}{comma}", camel(&e.name), e.code).expect("to a string");
    }
    s += "  } error_e;\n\n";
    for d in &map.descriptor {
        writeln!(s, "  localparam int unsigned Desc{}Word = {};", camel(&d.name), d.word).expect("to a string");
    }
    s + "endpackage\n"
}

fn rust(map: &Map, hash: u32) -> String {
    let mut s = format!(
        "//! Register map of the TMV unit. Generated from `{SOURCE}` by `cargo run -p host --example regmap`; do not edit.\n\n\
         /// Version of the map: major in 31:16, minor in 15:0.\npub const MAP_VERSION: u32 = {:#x};\n\
         /// First 32 bits of the SHA-256 of the map.\npub const MAP_HASH_VALUE: u32 = {hash:#x};\n\n",
        map.version[0] << 16 | map.version[1]
    );
    for r in &map.register {
        writeln!(s, "/// Offset. {}\npub const {}: u32 = {:#x};", r.doc, r.name, r.offset).expect("to a string");
        if r.count > 1 {
            writeln!(
                s,
                "/// Bytes from one {} to the next.\npub const {}_STRIDE: u32 = {:#x};",
                r.name, r.name, r.stride
            )
            .expect("to a string");
        }
        for f in &r.fields {
            let mask = ((1u64 << (f.bits[0] - f.bits[1] + 1)) - 1) << f.bits[1];
            writeln!(s, "/// {}: {}.\npub const {}_{}: u32 = {mask:#x};", r.name, f.doc, r.name, f.name)
                .expect("to a string");
        }
    }
    s += "\n/// Every register a reset-value test can read: name, offset, access.\npub const REGISTERS: &[(&str, u32, &str)] = &[\n";
    for r in &map.register {
        writeln!(s, "    ({:?}, {:#x}, {:?}),", r.name, r.offset, r.access).expect("to a string");
    }
    s += "];\n\n/// Error codes: code, name, meaning.\npub const ERRORS: &[(u8, &str, &str)] = &[\n";
    for e in &map.error {
        writeln!(s, "    ({}, {:?}, {:?}),", e.code, e.name, e.doc).expect("to a string");
    }
    s += "];\n";
    for e in &map.error {
        writeln!(s, "/// Error code: {}.\npub const ERR_{}: u8 = {};", e.doc, e.name, e.code).expect("to a string");
    }
    s += "\n";
    for d in &map.descriptor {
        writeln!(s, "/// Descriptor word: {}.\npub const DESC_{}: usize = {};", d.doc, d.name, d.word)
            .expect("to a string");
    }
    s
}

fn markdown(map: &Map, hash: u32) -> String {
    let mut s = format!(
        "# Registers, descriptor and error codes\n\n\
         Generated from `{SOURCE}` by `cargo run -p host --example regmap`; do not edit. Map version {}.{}, hash `{hash:#010x}`.\n\n\
         AXI4-Lite, 32-bit data, 4 KiB window. Any other offset, a write to a read-only register and a write with partial strobes\n\
         are answered with SLVERR and change nothing.\n\n| offset | name | access | meaning |\n|---|---|---|---|\n",
        map.version[0], map.version[1]
    );
    for r in &map.register {
        let bank = if r.count > 1 { format!(" + {:#x} x port", r.stride) } else { String::new() };
        let fields: String =
            r.fields.iter().map(|f| format!("<br>`{}` {}:{} {}", f.name, f.bits[0], f.bits[1], f.doc)).collect();
        writeln!(s, "| {:#05x}{bank} | `{}` | {} | {}{fields} |", r.offset, r.name, r.access, r.doc)
            .expect("to a string");
    }
    s += "\n## Error codes\n\n| code | name | meaning |\n|---|---|---|\n";
    for e in &map.error {
        writeln!(s, "| {} | `{}` | {} |", e.code, e.name, e.doc).expect("to a string");
    }
    s += "\n## Descriptor\n\n64 bytes, little endian, in a ring of 2^`RING_LOG2` at `RING_BASE`, aligned to 64 bytes.\n\n\
          | word | name | meaning |\n|---|---|---|\n";
    for d in &map.descriptor {
        writeln!(s, "| {} | `{}` | {} |", d.word, d.name, d.doc).expect("to a string");
    }
    s
}

#[allow(dead_code)] // the test that includes this file has a main of its own
fn main() {
    for (path, text) in generate() {
        std::fs::write(root().join(path), text).expect("the repository is writable");
        println!("wrote {path}");
    }
}
