//! The memory of a Zynq, as a unit on its AXI ports sees it. The model knows neither the unit nor a simulator. It
//! gets the signals of the master in a clock cycle, and returns the signals of the slaves.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`slave`] | the AXI slaves, their protocol checks, and the content of the memory |
//! | [`channel`] | the signals of the AXI channels |
//! | [`protocol`] | the error for a protocol rule that the master broke |
//! | [`config`], [`timing`], [`faults`] | the behaviour of the memory: sizes, times, injected faults |
//! | `controller` | the DRAM and its controller: banks, rows, bus turnarounds, refresh |
//! | [`reader`] | simple masters that measure the bandwidth of a memory |

pub mod channel;
pub mod config;
mod controller;
pub mod faults;
pub mod protocol;
pub mod reader;
pub mod slave;
pub mod timing;

pub use channel::{Address, DECERR, OKAY, ReadBeat, SLVERR};
pub use config::MemoryConfig;
pub use faults::{Faults, ReadFault, WriteFault};
pub use protocol::{ProtocolError, Violation};
pub use reader::{Results, Stream, Streamed, bandwidth, stream};
pub use slave::{ALL_BYTES, AxiMemory};
pub use timing::{ControllerPort, Dram, Timing};
