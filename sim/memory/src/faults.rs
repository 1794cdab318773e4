//! Faults that can be injected into the memory.

/// A fault on a read beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// The beat has this response.
    Response(u8),
    /// RLAST is inverted: high before the last beat, or low on the last beat.
    FlipLast,
}

/// A fault on a write beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    /// This bit of the beat is flipped in the memory.
    FlipBit(u8),
    /// The data of the beat is lost, and its burst gets this response.
    Response(u8),
}

/// The faults, and when they occur. Beats are counted from power-up, separately for each port. Cycles are those of
/// the simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Fault on read beat `.1` of port `.0`.
    pub read: Option<(usize, u64, ReadFault)>,
    /// The port of the faults of writes.
    pub write_port: usize,
    /// Fault on write beat `.0`.
    pub write: Option<(u64, WriteFault)>,
    /// ARREADY of port `.0` stays low from cycle `.1` on.
    pub starve_read_address: Option<(usize, u64)>,
    /// RVALID of port `.0` stays low from cycle `.1` on.
    pub starve_read_data: Option<(usize, u64)>,
    /// AWREADY, WREADY and BVALID stay low from this cycle on.
    pub starve_write: Option<u64>,
}

impl Faults {
    pub(crate) fn read(&self, port: usize, beat: u64) -> Option<ReadFault> {
        self.read.filter(|(p, b, _)| *p == port && *b == beat).map(|(_, _, fault)| fault)
    }

    pub(crate) fn write(&self, port: usize, beat: u64) -> Option<WriteFault> {
        self.write.filter(|(b, _)| *b == beat && self.write_port == port).map(|(_, fault)| fault)
    }

    pub(crate) fn read_address_starved(&self, port: usize, cycle: u64) -> bool {
        self.starve_read_address.is_some_and(|(p, from)| p == port && cycle >= from)
    }

    pub(crate) fn read_data_starved(&self, port: usize, cycle: u64) -> bool {
        self.starve_read_data.is_some_and(|(p, from)| p == port && cycle >= from)
    }

    pub(crate) fn write_starved(&self, port: usize, cycle: u64) -> bool {
        self.starve_write.is_some_and(|from| self.write_port == port && cycle >= from)
    }
}
