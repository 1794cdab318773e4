//! The address map of the core. `rtl/system/tmv_sys_pkg.sv` decodes it.

/// The window to the memory of the system: 1 GiB, selected by the register WINDOW.
pub const WINDOW: u32 = 0x4000_0000;
/// Size of the window in bytes.
pub const WINDOW_BYTES: u64 = 1 << 30;
/// The registers of the TMV unit.
pub const UNIT: u32 = 0xF000_0000;
/// The registers of the vector unit.
pub const VECTOR: u32 = 0xF000_1000;
/// The registers of the sequencer.
pub const SEQUENCER: u32 = 0xF001_0000;

/// The value of the register WINDOW that shows the physical address `address`.
pub fn window_of(address: u64) -> u32 {
    (address / WINDOW_BYTES) as u32
}

/// The core's address of a physical address in the window.
pub fn core_address(address: u64) -> u32 {
    WINDOW + (address % WINDOW_BYTES) as u32
}

/// The physical address of an address of the core, if the window shows the physical address `base`.
pub fn physical_address(base: u64, address: u32) -> u64 {
    base / WINDOW_BYTES * WINDOW_BYTES + window_offset(address)
}

/// Offset in the window of an address of the core.
pub fn window_offset(address: u32) -> u64 {
    u64::from(address.wrapping_sub(WINDOW))
}
