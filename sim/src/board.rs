//! Boards: how many ports of what width at what clock, and what the DRAM behind them delivers.
//!
//! The memory profiles are first-order: shares of bandwidth and one latency, not calibrated against a board. Every
//! figure carries its source, or the word "assumed".

use crate::memory::{Limit, Timing};

/// A figure and where it is from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sourced<T> {
    /// The figure.
    pub value: T,
    /// Its source, or "assumed".
    pub source: &'static str,
}

/// A bandwidth that some ports share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// What they share.
    pub name: &'static str,
    /// The ports, one bit each; bits of ports the unit does not use have no effect.
    pub ports: u32,
    /// GB/s (10^9 bytes a second).
    pub gb_per_s: Sourced<f64>,
}

/// A board the unit is meant for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Board {
    /// What `--board` calls it.
    pub name: &'static str,
    /// The device on it.
    pub part: &'static str,
    /// AXI ports to the DRAM.
    pub ports: Sourced<usize>,
    /// Most ports the memory profile covers.
    pub max_ports: usize,
    /// Bits of a port.
    pub port_bits: usize,
    /// Activation vectors of the unit built for it.
    pub vectors: usize,
    /// Clock of the unit.
    pub clock_mhz: Sourced<f64>,
    /// From an accepted read address to its first beat.
    pub latency_ns: Sourced<f64>,
    /// Bandwidth lost at each turn between reads and writes.
    pub turnaround_ns: Sourced<f64>,
    /// Bandwidths, of single ports and of several.
    pub shares: &'static [Share],
    /// What else there is to know.
    pub note: &'static str,
}

const KV260_BENCH: &str =
    "measured on a KV260 at 250 MHz: github.com/MerlijnW70/bitnet-kv260, results/kria-ddr-results.txt";
const KV260_SUM: &str =
    "what 13.33 GB/s leaves beside HP0 and HP3 at 3.96 each; that HP1 and HP2 share one DDR controller port: UG1085";
const UG585: &str = "97% of 4.2 GB/s, sequential reads on four HP ports: UG585, DDR efficiency";

const KV260_SHARES: &[Share] = &[
    Share { name: "HP0", ports: 0b0001, gb_per_s: Sourced { value: 3.96, source: KV260_BENCH } },
    Share { name: "HP1", ports: 0b0010, gb_per_s: Sourced { value: 3.96, source: KV260_BENCH } },
    Share { name: "HP2", ports: 0b0100, gb_per_s: Sourced { value: 3.96, source: KV260_BENCH } },
    Share { name: "HP3", ports: 0b1000, gb_per_s: Sourced { value: 3.96, source: KV260_BENCH } },
    Share { name: "HP1+HP2", ports: 0b0110, gb_per_s: Sourced { value: 5.88, source: KV260_SUM } },
    Share { name: "DDR", ports: 0b1111, gb_per_s: Sourced { value: 13.33, source: KV260_BENCH } },
];

const PYNQ_SHARES: &[Share] = &[Share { name: "DDR", ports: 0b1111, gb_per_s: Sourced { value: 4.07, source: UG585 } }];

const KV260: Board = Board {
    name: "kv260",
    part: "XCK26 (Kria K26)",
    ports: Sourced { value: 4, source: "HP0 to HP3: UG1085" },
    max_ports: 4,
    port_bits: 128,
    vectors: 4,
    clock_mhz: Sourced { value: 250.0, source: "assumed; a published ternary engine closes timing there at 250 MHz" },
    latency_ns: Sourced { value: 240.0, source: "assumed" },
    turnaround_ns: Sourced { value: 0.0, source: "not modelled" },
    shares: KV260_SHARES,
    note: "",
};

/// All boards; the first is the default.
pub static BOARDS: [Board; 3] = [
    KV260,
    Board { name: "zcu104", part: "XCZU7EV", note: "clock and memory assumed like those of the kv260", ..KV260 },
    Board {
        name: "pynq-z2",
        part: "XC7Z020",
        ports: Sourced { value: 4, source: "HP0 to HP3, 64 bits: UG585" },
        port_bits: 64,
        vectors: 2,
        clock_mhz: Sourced { value: 150.0, source: "assumed; the port clock UG585 plans with" },
        latency_ns: Sourced {
            value: 370.0,
            source: "37 cycles at 100 MHz beside a busy CPU: github.com/ammrat13/pynqz2-ram-tester",
        },
        turnaround_ns: Sourced { value: 0.0, source: "not modelled" },
        shares: PYNQ_SHARES,
        ..KV260
    },
];

/// Latency of the ideal memory, in cycles.
const IDEAL_LATENCY: u64 = 40;

/// Which timing the memory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryMode {
    /// Every beat ready after a fixed latency: judges the RTL.
    Ideal,
    /// The board's bandwidth and latency, first-order: for projections.
    Ddr,
}

impl Board {
    /// The board of this name.
    ///
    /// # Errors
    /// A message with the names there are.
    pub fn find(name: &str) -> Result<&'static Self, String> {
        let names = || BOARDS.iter().map(|b| b.name).collect::<Vec<_>>().join(", ");
        let unknown = || format!("no board is called \"{name}\"; boards are {} (--board help describes them)", names());
        BOARDS.iter().find(|b| b.name.eq_ignore_ascii_case(name)).ok_or_else(unknown)
    }

    /// Timing of the board's memory in cycles of a unit with `ports` ports.
    pub fn timing(&self, mode: MemoryMode, ports: usize) -> Timing {
        let mut timing = Timing::ideal(IDEAL_LATENCY);
        if mode == MemoryMode::Ideal {
            return timing;
        }
        let mhz = self.clock_mhz.value;
        timing.latency = (self.latency_ns.value * mhz / 1e3).round() as u64;
        timing.turnaround = self.turnaround_ns.value * mhz / 1e3;
        let used = (1u32 << ports) - 1;
        let limits = self.shares.iter().map(|s| Limit {
            name: s.name,
            ports: s.ports & used,
            bytes_per_cycle: s.gb_per_s.value * 1e3 / mhz,
        });
        timing.limits = limits.filter(|l| l.ports != 0).collect();
        timing
    }

    /// Where the board's figures are from, a line each.
    pub fn sources(&self) -> Vec<String> {
        let mut lines = Vec::from_iter((!self.note.is_empty()).then(|| self.note.to_string()));
        lines.extend([
            format!("{} ports of {} bits: {}", self.ports.value, self.port_bits, self.ports.source),
            format!("clock {} MHz: {}", self.clock_mhz.value, self.clock_mhz.source),
            format!("read latency {} ns: {}", self.latency_ns.value, self.latency_ns.source),
            format!("read/write turnaround {} ns: {}", self.turnaround_ns.value, self.turnaround_ns.source),
        ]);
        lines
            .extend(self.shares.iter().map(|s| format!("{} {} GB/s: {}", s.name, s.gb_per_s.value, s.gb_per_s.source)));
        lines
    }
}
