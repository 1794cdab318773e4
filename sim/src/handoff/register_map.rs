//! The register map for other programs: C, JSON, IP-XACT. `rtl/ternary/registers.toml` is the one source; the Rust form is
//! `host/src/regs.rs`, which the generator of the map writes.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The map as its file has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RegisterMap {
    /// Major and minor version.
    pub version: [u32; 2],
    /// First 32 bits of the SHA-256 of the file, which the unit's MAP_HASH holds.
    #[serde(skip_deserializing)]
    pub hash: u32,
    /// The registers.
    #[serde(rename(serialize = "registers"))]
    pub register: Vec<Register>,
    #[serde(rename(serialize = "errors"))]
    error: Vec<ErrorCode>,
    #[serde(rename(serialize = "descriptor"))]
    descriptor: Vec<DescriptorWord>,
}

/// A register, or one for each port.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Register {
    /// Its name.
    pub name: String,
    /// Bytes from the base.
    pub offset: u32,
    access: Access,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    Ro,
    Rw,
    W1c,
    Wo,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Field {
    name: String,
    /// Most and least significant bit.
    bits: [u32; 2],
    doc: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct ErrorCode {
    name: String,
    code: u8,
    doc: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct DescriptorWord {
    name: String,
    word: u32,
    doc: String,
}

impl Field {
    fn mask(&self) -> u64 {
        ((1 << (self.bits[0] - self.bits[1] + 1)) - 1) << self.bits[1]
    }
}

impl RegisterMap {
    /// The map in the text of its file.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hash = Sha256::digest(text.as_bytes());
        let hash = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        let map: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        Ok(Self { hash, ..map })
    }

    /// For programs in any language.
    pub fn json(&self) -> String {
        host::program::pretty(self)
    }

    /// A C header.
    pub fn c_header(&self) -> String {
        let mut s = format!(
            "/* Registers of the TMV unit. Made by `sim handoff` from rtl/ternary/registers.toml; do not edit. */\n\
             #ifndef TMV_REGS_H\n#define TMV_REGS_H\n\n\
             /* Version of the map: major in 31:16, minor in 15:0. VERSION must read this. */\n\
             #define TMV_MAP_VERSION 0x{:08x}u\n\
             /* MAP_HASH must read this; a driver refuses a unit with another map. */\n\
             #define TMV_MAP_HASH_VALUE 0x{:08x}u\n\n/* Offsets in bytes; 32 bits each. Fields as masks and shifts. */\n",
            self.version[0] << 16 | self.version[1],
            self.hash
        );
        for r in &self.register {
            let name = &r.name;
            writeln!(s, "/* {} */\n#define TMV_{name} 0x{:03x}u", c_comment(&r.doc), r.offset).expect("to a string");
            if r.count > 1 {
                writeln!(
                    s,
                    "/* Bytes to the next port's, and how many there are. */\n\
                     #define TMV_{name}_STRIDE 0x{:x}u\n#define TMV_{name}_COUNT {}u",
                    r.stride, r.count
                )
                .expect("to a string");
            }
            for f in &r.fields {
                let field = format!("TMV_{name}_{}", f.name);
                writeln!(
                    s,
                    "/* {} */\n#define {field} 0x{:08x}u\n#define {field}_SHIFT {}u",
                    c_comment(&f.doc),
                    f.mask(),
                    f.bits[1]
                )
                .expect("to a string");
            }
        }
        s += "\n/* Error codes: ERROR.CODE. */\n";
        for e in &self.error {
            writeln!(s, "#define TMV_ERR_{} {}u /* {} */", e.name, e.code, c_comment(&e.doc)).expect("to a string");
        }
        s += "\n/* Words of a descriptor: 32 bits each, little endian. */\n#define TMV_DESC_BYTES 64u\n";
        for d in &self.descriptor {
            writeln!(s, "#define TMV_DESC_{} {}u /* {} */", d.name, d.word, c_comment(&d.doc)).expect("to a string");
        }
        s + "\n#endif\n"
    }

    /// An IP-XACT component (IEEE 1685-2014) with the memory map behind S_AXIL and the files of the unit.
    pub fn ip_xact(&self, version: &str, files: &[String]) -> String {
        let mut s = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by `sim handoff` from rtl/ternary/registers.toml; do not edit. -->
<ipxact:component xmlns:ipxact="http://www.accellera.org/XMLSchema/IPXACT/1685-2014" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.accellera.org/XMLSchema/IPXACT/1685-2014 http://www.accellera.org/XMLSchema/IPXACT/1685-2014/index.xsd">
  <ipxact:vendor>tmv</ipxact:vendor>
  <ipxact:library>user</ipxact:library>
  <ipxact:name>tmv_wrapper</ipxact:name>
  <ipxact:version>{version}</ipxact:version>
  <ipxact:busInterfaces>
    <ipxact:busInterface>
      <ipxact:name>S_AXIL</ipxact:name>
      <ipxact:busType vendor="amba.com" library="AMBA4" name="AXI4Lite" version="r0p0_0"/>
      <ipxact:slave>
        <ipxact:memoryMapRef memoryMapRef="S_AXIL"/>
      </ipxact:slave>
    </ipxact:busInterface>
  </ipxact:busInterfaces>
  <ipxact:memoryMaps>
    <ipxact:memoryMap>
      <ipxact:name>S_AXIL</ipxact:name>
      <ipxact:addressBlock>
        <ipxact:name>reg0</ipxact:name>
        <ipxact:description>Version {}.{}, hash {:#010x}</ipxact:description>
        <ipxact:baseAddress>0</ipxact:baseAddress>
        <ipxact:range>'h1000</ipxact:range>
        <ipxact:width>32</ipxact:width>
        <ipxact:usage>register</ipxact:usage>
"#,
            self.version[0], self.version[1], self.hash
        );
        let single = self.register.iter().filter(|r| r.count == 1);
        single.for_each(|r| xml_register(&mut s, r, r.offset, 8));
        // Banks. A register with `dim` would lie next to its copies, so those of a port are a file.
        let banked: Vec<&Register> = self.register.iter().filter(|r| r.count > 1).collect();
        for bank in banked.chunk_by(|a, b| (a.count, a.stride) == (b.count, b.stride)) {
            let base = bank.iter().map(|r| r.offset).min().unwrap_or(0);
            write!(
                s,
                "        <ipxact:registerFile>\n          <ipxact:name>PORTS_{base:03X}</ipxact:name>\n\
                 \x20         <ipxact:dim>{}</ipxact:dim>\n\
                 \x20         <ipxact:addressOffset>'h{base:x}</ipxact:addressOffset>\n\
                 \x20         <ipxact:range>'h{:x}</ipxact:range>\n",
                bank[0].count, bank[0].stride
            )
            .expect("to a string");
            bank.iter().for_each(|r| xml_register(&mut s, r, r.offset - base, 10));
            s += "        </ipxact:registerFile>\n";
        }
        s += "      </ipxact:addressBlock>\n      <ipxact:addressUnitBits>8</ipxact:addressUnitBits>\n    \
              </ipxact:memoryMap>\n  </ipxact:memoryMaps>\n  <ipxact:fileSets>\n    <ipxact:fileSet>\n      \
              <ipxact:name>rtl</ipxact:name>\n";
        for file in files {
            let kind = if file.ends_with(".v") { "verilogSource" } else { "systemVerilogSource" };
            // The component lies in a folder beside rtl/.
            writeln!(
                s,
                "      <ipxact:file>\n        <ipxact:name>../{file}</ipxact:name>\n        \
                 <ipxact:fileType>{kind}</ipxact:fileType>\n      </ipxact:file>"
            )
            .expect("to a string");
        }
        s + "    </ipxact:fileSet>\n  </ipxact:fileSets>\n  <ipxact:description>Ternary matrix-vector unit: registers \
             behind AXI4-Lite</ipxact:description>\n</ipxact:component>\n"
    }
}

fn xml_register(s: &mut String, r: &Register, offset: u32, indent: usize) {
    let access = match r.access {
        Access::Ro => "read-only",
        Access::Rw | Access::W1c => "read-write",
        Access::Wo => "write-only",
    };
    let volatile = r.access != Access::Rw;
    let mut lines = vec![
        "<ipxact:register>".to_string(),
        format!("  <ipxact:name>{}</ipxact:name>", r.name),
        format!("  <ipxact:description>{}</ipxact:description>", escape(&r.doc)),
        format!("  <ipxact:addressOffset>'h{offset:x}</ipxact:addressOffset>"),
        "  <ipxact:size>32</ipxact:size>".into(),
        format!("  <ipxact:volatile>{volatile}</ipxact:volatile>"),
        format!("  <ipxact:access>{access}</ipxact:access>"),
    ];
    // A register must have a field.
    let whole = [Field { name: "VALUE".into(), bits: [31, 0], doc: r.doc.clone() }];
    let fields = if r.fields.is_empty() { &whole[..] } else { &r.fields };
    for f in fields {
        lines.extend([
            "  <ipxact:field>".into(),
            format!("    <ipxact:name>{}</ipxact:name>", f.name),
            format!("    <ipxact:description>{}</ipxact:description>", escape(&f.doc)),
            format!("    <ipxact:bitOffset>{}</ipxact:bitOffset>", f.bits[1]),
            format!("    <ipxact:bitWidth>{}</ipxact:bitWidth>", f.bits[0] - f.bits[1] + 1),
            format!("    <ipxact:access>{access}</ipxact:access>"),
        ]);
        if r.access == Access::W1c {
            lines.push("    <ipxact:modifiedWriteValue>oneToClear</ipxact:modifiedWriteValue>".into());
        }
        lines.push("  </ipxact:field>".into());
    }
    lines.push("</ipxact:register>".into());
    lines.iter().for_each(|line| writeln!(s, "{:indent$}{line}", "").expect("to a string"));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn c_comment(text: &str) -> String {
    text.replace("*/", "* /")
}
