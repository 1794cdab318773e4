//! Rules for registers that hold for every unit.

use alloc::vec::Vec;

use rand_core::Rng;

use super::ring::{refuses, rng, take_refused};
use crate::device::{Device, DeviceError};
use crate::regs;

/// The register map of a unit. The registers up to those of counters are the same in every unit.
pub struct Map {
    /// Offsets of all registers with their access.
    pub registers: Vec<(u32, &'static str)>,
    /// Registers that can be written: offset, and mask of the bits that are not reserved.
    pub writable: &'static [(u32, u32)],
}

impl Map {
    /// Checks the values of the registers after a hardware reset.
    pub fn check_reset_values<D: Device>(&self, device: &mut D) {
        for (offset, access) in &self.registers {
            let expected = match *offset {
                regs::ID..=regs::PARAM1 | regs::CYCLE_LO | regs::CYCLE_HI => continue,
                regs::WATCHDOG => regs::WATCHDOG_RESET,
                _ => 0,
            };
            assert_eq!(device.read_register(*offset).unwrap(), expected, "{access} register {offset:#05x}");
        }
    }

    /// Checks that registers that are only read keep their values.
    pub fn check_read_only<D: Device>(&self, device: &mut D) {
        for (offset, _) in self.registers.iter().filter(|(_, access)| *access == "ro") {
            let before = device.read_register(*offset).unwrap();
            assert!(refuses(device, *offset, !before), "register {offset:#05x}");
            let after = device.read_register(*offset).unwrap();
            assert!(after == before || *offset == regs::CYCLE_LO, "register {offset:#05x}");
        }
    }

    /// Checks every reserved bit of every register that can be written. The register keeps its value.
    pub fn check_reserved_bits<D: Device>(&self, device: &mut D) {
        for (offset, allowed) in self.writable {
            for bit in (0..32).map(|bit| 1 << bit).filter(|bit| bit & allowed == 0) {
                let before = device.read_register(*offset).unwrap();
                assert!(refuses(device, *offset, bit | (!before & allowed)), "register {offset:#05x}, bit {bit:#x}");
                assert_eq!(device.read_register(*offset).unwrap(), before, "register {offset:#05x}, bit {bit:#x}");
            }
        }
        assert_eq!(device.read_register(regs::STATUS).unwrap(), 0);
    }

    /// Checks that no other offset has a register.
    pub fn check_unknown_offsets<D: Device>(&self, device: &mut D) {
        for offset in (0..0x1000).step_by(4).chain([1, regs::STATUS + 2, regs::WATCHDOG + 1, 0x103]) {
            if !self.registers.iter().any(|(register, _)| *register == offset) {
                assert_eq!(device.read_register(offset).unwrap(), 0, "offset {offset:#05x}");
                assert_eq!(take_refused(device), Some((offset, false)));
                assert!(refuses(device, offset, 1), "offset {offset:#05x}");
            }
        }
        assert_eq!(device.read_register(regs::STATUS).unwrap(), 0);
        assert_eq!(device.read_register(regs::WATCHDOG).unwrap(), regs::WATCHDOG_RESET);
    }
}

pub fn read_write_registers<D: Device>(mut device: D) {
    let mut rng = rng(1);
    for (offset, mask) in [
        (regs::IRQ_ENABLE, 7),
        (regs::WATCHDOG, u32::MAX),
        (regs::RING_BASE_LO, u32::MAX),
        (regs::RING_BASE_HI, 0xff),
        (regs::RING_LOG2, 0xf),
    ] {
        for value in [u32::MAX, 0, rng.next_u32(), rng.next_u32()].map(|value| value & mask) {
            device.write_register(offset, value).unwrap();
            assert_eq!(device.read_register(offset).unwrap(), value, "register {offset:#05x}");
        }
    }
    assert_eq!(device.read_register(regs::STATUS).unwrap(), 0);
}

/// ACCESS_ERROR keeps the first refused access until BAD_ACCESS is cleared. A refused access raises the interrupt.
pub fn first_refused_access<D: Device>(mut device: D) {
    assert_eq!(take_refused(&mut device), None);
    device.read_register(0xffc).unwrap();
    device.write_register(regs::ID, 1).unwrap();
    assert_eq!(take_refused(&mut device), Some((0xffc, false)));
    assert_eq!(take_refused(&mut device), None);
    device.write_register(regs::RING_HEAD, 1).unwrap();
    device.read_register(0x44c).unwrap();
    assert!(matches!(device.wait_interrupt(), Err(DeviceError::Timeout { .. })), "the source is not enabled");
    device.write_register(regs::IRQ_ENABLE, regs::IRQ_ENABLE_BAD_ACCESS).unwrap();
    device.wait_interrupt().unwrap();
    assert_eq!(take_refused(&mut device), Some((regs::RING_HEAD, true)));
    assert!(matches!(device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
}

pub fn no_interrupt<D: Device>(mut device: D) {
    assert!(matches!(device.wait_interrupt(), Err(DeviceError::Timeout { status: 0, .. })));
}
