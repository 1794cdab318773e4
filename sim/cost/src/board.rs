//! Boards: number, width and clock of the ports, and the DRAM behind them.
//!
//! The data are in `boards.toml`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use zynq_memory::{ControllerPort, Dram, Timing};

/// A figure with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The figure.
    pub value: T,
    /// Source of the figure, or a text that begins with "assumed" or "fitted".
    pub source: String,
}

/// The properties that all devices of a family share.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Name of the family in Yosys.
    pub synthesis: String,
    /// Number of AXI ports to the DRAM.
    pub ports: Sourced<usize>,
    /// Width of a port in bits.
    pub port_bits: usize,
    /// Number of read commands that a port accepts.
    pub queue: Sourced<usize>,
    /// Bytes of read data a port buffers.
    pub fifo_bytes: Sourced<usize>,
    /// Nanoseconds from an accepted read address to its first beat, with an idle DRAM.
    pub latency_ns: Sourced<f64>,
    /// Ports of the DRAM controller.
    controller_ports: Vec<SharedPort>,
    /// Longest time in nanoseconds that a request waits for a bank while other requests still use the bank's open
    /// row.
    pub patience_ns: Sourced<f64>,
}

/// A port of the DRAM controller.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedPort {
    name: String,
    /// Indices of the AXI ports that share this controller port.
    ports: Vec<u32>,
    gb_per_s: Sourced<f64>,
}

/// A DRAM as its controller is programmed. Consecutive rows are in consecutive banks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ddr {
    /// Type, data rate, width and chips.
    pub kind: Sourced<String>,
    /// Peak rate of the data bus, in GB/s.
    pub peak_gb_per_s: f64,
    /// Share of the peak rate that column accesses to open rows reach.
    pub column_efficiency: Sourced<f64>,
    /// Number of banks, a power of two.
    pub banks: usize,
    /// Bytes of a row over all chips, a power of two.
    pub row_bytes: Sourced<u64>,
    /// tRC: shortest time between activations of two rows in the same bank.
    pub row_cycle_ns: f64,
    /// tRP + tRCD: time to close a row and to open another.
    pub row_change_ns: Sourced<f64>,
    /// Bus time lost in a turn from reads to writes, and in a turn from writes to reads.
    pub turnaround_ns: Sourced<[f64; 2]>,
    /// tREFI and tRFC: interval and length of a refresh.
    pub refresh_ns: Sourced<[f64; 2]>,
}

/// Resources of a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceBudget {
    /// Look-up tables.
    pub luts: u32,
    /// Flip-flops.
    pub ffs: u32,
    /// Block RAMs of 36 Kb.
    pub bram36: u32,
    /// UltraRAMs of 288 Kb.
    pub uram: u32,
    /// DSP slices.
    pub dsps: u32,
    /// Source of these figures.
    pub source: String,
}

/// A board that the unit is meant for.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Name of the board, as `--board` takes it.
    pub name: String,
    /// Part name of the device.
    pub part: String,
    /// The family of the device, with its ports.
    pub family: Family,
    /// Activation vectors of the unit for this board.
    pub vectors: usize,
    /// Groups of activation vectors that one pass over the weights serves in turn.
    pub groups: usize,
    /// Clock of the unit.
    pub clock_mhz: Sourced<f64>,
    /// Resources of the device.
    pub device: DeviceBudget,
    /// The measurement that the memory model agrees with; `None` if the model was not calibrated.
    pub calibrated: Option<String>,
    /// Other remarks on the board; may be empty.
    pub note: String,
    /// The lowest and the highest GB/s that such a memory has been observed to deliver.
    pub band_gb_per_s: [Sourced<f64>; 2],
    /// The DRAM of the processing system.
    pub ddr: Ddr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    family: HashMap<String, Family>,
    board: Vec<Entry>,
}

