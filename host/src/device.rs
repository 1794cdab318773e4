//! What a TMV unit looks like from the host: registers, shared memory and an interrupt.
//!
//! [`Device`] is the whole of what the driver needs, so one driver runs over the functional model, the Verilated
//! unit and, later, a board. Nothing here knows about operators or checkpoints.

use std::error::Error as StdError;

use crate::regs;

/// A unit and the memory it shares with the host.
pub trait Device {
    /// Reads the 32-bit register at `offset` bytes.
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError>;

    /// Writes the 32-bit register at `offset` bytes.
    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError>;

    /// Physical address of the first byte of [`Device::memory`]; aligned to 4 KiB.
    fn memory_base(&self) -> u64;

    /// The memory that host and unit share. Not to be touched while the unit is busy.
    fn memory(&mut self) -> &mut [u8];

    /// Waits until the interrupt line is high.
    fn wait_interrupt(&mut self) -> Result<(), DeviceError>;
}

impl<D: Device + ?Sized> Device for &mut D {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        (**self).read_register(offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        (**self).write_register(offset, value)
    }

    fn memory_base(&self) -> u64 {
        (**self).memory_base()
    }

    fn memory(&mut self) -> &mut [u8] {
        (**self).memory()
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        (**self).wait_interrupt()
    }
}

/// What can go wrong between the host and a unit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// A register access was refused.
    #[error("register {name} (offset {offset:#05x}): {access} answered with SLVERR")]
    Register {
        /// Offset in bytes.
        offset: u32,
        /// Name in the register map, or `unknown`.
        name: &'static str,
        /// `read` or `write`.
        access: &'static str,
    },
    /// The unit is not one this driver knows.
    #[error(
        "register {register} reads {found:#010x} where this driver expects {expected:#010x}: another unit or another version"
    )]
    WrongUnit {
        /// Name of the register.
        register: &'static str,
        /// Value this driver was built for.
        expected: u32,
        /// Value found.
        found: u32,
    },
    /// The unit stopped with an error code.
    #[error("the unit stopped with {name} ({meaning}) at address {address:#012x}, reported by {origin}")]
    Unit {
        /// Error code, `regs::ERR_*`.
        code: u8,
        /// Its name.
        name: &'static str,
        /// Its meaning.
        meaning: &'static str,
        /// `port N`, `the result writer` or `the front end`.
        origin: String,
        /// Address of the beat or descriptor.
        address: u64,
    },
    /// A descriptor was not completed although the unit signalled the end.
    #[error(
        "descriptor {index} carries no completion record: expected status 0x80000000 and tag {tag}, found {found:#010x}"
    )]
    Incomplete {
        /// Number of the descriptor in its run.
        index: usize,
        /// Tag it should carry.
        tag: u16,
        /// Status word found.
        found: u32,
    },
    /// The shared memory is too small.
    #[error("device memory: {asked} bytes asked for {what}, {free} of {total} free")]
    OutOfMemory {
        /// What the memory was for.
        what: &'static str,
        /// Bytes asked for.
        asked: usize,
        /// Bytes free.
        free: usize,
        /// Bytes in all.
        total: usize,
    },
    /// An operator the unit cannot run.
    #[error("the unit cannot run this operator: {what} is {found}, at most {limit} allowed")]
    Unsupported {
        /// The quantity.
        what: &'static str,
        /// Its value.
        found: usize,
        /// The unit's limit.
        limit: usize,
    },
    /// The interrupt did not come.
    #[error("no interrupt within {cycles} cycles; STATUS reads {status:#010x}")]
    Timeout {
        /// Cycles waited.
        cycles: u64,
        /// The register STATUS.
        status: u32,
    },
    /// The device itself failed: simulator, protocol checker, bus.
    #[error(transparent)]
    Fault(#[from] Box<dyn StdError + Send + Sync>),
}

impl DeviceError {
    /// The error for a register access answered with SLVERR.
    pub fn register(offset: u32, access: &'static str) -> Self {
        let name = regs::REGISTERS.iter().find(|r| r.1 == offset).map_or("unknown", |r| r.0);
        Self::Register { offset, name, access }
    }
}

