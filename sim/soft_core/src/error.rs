//! Errors of a simulated core.

use std::fmt;

use testbench::SimulationError;

/// The reason why a job on the core did not complete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The simulation of the core or of the unit failed, or one of them broke a rule of the bus.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// A model could not be built or loaded.
    #[error(transparent)]
    Model(#[from] verilated::Error),
    /// A file of the RTL is missing.
    #[error(transparent)]
    Rtl(#[from] rtl::Error),
    /// The firmware could not be built.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    /// The weights could not be laid out for the unit.
    #[error(transparent)]
    Device(#[from] tmv::device::DeviceError),
    /// The firmware in the cache is no program for the core.
    #[error("the firmware {path}: {what}")]
    Firmware {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The core did not complete the job.
    #[error("the core gave no answer within {cycles} cycles; it is at {pc}")]
    NoAnswer {
        /// Cycles waited.
        cycles: u64,
        /// Where the core is.
        pc: Place,
    },
    /// The memory does not complete the accesses of a core that was stopped.
    #[error("the core's accesses to memory are not complete {cycles} cycles after it was stopped")]
    NotStopped {
        /// Cycles waited.
        cycles: u64,
    },
    /// The core trapped.
    #[error("the core trapped: {cause}, at {pc}, value {value:#010x}")]
    Trapped {
        /// The cause in words.
        cause: String,
        /// The instruction.
        pc: Place,
        /// mtval.
        value: u32,
    },
    /// An access of the core was answered with an error.
    #[error("an access of the core at address {address:#010x} was answered with an error; it is at {pc}")]
    Bus {
        /// Address of the access.
        address: u32,
        /// Where the core is now.
        pc: Place,
    },
    /// The memory answered a write of the core with an error, or gave an answer that belongs to no burst.
    #[error("the memory answered a write of the core with an error, or without a request; it is at {pc}")]
    Memory {
        /// Where the core is now.
        pc: Place,
    },
    /// The firmware reported an error.
    #[error("the firmware {how}: {text}")]
    Reported {
        /// How it ended.
        how: &'static str,
        /// Its text.
        text: String,
    },
    /// What the core left in memory has another form than expected.
    #[error("the records of the job are damaged: {0}")]
    Records(String),
    /// A register of the sequencer does not have the expected value.
    #[error("sequencer, register {register}: expected {expected:#010x}, found {found:#010x}")]
    Register {
        /// Name of the register.
        register: &'static str,
        /// Value expected.
        expected: u32,
        /// Value found.
        found: u32,
    },
    /// The sequencer refused an access of the host, for instance a job while another one runs.
    #[error("the sequencer refused an access of the host (BAD_ACCESS)")]
    Refused,
    /// The job does not fit into memory.
    #[error("the job needs {needed} bytes of memory, and the core's window has {limit}; run fewer tokens")]
    TooLarge {
        /// Bytes needed.
        needed: u64,
        /// Bytes of the window.
        limit: u64,
    },
    /// The layer does not fit the vector unit.
    #[error(transparent)]
    Unfit(#[from] vector::layer::Unfit),
}

/// An address of an instruction, and the function that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: u32,
    /// The function and the offset in it, if the firmware knows.
    pub function: Option<(String, u32)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some((name, offset)) => write!(f, "{:#010x} ({name} + {offset:#x})", self.address),
            None => write!(f, "{:#010x}", self.address),
        }
    }
}

/// The text for a value of mcause.
pub(crate) fn cause(mcause: u32) -> String {
    let text = match mcause {
        0 => "instruction address misaligned",
        1 => "instruction access fault",
        2 => "illegal instruction",
        3 => "breakpoint",
        4 => "load address misaligned",
        5 => "load access fault",
        6 => "store address misaligned",
        7 => "store access fault",
        11 => "environment call",
        _ => return format!("cause {mcause:#x}"),
    };
    text.into()
}
