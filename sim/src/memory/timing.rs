//! When the memory answers: the parameters. Times in cycles of the unit's clock, rates in bytes a cycle.

/// Timing of the memory behind the AXI ports.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Cycles from an accepted read address to its first beat, and from a last write beat to its response; with a
    /// DRAM, that of an idle one whose row is open.
    pub latency: u64,
    /// Read bursts that a port takes; more wait with ARREADY low.
    pub queue: usize,
    /// What is behind the ports. `None`: every port moves a beat a cycle.
    pub dram: Option<Dram>,
}

/// A DRAM and its controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Dram {
    /// Rate of the data bus.
    pub bytes_per_cycle: f64,
    /// Bytes of read data a port buffers; a burst is fetched when there is room for all of it.
    pub fifo_bytes: usize,
    /// The ports of the controller.
    pub controller_ports: Vec<ControllerPort>,
    /// Banks, a power of two.
    pub banks: usize,
    /// Bytes of a row, all chips, a power of two. Consecutive rows are in consecutive banks.
    pub row_bytes: u64,
    /// From the activation of a row to that of another in the same bank (tRC).
    pub row_cycle: f64,
    /// From the decision to change rows to the first column access (tRP + tRCD).
    pub row_change: f64,
    /// The longest a request waits because others keep finding their row open in its bank.
    pub patience: f64,
    /// Bus time lost from reads to writes.
    pub read_to_write: f64,
    /// Bus time lost from writes to reads.
    pub write_to_read: f64,
    /// From refresh to refresh (tREFI).
    pub refresh_interval: f64,
    /// Length of a refresh (tRFC); it closes all rows.
    pub refresh: f64,
    /// Reads of the processors: 64 bytes each, anywhere.
    pub ps_bytes_per_cycle: f64,
}

/// A port of the controller, which one or several AXI ports share.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerPort {
    /// What shares it, for reports.
    pub name: String,
    /// The AXI ports, one bit each.
    pub ports: u32,
    /// What it moves.
    pub bytes_per_cycle: f64,
}

impl Timing {
    /// Every beat ready, after `latency` cycles.
    pub fn ideal(latency: u64) -> Self {
        Self { latency, queue: 8, dram: None }
    }
}

impl Dram {
    /// One that moves `bytes_per_cycle` whatever comes.
    pub fn flat(self, bytes_per_cycle: f64) -> Self {
        let (row_bytes, banks) = (1 << 40, 1);
        let [row_cycle, row_change, read_to_write, write_to_read, refresh] = [0.0; 5];
        let rate = |port: ControllerPort| ControllerPort { bytes_per_cycle: f64::INFINITY, ..port };
        let controller_ports = self.controller_ports.into_iter().map(rate).collect();
        Self {
            bytes_per_cycle,
            row_bytes,
            banks,
            row_cycle,
            row_change,
            read_to_write,
            write_to_read,
            refresh,
            controller_ports,
            ..self
        }
    }
}
