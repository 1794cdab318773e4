//! The interface of a TMV unit: registers, shared memory and an interrupt.
//!
//! [`Device`] is all that the driver needs, so one driver runs over the functional model, the Verilated unit and,
//! later, a board. This module does not depend on operators or checkpoints.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error as StdError;
use core::fmt;
use core::ops::Range;

use crate::regs;

/// A unit and the memory it shares with the host.
///
/// # Caches
///
/// On Zynq the unit reads and writes memory beside the processor's caches. A device whose memory the processor caches
/// therefore implements [`to_device`](Device::to_device), [`from_device`](Device::from_device) and
/// [`barrier`](Device::barrier). By default they do nothing, which is right for a simulated device and for a coherent or
/// an uncached memory. The driver calls them in this order:
///
/// 1. `to_device` for weights, when they are loaded;
/// 2. `to_device` for all that a run uses: descriptors, activations, and also results, because a cache line that is
///    still dirty could be written over a result later;
/// 3. `barrier`, then the doorbell (`RING_TAIL`);
/// 4. the interrupt, then `barrier`;
/// 5. `from_device` for all that the run uses, then it reads records and results.
///
/// All ranges begin and end at multiples of 64 bytes, a cache line of every Zynq, or at the end of the memory. The
/// suite in `conformance` does so with the whole memory.
///
/// With u-dma-buf, for example, `to_device` writes the range to `sync_for_device`, `from_device` to `sync_for_cpu`, and
/// `barrier` is a DSB.
pub trait Device {
    /// Reads the 32-bit register at the byte offset `offset`.
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError>;

    /// Writes the 32-bit register at the byte offset `offset`.
    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError>;

    /// Physical address of the first byte of [`Device::memory`]; aligned to 4 KiB.
    fn memory_base(&self) -> u64;

    /// The memory shared by host and unit. The host must not access it while the unit is busy.
    fn memory(&mut self) -> &mut [u8];

    /// Makes visible to the unit what the host wrote to `range` of [`Device::memory`], in bytes: cleans the caches.
    fn to_device(&mut self, range: Range<usize>) -> Result<(), DeviceError> {
        let _ = range;
        Ok(())
    }

    /// Makes visible to the host what the unit wrote to `range` of [`Device::memory`], in bytes: invalidates the caches.
    /// What the host wrote there and did not pass to [`Device::to_device`] may be lost.
    #[expect(clippy::wrong_self_convention, reason = "the direction of the data, as in Linux' DMA_FROM_DEVICE")]
    fn from_device(&mut self, range: Range<usize>) -> Result<(), DeviceError> {
        let _ = range;
        Ok(())
    }

    /// Orders accesses: those before the call, to memory and to registers, are complete before any after it begins.
    fn barrier(&mut self) {}

    /// Waits until the interrupt line is high. Fails if the device gives up waiting.
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

    fn to_device(&mut self, range: Range<usize>) -> Result<(), DeviceError> {
        (**self).to_device(range)
    }

    fn from_device(&mut self, range: Range<usize>) -> Result<(), DeviceError> {
        (**self).from_device(range)
    }

    fn barrier(&mut self) {
        (**self).barrier();
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        (**self).wait_interrupt()
    }
}

