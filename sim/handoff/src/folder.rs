//! The files of a hand-off, and how they are written.

use std::collections::BTreeMap;
use std::fs;

use cost::board::{BOARDS, Board, Sourced};
use golden::Codec;
use program::folder::NewFolder;
use program::interrupt::interrupted;
use register_map::{RegisterMap, UNIT};
use sha2::{Digest, Sha256};
use tmv::config::UnitConfig;
use tmv::regs::MAP_HASH_VALUE;

use crate::data::{BoardData, DATA, Ps, names};
use crate::design::{Design, Registers, SystemParts, address_bits};
use crate::error::Error;
use crate::templates::{PLAIN, PS, SYSTEM, TEMPLATES, fill};
use crate::wrapper;

/// A hand-off: all files, by their names in the folder.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The board that the hand-off is for.
    pub board: &'static Board,
    /// The configuration of the unit.
    pub unit: UnitConfig,
    /// The content of each file, by its path in the folder with `/`.
    pub files: BTreeMap<String, Vec<u8>>,
    design: Design,
    /// The interrupts of the wrapper, and the interfaces that write.
    interrupts: Vec<String>,
    writers: Vec<String>,
}

impl Folder {
    /// Makes the hand-off of the ternary unit for a board, or of a whole system. `clock_mhz` is its clock; `None` means the
    /// clock that `constraints/boards.toml` names for hand-offs.
    ///
    /// # Errors
    /// If the board is unknown, or if a file of the RTL is missing or cannot be understood.
    pub fn new(board: &str, codec: Codec, clock_mhz: Option<f64>, system: Option<&SystemParts>) -> Result<Self, Error> {
        let (board, data) = found(board)?;
        // Beside a vector unit there is room for one vector, which is what a token needs.
        let (vectors, groups) = if system.is_some() { (1, 1) } else { (board.vectors, board.groups) };
        let unit =
            UnitConfig { ports: board.family.ports.value, port_bits: board.family.port_bits, vectors, groups, codec };
        let design = match system {
            Some(parts) => Design::system(board, data, parts),
            None => Design::unit(board)?,
        };
        let mut folder =
            Self { board, unit, files: BTreeMap::new(), design, interrupts: Vec::new(), writers: Vec::new() };
        folder.add_rtl()?;
        folder.add_core();
        folder.add_registers()?;
        folder.add_texts(data, clock_mhz);
        folder.add_checksums();
        Ok(folder)
    }

