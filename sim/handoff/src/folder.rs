//! The files of a hand-off, and how they are written.

use std::collections::BTreeMap;
use std::fs;

use cost::board::{BOARDS, Board, Sourced};
use golden::Codec;
use program::folder::NewFolder;
use program::interrupt::interrupted;
use register_map::RegisterMap;
use sha2::{Digest, Sha256};
use tmv::codec;
use tmv::config::UnitConfig;
use tmv::regs::MAP_HASH_VALUE;

use crate::data::{BoardData, DATA, names};
use crate::error::Error;
use crate::templates::{PLAIN, PS, TEMPLATES, fill};
use crate::wrapper::{self, FIXED, Interface, Shape, Traffic};

/// Files of the RTL that a hand-off reads: the top module of the unit, the register map, the package of bus types, and
/// the module that writes results.
const UNIT: &str = "ternary/tmv_unit.sv";
const MAP: &str = "ternary/registers.toml";
const PACKAGE: &str = "axi/tmv_axi_pkg.sv";
const WRITER: &str = "ternary/tmv_writer.sv";

/// A hand-off: all files, by their names in the folder.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The board that the hand-off is for.
    pub board: &'static Board,
    /// The configuration of the unit.
    pub unit: UnitConfig,
    /// The content of each file, by its path in the folder with `/`.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    /// Makes the hand-off for a board. `clock_mhz` is the clock of the unit; `None` means the clock that
    /// `constraints/boards.toml` names for hand-offs.
    ///
    /// # Errors
    /// If the board is unknown, or if a file of the RTL is missing or cannot be understood.
    pub fn new(board: &str, codec: Codec, clock_mhz: Option<f64>) -> Result<Self, Error> {
        let unknown = || Error::UnknownBoard { name: board.into(), known: names() };
        let data = DATA.board.iter().find(|b| b.name.eq_ignore_ascii_case(board)).ok_or_else(unknown)?;
        let board = BOARDS.iter().find(|b| b.name == data.name).ok_or_else(unknown)?;
        let unit = UnitConfig {
            ports: board.family.ports.value,
            port_bits: board.family.port_bits,
            vectors: board.vectors,
            groups: board.groups,
            codec,
        };
        let mut folder = Self { board, unit, files: BTreeMap::new() };
        folder.add_rtl()?;
        folder.add_registers()?;
        folder.add_texts(data, clock_mhz);
        folder.add_checksums();
        Ok(folder)
    }

    fn add(&mut self, name: &str, text: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), text.into());
    }

    /// Adds the files of the unit, the files that they include, and the wrapper.
    fn add_rtl(&mut self) -> Result<(), Error> {
        // All files are in one folder, so that other tools need only one include path.
        let mut list = String::from("// Every file of the unit, in order of use.\n");
        for path in rtl::listed(rtl::UNIT_LIST)? {
            let name = file_name(&path);
            self.add(&format!("rtl/{name}"), rtl::read(&path)?);
            list += &format!("{name}\n");
        }
        for path in rtl::HEADERS {
            self.add(&format!("rtl/{}", file_name(path)), rtl::read(path)?);
        }
        self.add("rtl/tmv_files.f", list);

        let bad = |what: String| Error::NotUnderstood { path: rtl::dir().join(UNIT), what };
        let interface = wrapper::parse(&rtl::read(UNIT)?, number(PACKAGE, "localparam", "AddrBits")?).map_err(bad)?;
        let shape = self.shape(&interface)?;
        let text = interface.wrapper(&shape).map_err(bad)?;
        self.add("rtl/tmv_wrapper.v", text);
        Ok(())
    }

    /// The values of the unit's parameters on this board.
    fn shape(&self, interface: &Interface) -> Result<Shape, Error> {
        let mut parameters = Vec::new();
        for (name, default) in &interface.parameters {
            let value = match name.as_str() {
                fixed if FIXED.contains(&fixed) => continue,
                "Vectors" => self.unit.vectors,
                "Groups" => self.unit.groups,
                "Codec" => codec::number(self.unit.codec) as usize,
                "BankWords" => self.unit.bank_words(),
                "UltraRam" => usize::from(self.board.device.uram > 0),
                _ => default.parse().map_err(|_| Error::NotUnderstood {
                    path: rtl::dir().join(UNIT),
                    what: format!("parameter {name}: \"{default}\" is no number"),
                })?,
            };
            parameters.push((name.clone(), value));
        }
        let traffic = Traffic {
            reads: number(UNIT, "parameter", "Outstanding")?,
            // The unit leaves this parameter of its writer at the default.
            writes: number(WRITER, "parameter", "Outstanding")?,
            burst_beats: number(PACKAGE, "localparam", "BurstBeats")?,
        };
        Ok(Shape { ports: self.unit.ports, port_bits: self.unit.port_bits, traffic, parameters })
    }

    /// Adds the register map in the formats for other programs.
    fn add_registers(&mut self) -> Result<(), Error> {
        let bad = |what: String| Error::NotUnderstood { path: rtl::dir().join(MAP), what };
        let map = RegisterMap::parse(&rtl::read(MAP)?).map_err(bad)?;
        // The Rust form of the map is compiled into this program.
        if map.hash != MAP_HASH_VALUE {
            return Err(bad(format!(
                "the map's hash is {:#010x}, and this program is built for {MAP_HASH_VALUE:#010x}: \
                 run `cargo run -p register_map` and build it again",
                map.hash
            )));
        }
        self.add("registers/tmv_regs.h", register_map::c::header(&map));
        self.add("registers/tmv_regs.json", register_map::json::document(&map));
        let files: Vec<String> = self.headers().map(String::from).chain(self.sources()).collect();
        let component = register_map::ip_xact::component(&map, ip_version(), &files);
        self.add("registers/tmv_wrapper.xml", component);
        Ok(())
    }

    /// The headers that the source files include.
    fn headers(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|name| name.ends_with(".svh"))
    }

    /// The source files that a tool has to read, in order.
    fn sources(&self) -> Vec<String> {
        let list = String::from_utf8_lossy(&self.files["rtl/tmv_files.f"]).into_owned();
        let unit = list.lines().map(str::trim).filter(|line| line.ends_with(".sv")).map(|line| format!("rtl/{line}"));
        unit.chain(["rtl/tmv_wrapper.v".into()]).collect()
    }

    /// Adds scripts, constraints and documents.
    fn add_texts(&mut self, data: &BoardData, clock_mhz: Option<f64>) {
        let texts = PS.iter().find(|texts| texts.name == data.ps).expect("constraints/boards.toml is tested");
        let given = clock_mhz.map(|value| Sourced { value, source: "given by --clock-mhz".into() });
        let clock = given.as_ref().or(DATA.ps[&data.ps].clock_mhz.as_ref()).unwrap_or(&self.board.clock_mhz);
        let values = self.values(data, clock);
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
        let cells = |value: u64| match ps.cells {
            2 => format!("{:#x} {:#x}", value >> 32, value & 0xffff_ffff),
            _ => format!("{value:#x}"),
        };
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
            ("PORTS", self.unit.ports.to_string()),
            ("PORT_BITS", self.unit.port_bits.to_string()),
            ("PARAMETERS", self.wrapper_parameters().join(" ")),
            ("CODEC", self.unit.codec.to_string()),
            ("IP_VERSION", ip_version().into()),
            ("VERSION", env!("CARGO_PKG_VERSION").into()),
            ("CONTROL_BASE", format!("{:#x}", ps.control.value)),
            ("CONTROL_UNIT", format!("{:x}", ps.control.value)),
            ("CONTROL_SOURCE", ps.control.source.clone()),
            ("CONTROL_REG", format!("{} {}", cells(ps.control.value), cells(0x1000))),
            ("SPI", ps.spi.value.to_string()),
            ("SPI_SOURCE", ps.spi.source.clone()),
            ("MEMORY_UNIT", format!("{:x}", data.memory.base)),
            ("MEMORY_BASE", format!("{:#x}", data.memory.base)),
            ("MEMORY_MIB", (data.memory.bytes >> 20).to_string()),
            ("MEMORY_REG", format!("{} {}", cells(data.memory.base), cells(data.memory.bytes))),
            ("BUFFER_SIZE", cells(data.memory.bytes)),
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
                    .filter(|name| name.ends_with(".sv"))
                    .map(|name| format!("      - {name}"))
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
        ])
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

/// Version of the IP. Versions in Vivado have two numbers.
fn ip_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"))
}

/// The number that a file of the RTL gives to a constant. `kind` is `parameter` or `localparam`.
fn number(file: &str, kind: &str, name: &str) -> Result<usize, Error> {
    let text = rtl::read(file)?;
    let declared = format!("{kind} int unsigned {name} =");
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let value = lines.find_map(|line| line.strip_prefix(&declared).map(String::from));
    let value = value.and_then(|value| value.trim().trim_end_matches([';', ',']).parse().ok());
    let what = format!("it does not say \"{declared} NUMBER\"");
    value.ok_or_else(|| Error::NotUnderstood { path: rtl::dir().join(file), what })
}

/// The name of a file without its folder.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
