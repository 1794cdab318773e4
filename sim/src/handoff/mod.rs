//! A folder with which somebody who has Vivado builds the unit for a board: RTL, wrapper, Tcl, constraints, register
//! map, device tree, checksums.
//!
//! The templates are in `constraints/`. They are compiled in; the RTL is read from where [`rtl_dir`] finds it.

pub mod register_map;
pub mod wrapper;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use golden::Codec;
use host::device::codec_number;
use host::regs::MAP_HASH_VALUE;
use host::weight_cache::hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use self::register_map::RegisterMap;
use self::wrapper::Shape;
use crate::board::{BOARDS, Board, Sourced};
use crate::cli::HandoffArgs;
use crate::exit::{Exit, Failure, check_interrupt};
use crate::unit::{UnitConfig, rtl_dir};

const BOARD_DATA: &str = include_str!("../../../constraints/boards.toml");

/// Files that are the same for every board: name in the folder, text.
const PLAIN: &[(&str, &str)] = &[
    ("common.tcl", include_str!("../../../constraints/vivado/common.tcl")),
    ("package_ip.tcl", include_str!("../../../constraints/vivado/package_ip.tcl")),
    ("block_design.tcl", include_str!("../../../constraints/vivado/block_design.tcl")),
    ("build.tcl", include_str!("../../../constraints/vivado/build.tcl")),
    ("check/run.tcl", include_str!("../../../constraints/check/run.tcl")),
    ("check/stubs.tcl", include_str!("../../../constraints/check/stubs.tcl")),
    ("registers/tmv_regs.rs", include_str!("../../../host/src/regs.rs")),
    ("LICENSE-MIT", include_str!("../../../LICENSE-MIT")),
    ("LICENSE-APACHE", include_str!("../../../LICENSE-APACHE")),
    ("NOTICE", include_str!("../../../NOTICE")),
];

/// Templates whose `@NAME@` are replaced.
const TEMPLATES: &[(&str, &str)] = &[
    ("board.tcl", include_str!("../../../constraints/vivado/board.tcl")),
    ("tmv.xdc", include_str!("../../../constraints/vivado/tmv.xdc")),
    ("tmv.core", include_str!("../../../constraints/fusesoc/tmv.core")),
    ("README.md", include_str!("../../../constraints/README.handoff.md")),
];

/// Of each processing system: its name in the data, its Tcl, the template of its device tree.
const PS: &[(&str, &str, &str)] = &[
    (
        "zynqmp",
        include_str!("../../../constraints/vivado/ps_zynqmp.tcl"),
        include_str!("../../../constraints/linux/tmv_zynqmp.dtso"),
    ),
    (
        "zynq",
        include_str!("../../../constraints/vivado/ps_zynq.tcl"),
        include_str!("../../../constraints/linux/tmv_zynq.dtso"),
    ),
];

/// What Vivado and Linux have to know of boards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    /// By name.
    ps: HashMap<String, Ps>,
    board: Vec<BoardData>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ps {
    control: Sourced<u64>,
    spi: Sourced<u32>,
    cells: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardData {
    name: String,
    ps: String,
    part: Sourced<String>,
    board_part: String,
    #[serde(default)]
    board_connections: String,
    memory: Memory,
}

/// What is set aside for the unit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    base: u64,
    bytes: u64,
}

static DATA: LazyLock<Data> = LazyLock::new(|| toml::from_str(BOARD_DATA).expect("constraints/boards.toml is tested"));

/// Runs `handoff`.
///
/// # Errors
/// A usage error for an unknown board or a folder that holds something; an input file error for RTL that is missing or
/// not understood.
pub fn run(args: &HandoffArgs) -> Result<Exit, Failure> {
    let folder = Folder::new(&args.board, args.codec, args.clock_mhz)?;
    let out = args.out.as_deref().ok_or_else(|| Failure::usage("--out DIR is missing: where to write the folder"))?;
    folder.write(out)?;
    eprintln!(
        "{}: {} files for {} with Vivado; not run in Vivado. Read README.md there",
        out.display(),
        folder.files.len(),
        folder.board.name
    );
    Ok(Exit::Ok)
}

