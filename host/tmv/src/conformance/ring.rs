//! A device with a ring of descriptors, as every unit has it.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::descriptor::{self, Completion, DESCRIPTOR_BYTES};
use crate::device::{Device, DeviceError};
use crate::regs;

pub type Random = Xoshiro256PlusPlus;

pub const FRONT_END: u8 = regs::SOURCE_FRONTEND as u8;
pub const WRITER: u8 = regs::SOURCE_WRITER as u8;
pub const ALL_SOURCES: u32 = regs::IRQ_ENABLE_DONE | regs::IRQ_ENABLE_ERROR | regs::IRQ_ENABLE_BAD_ACCESS;

/// A device with a descriptor ring at the start of its memory. It uses only registers that every unit has.
pub struct Ring<D> {
    pub device: D,
    /// log2 of the number of descriptors in the ring.
    pub log2: u32,
    /// Descriptors queued since reset.
    pub queued: u16,
    /// Bytes of memory in use.
    used: usize,
}

impl<D: Device> Ring<D> {
    pub fn new(device: D, log2: u32) -> Self {
        let mut ring = Self { device, log2, queued: 0, used: DESCRIPTOR_BYTES << log2 };
        ring.set_up();
        ring
    }

    /// Programs the ring and the interrupts, as is necessary after a reset.
    pub fn set_up(&mut self) {
        let base = self.device.memory_base();
        self.write(regs::RING_BASE_LO, base as u32);
        self.write(regs::RING_BASE_HI, (base >> 32) as u32);
        self.write(regs::RING_LOG2, self.log2);
        self.write(regs::IRQ_STATUS, ALL_SOURCES);
        self.write(regs::IRQ_ENABLE, ALL_SOURCES);
        self.queued = 0;
    }

    pub fn read(&mut self, offset: u32) -> u32 {
        self.device.read_register(offset).unwrap()
    }

    pub fn write(&mut self, offset: u32, value: u32) {
        self.device.write_register(offset, value).unwrap();
    }

    /// Allocates `bytes` with the alignment of a descriptor. Returns the address.
    pub fn allocate(&mut self, bytes: usize) -> u64 {
        let at = self.used.next_multiple_of(DESCRIPTOR_BYTES);
        self.used = at + bytes;
        assert!(self.used <= self.device.memory().len(), "the test's memory is too small");
        self.device.memory_base() + at as u64
    }

    pub fn bytes(&mut self, address: u64, len: usize) -> &mut [u8] {
        let at = (address - self.device.memory_base()) as usize;
        &mut self.device.memory()[at..at + len]
    }

    /// Writes the next descriptor of the ring and returns its number. [`Ring::ring`] rings the doorbell.
    pub fn queue_bytes(&mut self, descriptor: &[u8; DESCRIPTOR_BYTES]) -> u16 {
        let slot = self.slot(self.queued);
        self.bytes(slot, DESCRIPTOR_BYTES).copy_from_slice(descriptor);
        self.queued = self.queued.wrapping_add(1);
        self.queued.wrapping_sub(1)
    }

    /// Address of descriptor `number`.
    pub fn slot(&self, number: u16) -> u64 {
        let index = u64::from(number) & ((1 << self.log2) - 1);
        self.device.memory_base() + index * DESCRIPTOR_BYTES as u64
    }

    /// Rings the doorbell.
    pub fn ring(&mut self) {
        self.doorbell(self.queued);
    }

    /// Rings the doorbell for all that is queued; the activations of the last `late` descriptors are not in memory.
    pub fn ring_late(&mut self, late: u16) {
        self.write_doorbell(descriptor::doorbell(self.queued, late));
    }

    /// Writes the doorbell, with everything in memory visible to the unit.
    pub fn doorbell(&mut self, tail: u16) {
        self.write_doorbell(descriptor::doorbell(tail, 0));
    }

    fn write_doorbell(&mut self, value: u32) {
        let whole = 0..self.device.memory().len();
        self.device.to_device(whole).unwrap();
        self.device.barrier();
        self.write(regs::RING_TAIL, value);
    }

    /// Makes everything in memory visible to the host. The unit must be idle, or halted by an error.
    pub fn settle(&mut self) {
        self.device.barrier();
        let whole = 0..self.device.memory().len();
        self.device.from_device(whole).unwrap();
    }

    /// Waits for the interrupt and clears it. Returns the pending sources.
    pub fn wait(&mut self) -> u32 {
        self.device.wait_interrupt().unwrap();
        let pending = self.read(regs::IRQ_STATUS);
        self.write(regs::IRQ_STATUS, pending);
        pending
    }

    /// Rings the doorbell and waits until all queued descriptors are complete.
    pub fn finish(&mut self) {
        self.ring();
        while self.read(regs::RING_HEAD) != u32::from(self.queued) {
            assert_eq!(self.wait(), regs::IRQ_ENABLE_DONE, "{:?}", self.error());
        }
        self.write(regs::IRQ_STATUS, ALL_SOURCES);
    }

    pub fn record(&mut self, number: u16) -> Completion {
        let slot = self.slot(number);
        let bytes: &[u8] = self.bytes(slot, DESCRIPTOR_BYTES);
        Completion::decode(bytes.try_into().unwrap())
    }

    /// Frees all memory but the ring.
    pub fn unload(&mut self) {
        self.used = DESCRIPTOR_BYTES << self.log2;
    }

