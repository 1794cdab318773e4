//! Boards: how many ports of what width at what clock, and the DRAM behind them.
//!
//! The data are in `boards.toml`, beside this file.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::memory::{ControllerPort, Dram, Timing};

/// A figure and where it is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The figure.
    pub value: T,
    /// Its source, or "assumed", or "fitted".
    pub source: String,
}

/// What devices of a family have in common.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// What Yosys calls it.
    pub synthesis: String,
    /// AXI ports to the DRAM.
    pub ports: Sourced<usize>,
    /// Bits of a port.
    pub port_bits: usize,
    /// Read commands a port accepts.
    pub queue: Sourced<usize>,
    /// Bytes of read data a port buffers.
    pub fifo_bytes: Sourced<usize>,
    /// From an accepted read address to its first beat, the DRAM being idle.
    pub latency_ns: Sourced<f64>,
    /// Ports of the DRAM controller.
    controller_ports: Vec<SharedPort>,
    /// The longest a request waits because others keep finding their row open in its bank.
    pub patience_ns: Sourced<f64>,
}

/// A port of the DRAM controller.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedPort {
    name: String,
    /// The AXI ports that share it.
    ports: Vec<u32>,
    gb_per_s: Sourced<f64>,
}

/// A DRAM as its controller is programmed. Its rows follow each other through the banks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ddr {
    /// Type, rate, width and chips.
    pub kind: Sourced<String>,
    /// Rate of the data bus.
    pub peak_gb_per_s: f64,
    /// Share of it that column accesses to open rows reach.
    pub column_efficiency: Sourced<f64>,
    /// Banks, a power of two.
    pub banks: usize,
    /// Bytes of a row, all chips, a power of two.
    pub row_bytes: Sourced<u64>,
    /// tRC.
    pub row_cycle_ns: f64,
    /// tRP + tRCD.
    pub row_change_ns: Sourced<f64>,
    /// Bus time lost from reads to writes, and back.
    pub turnaround_ns: Sourced<[f64; 2]>,
    /// tREFI and tRFC.
    pub refresh_ns: Sourced<[f64; 2]>,
}

/// What a device has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceBudget {
    /// Look-up tables.
    pub luts: u32,
    /// Flip-flops.
    pub ffs: u32,
    /// Block RAMs of 36 Kb.
    pub bram36: u32,
    /// DSP slices.
    pub dsps: u32,
    /// Where that is from.
    pub source: String,
}

/// A board the unit is meant for.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// What `--board` calls it.
    pub name: String,
    /// The device on it.
    pub part: String,
    /// Its ports.
    pub family: Family,
    /// Activation vectors of the unit built for it.
    pub vectors: usize,
    /// Groups of them.
    pub groups: usize,
    /// Clock of the unit.
    pub clock_mhz: Sourced<f64>,
    /// What the device has.
    pub device: DeviceBudget,
    /// The measurement that the memory agrees with.
    pub calibrated: Option<String>,
    /// What else there is to know.
    pub note: String,
    /// The least and the most that such a memory has been seen to deliver.
    pub band_gb_per_s: [Sourced<f64>; 2],
    /// The DRAM.
    pub ddr: Ddr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    family: HashMap<String, Family>,
    board: Vec<Entry>,
}

/// A board as the file has it: its family by name.
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

/// All boards; the first is the default.
pub static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
    let File { family, board } = toml::from_str(include_str!("boards.toml")).expect("boards.toml is tested");
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

/// Which timing the memory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryMode {
    /// Every beat ready after a fixed latency: judges the RTL.
    Ideal,
    /// The board's DRAM: for projections.
    Ddr,
}

/// The DRAM that a board is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DdrMode {
    /// The board's, with rows, banks, turns and refresh.
    Modelled,
    /// One that delivers so many GB/s whatever comes.
    Flat(f64),
}

impl Board {
    /// The board of this name.
    ///
    /// # Errors
    /// A message with the names there are.
    pub fn find(name: &str) -> Result<&'static Self, String> {
        let names = || BOARDS.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ");
        let unknown = || format!("no board is called \"{name}\"; boards are {} (--board help describes them)", names());
        BOARDS.iter().find(|b| b.name.eq_ignore_ascii_case(name)).ok_or_else(unknown)
    }

    /// The board's memory in cycles of a unit with `ports` ports at `clock_mhz`. The processors read `ps_gb_per_s`.
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

    /// A memory without limits, to judge the RTL.
    pub fn ideal_timing() -> Timing {
        Timing::ideal(IDEAL_LATENCY)
    }

    /// Where the board's figures are from, a line each.
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
        let Self { luts, ffs, bram36, dsps, source } = self;
        format!("{luts} LUTs, {ffs} flip-flops, {bram36} block RAMs, {dsps} DSPs: {source}")
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
