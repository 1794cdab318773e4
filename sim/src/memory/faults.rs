//! Faults the memory can commit on purpose.

/// A fault on a read beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// Answer with this response.
    Response(u8),
    /// RLAST early, or missing on the last beat.
    FlipLast,
}

/// A fault on a write beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    /// Flip this bit of the data in memory.
    FlipBit(u8),
    /// Lose the data, and answer the burst this beat belongs to with this response.
    Response(u8),
}

/// When to misbehave. Beats are counted from power-up, per port; cycles are those of the simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Fault on read beat `.1` of port `.0`.
    pub read: Option<(usize, u64, ReadFault)>,
    /// Fault on write beat `.0`.
    pub write: Option<(u64, WriteFault)>,
    /// ARREADY of port `.0` stays low from cycle `.1` on.
    pub starve_read_address: Option<(usize, u64)>,
    /// RVALID of port `.0` stays low from cycle `.1` on.
    pub starve_read_data: Option<(usize, u64)>,
    /// The write channels stop from this cycle on.
    pub starve_write: Option<u64>,
}

impl Faults {
    pub(super) fn read(&self, port: usize, beat: u64) -> Option<ReadFault> {
        self.read.filter(|(p, b, _)| *p == port && *b == beat).map(|(_, _, fault)| fault)
    }

    pub(super) fn write(&self, beat: u64) -> Option<WriteFault> {
        self.write.filter(|(b, _)| *b == beat).map(|(_, fault)| fault)
    }

    pub(super) fn read_address_starved(&self, port: usize, cycle: u64) -> bool {
        self.starve_read_address.is_some_and(|(p, from)| p == port && cycle >= from)
    }

    pub(super) fn read_data_starved(&self, port: usize, cycle: u64) -> bool {
        self.starve_read_data.is_some_and(|(p, from)| p == port && cycle >= from)
    }

    pub(super) fn write_starved(&self, cycle: u64) -> bool {
        self.starve_write.is_some_and(|from| cycle >= from)
    }
}
