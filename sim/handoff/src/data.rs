//! Data of the boards that Vivado and Linux need: `constraints/boards.toml`.

use std::collections::HashMap;
use std::sync::LazyLock;

use cost::board::Sourced;
use serde::Deserialize;

const BOARD_DATA: &str = include_str!("../../../constraints/boards.toml");

/// Data of the boards that Vivado and Linux need.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    /// The processing systems by name.
    pub(crate) ps: HashMap<String, Ps>,
    pub(crate) board: Vec<BoardData>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ps {
    pub(crate) control: Sourced<u64>,
    pub(crate) spi: Sourced<u32>,
    /// The ports of memory for a vector unit, and the one for the core.
    pub(crate) system_ports: Sourced<Vec<String>>,
    pub(crate) cells: usize,
    /// Label of the interrupt controller, and the clock of the logic, in the device tree.
    pub(crate) interrupt_parent: String,
    pub(crate) clock: String,
    /// The clock in MHz of a hand-off that nobody names a clock for; without it, the clock of the board.
    pub(crate) clock_mhz: Option<Sourced<f64>>,
    /// The bitstream as bootgen's input names it.
    pub(crate) bif_file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoardData {
    pub(crate) name: String,
    pub(crate) ps: String,
    pub(crate) part: Sourced<String>,
    pub(crate) board_part: String,
    #[serde(default)]
    pub(crate) board_connections: String,
    /// Base and size of each range of the DRAM, in bytes.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares `memory` with it"))]
    pub(crate) dram: Sourced<Vec<[u64; 2]>>,
    pub(crate) memory: Memory,
    /// The same for a whole system, if it is not the same: 2B-4T with its output head is larger than what the core sees.
    pub(crate) system_memory: Option<Memory>,
}

/// The part of the memory that is reserved for the unit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    pub(crate) base: u64,
    pub(crate) bytes: u64,
}

impl Ps {
    /// An address or a size in cells of the device tree.
    pub(crate) fn cells(&self, value: u64) -> String {
        match self.cells {
            2 => format!("{:#x} {:#x}", value >> 32, value & 0xffff_ffff),
            _ => format!("{value:#x}"),
        }
    }
}

pub(crate) static DATA: LazyLock<Data> =
    LazyLock::new(|| toml::from_str(BOARD_DATA).expect("constraints/boards.toml is tested"));

/// The names of the boards that have a hand-off, separated by commas.
pub(crate) fn names() -> String {
    DATA.board.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use cost::board::BOARDS;

    use super::*;
    use crate::templates::PS;

    /// Linux can set the memory aside, and the memory is not in the way of anything else.
    fn the_memory_is_usable(data: &BoardData, memory: &Memory) {
        let (name, base, end) = (&data.name, memory.base, memory.base + memory.bytes);
        // CMA_MIN_ALIGNMENT_BYTES of a kernel with pages of 4 KiB is at most 4 MiB.
        assert_eq!((base % (4 << 20), end % (4 << 20)), (0, 0), "{name}: CMA needs multiples of 4 MiB");
        let dram = &data.dram.value;
        let range = dram.iter().find(|[from, bytes]| *from <= base && end <= from + bytes);
        let [from, bytes] = range.unwrap_or_else(|| panic!("{name}: the memory is not in the DRAM"));
        assert!(end <= 1 << 40, "{name}: the unit has 40 bits of address");
        // Arm's 32-bit kernel maps the first 760 MiB; an area that CMA manages must not be on both sides.
        const LOWMEM: u64 = 760 << 20;
        assert!(data.ps != "zynq" || end <= LOWMEM || base >= LOWMEM, "{name}: on both sides of {LOWMEM:#x}");
        if dram.len() > 1 {
            assert!(base >= 1 << 32, "{name}: the low memory is for Linux' own CMA area and for devices of 32 bits");
        }
        // At the end, so that what is left is one piece. The last MiB below 2 GiB is the firmware's, and 4 MiB go with it.
        let tail = if data.ps == "zynqmp" && from + bytes <= 1 << 31 { 4 << 20 } else { 0 };
        assert!(end + tail == from + bytes || from + bytes > LOWMEM && data.ps == "zynq", "{name}: not at the end");
    }

    #[test]
    fn the_data_fit_the_boards() {
        for board in BOARDS.iter() {
            let data = DATA.board.iter().find(|b| b.name == board.name);
            let data = data.unwrap_or_else(|| panic!("{}: constraints/boards.toml has no entry", board.name));
            let part = board.part.to_lowercase();
            assert!(data.part.value.starts_with(&part), "{}: {} is no {part}", board.name, data.part.value);
            the_memory_is_usable(data, &data.memory);
            if let Some(memory) = &data.system_memory {
                the_memory_is_usable(data, memory);
            }
            // The core sees the GiB in which the memory begins: what it needs of 2B-4T has 600 MB.
            let memory = data.system_memory.as_ref().unwrap_or(&data.memory);
            let seen = memory.bytes.min((1 << 30) - memory.base % (1 << 30));
            let needed = if data.system_memory.is_some() { 600_000_000 } else { memory.bytes };
            assert!(seen >= needed, "{}: the core sees {seen} bytes", board.name);
        }
        assert_eq!(DATA.board.len(), BOARDS.len());
        let (ps, lowest) = (&DATA.ps["zynqmp"], 1500.0 / 7.0);
        let clock = ps.clock_mhz.as_ref().map(|clock| clock.value);
        assert!(clock.is_some_and(|mhz| mhz > lowest && mhz < 1500.0 / 6.0), "the PLL must give the clock: {clock:?}");
        for data in &DATA.board {
            let kinds = (DATA.ps.contains_key(&data.ps), PS.iter().any(|texts| texts.name == data.ps));
            assert_eq!(kinds, (true, true), "{}: processing system {}", data.name, data.ps);
        }
    }
}
