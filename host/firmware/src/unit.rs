//! The unit as a device of the driver.

use core::ops::Range;

use tmv::device::{Device, DeviceError};

use crate::{cpu, registers};

/// The unit and the memory that core and unit share.
pub(crate) struct Unit {
    /// The shared memory, as the core sees it.
    pub(crate) memory: &'static mut [u8],
    /// Physical address of the shared memory.
    pub(crate) base: u64,
}

impl Device for Unit {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        Ok(registers::read_unit(offset))
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        registers::write_unit(offset, value);
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
