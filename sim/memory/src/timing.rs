//! Timing parameters of the memory. Times are in cycles of the unit's clock, rates in bytes per cycle.

/// Timing of the memory behind the AXI ports.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Cycles from an accepted read address to its first beat, and from the last write beat to its response. With a
    /// DRAM, this is the latency if the DRAM is idle and the row is open.
    pub latency: u64,
    /// Number of read or write bursts in the queue of a port. While the queue is full, ARREADY or AWREADY is low.
    pub queue: usize,
    /// The DRAM behind the ports. If `None`, every port moves one beat per cycle.
    pub dram: Option<Dram>,
}

/// A DRAM and its controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Dram {
    /// Rate of the data bus, in bytes per cycle.
    pub bytes_per_cycle: f64,
    /// Size of the read buffer of a port, in bytes. A burst is fetched when the buffer has room for all of it.
    pub fifo_bytes: usize,
    /// The ports of the controller.
    pub controller_ports: Vec<ControllerPort>,
    /// Number of banks, a power of two.
    pub banks: usize,
    /// Size of a row over all chips, in bytes, a power of two. Consecutive rows are in consecutive banks.
    pub row_bytes: u64,
    /// Cycles from the activation of a row to the activation of another row in the same bank (tRC).
    pub row_cycle: f64,
    /// Cycles from the decision to change rows to the first column access (tRP + tRCD).
    pub row_change: f64,
    /// The longest time that a request waits for its bank while other requests still use the open row, in cycles.
    pub patience: f64,
    /// Bus time that is lost when the bus turns from reads to writes, in cycles.
    pub read_to_write: f64,
    /// Bus time that is lost when the bus turns from writes to reads, in cycles.
    pub write_to_read: f64,
    /// Cycles from one refresh to the next (tREFI).
    pub refresh_interval: f64,
    /// Length of a refresh in cycles (tRFC). A refresh closes all rows.
    pub refresh: f64,
    /// Rate of the reads of the processors, in bytes per cycle. Each read is 64 bytes at a random place.
    pub ps_bytes_per_cycle: f64,
}

/// A port of the controller, which one or several AXI ports share.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerPort {
    /// The names of the AXI ports that share it, for reports.
    pub name: String,
    /// The AXI ports that share it, one bit each.
    pub ports: u32,
    /// Rate of the port, in bytes per cycle.
    pub bytes_per_cycle: f64,
}

impl Timing {
    /// An ideal memory: every beat is ready after `latency` cycles.
    pub fn ideal(latency: u64) -> Self {
        Self { latency, queue: 8, dram: None }
    }
}

impl Dram {
    /// Changes the DRAM such that it moves `bytes_per_cycle` for any sequence of accesses.
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