/// A board as `boards.toml` has it, with the name of its family.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    part: String,
    family: String,
    vectors: usize,
    groups: usize,
    clock_mhz: Sourced<f64>,
    device: DeviceBudget,
    calibrated: Option<String>,
    note: String,
    band_gb_per_s: [Sourced<f64>; 2],
    ddr: Ddr,
}

/// All boards. The first board is the default.
pub static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
    let File { family, board } = toml::from_str(include_str!("../boards.toml")).expect("boards.toml is tested");
    let resolve = |e: Entry| Board {
        family: family[&e.family].clone(),
        name: e.name,
        part: e.part,
        vectors: e.vectors,
        groups: e.groups,
        clock_mhz: e.clock_mhz,
        device: e.device,
        calibrated: e.calibrated,
        note: e.note,
        band_gb_per_s: e.band_gb_per_s,
        ddr: e.ddr,
    };
    board.into_iter().map(resolve).collect()
});

/// Latency of the ideal memory, in cycles.
const IDEAL_LATENCY: u64 = 40;

/// The timing of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryMode {
    /// Every beat is ready after a fixed latency. This mode judges the RTL alone.
    Ideal,
    /// The DRAM of the board. This mode is for projections.
    Ddr,
}

impl MemoryMode {
    /// The mode's name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ideal => "ideal",
            Self::Ddr => "ddr",
        }
    }
}

/// The DRAM behind the ports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DdrMode {
    /// The DRAM of the board, with rows, banks, bus turnarounds and refresh.
    Modelled,
    /// A DRAM that delivers a fixed rate in GB/s for any access pattern.
    Flat(f64),
}