/// The boards there is a hand-off for.
fn names() -> String {
    DATA.board.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A hand-off: every file by its name in the folder.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The board it is for.
    pub board: &'static Board,
    /// The unit.
    pub unit: UnitConfig,
    /// Names, with `/`, and contents.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    /// The hand-off for a board; its clock is the board's if none is given.
    ///
    /// # Errors
    /// As [`run`].
    pub fn new(board: &str, codec: Codec, clock_mhz: Option<f64>) -> Result<Self, Failure> {
        let unknown = || Failure::usage(format!("--board: no board is called \"{board}\"; boards are {}", names()));
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
        folder.add_texts(data, clock_mhz.unwrap_or(board.clock_mhz.value));
        folder.add_checksums();
        Ok(folder)
    }

    fn add(&mut self, name: &str, text: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), text.into());
    }

    /// The files of the unit, what they include, and the wrapper.
    fn add_rtl(&mut self) -> Result<(), Failure> {
        let files = read_rtl("ternary/tmv_files.f")?;
        // One folder for all: a tool of others then needs one include path.
        let mut list = String::from("// Every file of the unit, in order of use.\n");
        for path in files.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
            let name = path.rsplit('/').next().unwrap_or(path);
            self.add(&format!("rtl/{name}"), read_rtl(path)?);
            list += &format!("{name}\n");
        }
        self.add("rtl/tmv_macros.svh", read_rtl("prim/tmv_macros.svh")?);
        self.add("rtl/tmv_files.f", list);

        let unit = read_rtl("ternary/tmv_unit.sv")?;
        let bad = |what: String| {
            Failure::new(Exit::InputFile, format!("{}: {what}", rtl_dir().join("ternary/tmv_unit.sv").display()))
        };
        let package = read_rtl("ternary/tmv_pkg.sv")?;
        let addr_bits = package.lines().find_map(|line| line.trim().strip_prefix("localparam int unsigned AddrBits ="));
        let addr_bits = addr_bits.and_then(|value| value.trim().trim_end_matches(';').parse().ok());
        let addr_bits = addr_bits.ok_or_else(|| bad("tmv_pkg.sv beside it does not say AddrBits".into()))?;
        let interface = wrapper::parse(&unit, addr_bits).map_err(bad)?;
        let mut parameters = Vec::new();
        for (name, default) in &interface.parameters {
            let value = match name.as_str() {
                "Ports" | "PortBits" => continue,
                "Vectors" => self.unit.vectors,
                "Groups" => self.unit.groups,
                "Codec" => codec_number(self.unit.codec),
                _ => default.parse().map_err(|_| bad(format!("parameter {name}: \"{default}\" is no number")))?,
            };
            parameters.push((name.clone(), value));
        }
        let shape = Shape { ports: self.unit.ports, port_bits: self.unit.port_bits, parameters };
        let text = interface.wrapper(&shape).map_err(bad)?;
        self.add("rtl/tmv_wrapper.v", text);
        Ok(())
    }

    fn add_registers(&mut self) -> Result<(), Failure> {
        let name = "ternary/registers.toml";
        let bad = |what: String| Failure::new(Exit::InputFile, format!("{}: {what}", rtl_dir().join(name).display()));
        let map = RegisterMap::parse(&read_rtl(name)?).map_err(bad)?;
        // The Rust form is compiled into this program.
        if map.hash != MAP_HASH_VALUE {
            return Err(bad(format!(
                "the map's hash is {:#010x}, and this program is built for {MAP_HASH_VALUE:#010x}: \
                 run `cargo run -p host --example regmap` and build it again",
                map.hash
            )));
        }
        self.add("registers/tmv_regs.h", map.c_header());
        self.add("registers/tmv_regs.json", map.json());
        let files = self.sources();
        self.add("registers/tmv_wrapper.xml", map.ip_xact(ip_version(), &files));
        Ok(())
    }

    /// What a tool has to read, in order.
    fn sources(&self) -> Vec<String> {
        let list = String::from_utf8_lossy(&self.files["rtl/tmv_files.f"]).into_owned();
        let unit = list.lines().map(str::trim).filter(|line| line.ends_with(".sv")).map(|line| format!("rtl/{line}"));
        unit.chain(["rtl/tmv_wrapper.v".into()]).collect()
    }

    fn add_texts(&mut self, data: &BoardData, clock_mhz: f64) {
        let ps = &DATA.ps[&data.ps];
        let (_, ps_tcl, dtso) =
            PS.iter().find(|(name, ..)| *name == data.ps).expect("constraints/boards.toml is tested");
        let wrapper = String::from_utf8_lossy(&self.files["rtl/tmv_wrapper.v"]).into_owned();
        let parameters: Vec<String> = wrapper
            .lines()
            .filter_map(|line| line.trim().strip_prefix("parameter integer "))
            .map(|line| line.trim_end_matches(',').replace(" = ", " "))
            .collect();
        let sv = self.sources().into_iter().filter(|name| name.ends_with(".sv"));
        let cells = |value: u64| match ps.cells {
            2 => format!("{:#x} {:#x}", value >> 32, value & 0xffff_ffff),
            _ => format!("{value:#x}"),
        };
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        values.insert("BOARD", self.board.name.clone());
        values.insert("PART", data.part.value.clone());
        values.insert("PART_SOURCE", data.part.source.clone());
        values.insert("BOARD_PART", data.board_part.clone());
        values.insert("BOARD_CONNECTIONS", data.board_connections.clone());
        values.insert("CLOCK_MHZ", clock_mhz.to_string());
        values.insert("CLOCK_SOURCE", self.board.clock_mhz.source.clone());
        values.insert("CLOCK_HZ", format!("{:.0}", clock_mhz * 1e6));
        values.insert("PERIOD_NS", format!("{:.3}", 1e3 / clock_mhz));
        values.insert("PORTS", self.unit.ports.to_string());
        values.insert("PORT_BITS", self.unit.port_bits.to_string());
        values.insert("PARAMETERS", parameters.join(" "));
        values.insert("CODEC", self.unit.codec.to_string());
        values.insert("IP_VERSION", ip_version().into());
        values.insert("VERSION", env!("CARGO_PKG_VERSION").into());
        values.insert("CONTROL_BASE", format!("{:#x}", ps.control.value));
        values.insert("CONTROL_UNIT", format!("{:x}", ps.control.value));
        values.insert("CONTROL_SOURCE", ps.control.source.clone());
        values.insert("CONTROL_REG", format!("{} {}", cells(ps.control.value), cells(0x1000)));
        values.insert("SPI", ps.spi.value.to_string());
        values.insert("SPI_SOURCE", ps.spi.source.clone());
        values.insert("MEMORY_UNIT", format!("{:x}", data.memory.base));
        values.insert("MEMORY_BASE", format!("{:#x}", data.memory.base));
        values.insert("MEMORY_MIB", (data.memory.bytes >> 20).to_string());
        values.insert("MEMORY_REG", format!("{} {}", cells(data.memory.base), cells(data.memory.bytes)));
        values.insert("MAP_HASH", format!("{MAP_HASH_VALUE:#010x}"));
        values.insert("RTL_LIST", sv.map(|name| format!("      - {name}")).collect::<Vec<_>>().join("\n"));
        PLAIN.iter().for_each(|(name, text)| self.add(name, *text));
        self.add("ps.tcl", *ps_tcl);
        for (name, text) in TEMPLATES.iter().chain([&("tmv.dtso", *dtso)]) {
            self.add(name, fill(text, &values));
        }
    }

    /// As `sha256sum` writes them.
    fn add_checksums(&mut self) {
        let mut text = String::new();
        for (name, content) in &self.files {
            writeln!(text, "{}  {name}", hex(Sha256::new_with_prefix(content))).expect("to a string");
        }
        self.add("SHA256SUMS", text);
    }

    /// Writes all of it as the folder `out`: under a temporary name beside it, renamed when it is complete.
    ///
    /// # Errors
    /// A usage error if `out` is there and not an empty folder, or cannot be written.
    pub fn write(&self, out: &Path) -> Result<(), Failure> {
        let failure = |what: &dyn std::fmt::Display| Failure::usage(format!("--out {}: {what}", out.display()));
        match fs::read_dir(out) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(failure(&"the folder is not empty; name one that is, or that is not there"));
                }
            }
            Err(_) if out.symlink_metadata().is_ok() => return Err(failure(&"that is not a folder")),
            Err(_) => {}
        }
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = |e: std::io::Error| failure(&format!("cannot write: {}", e.kind()));
        let temporary = tempfile::Builder::new().prefix(".sim-").tempdir_in(parent).map_err(cannot)?;
        // A folder of its own within: the temporary one is closed to other users.
        let folder = temporary.path().join("handoff");
        for (name, content) in &self.files {
            check_interrupt()?;
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&folder))
                .and_then(|()| fs::write(&path, content))
                .map_err(cannot)?;
        }
        fs::rename(&folder, out).map_err(cannot)
    }
}

