//! The bench of the conformance suite: a device with a ring of descriptors, operators with their expected results.

use alloc::vec::Vec;

use golden::{Codec, Layout, TernaryMatrix};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::descriptor::{self, Completion, DESCRIPTOR_BYTES, Descriptor, ROW_BLOCK};
use crate::device::{Device, DeviceError};
use crate::info::UnitInfo;
use crate::regs;

pub type Random = Xoshiro256PlusPlus;

pub(super) const FRONT_END: u8 = regs::SOURCE_FRONTEND as u8;
pub(super) const WRITER: u8 = regs::SOURCE_WRITER as u8;
pub(super) const ALL_SOURCES: u32 = regs::IRQ_ENABLE_DONE | regs::IRQ_ENABLE_ERROR | regs::IRQ_ENABLE_BAD_ACCESS;
/// The byte that fills result memory before a run.
pub(super) const STALE: u8 = 0xa5;

/// An operator in a device's memory, and its expected results.
#[derive(Clone)]
pub struct Operator {
    pub descriptor: Descriptor,
    pub matrix: TernaryMatrix,
    pub x: Vec<i8>,
    /// Expected accumulators, `[tokens, rows]`.
    pub expected: Vec<i32>,
    /// Expected number of rows or columns in the completion record.
    pub read: u32,
}

/// A device with a descriptor ring at the start of its memory.
pub struct Bench<D> {
    pub device: D,
    pub info: UnitInfo,
    /// log2 of the number of descriptors in the ring.
    pub log2: u32,
    /// Descriptors queued since reset.
    pub queued: u16,
    /// Bytes of memory in use.
    pub(super) used: usize,
}

impl<D: Device> Bench<D> {
    pub fn new(device: D) -> Self {
        Self::with_ring(device, 4)
    }