impl Board {
    /// Finds a board by its name; upper and lower case are equal.
    ///
    /// # Errors
    /// A message that lists the names of all boards, if no board has this name.
    pub fn find(name: &str) -> Result<&'static Self, String> {
        let names = || BOARDS.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ");
        let unknown = || format!("no board is called \"{name}\"; boards are {} (--board help describes them)", names());
        BOARDS.iter().find(|b| b.name.eq_ignore_ascii_case(name)).ok_or_else(unknown)
    }

    /// Timing of the board's memory, in cycles of a unit with `ports` ports at `clock_mhz`. The processors read
    /// `ps_gb_per_s` GB/s at the same time.
    pub fn ddr_timing(&self, mode: DdrMode, ports: usize, clock_mhz: f64, ps_gb_per_s: f64) -> Timing {
        let (family, ddr) = (&self.family, &self.ddr);
        let cycles = |ns: f64| ns * clock_mhz / 1e3;
        let bytes_per_cycle = |gb_per_s: f64| gb_per_s * 1e3 / clock_mhz;
        let controller_ports = family.controller_ports.iter().map(|c| ControllerPort {
            name: c.name.clone(),
            ports: c.ports.iter().filter(|p| (**p as usize) < ports).fold(0, |bits, p| bits | 1 << p),
            bytes_per_cycle: bytes_per_cycle(c.gb_per_s.value),
        });
        let modelled = Dram {
            bytes_per_cycle: bytes_per_cycle(ddr.peak_gb_per_s * ddr.column_efficiency.value),
            fifo_bytes: family.fifo_bytes.value,
            controller_ports: controller_ports.filter(|c| c.ports != 0).collect(),
            banks: ddr.banks,
            row_bytes: ddr.row_bytes.value,
            row_cycle: cycles(ddr.row_cycle_ns),
            row_change: cycles(ddr.row_change_ns.value),
            patience: cycles(family.patience_ns.value),
            read_to_write: cycles(ddr.turnaround_ns.value[0]),
            write_to_read: cycles(ddr.turnaround_ns.value[1]),
            refresh_interval: cycles(ddr.refresh_ns.value[0]),
            refresh: cycles(ddr.refresh_ns.value[1]),
            ps_bytes_per_cycle: bytes_per_cycle(ps_gb_per_s),
        };
        let dram = match mode {
            DdrMode::Modelled => modelled,
            DdrMode::Flat(rate) => modelled.flat(bytes_per_cycle(rate)),
        };
        Timing { latency: cycles(family.latency_ns.value).round() as u64, queue: family.queue.value, dram: Some(dram) }
    }

    /// Timing of a memory without a bandwidth limit, to judge the RTL alone.
    pub fn ideal_timing() -> Timing {
        Timing::ideal(IDEAL_LATENCY)
    }

    /// The board's figures with their sources, one per line.
    pub fn sources(&self) -> Vec<String> {
        let (f, d, r) = (&self.family, &self.ddr, &self.device);
        let mut lines = Vec::from_iter((!self.note.is_empty()).then(|| self.note.clone()));
        lines.extend([
            format!("{}: {}", self.part, r.describe()),
            format!("{} ports of {} bits: {}", f.ports.value, f.port_bits, f.ports.source),
            format!("clock {} MHz: {}", self.clock_mhz.value, self.clock_mhz.source),
            format!("a port takes {} commands: {}", f.queue.value, f.queue.source),
            format!("a port buffers {} bytes: {}", f.fifo_bytes.value, f.fifo_bytes.source),
            format!("read latency {} ns: {}", f.latency_ns.value, f.latency_ns.source),
            format!("{}, {} GB/s: {}", d.kind.value, d.peak_gb_per_s, d.kind.source),
            format!("column accesses reach {} of that: {}", d.column_efficiency.value, d.column_efficiency.source),
            format!("{} banks, rows of {} bytes: {}", d.banks, d.row_bytes.value, d.row_bytes.source),
            format!("tRC {} ns, tRP + tRCD {} ns: {}", d.row_cycle_ns, d.row_change_ns.value, d.row_change_ns.source),
            format!("a request lets open rows pass for {} ns: {}", f.patience_ns.value, f.patience_ns.source),
            format!(
                "read to write {} ns, write to read {} ns: {}",
                d.turnaround_ns.value[0], d.turnaround_ns.value[1], d.turnaround_ns.source
            ),
            format!(
                "refresh every {} ns for {} ns: {}",
                d.refresh_ns.value[0], d.refresh_ns.value[1], d.refresh_ns.source
            ),
        ]);
        let port = |c: &SharedPort| format!("{} {} GB/s: {}", c.name, c.gb_per_s.value, c.gb_per_s.source);
        lines.extend(f.controller_ports.iter().map(port));
        let band = ["at least", "at most"].iter().zip(&self.band_gb_per_s);
        lines.extend(band.map(|(what, b)| format!("band: {what} {} GB/s: {}", b.value, b.source)));
        let calibrated = self.calibrated.as_deref().unwrap_or("nothing");
        lines.push(format!("memory agrees with: {calibrated}"));
        lines
    }
}

impl DeviceBudget {
    fn describe(&self) -> String {
        let Self { luts, ffs, bram36, uram, dsps, source } = self;
        format!("{luts} LUTs, {ffs} flip-flops, {bram36} block RAMs, {uram} UltraRAMs, {dsps} DSPs: {source}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_make_sense() {
        for board in BOARDS.iter() {
            let (family, ddr) = (&board.family, &board.ddr);
            let mut shared: Vec<u32> = family.controller_ports.iter().flat_map(|c| c.ports.clone()).collect();
            shared.sort_unstable();
            assert_eq!(shared, Vec::from_iter(0..family.ports.value as u32), "{}: each port once", board.name);
            assert!(ddr.banks.is_power_of_two() && ddr.row_bytes.value.is_power_of_two(), "{}", board.name);
            let [least, most] = board.band_gb_per_s.each_ref().map(|b| b.value);
            assert!(0.0 < least && least < most && most <= ddr.peak_gb_per_s, "{}: band", board.name);
            let lines = board.sources();
            assert!(lines.iter().all(|line| !line.ends_with(": ")), "{}: every figure has a source", board.name);
        }
    }
}
