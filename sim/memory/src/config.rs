//! The configuration of a memory.

use crate::faults::Faults;
use crate::timing::Timing;

/// The size and the behaviour of a memory.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryConfig {
    /// Physical address of the first byte.
    pub base: u64,
    /// Size in bytes.
    pub bytes: usize,
    /// Timing.
    pub timing: Timing,
    /// Probability, in units of 1/256, that a channel stalls in a cycle in which it could transfer; 0 for timing runs.
    pub stall: u8,
    /// Whether read beats of different IDs may interleave.
    pub interleave: bool,
    /// Whether READY stays low until VALID is high, as AXI allows.
    pub shy: bool,
    /// Whether written data becomes visible only with the response of its burst.
    pub late_writes: bool,
    /// Whether the slave takes write data before its address.
    pub data_first: bool,
    /// Seed of stalls, interleaving and the reads of the processors.
    pub seed: u64,
    /// Injected faults.
    pub faults: Faults,
}

impl MemoryConfig {
    /// A memory that does nothing unexpected: no stalls, no faults, everything in order; seed 1.
    pub fn plain(base: u64, bytes: usize, timing: Timing) -> Self {
        Self {
            base,
            bytes,
            timing,
            stall: 0,
            interleave: false,
            shy: false,
            late_writes: false,
            data_first: false,
            seed: 1,
            faults: Faults::default(),
        }
    }

    /// Whether the memory does nothing unexpected: no stalls, no faults, everything in order.
    pub(crate) fn is_plain(&self) -> bool {
        let unkind = self.interleave || self.shy || self.late_writes || self.data_first;
        self.stall == 0 && !unkind && self.faults == Faults::default()
    }
}
