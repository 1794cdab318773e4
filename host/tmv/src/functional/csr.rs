//! The registers that every unit has, at the same offsets: errors, interrupts, watchdog, ring of descriptors.
//!
//! `tmv_csr` and `tmv_control` are the same in hardware. A unit's model adds its identity, its counters, and what a
//! descriptor does.

use crate::descriptor::{DESCRIPTOR_BYTES, doorbell};
use crate::device::DeviceError;
use crate::regs;

/// An error code, the value of the field SOURCE of the part that reports it, and the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Error code, `regs::ERR_*`.
    pub code: u8,
    /// Part of the unit.
    pub source: u32,
    /// Address of the beat, descriptor or instruction.
    pub address: u64,
}

/// What a write to a register asks a unit to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing more.
    None,
    /// What the register CONTROL says.
    Control {
        /// A soft reset.
        reset: bool,
        /// To zero the counters.
        clear: bool,
    },
    /// To work on descriptors.
    Run,
}

/// The state of these registers.
#[derive(Clone, Debug)]
pub struct Csr {
    /// Bits of RING_TAIL that are not reserved.
    tail_bits: u32,
    irq_enable: u32,
    irq_status: u32,
    watchdog: u32,
    access_error: u32,
    ring_base: u64,
    ring_log2: u32,
    tail: u16,
    /// Descriptors at the end of the queue whose activations are not in memory.
    late: u16,
    head: u16,
    error: Option<Fault>,
}

impl Csr {
    /// The registers after a hardware reset. `tail_bits` are the bits of RING_TAIL that are not reserved.
    pub fn new(tail_bits: u32) -> Self {
        Self {
            tail_bits,
            irq_enable: 0,
            irq_status: 0,
            watchdog: regs::WATCHDOG_RESET,
            access_error: 0,
            ring_base: 0,
            ring_log2: 0,
            tail: 0,
            late: 0,
            head: 0,
            error: None,
        }
    }

    /// Number of the next descriptor, modulo 65536.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Address of the next descriptor, if one is queued and no error stopped the unit. The unit ignores the low bits of a
    /// misaligned ring, and refuses it: [`Csr::is_ring_aligned`].
    pub fn next(&self) -> Option<u64> {
        let index = u64::from(self.head) & ((1 << self.ring_log2) - 1);
        let address = (self.ring_base & !(DESCRIPTOR_BYTES as u64 - 1)) + index * DESCRIPTOR_BYTES as u64;
        (self.head != self.tail && self.error.is_none()).then_some(address)
    }

    /// Whether the activations of the next descriptor are not in memory.
    pub fn is_late(&self) -> bool {
        self.tail.wrapping_sub(self.head) <= self.late
    }

    /// Whether the ring begins at a multiple of the size of a descriptor.
    pub fn is_ring_aligned(&self) -> bool {
        self.ring_base.is_multiple_of(DESCRIPTOR_BYTES as u64)
    }

    /// The next descriptor is complete; `irq` raises DONE.
    pub fn complete(&mut self, irq: bool) {
        self.head = self.head.wrapping_add(1);
        self.irq_status |= if irq { regs::IRQ_ENABLE_DONE } else { 0 };
    }

    /// An error stops the unit.
    pub fn stop(&mut self, fault: Fault) {
        self.error = Some(fault);
        self.irq_status |= regs::IRQ_ENABLE_ERROR;
    }

    /// Reads a register. `None` if it is none of these; the unit then knows it, or [refuses](Csr::refuse) the access.
    pub fn read(&self, offset: u32) -> Option<u32> {
        let fault = self.error.unwrap_or_default();
        Some(match offset {
            regs::STATUS => {
                let busy = self.head != self.tail;
                (if busy { regs::STATUS_BUSY } else { 0 }) | (if self.error.is_some() { regs::STATUS_ERROR } else { 0 })
            }
            regs::ERROR => u32::from(fault.code) | fault.source << 8,
            regs::ERROR_ADDR_LO => fault.address as u32,
            regs::ERROR_ADDR_HI => (fault.address >> 32) as u32,
            regs::ACCESS_ERROR if self.irq_status & regs::IRQ_ENABLE_BAD_ACCESS != 0 => self.access_error,
            regs::ACCESS_ERROR => 0,
            regs::IRQ_ENABLE => self.irq_enable,
            regs::IRQ_STATUS => self.irq_status,
            regs::WATCHDOG => self.watchdog,
            regs::RING_BASE_LO => self.ring_base as u32,
            regs::RING_BASE_HI => (self.ring_base >> 32) as u32,
            regs::RING_LOG2 => self.ring_log2,
            regs::RING_TAIL => doorbell(self.tail, self.late),
            regs::RING_HEAD => u32::from(self.head),
            // There is no time.
            regs::CONTROL | regs::CYCLE_LO | regs::CYCLE_HI | regs::RUN_START | regs::BUSY_CYCLES => 0,
            _ => return None,
        })
    }