    fn add(&mut self, name: &str, text: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), text.into());
    }

    /// Adds the files of the design, the files that they include, and the wrapper.
    fn add_rtl(&mut self) -> Result<(), Error> {
        // All files are in one folder, so that other tools need only one include path.
        let mut list = String::from("// Every file of the design, in order of use.\n");
        list.extend(self.design.system.iter().map(|parts| format!("{}\n", parts.core.0)));
        for path in self.design.files.clone() {
            let name = file_name(&path);
            self.add(&format!("rtl/{name}"), rtl::read(&path)?);
            list += &format!("{name}\n");
        }
        for path in rtl::HEADERS {
            self.add(&format!("rtl/{}", file_name(path)), rtl::read(path)?);
        }
        self.add("rtl/tmv_files.f", list);

        let bad = |what: String| Error::NotUnderstood { path: rtl::dir().join(self.design.source), what };
        let text = rtl::read(self.design.source)?;
        let interface = wrapper::parse(&text, self.design.top, address_bits()?).map_err(bad)?;
        let shape = self.design.shape(&interface, self.board, &self.unit)?;
        let text = interface.wrapper(&shape).map_err(bad)?;
        self.interrupts = interface.interrupts().into_iter().map(String::from).collect();
        self.writers = shape.first_interfaces().map(wrapper::interface_name).collect();
        let known = |registers: &&Registers| self.interrupts.iter().any(|name| name == registers.interrupt);
        if let Some(Registers { interrupt, .. }) = self.design.registers.iter().find(|registers| !known(registers)) {
            return Err(bad(format!("{} has no port {interrupt}_o", self.design.top)));
        }
        self.add("rtl/tmv_wrapper.v", text);
        Ok(())
    }

    /// Adds the register maps in the formats for other programs.
    fn add_registers(&mut self) -> Result<(), Error> {
        let mut maps = Vec::new();
        for Registers { source, name, base, .. } in self.design.registers {
            let path = source.path.strip_prefix("rtl/").unwrap_or(source.path);
            let bad = |what: String| Error::NotUnderstood { path: rtl::dir().join(path), what };
            let map = RegisterMap::parse(&rtl::read(path)?).map_err(bad)?;
            // The Rust form of the ternary unit's map is compiled into this program.
            if source.path == UNIT.path && map.hash != MAP_HASH_VALUE {
                return Err(bad(format!(
                    "the map's hash is {:#010x}, and this program is built for {MAP_HASH_VALUE:#010x}: \
                     run `cargo run -p register_map` and build it again",
                    map.hash
                )));
            }
            self.add(&format!("registers/{name}_regs.h"), register_map::c::header(&map, source));
            self.add(&format!("registers/{name}_regs.json"), register_map::json::document(&map));
            maps.push((map, source, *base));
        }
        let files: Vec<String> = self.headers().map(String::from).chain(self.sources()).collect();
        let placed: Vec<_> = maps.iter().map(|(map, source, base)| (map, *source, *base)).collect();
        self.add("registers/tmv_wrapper.xml", register_map::ip_xact::component(&placed, ip_version(), &files));
        Ok(())
    }

    /// Adds the core's Verilog with its licence, and the firmware.
    fn add_core(&mut self) {
        let Some(SystemParts { core: (name, text), core_license, firmware, .. }) = self.design.system.clone() else {
            return;
        };
        self.add(&format!("rtl/{name}"), text);
        self.add("LICENSE-core", core_license);
        self.add("firmware/tmv_firmware.bin", firmware);
    }

    /// The headers that the source files include.
    fn headers(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|name| name.ends_with(".svh"))
    }

    /// The source files that a tool has to read, in order.
    fn sources(&self) -> Vec<String> {
        let list = String::from_utf8_lossy(&self.files["rtl/tmv_files.f"]).into_owned();
        let files = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        files.map(|line| format!("rtl/{line}")).chain(["rtl/tmv_wrapper.v".into()]).collect()
    }

    /// Adds scripts, constraints and documents.
    fn add_texts(&mut self, data: &BoardData, clock_mhz: Option<f64>) {
        let texts = PS.iter().find(|texts| texts.name == data.ps).expect("constraints/boards.toml is tested");
        let given = clock_mhz.map(|value| Sourced { value, source: "given by --clock-mhz".into() });
        let clock = given.as_ref().or(DATA.ps[&data.ps].clock_mhz.as_ref()).unwrap_or(&self.board.clock_mhz);
        let mut values = self.values(data, clock);
        let of_system = if self.design.system.is_some() { fill(SYSTEM, &values) } else { String::new() };
        values.insert("SYSTEM", of_system);
        PLAIN.iter().for_each(|(name, text)| self.add(name, *text));
        self.add("ps.tcl", texts.tcl);
        for (name, text) in TEMPLATES.iter().chain(&texts.overlays) {
            self.add(name, fill(text, &values));
        }
    }

    /// The values of the placeholders.
    fn values(&self, data: &BoardData, clock: &Sourced<f64>) -> BTreeMap<&'static str, String> {
        let ps = &DATA.ps[&data.ps];
        let clock_mhz = clock.value;
        let of_system = self.design.system.as_ref().and(data.system_memory.as_ref());
        let memory = of_system.unwrap_or(&data.memory);
        let option = if self.design.system.is_some() { " --system" } else { "" };
        let (board, codec) = (&self.board.name, self.unit.codec);
        let command = format!("sim handoff --board {board}{option} --codec {codec}");
        let lines: Vec<_> = (0..self.interrupts.len() as u32).map(|line| (ps.spi.value + line).to_string()).collect();
        BTreeMap::from([
            ("BOARD", self.board.name.clone()),
            ("PART", data.part.value.clone()),
            ("PART_SOURCE", data.part.source.clone()),
            ("BOARD_PART", data.board_part.clone()),
            ("BOARD_CONNECTIONS", data.board_connections.clone()),
            ("CLOCK_MHZ", clock_mhz.to_string()),
            ("CLOCK_SOURCE", clock.source.clone()),
            ("CLOCK_HZ", format!("{:.0}", clock_mhz * 1e6)),
            ("PERIOD_NS", format!("{:.3}", 1e3 / clock_mhz)),
            ("TOP", self.design.top.into()),
            ("WHAT", self.design.what(&self.unit)),
            ("WRITERS", self.writers.join(", ")),
            ("COMMAND", command),
            ("WINDOW", format!("{:#x}", memory.base >> 30)),
            ("NODES", self.nodes(ps)),
            ("CORE_PACKAGE", self.design.system.iter().map(|parts| parts.core_package.as_str()).collect()),
            ("MEMORY_PORTS", self.design.memory.join(" ")),
            ("INTERRUPTS", self.interrupts.join(" ")),
            ("INTERRUPT_NAMES", self.interrupts.join(", ")),
            ("PORT_BITS", self.unit.port_bits.to_string()),
            ("PARAMETERS", self.wrapper_parameters().join(" ")),
            ("IP_VERSION", ip_version().into()),
            ("VERSION", env!("CARGO_PKG_VERSION").into()),
            ("CONTROL_BASE", format!("{:#x}", ps.control.value)),
            ("CONTROL_SOURCE", ps.control.source.clone()),
            ("CONTROL_KIB", (self.design.control_bytes >> 10).to_string()),
            ("SPI", lines.join(", ")),
            ("SPI_SOURCE", ps.spi.source.clone()),
            ("MEMORY_UNIT", format!("{:x}", memory.base)),
            ("MEMORY_BASE", format!("{:#x}", memory.base)),
            ("MEMORY_MIB", (memory.bytes >> 20).to_string()),
            ("MEMORY_REG", format!("{} {}", ps.cells(memory.base), ps.cells(memory.bytes))),
            ("BUFFER_SIZE", ps.cells(memory.bytes)),
            ("BIF_FILE", ps.bif_file.clone()),
            ("BOOTGEN_ARCH", data.ps.clone()),
            (
                "RTL_HEADERS",
                self.headers()
                    .map(|name| format!("      - {name}: {{is_include_file: true}}"))
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
            ("MAP_HASH", format!("{MAP_HASH_VALUE:#010x}")),
            (
                "RTL_LIST",
                self.sources()
                    .into_iter()
                    .map(|name| {
                        let verilog = if name.ends_with(".v") { ": {file_type: verilogSource}" } else { "" };
                        format!("      - {name}{verilog}")
                    })
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
        ])
    }

    /// The nodes of the device tree for registers: one for each register map, because the driver for user space takes one
    /// interrupt of a node.
    fn nodes(&self, ps: &Ps) -> String {
        let node = |registers: &Registers| {
            let Registers { source, name: label, base, interrupt } = registers;
            let line = self.interrupts.iter().position(|known| known == interrupt).expect("add_rtl looked");
            let (address, device) = (ps.control.value + base, source.device);
            format!(
                "\t/* Registers of the {device}. The interrupt is a level, high. */\n\
                 \t{label}: {label}@{address:x} {{\n\
                 \t\tcompatible = \"tmv,{label}-1.0\", \"generic-uio\";\n\
                 \t\tlinux,uio-name = \"{label}\";\n\
                 \t\treg = <{} {}>;\n\
                 \t\tinterrupt-parent = <&{}>;\n\
                 \t\tinterrupts = <0 {} 4>;\n\
                 \t\tclocks = <&{}>;\n\
                 \t}};\n",
                ps.cells(address),
                ps.cells(0x1000),
                ps.interrupt_parent,
                ps.spi.value + line as u32,
                ps.clock,
            )
        };
        self.design.registers.iter().map(node).collect::<Vec<_>>().join("\n")
    }

    /// The parameters of the wrapper, each as a name and a value.
    fn wrapper_parameters(&self) -> Vec<String> {
        let wrapper = String::from_utf8_lossy(&self.files["rtl/tmv_wrapper.v"]);
        let lines = wrapper.lines().filter_map(|line| line.trim().strip_prefix("parameter integer "));
        lines.map(|line| line.trim_end_matches(',').replace(" = ", " ")).collect()
    }

    /// Adds the checksums, in the format of `sha256sum`.
    fn add_checksums(&mut self) {
        let mut text = String::new();
        for (name, content) in &self.files {
            text += &format!("{}  {name}\n", hex::encode(Sha256::digest(content)));
        }
        self.add("SHA256SUMS", text);
    }

    /// Writes all files to `out`.
    ///
    /// # Errors
    /// If `out` cannot be written, or after Ctrl-C.
    pub fn write(&self, out: NewFolder) -> Result<(), Error> {
        for (name, content) in &self.files {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            let path = out.scratch().join(name);
            let folder = path.parent().unwrap_or(out.scratch());
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, content)).map_err(|e| out.failure(&e))?;
        }
        Ok(out.publish()?)
    }
}

/// The board of a name, for which there is a hand-off.
///
/// # Errors
/// [`Error::UnknownBoard`].
pub fn board(name: &str) -> Result<&'static Board, Error> {
    found(name).map(|(board, _)| board)
}

fn found(name: &str) -> Result<(&'static Board, &'static BoardData), Error> {
    let unknown = || Error::UnknownBoard { name: name.into(), known: names() };
    let data = DATA.board.iter().find(|b| b.name.eq_ignore_ascii_case(name)).ok_or_else(unknown)?;
    Ok((BOARDS.iter().find(|b| b.name == data.name).ok_or_else(unknown)?, data))
}

/// Version of the IP. Versions in Vivado have two numbers.
fn ip_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"))
}

/// The name of a file without its folder.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
