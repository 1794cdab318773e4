//! Registers of the sequencer and of the units.

use sequencer::{map, regs};

/// Reads a register of the sequencer.
pub(crate) fn read(offset: u32) -> u32 {
    load(map::SEQUENCER + offset)
}

/// Writes a register of the sequencer.
pub(crate) fn write(offset: u32, value: u32) {
    store(map::SEQUENCER + offset, value);
}

/// The cycle counter.
pub(crate) fn cycle() -> u64 {
    loop {
        let (high, low) = (read(regs::CYCLE_HI), read(regs::CYCLE_LO));
        if read(regs::CYCLE_HI) == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Reads a register of a device.
pub(crate) fn load(address: u32) -> u32 {
    // SAFETY: the address is one of a register, by the address map.
    unsafe { (address as *const u32).read_volatile() }
}

/// Writes a register of a device.
pub(crate) fn store(address: u32, value: u32) {
    // SAFETY: the address is one of a register, by the address map. Registers are not memory of this program.
    unsafe { (address as *mut u32).write_volatile(value) }
}