/// What a unit says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitInfo {
    /// AXI read ports.
    pub ports: usize,
    /// Bytes of a beat.
    pub port_bytes: usize,
    /// Activation vectors served at the full rate of the weights.
    pub vectors: usize,
    /// Groups of them that a pass over the weights serves in turn.
    pub groups: usize,
    /// Weight codec.
    pub codec: golden::Codec,
    /// Words of an activation bank.
    pub bank_words: usize,
}

impl UnitInfo {
    /// Reads and checks the identity registers.
    pub fn read<D: Device + ?Sized>(device: &mut D) -> Result<Self, DeviceError> {
        for (register, offset, expected) in [
            ("ID", regs::ID, ID),
            ("VERSION", regs::VERSION, regs::MAP_VERSION),
            ("MAP_HASH", regs::MAP_HASH, regs::MAP_HASH_VALUE),
        ] {
            let found = device.read_register(offset)?;
            if found != expected {
                return Err(DeviceError::WrongUnit { register, expected, found });
            }
        }
        let param0 = device.read_register(regs::PARAM0)?;
        let param1 = device.read_register(regs::PARAM1)?;
        let field = |value: u32, mask: u32| ((value & mask) >> mask.trailing_zeros()) as usize;
        let codec = field(param0, regs::PARAM0_CODEC);
        let number = codec;
        let codec = golden::Codec::ALL.into_iter().find(|c| codec_number(*c) == number);
        let unknown = || DeviceError::Unsupported { what: "the codec number", found: number, limit: 1 };
        Ok(Self {
            ports: field(param0, regs::PARAM0_PORTS),
            port_bytes: field(param0, regs::PARAM0_PORT_BYTES),
            vectors: field(param0, regs::PARAM0_VECTORS),
            groups: field(param0, regs::PARAM0_GROUPS),
            codec: codec.ok_or_else(unknown)?,
            bank_words: field(param1, regs::PARAM1_BANK_WORDS),
        })
    }

    /// Weights of a beat.
    pub fn lanes(&self) -> usize {
        self.codec.lanes_per_beat(self.port_bytes)
    }

    /// Most tokens of a pass over the weights.
    pub fn max_tokens(&self) -> usize {
        self.vectors * self.groups
    }

    /// Longest row of weights.
    pub fn max_in_features(&self) -> usize {
        self.bank_words * self.lanes()
    }
}

/// The value of PARAM0.CODEC and of the unit's parameter `Codec` for a codec.
pub fn codec_number(codec: golden::Codec) -> usize {
    match codec {
        golden::Codec::WeightsBase3 => 1,
        _ => 0,
    }
}

/// `TMV1`, the value of the register ID.
pub const ID: u32 = 0x544D_5631;

/// Performance counters of one port, since they were last cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PortCounters {
    /// Cycles in which a weight beat met a word of activations.
    pub busy: u32,
    /// Cycles spent waiting for weights.
    pub stall_data: u32,
    /// Cycles spent waiting for activations.
    pub stall_x: u32,
    /// Cycles spent waiting for the previous result to be collected.
    pub stall_result: u32,
    /// Read beats received.
    pub beats: u32,
    /// Read bursts issued.
    pub bursts: u32,
}

impl PortCounters {
    /// Reads the counters of port `port`.
    pub fn read<D: Device + ?Sized>(device: &mut D, port: usize) -> Result<Self, DeviceError> {
        let mut at = |register: u32| device.read_register(register + port as u32 * regs::PORT_BUSY_STRIDE);
        Ok(Self {
            busy: at(regs::PORT_BUSY)?,
            stall_data: at(regs::PORT_STALL_DATA)?,
            stall_x: at(regs::PORT_STALL_X)?,
            stall_result: at(regs::PORT_STALL_RESULT)?,
            beats: at(regs::PORT_BEATS)?,
            bursts: at(regs::PORT_BURSTS)?,
        })
    }

    /// Cycles spent waiting, whatever for.
    pub fn stalls(&self) -> u64 {
        u64::from(self.stall_data) + u64::from(self.stall_x) + u64::from(self.stall_result)
    }
}
