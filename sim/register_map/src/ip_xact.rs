//! Register maps as an IP-XACT component (IEEE 1685-2014): the memory map behind S_AXIL, and the files of the
//! design.

use std::io::Write;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::map::{Access, Field, Register, RegisterMap};
use crate::source::Source;

type Xml = Writer<Vec<u8>>;
type Outcome = std::io::Result<()>;

const NAMESPACE: &str = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014";

/// A register map, where it is from, and its address on the bus.
pub type Placed<'a> = (&'a RegisterMap, &'a Source, u64);

/// The text of the component. `version` is the version of the IP, and `files` are its source files.
pub fn component(maps: &[Placed<'_>], version: &str, files: &[String]) -> String {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut xml, maps, version, files).expect("a vector takes every byte");
    String::from_utf8(xml.into_inner()).expect("only text was written") + "\n"
}

fn write(xml: &mut Xml, maps: &[Placed<'_>], version: &str, files: &[String]) -> Outcome {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let paths: Vec<&str> = maps.iter().map(|(_, source, _)| source.path).collect();
    let comment = format!(" Made by `sim handoff` from {}; do not edit. ", paths.join(", "));
    xml.write_event(Event::Comment(BytesText::new(&comment)))?;
    let schema = format!("{NAMESPACE} {NAMESPACE}/index.xsd");
    let component = xml.create_element("ipxact:component").with_attributes([
        ("xmlns:ipxact", NAMESPACE),
        ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
        ("xsi:schemaLocation", schema.as_str()),
    ]);
    component.write_inner_content(|xml| {
        text(xml, "vendor", "tmv")?;
        text(xml, "library", "user")?;
        text(xml, "name", "tmv_wrapper")?;
        text(xml, "version", version)?;
        group(xml, "busInterfaces", |xml| group(xml, "busInterface", bus_interface))?;
        group(xml, "memoryMaps", |xml| group(xml, "memoryMap", |xml| memory_map(xml, maps)))?;
        group(xml, "fileSets", |xml| group(xml, "fileSet", |xml| file_set(xml, files)))?;
        text(xml, "description", &format!("Registers behind AXI4-Lite: {}", devices(maps)))
    })?;
    Ok(())
}

fn bus_interface(xml: &mut Xml) -> Outcome {
    text(xml, "name", "S_AXIL")?;
    let bus = [("vendor", "amba.com"), ("library", "AMBA4"), ("name", "AXI4Lite"), ("version", "r0p0_0")];
    xml.create_element("ipxact:busType").with_attributes(bus).write_empty()?;
    group(xml, "slave", |xml| {
        let map = xml.create_element("ipxact:memoryMapRef").with_attribute(("memoryMapRef", "S_AXIL"));
        map.write_empty().map(drop)
    })
}

fn devices(maps: &[Placed<'_>]) -> String {
    maps.iter().map(|(_, source, _)| source.device).collect::<Vec<_>>().join(", ")
}

fn memory_map(xml: &mut Xml, maps: &[Placed<'_>]) -> Outcome {
    text(xml, "name", "S_AXIL")?;
    maps.iter().enumerate().try_for_each(|(number, placed)| address_block(xml, number, placed))?;
    text(xml, "addressUnitBits", "8")
}

fn address_block(xml: &mut Xml, number: usize, (map, source, base): &Placed<'_>) -> Outcome {
    group(xml, "addressBlock", |xml| {
        text(xml, "name", &format!("reg{number}"))?;
        let ([major, minor], device) = (map.version, source.device);
        text(xml, "description", &format!("{device}: version {major}.{minor}, hash {:#010x}", map.hash))?;
        text(xml, "baseAddress", &format!("'h{base:x}"))?;
        text(xml, "range", "'h1000")?;
        text(xml, "width", "32")?;
        text(xml, "usage", "register")?;
        map.register.iter().filter(|r| r.count == 1).try_for_each(|r| register(xml, r, r.offset))?;
        // IP-XACT places the copies of a register with `dim` next to each other. The registers of one port are
        // adjacent instead, so they form a register file with `dim`.
        let banked: Vec<&Register> = map.register.iter().filter(|r| r.count > 1).collect();
        let mut banks = banked.chunk_by(|a, b| (a.count, a.stride) == (b.count, b.stride));
        banks.try_for_each(|bank| register_file(xml, bank))
    })
}

fn register_file(xml: &mut Xml, bank: &[&Register]) -> Outcome {
    let base = bank.iter().map(|r| r.offset).min().unwrap_or(0);
    group(xml, "registerFile", |xml| {
        text(xml, "name", &format!("PORTS_{base:03X}"))?;
        text(xml, "dim", &bank[0].count.to_string())?;
        text(xml, "addressOffset", &format!("'h{base:x}"))?;
        text(xml, "range", &format!("'h{:x}", bank[0].stride))?;
        bank.iter().try_for_each(|r| register(xml, r, r.offset - base))
    })
}

fn register(xml: &mut Xml, r: &Register, offset: u32) -> Outcome {
    group(xml, "register", |xml| {
        text(xml, "name", &r.name)?;
        text(xml, "description", &r.doc)?;
        text(xml, "addressOffset", &format!("'h{offset:x}"))?;
        text(xml, "size", "32")?;
        text(xml, "volatile", if r.access == Access::Rw { "false" } else { "true" })?;
        text(xml, "access", access(r.access))?;
        // IP-XACT requires at least one field in a register.
        let whole = [Field { name: "VALUE".into(), bits: r.bits.unwrap_or([31, 0]), doc: r.doc.clone() }];
        let fields = if r.fields.is_empty() { &whole[..] } else { &r.fields };
        fields.iter().try_for_each(|f| field(xml, r, f))
    })
}

fn field(xml: &mut Xml, r: &Register, f: &Field) -> Outcome {
    group(xml, "field", |xml| {
        text(xml, "name", &f.name)?;
        text(xml, "description", &f.doc)?;
        text(xml, "bitOffset", &f.bits[1].to_string())?;
        text(xml, "bitWidth", &f.width().to_string())?;
        text(xml, "access", access(r.access))?;
        if r.access == Access::W1c { text(xml, "modifiedWriteValue", "oneToClear") } else { Ok(()) }
    })
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Ro => "read-only",
        Access::Rw | Access::W1c => "read-write",
        Access::Wo => "write-only",
    }
}

fn file_set(xml: &mut Xml, files: &[String]) -> Outcome {
    text(xml, "name", "rtl")?;
    files.iter().try_for_each(|file| {
        group(xml, "file", |xml| {
            // The component is in a folder beside `rtl/`.
            text(xml, "name", &format!("../{file}"))?;
            text(xml, "fileType", if file.ends_with(".v") { "verilogSource" } else { "systemVerilogSource" })?;
            if file.ends_with(".svh") { text(xml, "isIncludeFile", "true") } else { Ok(()) }
        })
    })
}

/// Writes an element that contains elements.
fn group(xml: &mut Xml, name: &str, content: impl FnOnce(&mut Xml) -> Outcome) -> Outcome {
    xml.create_element(format!("ipxact:{name}")).write_inner_content(content).map(drop)
}

/// Writes an element that contains text. The writer escapes the text.
fn text<W: Write>(xml: &mut Writer<W>, name: &str, content: &str) -> Outcome {
    xml.create_element(format!("ipxact:{name}")).write_text_content(BytesText::new(content)).map(drop)
}