    pub fn with_ring(mut device: D, log2: u32) -> Self {
        let info = UnitInfo::read(&mut device).unwrap();
        let mut bench = Self { device, info, log2, queued: 0, used: DESCRIPTOR_BYTES << log2 };
        bench.set_up();
        bench
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

    /// Creates an operator with random weights and activations.
    pub fn operator(&mut self, rng: &mut Random, rows: usize, cols: usize, tokens: usize) -> Operator {
        let weights: Vec<i8> = (0..rows * cols).map(|_| (rng.next_u32() % 3) as i8 - 1).collect();
        let x = (0..tokens * cols).map(|_| rng.next_u32() as i8).collect();
        self.place(TernaryMatrix::from_rows(rows, cols, &weights).unwrap(), x, tokens)
    }

    /// Puts an operator into memory, its weights in row blocks.
    pub fn place(&mut self, matrix: TernaryMatrix, x: Vec<i8>, tokens: usize) -> Operator {
        self.place_in(Layout::Blocks, matrix, x, tokens)
    }

    /// Puts an operator into memory.
    pub fn place_in(&mut self, layout: Layout, matrix: TernaryMatrix, x: Vec<i8>, tokens: usize) -> Operator {
        let (codec, port_bytes) = (self.info.codec, self.info.port_bytes);
        let cols = matrix.cols();
        let row_beats = codec.row_beats(cols, port_bytes);
        let x_stride = (row_beats * self.info.lanes()).next_multiple_of(64);
        let x_addr = self.allocate(tokens * x_stride);
        for (token, row) in x.chunks_exact(cols).enumerate() {
            let image = self.bytes(x_addr + (token * x_stride) as u64, cols);
            image.iter_mut().zip(row).for_each(|(byte, x)| *byte = *x as u8);
        }
        let shape = Descriptor { tokens, in_features: cols, row_beats, ..Descriptor::default() };
        self.weights(Descriptor { irq: true, layout, x_addr, x_stride, ..shape }, matrix, x)
    }

    /// Creates another operator with the activations of `first`. It must be queued right after `first`.
    pub fn sharing(&mut self, rng: &mut Random, first: &Operator, rows: usize) -> Operator {
        let cols = first.matrix.cols();
        let weights: Vec<i8> = (0..rows * cols).map(|_| (rng.next_u32() % 3) as i8 - 1).collect();
        let matrix = TernaryMatrix::from_rows(rows, cols, &weights).unwrap();
        self.weights(Descriptor { keep_x: true, ..first.descriptor }, matrix, first.x.clone())
    }

    fn weights(&mut self, descriptor: Descriptor, matrix: TernaryMatrix, x: Vec<i8>) -> Operator {
        let (codec, port_bytes) = (self.info.codec, self.info.port_bytes);
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let layout = descriptor.layout;
        let w_stride = codec.piece_bytes(layout, rows, cols, port_bytes).next_multiple_of(64);
        let image_bytes = layout.pieces(rows, cols) * w_stride;
        let w_addr = self.allocate(image_bytes);
        codec.encode_in(layout, &matrix, port_bytes, w_stride, self.bytes(w_addr, image_bytes)).unwrap();
        let column_beats = codec.column_beats(layout, rows, port_bytes);
        let mut descriptor = Descriptor { out_features: rows, column_beats, w_addr, w_stride, ..descriptor };
        descriptor.y_addr = self.allocate(descriptor.result_bytes());
        let expected = golden::matvec::reference(&matrix, &x);
        let read = if layout == Layout::Columns { x.iter().filter(|x| **x != 0).count() as u32 } else { 0 };
        Operator { descriptor, matrix, x, expected, read }
    }

    /// Writes the next descriptor of the ring and returns its number. [`Bench::ring`] rings the doorbell.
    pub fn queue_bytes(&mut self, descriptor: &[u8; DESCRIPTOR_BYTES]) -> u16 {
        let slot = self.slot(self.queued);
        self.bytes(slot, DESCRIPTOR_BYTES).copy_from_slice(descriptor);
        self.queued = self.queued.wrapping_add(1);
        self.queued.wrapping_sub(1)
    }

    /// Queues an operator and returns the number of its descriptor.
    pub fn queue(&mut self, operator: &Operator) -> u16 {
        let bytes = operator.descriptor.result_bytes();
        self.bytes(operator.descriptor.y_addr, bytes).fill(STALE);
        self.queue_bytes(&operator.descriptor.encode())
    }

    /// Puts a code that is no weight into the beat at `address`. Returns what was there.
    pub(super) fn spoil(&mut self, address: u64) -> Vec<u8> {
        let (port_bytes, codec) = (self.info.port_bytes, self.info.codec);
        let bytes = self.bytes(address, port_bytes);
        let before = bytes.to_vec();
        if codec == Codec::WeightsBase3 {
            bytes[3] = 250;
        } else {
            bytes[0] &= !1;
            bytes[port_bytes / 2] |= 1;
        }
        before
    }

    /// Frees all memory but the ring.
    pub(super) fn unload(&mut self) {
        self.used = DESCRIPTOR_BYTES << self.log2;
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

    /// Queues the operators, runs them, and checks their records and results.
    pub fn run(&mut self, operators: &[Operator]) {
        let numbers: Vec<u16> = operators.iter().map(|op| self.queue(op)).collect();
        self.finish();
        for (op, number) in operators.iter().zip(numbers) {
            self.check(op, number);
        }
        assert_eq!(self.read(regs::STATUS), 0);
    }

    /// Checks the results and the completion record of an operator.
    pub fn check(&mut self, op: &Operator, number: u16) {
        self.settle();
        let record = self.record(number);
        let status = Completion::DONE | op.read;
        assert_eq!((record.status, record.tag), (status, number), "record of descriptor {number}");
        assert_eq!(self.results(op), op.expected, "results of descriptor {number}");
    }

    pub fn record(&mut self, number: u16) -> Completion {
        let slot = self.slot(number);
        let bytes: &[u8] = self.bytes(slot, DESCRIPTOR_BYTES);
        Completion::decode(bytes.try_into().unwrap())
    }

    /// Results in memory, `[tokens, rows]`.
    pub fn results(&mut self, op: &Operator) -> Vec<i32> {
        let (tokens, rows) = (op.descriptor.tokens, op.descriptor.out_features);
        let image = self.bytes(op.descriptor.y_addr, op.descriptor.result_bytes());
        let words: Vec<i32> = image.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
        let at = |token: usize, row: usize| words[(row / ROW_BLOCK * tokens + token) * ROW_BLOCK + row % ROW_BLOCK];
        (0..tokens).flat_map(|token| (0..rows).map(move |row| at(token, row))).collect()
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
        assert_eq!(found, code, "{}", regs::ERRORS[usize::from(code)].1);
        (source, address)
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

pub(super) fn rng(seed: u64) -> Random {
    Random::seed_from_u64(seed)
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
pub(super) fn refuses<D: Device>(device: &mut D, offset: u32, value: u32) -> bool {
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

/// Runs `bytes` as a descriptor, expects an error, resets the unit and checks that a good run passes. Returns the
/// source and address of the error.
pub(super) fn fails<D: Device>(
    bench: &mut Bench<D>,
    good: &Operator,
    bytes: &[u8; DESCRIPTOR_BYTES],
    code: u8,
) -> (u8, u64) {
    bench.queue_bytes(bytes);
    bench.ring();
    let found = bench.expect_error(code);
    // The unit must ignore the doorbell now.
    let ring = |bench: &mut Bench<D>| (bench.read(regs::RING_HEAD), bench.read(regs::RING_TAIL));
    let before = ring(bench);
    bench.queue(good);
    assert!(refuses(&mut bench.device, regs::RING_TAIL, u32::from(bench.queued)));
    assert!(matches!(bench.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
    assert_eq!(ring(bench), before);
    assert_eq!(bench.error().0, code, "errors are sticky");
    assert_eq!(bench.record(bench.queued.wrapping_sub(1)).status, 0);
    bench.soft_reset();
    bench.run(std::slice::from_ref(good));
    found
}
