//! Signals of the AXI channels.

/// Length of the longest burst in beats (AXI3).
pub const MAX_BURST: usize = 16;

/// Signals of a master on an address channel, as sampled before a clock edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// ARVALID or AWVALID.
    pub valid: bool,
    /// Byte address of the first beat.
    pub addr: u64,
    /// Number of beats minus one.
    pub len: u8,
    /// Transaction ID.
    pub id: u8,
}

/// Signals of a slave on a read data channel, to be applied before a clock edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadBeat {
    /// RVALID.
    pub valid: bool,
    /// Offset of the data in the memory, in bytes; `None` for an address outside the memory.
    pub offset: Option<usize>,
    /// The response: [`OKAY`], [`SLVERR`] or [`DECERR`].
    pub resp: u8,
    /// Whether this is the last beat of its burst.
    pub last: bool,
    /// Transaction ID.
    pub id: u8,
}

/// Response to a successful access.
pub const OKAY: u8 = 0;
/// Response if the slave failed.
pub const SLVERR: u8 = 2;
/// Response if there is no slave at the address.
pub const DECERR: u8 = 3;