/// An error between the host and a unit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The unit or the bus refused a register access.
    #[error("register {name} (offset {offset:#05x}): the {access} was refused")]
    Register {
        /// Offset of the register in bytes.
        offset: u32,
        /// Name of the register in the register map, or `unknown`.
        name: &'static str,
        /// `read` or `write`.
        access: &'static str,
    },
    /// The driver does not support this unit.
    #[error(
        "register {register}: expected {expected:#010x}, found {found:#010x}: this unit or version is not supported"
    )]
    WrongUnit {
        /// Name of the register.
        register: &'static str,
        /// Value that this driver expects.
        expected: u32,
        /// Value found.
        found: u32,
    },
    /// The unit stopped with an error code.
    #[error("the unit stopped with {name} ({meaning}) at address {address:#012x}, reported by {origin}")]
    Unit {
        /// Error code, `regs::ERR_*`.
        code: u8,
        /// Name of the error code.
        name: &'static str,
        /// Meaning of the error code.
        meaning: &'static str,
        /// The part of the unit that reported the error.
        origin: Origin,
        /// Address of the beat or descriptor.
        address: u64,
    },
    /// The unit signalled the end, but a descriptor has no completion record.
    #[error(
        "descriptor {index} has no completion record: expected status 0x80000000 and tag {tag}, found {found:#010x}"
    )]
    Incomplete {
        /// Number of the descriptor in the run.
        index: usize,
        /// Expected tag of the completion record.
        tag: u16,
        /// Status word found.
        found: u32,
    },
    /// The shared memory is too small.
    #[error("device memory: {what} needs {asked} bytes, but only {free} of {total} bytes are free")]
    OutOfMemory {
        /// Purpose of the memory.
        what: &'static str,
        /// Bytes requested.
        asked: usize,
        /// Bytes free.
        free: usize,
        /// Total bytes.
        total: usize,
    },
    /// An operator the unit cannot run.
    #[error("the unit cannot run this operator: {what} is {found}, but at most {limit} is allowed")]
    Unsupported {
        /// The quantity that exceeds a limit.
        what: &'static str,
        /// Value of the quantity.
        found: usize,
        /// Limit of the unit for the quantity.
        limit: usize,
    },
    /// A soft reset did not end.
    #[error(
        "the soft reset did not end within {polls} reads of STATUS, whose last value is {status:#010x}; bursts without \
         an answer: {outstanding}"
    )]
    ResetTimeout {
        /// Reads of STATUS.
        polls: u32,
        /// Value of the register STATUS.
        status: u32,
        /// The bursts that the unit waits for.
        outstanding: Outstanding,
    },
    /// The interrupt did not arrive in time.
    #[error("no interrupt within {cycles} cycles; STATUS reads {status:#010x}")]
    Timeout {
        /// Cycles waited.
        cycles: u64,
        /// Value of the register STATUS.
        status: u32,
    },
    /// The device itself failed: the simulator, a protocol checker or the bus.
    #[error(transparent)]
    Fault(#[from] Box<dyn StdError + Send + Sync>),
}

/// Bursts that a unit has requested and that are not complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Read bursts of the front end: descriptors and activations.
    pub front_end: u32,
    /// Read bursts of weights, for each port.
    pub ports: Vec<u32>,
    /// Write bursts.
    pub writes: u32,
}

impl fmt::Display for Outstanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "front end {}, ports {:?}, writes {}", self.front_end, self.ports, self.writes)
    }
}

/// The part of a unit that reports an error, as in the field SOURCE of the register ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The read port with this number.
    Port(u32),
    /// The result writer.
    Writer,
    /// The front end.
    FrontEnd,
}

impl Origin {
    /// Converts from the value of the field SOURCE.
    pub fn from_source(source: u32) -> Self {
        match source {
            regs::SOURCE_WRITER => Self::Writer,
            regs::SOURCE_FRONTEND => Self::FrontEnd,
            port => Self::Port(port),
        }
    }

    /// The value of the field SOURCE.
    pub fn source(self) -> u32 {
        match self {
            Self::Writer => regs::SOURCE_WRITER,
            Self::FrontEnd => regs::SOURCE_FRONTEND,
            Self::Port(port) => port,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer => f.write_str("the result writer"),
            Self::FrontEnd => f.write_str("the front end"),
            Self::Port(port) => write!(f, "port {port}"),
        }
    }
}

impl DeviceError {
    /// The error for a refused access to the register at `offset`. `access` is `read` or `write`.
    pub fn register(offset: u32, access: &'static str) -> Self {
        let name = regs::REGISTERS.iter().find(|r| r.1 == offset).map_or("unknown", |r| r.0);
        Self::Register { offset, name, access }
    }
}
