//! What a hand-off is of: the ternary unit alone, or a whole system.

use cost::board::Board;
use register_map::{SEQUENCER, Source, UNIT, VECTOR};
use tmv::codec;
use tmv::config::UnitConfig;
use vector::VectorConfig;

use crate::data::{BoardData, DATA};
use crate::error::Error;
use crate::wrapper::{Interface, Master, Shape, Traffic};

/// Files of the RTL that say what a top does on its memory ports.
const PACKAGE: &str = "axi/tmv_axi_pkg.sv";
const WRITER: &str = "ternary/tmv_writer.sv";
const STORER: &str = "vector/tmv_vec_storer.sv";
const WINDOW: &str = "system/tmv_core_window.sv";
const CORE: &str = "system/tmv_sys_pkg.sv";

/// What a whole system has beside the ternary unit.
#[derive(Clone, Debug)]
pub struct SystemParts {
    /// The files of `tmv_system`, in order of use, relative to the folder of the RTL.
    pub rtl: Vec<String>,
    /// The core's own Verilog: its name in the folder, and its text.
    pub core: (String, Vec<u8>),
    /// The licence of the core.
    pub core_license: Vec<u8>,
    /// The package that has the core, as pip names it.
    pub core_package: String,
    /// The firmware: what the host writes into on-chip memory.
    pub firmware: Vec<u8>,
    /// The vector unit.
    pub vector: VectorConfig,
}

/// Registers on the bus, and the interrupt that goes with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    /// Where their map is from.
    pub(crate) source: Source,
    /// The begin of the names of their files.
    pub(crate) name: &'static str,
    /// Their address on the bus.
    pub(crate) base: u64,
    /// The interrupt of the wrapper.
    pub(crate) interrupt: &'static str,
}

/// The top, its files, registers and ports.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    /// Name of the top.
    pub(crate) top: &'static str,
    /// The file of the top, and all files in order of use, relative to the folder of the RTL.
    pub(crate) source: &'static str,
    pub(crate) files: Vec<String>,
    /// The registers, the ternary unit's first.
    pub(crate) registers: &'static [Registers],
    /// Bytes of all registers on the bus.
    pub(crate) control_bytes: u64,
    /// The ports of the processing system that the memory ports are connected to, by their names in `ps.tcl`.
    pub(crate) memory: Vec<String>,
    /// What a system has beside the ternary unit.
    pub(crate) system: Option<SystemParts>,
}

impl Design {
    /// The ternary unit alone.
    pub(crate) fn unit(board: &Board) -> Result<Self, Error> {
        Ok(Self {
            top: "tmv_unit",
            source: "ternary/tmv_unit.sv",
            files: rtl::listed(rtl::UNIT_LIST)?,
            registers: &[Registers { source: UNIT, name: "tmv", base: 0, interrupt: "irq" }],
            control_bytes: 0x1000,
            memory: hp_ports(board),
            system: None,
        })
    }

    /// A whole system.
    pub(crate) fn system(board: &Board, data: &BoardData, parts: &SystemParts) -> Self {
        let others = DATA.ps[&data.ps].system_ports.value.iter();
        // The last one is the core's.
        let vector = others.clone().take(parts.vector.ports);
        Self {
            top: "tmv_system",
            source: "system/tmv_system.sv",
            files: parts.rtl.clone(),
            registers: &[
                Registers { source: UNIT, name: "tmv", base: 0, interrupt: "ternary_irq" },
                Registers { source: VECTOR, name: "tmv_vec", base: 0x1000, interrupt: "vector_irq" },
                Registers { source: SEQUENCER, name: "tmv_seq", base: 0x2000, interrupt: "irq" },
            ],
            control_bytes: 0x4000,
            memory: hp_ports(board).into_iter().chain(vector.cloned()).chain(others.last().cloned()).collect(),
            system: Some(parts.clone()),
        }
    }

    /// What it is, for people.
    pub(crate) fn what(&self, unit: &UnitConfig) -> String {
        let UnitConfig { ports, port_bits, codec, .. } = unit;
        let ternary =
            format!("ternary matrix-vector unit with {ports} AXI ports of {port_bits} bits and codec {codec}");
        let Some(parts) = &self.system else { return format!("a {ternary}") };
        let lanes = parts.vector.lanes;
        format!("`tmv_system`: a {ternary}, a vector unit of {lanes} lanes, and a RISC-V core that drives both")
    }

    /// The values of the top's parameters, and its masters of the memory, on this board.
    pub(crate) fn shape(&self, interface: &Interface, board: &Board, unit: &UnitConfig) -> Result<Shape, Error> {
        let outstanding = number(self.source, "parameter", "Outstanding")?;
        let burst_beats = number(PACKAGE, "localparam", "BurstBeats")?;
        let master = |prefix, ports, reads, writes| {
            let traffic = Traffic { reads, writes, burst_beats };
            Master { prefix, ports, traffic, ordered: false }
        };
        let mut fixed = vec![("Ports", unit.ports), ("PortBits", unit.port_bits), ("Outstanding", outstanding)];
        let mut given = vec![
            ("Vectors", unit.vectors),
            ("Groups", unit.groups),
            ("Codec", codec::number(unit.codec) as usize),
            ("BankWords", unit.bank_words()),
            ("UltraRam", usize::from(board.device.uram > 0)),
        ];
        // The units leave this parameter of their writers at the default.
        let writes = number(WRITER, "parameter", "Outstanding")?;
        let masters = match &self.system {
            None => vec![master("m_axi_", unit.ports, outstanding, writes)],
            Some(parts) => {
                let VectorConfig { ports, lanes, words, accs, .. } = parts.vector;
                fixed.push(("VectorPorts", ports));
                given.extend([("Lanes", lanes), ("Words", words), ("Accs", accs)]);
                // Products of columns go into DSP blocks; the small devices are full without them.
                given.push(("Columns", usize::from(unit.port_bits == 128)));
                let stores = number(STORER, "parameter", "Outstanding")?;
                let vector = master("m_axi_vector_", ports, outstanding, stores);
                // The core waits for each line that it reads, and writes words.
                let mut core = master("m_axi_core_", 1, 1, number(WINDOW, "parameter", "Writes")?);
                core.traffic.burst_beats = 32 * number(CORE, "localparam", "LineWords")? / unit.port_bits;
                let ordered = self.memory.iter().any(|port| port == "acp");
                vec![master("m_axi_ternary_", unit.ports, outstanding, writes), Master { ordered, ..vector }, core]
            }
        };
        let mut parameters = Vec::new();
        for (name, default) in &interface.parameters {
            if fixed.iter().any(|(known, _)| known == name) {
                continue;
            }
            let given = given.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            let value = given.or_else(|| default.parse().ok()).ok_or_else(|| Error::NotUnderstood {
                path: rtl::dir().join(self.source),
                what: format!("parameter {name}: \"{default}\" is no number"),
            })?;
            parameters.push((name.clone(), value));
        }
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Shape { masters, port_bits: unit.port_bits, fixed, parameters })
    }
}

/// The names of the HP ports of a board, one for each port of the ternary unit.
fn hp_ports(board: &Board) -> Vec<String> {
    (0..board.family.ports.value).map(|port| format!("hp{port}")).collect()
}

/// Bits of an address.
pub(crate) fn address_bits() -> Result<usize, Error> {
    number(PACKAGE, "localparam", "AddrBits")
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