    /// The error code, the source and the address in the error registers.
    pub fn error(&mut self) -> (u8, u8, u64) {
        let error = self.read(regs::ERROR);
        let address = u64::from(self.read(regs::ERROR_ADDR_LO)) | u64::from(self.read(regs::ERROR_ADDR_HI)) << 32;
        (error as u8, (error >> 8) as u8, address)
    }

    /// Waits for an error and checks its code. Returns its source and address.
    pub fn expect_error(&mut self, code: u8) -> (u8, u64) {
        while self.wait() & regs::IRQ_ENABLE_ERROR == 0 {}
        assert_eq!(self.read(regs::STATUS) & regs::STATUS_ERROR, regs::STATUS_ERROR);
        let (found, source, address) = self.error();
        assert_eq!(found, code, "error code");
        (source, address)
    }

    /// Runs the descriptor `bad`, expects an error and checks that the unit stays as it is: it ignores the doorbell for the
    /// descriptor `next`. Returns the source and address of the error.
    pub fn expect_stop(&mut self, bad: &[u8; DESCRIPTOR_BYTES], next: &[u8; DESCRIPTOR_BYTES], code: u8) -> (u8, u64) {
        self.queue_bytes(bad);
        self.ring();
        let found = self.expect_error(code);
        let state = |ring: &mut Self| (ring.read(regs::RING_HEAD), ring.read(regs::RING_TAIL));
        let before = state(self);
        let number = self.queue_bytes(next);
        let tail = u32::from(self.queued);
        assert!(refuses(&mut self.device, regs::RING_TAIL, tail));
        assert!(matches!(self.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
        assert_eq!(state(self), before);
        assert_eq!(self.error().0, code, "errors are sticky");
        assert_eq!(self.record(number).status, 0);
        found
    }

    /// Stops the unit by a descriptor that is none.
    fn stop(&mut self) {
        self.queue_bytes(&[0; DESCRIPTOR_BYTES]);
        self.ring();
        self.expect_error(regs::ERR_BAD_DESCRIPTOR);
    }

    /// Checks that the ring of a stopped unit, which has a descriptor queued, cannot be changed, and that it can after a soft
    /// reset.
    pub fn check_stopped(&mut self) {
        self.stop();
        while self.read(regs::STATUS) & regs::STATUS_DRAINING != 0 {}
        for register in [regs::RING_BASE_LO, regs::RING_BASE_HI, regs::RING_LOG2] {
            let before = self.read(register);
            assert!(refuses(&mut self.device, register, before ^ 1), "register {register:#05x}");
            assert_eq!(self.read(register), before, "register {register:#05x}");
        }
        self.soft_reset();
        self.write(regs::RING_LOG2, 5);
        assert_eq!((self.read(regs::RING_LOG2), take_refused(&mut self.device)), (5, None));
        self.set_up();
    }

    /// Checks that ABORT of a stopped unit, which waits for nothing, is a soft reset.
    pub fn check_abort(&mut self) {
        self.stop();
        self.write(regs::CONTROL, regs::CONTROL_ABORT);
        while self.read(regs::STATUS) != 0 {}
        assert_eq!((self.error(), self.read(regs::RING_TAIL), self.read(regs::RING_HEAD)), ((0, 0, 0), 0, 0));
        self.set_up();
    }

    /// Does a soft reset and waits for the end of draining.
    pub fn soft_reset(&mut self) {
        self.write(regs::CONTROL, regs::CONTROL_SOFT_RESET);
        for _ in 0..10_000 {
            if self.read(regs::STATUS) == 0 {
                assert_eq!(self.error(), (0, 0, 0));
                assert_eq!((self.read(regs::RING_TAIL), self.read(regs::RING_HEAD)), (0, 0));
                return self.set_up();
            }
        }
        panic!("the soft reset does not end: STATUS is {:#x}", self.read(regs::STATUS));
    }
}

pub fn rng(seed: u64) -> Random {
    Random::seed_from_u64(seed)
}

/// A number below `limit`.
pub fn below(rng: &mut Random, limit: usize) -> usize {
    (rng.next_u64() % limit as u64) as usize
}

/// One of some values.
pub fn pick<T: Copy>(rng: &mut Random, from: &[T]) -> T {
    from[below(rng, from.len())]
}

/// The refused access that the unit remembers: offset, and whether it is a write. The unit forgets it.
pub fn take_refused<D: Device>(device: &mut D) -> Option<(u32, bool)> {
    let error = device.read_register(regs::ACCESS_ERROR).unwrap();
    let pending = device.read_register(regs::IRQ_STATUS).unwrap() & regs::IRQ_ENABLE_BAD_ACCESS != 0;
    assert_eq!(pending, error & regs::ACCESS_ERROR_VALID != 0, "BAD_ACCESS and ACCESS_ERROR contradict each other");
    device.write_register(regs::IRQ_STATUS, regs::IRQ_ENABLE_BAD_ACCESS).unwrap();
    pending.then_some((error & regs::ACCESS_ERROR_OFFSET, error & regs::ACCESS_ERROR_WRITE != 0))
}

/// Writes a register. Returns whether the unit refused this access.
pub fn refuses<D: Device>(device: &mut D, offset: u32, value: u32) -> bool {
    take_refused(device);
    device.write_register(offset, value).unwrap();
    match take_refused(device) {
        None => false,
        Some(found) => {
            assert_eq!(found, (offset & 0xfff, true), "the refused access");
            true
        }
    }
}