    /// Writes a register, or refuses that.
    pub fn write(&mut self, offset: u32, value: u32) -> Command {
        // The bits of each register that may be set, from `docs/registers.md`.
        let allowed = match offset {
            regs::CONTROL | regs::IRQ_ENABLE | regs::IRQ_STATUS => 0x7,
            regs::WATCHDOG => u32::MAX,
            // A model is never busy between two accesses, unless it waits or an error stopped it.
            regs::RING_BASE_LO if self.head == self.tail => u32::MAX,
            regs::RING_BASE_HI if self.head == self.tail => 0xff,
            regs::RING_LOG2 if self.head == self.tail => 0xf,
            regs::RING_TAIL if self.error.is_none() => self.tail_bits,
            _ => 0,
        };
        if allowed == 0 || value & !allowed != 0 {
            self.refuse(offset, regs::ACCESS_ERROR_WRITE);
            return Command::None;
        }
        match offset {
            regs::CONTROL => {
                let reset = value & (regs::CONTROL_SOFT_RESET | regs::CONTROL_ABORT) != 0;
                if reset {
                    (self.tail, self.late, self.head, self.error) = (0, 0, 0, None);
                }
                return Command::Control { reset, clear: value & regs::CONTROL_CLEAR_COUNTERS != 0 };
            }
            regs::IRQ_ENABLE => self.irq_enable = value,
            regs::IRQ_STATUS => self.irq_status &= !value,
            regs::WATCHDOG => self.watchdog = value,
            regs::RING_BASE_LO => self.ring_base = self.ring_base & !0xffff_ffff | u64::from(value),
            regs::RING_BASE_HI => self.ring_base = self.ring_base & 0xffff_ffff | u64::from(value) << 32,
            regs::RING_LOG2 => self.ring_log2 = value,
            regs::RING_TAIL => return self.doorbell(value),
            _ => {}
        }
        Command::None
    }

    /// Takes a new number of queued descriptors, unless it takes descriptors back, the ring cannot hold all of them, or more
    /// are late than are queued.
    fn doorbell(&mut self, value: u32) -> Command {
        let (tail, late) = (value as u16, (value >> regs::RING_TAIL_LATE.trailing_zeros()) as u16);
        let (ahead, before) = (tail.wrapping_sub(self.head), self.tail.wrapping_sub(self.head));
        if ahead < before || u32::from(ahead) > 1 << self.ring_log2 || late > ahead {
            let source = regs::SOURCE_FRONTEND;
            self.stop(Fault { code: regs::ERR_BAD_DOORBELL, source, address: u64::from(tail) });
            return Command::None;
        }
        (self.tail, self.late) = (tail, late);
        Command::Run
    }

    /// Records an access that is not allowed; `write` is 0 or [`regs::ACCESS_ERROR_WRITE`].
    pub fn refuse(&mut self, offset: u32, write: u32) {
        if self.irq_status & regs::IRQ_ENABLE_BAD_ACCESS == 0 {
            self.access_error = offset | write | regs::ACCESS_ERROR_VALID;
        }
        self.irq_status |= regs::IRQ_ENABLE_BAD_ACCESS;
    }

    /// Whether the interrupt line is high.
    ///
    /// # Errors
    /// [`DeviceError::Timeout`]: a model does nothing by itself, so a line that is low stays low.
    pub fn wait_interrupt(&self) -> Result<(), DeviceError> {
        match self.irq_status & self.irq_enable {
            0 => Err(DeviceError::Timeout { cycles: 0, status: self.read(regs::STATUS).unwrap_or(0) }),
            _ => Ok(()),
        }
    }
}