/// Version of the IP: Vivado's have two numbers.
fn ip_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"))
}

fn read_rtl(name: &str) -> Result<String, Failure> {
    let path = rtl_dir().join(name);
    fs::read_to_string(&path).map_err(|e| {
        let why = format!("{}: {e}; is the RTL of the unit there? TMV_RTL_DIR names its folder", path.display());
        Failure::new(Exit::InputFile, why)
    })
}

/// Replaces every `@NAME@`.
fn fill(template: &str, values: &BTreeMap<&str, String>) -> String {
    values.iter().fold(template.to_string(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_fit_the_boards() {
        for board in BOARDS.iter() {
            let data = DATA.board.iter().find(|b| b.name == board.name);
            let data = data.unwrap_or_else(|| panic!("{}: constraints/boards.toml has no entry", board.name));
            let part = board.part.to_lowercase();
            assert!(data.part.value.starts_with(&part), "{}: {} is no {part}", board.name, data.part.value);
            assert_eq!((data.memory.base % 4096, data.memory.bytes % 4096), (0, 0), "{}: whole pages", board.name);
        }
        assert_eq!(DATA.board.len(), BOARDS.len());
        for data in &DATA.board {
            let kinds = (DATA.ps.contains_key(&data.ps), PS.iter().any(|(name, ..)| *name == data.ps));
            assert_eq!(kinds, (true, true), "{}: processing system {}", data.name, data.ps);
        }
    }
}
