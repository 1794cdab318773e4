//! The performance counters of a port.

use crate::device::{Device, DeviceError};
use crate::regs;

/// Performance counters of one port, counted since they were last cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Cycles in which the engine used a weight beat and a word of activations.
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
    /// Reads the counters of the port with number `port`.
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

    /// Cycles spent waiting for weights, activations or the collector.
    pub fn stalls(&self) -> u64 {
        u64::from(self.stall_data) + u64::from(self.stall_x) + u64::from(self.stall_result)
    }
}
