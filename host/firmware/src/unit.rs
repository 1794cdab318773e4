//! Units as devices of their drivers.

use core::ops::Range;

use tmv::device::{Device, DeviceError};

use crate::{cpu, registers};

/// A unit and the memory that core and unit share.
pub(crate) struct Unit {
    /// Address of the unit's registers.
    pub(crate) registers: u32,
    /// The shared memory, as the core sees it.
    pub(crate) memory: &'static mut [u8],
    /// Physical address of the shared memory.
    pub(crate) base: u64,
}

impl Unit {
    /// A unit of which only the registers are used.
    pub(crate) fn alone(registers: u32) -> Self {
        Self { registers, memory: &mut [], base: 0 }
    }
}

impl Device for Unit {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        Ok(registers::load(self.registers + offset))
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        registers::store(self.registers + offset, value);
        Ok(())
    }

    fn memory_base(&self) -> u64 {
        self.base
    }

    fn memory(&mut self) -> &mut [u8] {
        self.memory
    }

    fn from_device(&mut self, _: Range<usize>) -> Result<(), DeviceError> {
        cpu::invalidate_data_cache();
        Ok(())
    }

    fn barrier(&mut self) {
        cpu::barrier();
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        cpu::wait_for_interrupt();
        Ok(())
    }
}
