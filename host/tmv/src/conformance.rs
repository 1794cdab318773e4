//! The conformance suite: rules for every [`Device`], whether functional model, Verilated unit or board. Each rule is
//! one function.
//!
//! `conformance_suite!` generates one test per rule from an expression that creates a fresh device. [`Bench`]
//! accesses only the unit's registers and memory, so it can also do things that the driver never does.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use alloc::vec;
use alloc::vec::Vec;
use std::{format, println};

use golden::{Codec, TernaryMatrix};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::descriptor::{Completion, DESCRIPTOR_BYTES, Descriptor, ROW_BLOCK};
use crate::device::{Device, DeviceError};
use crate::info::UnitInfo;
use crate::regs;

/// Generates one test for every rule.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:expr) => {
        $crate::conformance_suite!(
            $fresh, identity, reset_values, read_write_registers, read_only_registers, reserved_register_bits,
            unknown_offsets, first_refused_access, run_and_record, chained_operators, ring_wraps, queueing_more,
            interrupts, no_interrupt, quiet_chains, keep_x_across_runs, unusual_shapes, bad_descriptors, row_lengths,
            reserved_descriptor_bits,
            bad_addresses, addresses_partly_outside, misaligned_ring, ring_of_a_stopped_unit, bad_doorbells,
            doorbells_of_a_full_ring, bad_weights, padding_has_no_effect, error_stops_the_ring, bad_behind_good,
            head_after_an_error, abort_is_a_soft_reset, reset_forgets_activations,
        );
    };
    ($fresh:expr, $($rule:ident),* $(,)?) => {
        $(
            #[test]
            fn $rule() {
                $crate::conformance::$rule($fresh);
            }
        )*
    };
}

pub type Random = Xoshiro256PlusPlus;

const FRONT_END: u8 = regs::SOURCE_FRONTEND as u8;
const WRITER: u8 = regs::SOURCE_WRITER as u8;
const ALL_SOURCES: u32 = regs::IRQ_ENABLE_DONE | regs::IRQ_ENABLE_ERROR | regs::IRQ_ENABLE_BAD_ACCESS;
/// The byte that fills result memory before a run.
const STALE: u8 = 0xa5;

/// An operator in a device's memory, and its expected results.
#[derive(Clone)]
pub struct Operator {
    pub descriptor: Descriptor,
    pub matrix: TernaryMatrix,
    pub x: Vec<i8>,
    /// Expected accumulators, `[tokens, rows]`.
    pub expected: Vec<i32>,
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
    used: usize,
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

    /// Puts an operator into memory.
    pub fn place(&mut self, matrix: TernaryMatrix, x: Vec<i8>, tokens: usize) -> Operator {
        let (codec, port_bytes) = (self.info.codec, self.info.port_bytes);
        let cols = matrix.cols();
        let row_beats = codec.row_beats(cols, port_bytes);
        let x_stride = (row_beats * self.info.lanes()).next_multiple_of(64);
        let x_addr = self.allocate(tokens * x_stride);
        for (token, row) in x.chunks_exact(cols).enumerate() {
            let image = self.bytes(x_addr + (token * x_stride) as u64, cols);
            image.iter_mut().zip(row).for_each(|(byte, x)| *byte = *x as u8);
        }
        let first =
            Descriptor { irq: true, tokens, in_features: cols, row_beats, x_addr, x_stride, ..Descriptor::default() };
        self.weights(first, matrix, x)
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
        let w_stride = codec.block_bytes(cols, port_bytes).next_multiple_of(64);
        let image_bytes = rows.div_ceil(ROW_BLOCK) * w_stride;
        let w_addr = self.allocate(image_bytes);
        codec.encode(&matrix, port_bytes, w_stride, self.bytes(w_addr, image_bytes)).unwrap();
        let mut descriptor = Descriptor { out_features: rows, w_addr, w_stride, ..descriptor };
        descriptor.y_addr = self.allocate(descriptor.result_bytes());
        let expected = golden::matvec::reference(&matrix, &x);
        Operator { descriptor, matrix, x, expected }
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

    /// Address of descriptor `number`.
    pub fn slot(&self, number: u16) -> u64 {
        let index = u64::from(number) & ((1 << self.log2) - 1);
        self.device.memory_base() + index * DESCRIPTOR_BYTES as u64
    }

    /// Rings the doorbell.
    pub fn ring(&mut self) {
        self.doorbell(self.queued);
    }

    /// Writes the doorbell, with everything in memory visible to the unit.
    pub fn doorbell(&mut self, tail: u16) {
        let whole = 0..self.device.memory().len();
        self.device.to_device(whole).unwrap();
        self.device.barrier();
        self.write(regs::RING_TAIL, u32::from(tail));
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
        assert_eq!((record.status, record.tag), (Completion::DONE, number), "record of descriptor {number}");
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

fn rng(seed: u64) -> Random {
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
fn refuses<D: Device>(device: &mut D, offset: u32, value: u32) -> bool {
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

/// Offsets of all registers with their access. Registers that exist once per port are listed for every port.
fn registers(info: &UnitInfo) -> Vec<(u32, &'static str)> {
    let all = regs::REGISTERS.iter();
    all.flat_map(|(_, offset, access)| {
        let copies = if *offset >= regs::PORT_BUSY { info.ports as u32 } else { 1 };
        (0..copies).map(move |copy| (offset + copy * regs::PORT_BUSY_STRIDE, *access))
    })
    .collect()
}

pub fn identity<D: Device>(mut device: D) {
    assert_eq!(device.read_register(regs::ID).unwrap(), regs::ID_VALUE);
    assert_eq!(device.read_register(regs::VERSION).unwrap(), regs::MAP_VERSION);
    assert_eq!(device.read_register(regs::MAP_HASH).unwrap(), regs::MAP_HASH_VALUE);
    let info = UnitInfo::read(&mut device).unwrap();
    assert!(matches!(info.ports, 1..=8) && matches!(info.max_tokens(), 1..=8) && matches!(info.port_bytes, 8 | 16));
    let param1 = device.read_register(regs::PARAM1).unwrap();
    assert_eq!((param1 & regs::PARAM1_ROW_BLOCK) >> 16, ROW_BLOCK as u32);
    assert_eq!(device.memory_base() % 4096, 0);
}

pub fn reset_values<D: Device>(mut device: D) {
    check_reset_values(&mut device);
}

/// Checks the values of the registers after a hardware reset.
pub fn check_reset_values<D: Device>(device: &mut D) {
    let info = UnitInfo::read(device).unwrap();
    for (offset, access) in registers(&info) {
        let expected = match offset {
            regs::ID..=regs::PARAM1 | regs::CYCLE_LO | regs::CYCLE_HI => continue,
            regs::WATCHDOG => regs::WATCHDOG_RESET,
            _ => 0,
        };
        assert_eq!(device.read_register(offset).unwrap(), expected, "{access} register {offset:#05x}");
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

pub fn read_only_registers<D: Device>(mut device: D) {
    let info = UnitInfo::read(&mut device).unwrap();
    for (offset, access) in registers(&info) {
        if access == "ro" {
            let before = device.read_register(offset).unwrap();
            assert!(refuses(&mut device, offset, !before), "register {offset:#05x}");
            let after = device.read_register(offset).unwrap();
            assert!(after == before || offset == regs::CYCLE_LO, "register {offset:#05x}");
        }
    }
}

/// Every reserved bit of every register that can be written. The register keeps its value.
pub fn reserved_register_bits<D: Device>(mut device: D) {
    for (offset, allowed) in regs::WRITABLE {
        for bit in (0..32).map(|bit| 1 << bit).filter(|bit| bit & allowed == 0) {
            let before = device.read_register(*offset).unwrap();
            assert!(refuses(&mut device, *offset, bit | (!before & allowed)), "register {offset:#05x}, bit {bit:#x}");
            assert_eq!(device.read_register(*offset).unwrap(), before, "register {offset:#05x}, bit {bit:#x}");
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

pub fn unknown_offsets<D: Device>(mut device: D) {
    let info = UnitInfo::read(&mut device).unwrap();
    let known = registers(&info);
    for offset in (0..0x1000).step_by(4).chain([1, regs::STATUS + 2, regs::WATCHDOG + 1, regs::PORT_BUSY + 3]) {
        if !known.iter().any(|(register, _)| *register == offset) {
            assert_eq!(device.read_register(offset).unwrap(), 0, "offset {offset:#05x}");
            assert_eq!(take_refused(&mut device), Some((offset, false)));
            assert!(refuses(&mut device, offset, 1), "offset {offset:#05x}");
        }
    }
    assert_eq!(device.read_register(regs::STATUS).unwrap(), 0);
    assert_eq!(device.read_register(regs::WATCHDOG).unwrap(), regs::WATCHDOG_RESET);
}

pub fn run_and_record<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(2));
    let (most, lanes) = (bench.info.max_tokens(), bench.info.lanes());
    for (rows, cols, tokens) in [(8, lanes, 1), (37, 2 * lanes + 3, most), (1, 5, 1)] {
        let op = bench.operator(&mut rng, rows, cols, tokens);
        bench.run(&[op]);
    }
    assert_eq!(bench.read(regs::RING_HEAD), 3);
}

pub fn chained_operators<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(3));
    let q = bench.operator(&mut rng, 40, 200, 1);
    let (k, v) = (bench.sharing(&mut rng, &q, 24), bench.sharing(&mut rng, &q, 9));
    let other = bench.operator(&mut rng, 16, 300, bench.info.max_tokens());
    let up = bench.sharing(&mut rng, &other, 33);
    bench.run(&[q, k, v, other, up]);
}

/// Three turns of a ring of four descriptors, with one or several descriptors per doorbell. Tags keep counting.
pub fn ring_wraps<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::with_ring(device, 2), rng(4));
    for count in [1, 4, 2, 3, 2] {
        let ops: Vec<Operator> = (0..count).map(|i| bench.operator(&mut rng, 3 + 7 * i, 70, 1)).collect();
        bench.run(&ops);
    }
    assert_eq!(bench.queued, 12);
    bench.soft_reset();
    let op = bench.operator(&mut rng, 12, 100, 1);
    assert_eq!(bench.queue(&op), 0);
    bench.finish();
    bench.check(&op, 0);
    // A ring of one descriptor.
    let mut bench = Bench { log2: 0, ..bench };
    bench.soft_reset();
    for _ in 0..3 {
        let op = bench.operator(&mut rng, 5, 40, 1);
        bench.run(&[op]);
    }
}

/// The doorbell rings again while descriptors are queued.
pub fn queueing_more<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(5));
    let ops: Vec<Operator> = (0..7).map(|_| bench.operator(&mut rng, 30, 130, 1)).collect();
    for op in &ops {
        bench.queue(op);
        bench.ring();
    }
    bench.finish();
    for (number, op) in ops.iter().enumerate() {
        bench.check(op, number as u16);
    }
}

pub fn interrupts<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(6));
    // Only a descriptor with the IRQ flag raises DONE, and only an enabled source raises the interrupt line.
    let mut quiet = bench.operator(&mut rng, 20, 90, 1);
    quiet.descriptor.irq = false;
    let loud = bench.operator(&mut rng, 20, 90, 1);
    bench.queue(&quiet);
    bench.ring();
    assert!(matches!(bench.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
    assert_eq!(bench.read(regs::RING_HEAD), 1);
    assert_eq!(bench.read(regs::IRQ_STATUS), 0);
    bench.check(&quiet, 0);

    bench.write(regs::IRQ_ENABLE, regs::IRQ_ENABLE_ERROR);
    bench.queue(&loud);
    bench.ring();
    assert!(matches!(bench.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
    assert_eq!(bench.read(regs::IRQ_STATUS), regs::IRQ_ENABLE_DONE, "pending though not enabled");
    bench.write(regs::IRQ_ENABLE, regs::IRQ_ENABLE_DONE);
    bench.device.wait_interrupt().unwrap();

    // Writing a one clears a bit; writing a zero does not.
    bench.write(regs::IRQ_STATUS, regs::IRQ_ENABLE_ERROR);
    assert_eq!(bench.read(regs::IRQ_STATUS), regs::IRQ_ENABLE_DONE);
    bench.device.wait_interrupt().unwrap();
    bench.write(regs::IRQ_STATUS, regs::IRQ_ENABLE_DONE);
    assert_eq!(bench.read(regs::IRQ_STATUS), 0);
    assert!(matches!(bench.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
}

pub fn no_interrupt<D: Device>(mut device: D) {
    assert!(matches!(device.wait_interrupt(), Err(DeviceError::Timeout { status: 0, .. })));
}

/// Of operators in flight together, each raises DONE by its own flag only, also if it shares activations.
pub fn quiet_chains<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(24));
    let mut first = bench.operator(&mut rng, 20, 90, 1);
    first.descriptor.irq = false;
    let second = bench.sharing(&mut rng, &first, 12);
    let loud = Operator { descriptor: Descriptor { irq: true, ..first.descriptor }, ..first.clone() };
    for flags in 0..8u16 {
        let numbers: Vec<u16> = [&first, &second, &first]
            .into_iter()
            .enumerate()
            .map(|(i, op)| {
                let descriptor = Descriptor { irq: flags >> i & 1 != 0, ..op.descriptor };
                bench.queue(&Operator { descriptor, ..op.clone() })
            })
            .collect();
        bench.ring();
        for _ in 0..100_000 {
            if bench.read(regs::RING_HEAD) == u32::from(bench.queued) {
                break;
            }
        }
        let expected = if flags == 0 { 0 } else { regs::IRQ_ENABLE_DONE };
        assert_eq!(bench.read(regs::IRQ_STATUS), expected, "IRQ flags {flags:03b}");
        bench.write(regs::IRQ_STATUS, ALL_SOURCES);
        bench.check(&first, numbers[2]);
    }
    bench.run(&[loud]);
}

/// KEEP_X uses the activations as they were loaded, even if their memory was overwritten since.
pub fn keep_x_across_runs<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(7));
    let first = bench.operator(&mut rng, 10, 150, 1);
    let second = bench.sharing(&mut rng, &first, 17);
    bench.run(std::slice::from_ref(&first));
    let (address, bytes) = (first.descriptor.x_addr, first.descriptor.x_stride);
    bench.bytes(address, bytes).fill(0x55);
    bench.run(&[second]);
}

pub fn unusual_shapes<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(8));
    let (most, lanes) = (bench.info.max_tokens(), bench.info.lanes());
    // Largest magnitudes: all weights -1, +1 or 0, and all activations -128.
    for weight in [-1, 1, 0] {
        let cols = 6 * lanes;
        let matrix = TernaryMatrix::from_rows(9, cols, &vec![weight; 9 * cols]).unwrap();
        let op = bench.place(matrix, vec![-128; most * cols], most);
        bench.run(&[op]);
    }
    let longest = bench.info.max_in_features().min(65535);
    let op = bench.operator(&mut rng, 2, longest, 1);
    bench.run(&[op]);
    for cols in [1, lanes - 1, lanes + 1] {
        let op = bench.operator(&mut rng, 1, cols, 1);
        bench.run(&[op]);
    }
}

/// Runs `bytes` as a descriptor, expects an error, resets the unit and checks that a good run passes. Returns the
/// source and address of the error.
fn fails<D: Device>(bench: &mut Bench<D>, good: &Operator, bytes: &[u8; DESCRIPTOR_BYTES], code: u8) -> (u8, u64) {
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

/// Replaces word `index` of an encoded descriptor.
fn with(descriptor: &Descriptor, index: usize, value: u32) -> [u8; DESCRIPTOR_BYTES] {
    let mut bytes = descriptor.encode();
    bytes[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
    bytes
}

pub fn bad_descriptors<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(9));
    let good = bench.operator(&mut rng, 11, 3 * bench.info.lanes(), 1);
    // A large stride between blocks, so that a wrong row length does not also make the stride wrong.
    let d = Descriptor { w_stride: 1 << 30, ..good.descriptor };
    let most = bench.info.max_tokens() as u32;
    let shape = |k: usize, beats: usize| (beats as u32) << 16 | k as u32;
    let (k, beats, words) = (d.in_features, d.row_beats, bench.info.bank_words);
    let control = |opcode: u32, tokens: u32, flags: u32| opcode << 24 | tokens << 8 | flags;
    let cases = [
        ("opcode 0", regs::DESC_CONTROL, control(0, 1, 2)),
        ("another opcode", regs::DESC_CONTROL, control(regs::OPCODE - 1, 1, 2)),
        ("no tokens", regs::DESC_CONTROL, control(regs::OPCODE, 0, 2)),
        ("too many tokens", regs::DESC_CONTROL, control(regs::OPCODE, most + 1, 2)),
        ("most tokens the field holds", regs::DESC_CONTROL, control(regs::OPCODE, 15, 2)),
        ("no columns", regs::DESC_IN_FEATURES, shape(0, beats)),
        ("no columns, no beats", regs::DESC_IN_FEATURES, shape(0, 0)),
        ("too few beats", regs::DESC_IN_FEATURES, shape(k, beats - 1)),
        ("too many beats", regs::DESC_IN_FEATURES, shape(k, beats + 1)),
        ("one column more", regs::DESC_IN_FEATURES, shape(k + 1, beats)),
        ("beyond the bank", regs::DESC_IN_FEATURES, shape(((words + 1) * bench.info.lanes()) & 0xffff, words + 1)),
        ("no rows", regs::DESC_OUT_FEATURES, 0),
        ("too many rows", regs::DESC_OUT_FEATURES, regs::MAX_OUT_FEATURES + 1),
        ("absurdly many rows", regs::DESC_OUT_FEATURES, u32::MAX),
        ("blocks that overlap", regs::DESC_W_STRIDE, good.descriptor.w_stride as u32 - 64),
        ("KEEP_X without activations", regs::DESC_CONTROL, control(regs::OPCODE, 1, 3)),
    ];
    for (what, word, value) in cases {
        println!("{what}");
        bench.soft_reset();
        let found = fails(&mut bench, &good, &with(&d, word, value), regs::ERR_BAD_DESCRIPTOR);
        assert_eq!(found, (FRONT_END, bench.slot(0)));
    }
    // KEEP_X with a shape that the kept activations do not have.
    let other = bench.operator(&mut rng, 5, 2 * bench.info.lanes(), 1);
    let found =
        fails(&mut bench, &good, &with(&other.descriptor, 0, control(regs::OPCODE, 1, 3)), regs::ERR_BAD_DESCRIPTOR);
    assert_eq!(found, (FRONT_END, bench.slot(1)));
    // As many beats, and another number of activations: where the padding begins is part of the activations.
    let fewer = shape(k - 1, beats);
    let mut bytes = with(&d, regs::DESC_IN_FEATURES, fewer);
    bytes[0] |= regs::FLAG_KEEP_X as u8;
    let found = fails(&mut bench, &good, &bytes, regs::ERR_BAD_DESCRIPTOR);
    assert_eq!(found, (FRONT_END, bench.slot(1)));
    if most > 1 {
        let found = fails(&mut bench, &good, &with(&d, 0, control(regs::OPCODE, 2, 3)), regs::ERR_BAD_DESCRIPTOR);
        assert_eq!(found, (FRONT_END, bench.slot(1)));
    }
}

/// A row whose numbers of activations and beats differ in any bit, and a stride that is too small for a row of any
/// length.
pub fn row_lengths<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(25));
    let (lanes, port_bytes, words) = (bench.info.lanes(), bench.info.port_bytes, bench.info.bank_words);
    let codec = bench.info.codec;
    let good = bench.operator(&mut rng, 8, 3 * lanes, 1);
    let d = Descriptor { w_stride: 1 << 30, ..good.descriptor };
    let mut refused = |bad: Descriptor| {
        bench.queue_bytes(&bad.encode());
        bench.ring();
        assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR), (FRONT_END, bench.slot(0)), "{bad:?}");
        bench.soft_reset();
    };
    for bit in (0..16).map(|bit| 1 << bit) {
        let in_features = d.in_features ^ bit;
        if codec.row_beats(in_features, port_bytes) != d.row_beats {
            refused(Descriptor { in_features, ..d });
        }
        refused(Descriptor { row_beats: d.row_beats ^ bit, ..d });
    }
    for row_beats in [1, 2, 3, words / 4, words / 2, words - 1, words] {
        let (in_features, w_stride) = (row_beats * lanes, row_beats * ROW_BLOCK * port_bytes - 64);
        refused(Descriptor { in_features, row_beats, w_stride, ..d });
    }
    bench.run(&[good]);
}

/// Every bit of a descriptor that must be zero.
pub fn reserved_descriptor_bits<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(17));
    let good = bench.operator(&mut rng, 8, 2 * bench.info.lanes(), 1);
    let mut tried = 0;
    for (word, reserved) in regs::DESC_RESERVED_BITS.into_iter().enumerate() {
        for bit in (0..32).filter(|bit| reserved >> bit & 1 != 0) {
            let mut bytes = good.descriptor.encode();
            bytes[4 * word + bit / 8] ^= 1 << (bit % 8);
            bench.queue_bytes(&bytes);
            bench.ring();
            let found = bench.expect_error(regs::ERR_BAD_DESCRIPTOR);
            assert_eq!(found, (FRONT_END, bench.slot(0)), "word {word}, bit {bit}");
            bench.soft_reset();
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried} reserved bits");
    bench.run(&[good]);
}

/// Memory ends within an operator: the error has the address of the first beat that is outside.
pub fn addresses_partly_outside<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(18));
    let lanes = bench.info.lanes();
    let (good, long) = (bench.operator(&mut rng, 8, lanes, 1), bench.operator(&mut rng, 8, 4 * lanes, 1));
    let tall = bench.operator(&mut rng, 24, lanes, 1).descriptor;
    let end = bench.device.memory_base() + bench.device.memory().len() as u64;
    let d = long.descriptor;
    // The last 64 bytes of memory are weights that are legal in every codec.
    bench.bytes(end - 64, 64).fill(0);
    for (bad, code, reporter) in [
        (Descriptor { x_addr: end - 64, ..d }, regs::ERR_READ_DECERR, FRONT_END),
        (Descriptor { w_addr: end - 64, ..d }, regs::ERR_READ_DECERR, 0),
        (Descriptor { y_addr: end - 64, ..tall }, regs::ERR_WRITE_DECERR, WRITER),
    ] {
        assert_eq!(fails(&mut bench, &good, &bad.encode(), code), (reporter, end));
        bench.soft_reset();
    }
}

pub fn bad_addresses<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(10));
    let good = bench.operator(&mut rng, 8, 2 * bench.info.lanes(), 1);
    let d = good.descriptor;
    for bit in [1, 2, 4, 8, 16, 32] {
        let cases = [
            Descriptor { x_addr: d.x_addr | bit, ..d },
            Descriptor { w_addr: d.w_addr | bit, ..d },
            Descriptor { y_addr: d.y_addr | bit, ..d },
            Descriptor { x_stride: d.x_stride | bit as usize, ..d },
            Descriptor { w_stride: d.w_stride | bit as usize, ..d },
        ];
        for bad in cases {
            bench.soft_reset();
            assert_eq!(fails(&mut bench, &good, &bad.encode(), regs::ERR_MISALIGNED), (FRONT_END, bench.slot(0)));
        }
    }
    let base = bench.device.memory_base();
    let end = base + bench.device.memory().len() as u64;
    for outside in [end, base - 4096, 0xff_ffff_f000] {
        bench.soft_reset();
        let x = Descriptor { x_addr: outside, ..d };
        assert_eq!(fails(&mut bench, &good, &x.encode(), regs::ERR_READ_DECERR), (FRONT_END, outside));
        bench.soft_reset();
        // There is only one row block, so port 0 reads it.
        let w = Descriptor { w_addr: outside, ..d };
        assert_eq!(fails(&mut bench, &good, &w.encode(), regs::ERR_READ_DECERR), (0, outside));
        bench.soft_reset();
        let y = Descriptor { y_addr: outside, ..d };
        assert_eq!(fails(&mut bench, &good, &y.encode(), regs::ERR_WRITE_DECERR), (WRITER, outside));
        bench.soft_reset();
        bench.write(regs::RING_BASE_LO, outside as u32);
        bench.write(regs::RING_BASE_HI, (outside >> 32) as u32);
        bench.doorbell(1);
        assert_eq!(bench.expect_error(regs::ERR_READ_DECERR), (FRONT_END, outside));
        bench.soft_reset();
        bench.run(std::slice::from_ref(&good));
    }
}

/// A misaligned ring is refused, whatever its memory contains. The unit neither reads nor writes a descriptor at a
/// misaligned address.
pub fn misaligned_ring<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(15));
    let good = bench.operator(&mut rng, 8, 2 * bench.info.lanes(), 1);
    for bit in [1, 2, 4, 8, 16, 32] {
        for bytes in [good.descriptor.encode(), [0; DESCRIPTOR_BYTES]] {
            let slot = bench.slot(0);
            bench.write(regs::RING_BASE_LO, slot as u32 | bit);
            assert_eq!(fails(&mut bench, &good, &bytes, regs::ERR_MISALIGNED), (FRONT_END, slot), "offset {bit}");
            bench.soft_reset();
        }
    }
}

/// The ring cannot be changed while a descriptor is queued, and a stopped unit has one. After a soft reset it can.
pub fn ring_of_a_stopped_unit<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(19));
    let op = bench.operator(&mut rng, 8, 40, 1);
    bench.run(std::slice::from_ref(&op));
    bench.queue_bytes(&[0; DESCRIPTOR_BYTES]);
    bench.ring();
    bench.expect_error(regs::ERR_BAD_DESCRIPTOR);
    while bench.read(regs::STATUS) & regs::STATUS_DRAINING != 0 {}
    for register in [regs::RING_BASE_LO, regs::RING_BASE_HI, regs::RING_LOG2] {
        let before = bench.read(register);
        assert!(refuses(&mut bench.device, register, before ^ 1), "register {register:#05x}");
        assert_eq!(bench.read(register), before, "register {register:#05x}");
    }
    bench.soft_reset();
    bench.write(regs::RING_LOG2, 5);
    assert_eq!((bench.read(regs::RING_LOG2), take_refused(&mut bench.device)), (5, None));
    bench.set_up();
    bench.run(&[op]);
}

/// A doorbell that takes descriptors back, or that asks for more than the ring holds. The unit stops with the value.
pub fn bad_doorbells<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::with_ring(device, 2), rng(20));
    let op = bench.operator(&mut rng, 8, 40, 1);
    for done in [0u16, 3, 4, 6] {
        for tail in [done.wrapping_sub(1), done + 5, done + 6, done.wrapping_add(1 << 15), done.wrapping_sub(4)] {
            for _ in 0..done {
                bench.run(std::slice::from_ref(&op));
            }
            // Good descriptors in the whole ring: none of them may run.
            let before = bench.queued;
            for _ in 0..4 {
                bench.queue(&op);
            }
            bench.doorbell(tail);
            let what = format!("doorbell {tail} after {done} descriptors");
            assert_eq!(bench.expect_error(regs::ERR_BAD_DOORBELL), (FRONT_END, u64::from(tail)), "{what}");
            let ring = (bench.read(regs::RING_HEAD), bench.read(regs::RING_TAIL));
            assert_eq!(ring, (u32::from(done), u32::from(before)), "{what}");
            bench.settle();
            assert!(bench.results(&op).iter().all(|y| y.to_le_bytes() == [STALE; 4]), "{what}: a stale descriptor ran");
            bench.soft_reset();
        }
    }
    bench.run(&[op]);
}

/// The ring takes as many descriptors as it has places, again and again, also with a doorbell for each.
pub fn doorbells_of_a_full_ring<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::with_ring(device, 2), rng(21));
    let op = bench.operator(&mut rng, 8, 40, 1);
    for round in 0..6 {
        let numbers: Vec<u16> = (0..4).map(|_| bench.queue(&op)).collect();
        for number in numbers.iter().filter(|_| round % 2 == 0) {
            bench.doorbell(number.wrapping_add(1));
        }
        bench.finish();
        numbers.iter().for_each(|number| bench.check(&op, *number));
    }
}

/// Weights and activations in the padding of a row change nothing. The rows that fill up the last block get the products
/// of their weights.
pub fn padding_has_no_effect<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(22));
    let (lanes, port_bytes, codec) = (bench.info.lanes(), bench.info.port_bytes, bench.info.codec);
    let shapes =
        [1, lanes / 2 - 1, lanes - 1, lanes + 1, 2 * lanes - port_bytes, 2 * lanes - port_bytes - 1, 2 * lanes];
    // Rows that end with each byte of a beat.
    for cols in shapes.into_iter().chain((1..=port_bytes).map(|byte| lanes + port_bytes + byte)) {
        let tokens = bench.info.max_tokens();
        let op = bench.operator(&mut rng, 9, cols, tokens);
        let d = op.descriptor;
        // The same matrix with random weights in its padding.
        let (rows, padded) = (16, d.row_beats * lanes);
        let weights: Vec<i8> = (0..rows * padded)
            .map(|i| match (i / padded, i % padded) {
                (row, col) if row < 9 && col < cols => op.matrix.get(row, col),
                _ => (rng.next_u32() % 3) as i8 - 1,
            })
            .collect();
        let matrix = TernaryMatrix::from_rows(rows, padded, &weights).unwrap();
        let image = bench.bytes(d.w_addr, codec.image_bytes(rows, padded, port_bytes, d.w_stride));
        codec.encode(&matrix, port_bytes, d.w_stride, image).unwrap();
        for token in 0..tokens {
            let row = bench.bytes(d.x_addr + (token * d.x_stride) as u64, d.x_stride);
            row[cols..].fill_with(|| rng.next_u32() as u8);
        }
        bench.run(std::slice::from_ref(&op));

        let whole = Operator { descriptor: Descriptor { out_features: rows, ..d }, ..op };
        let inner: Vec<i8> = weights.chunks(padded).flat_map(|row| row[..cols].to_vec()).collect();
        let expected = golden::matvec::reference(&TernaryMatrix::from_rows(rows, cols, &inner).unwrap(), &whole.x);
        assert_eq!(bench.results(&whole), expected, "{cols} columns");
    }
}

/// ABORT of a unit that waits for nothing is a soft reset.
pub fn abort_is_a_soft_reset<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(23));
    let op = bench.operator(&mut rng, 20, 100, 1);
    bench.run(std::slice::from_ref(&op));
    bench.queue_bytes(&[0; DESCRIPTOR_BYTES]);
    bench.ring();
    bench.expect_error(regs::ERR_BAD_DESCRIPTOR);
    bench.write(regs::CONTROL, regs::CONTROL_ABORT);
    while bench.read(regs::STATUS) != 0 {}
    assert_eq!((bench.error(), bench.read(regs::RING_TAIL), bench.read(regs::RING_HEAD)), ((0, 0, 0), 0, 0));
    bench.set_up();
    bench.run(&[op]);
}

/// An invalid weight code in each beat of a block.
pub fn bad_weights<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(11));
    let port_bytes = bench.info.port_bytes;
    let good = bench.operator(&mut rng, 8, 2 * bench.info.lanes(), 1);
    let mut bad = bench.operator(&mut rng, 8, 2 * bench.info.lanes(), 1);
    let image = bad.descriptor.w_addr;
    for beat in 0..16 {
        bench.soft_reset();
        let bit = rng.next_u32() as usize % (4 * port_bytes);
        let codec = bench.info.codec;
        let bytes = bench.bytes(image + (beat * port_bytes) as u64, port_bytes);
        let before = bytes.to_vec();
        if codec == Codec::WeightsBase3 {
            bytes[bit / 4] = 243 + (rng.next_u32() % 13) as u8;
        } else {
            bytes[bit / 8] &= !(1 << (bit % 8));
            bytes[port_bytes / 2 + bit / 8] |= 1 << (bit % 8);
        }
        let found = fails(&mut bench, &good, &bad.descriptor.encode(), regs::ERR_BAD_WEIGHT);
        assert_eq!(found, (0, image + (beat * port_bytes) as u64), "beat {beat}");
        bench.bytes(image + (beat * port_bytes) as u64, port_bytes).copy_from_slice(&before);
    }
    bad.descriptor.irq = true;
    bench.run(&[bad]);
}

/// An error stops the ring: earlier operators are complete, and later operators do not start.
pub fn error_stops_the_ring<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(12));
    let ops: Vec<Operator> = (0..4).map(|_| bench.operator(&mut rng, 20, 100, 1)).collect();
    bench.run(&ops[..2]);
    let bad = Descriptor { out_features: 0, ..ops[2].descriptor };
    bench.queue_bytes(&bad.encode());
    bench.queue(&ops[3]);
    bench.ring();
    assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR), (FRONT_END, bench.slot(2)));
    bench.check(&ops[0], 0);
    bench.check(&ops[1], 1);
    assert_eq!((bench.record(2).status, bench.record(3).status), (0, 0));
    assert!(bench.results(&ops[3]).iter().all(|y| y.to_le_bytes() == [STALE; 4]), "a result after the error");
    bench.soft_reset();
    bench.run(&ops);
}

/// A bad or misaligned descriptor right after good ones, with one doorbell for all. The good ones must complete.
pub fn bad_behind_good<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(16));
    let ops: Vec<Operator> = (0..2).map(|_| bench.operator(&mut rng, 20, 100, 1)).collect();
    let misaligned = Descriptor { x_addr: ops[0].descriptor.x_addr + 32, ..ops[0].descriptor };
    for (bytes, code) in
        [([0; DESCRIPTOR_BYTES], regs::ERR_BAD_DESCRIPTOR), (misaligned.encode(), regs::ERR_MISALIGNED)]
    {
        ops.iter().for_each(|op| _ = bench.queue(op));
        bench.queue_bytes(&bytes);
        bench.ring();
        assert_eq!(bench.expect_error(code), (FRONT_END, bench.slot(2)));
        assert_eq!(bench.read(regs::RING_HEAD), 2);
        bench.check(&ops[0], 0);
        bench.check(&ops[1], 1);
        bench.soft_reset();
    }
    bench.run(&ops);
}

/// An error does not change the number of completed descriptors. A soft reset clears it.
pub fn head_after_an_error<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(14));
    let op = bench.operator(&mut rng, 20, 100, 1);
    bench.run(&[op.clone(), op.clone()]);
    bench.queue_bytes(&[0; DESCRIPTOR_BYTES]);
    bench.ring();
    bench.expect_error(regs::ERR_BAD_DESCRIPTOR);
    while bench.read(regs::STATUS) & regs::STATUS_DRAINING != 0 {}
    assert_eq!((bench.read(regs::RING_HEAD), bench.read(regs::RING_TAIL)), (2, 3));
    bench.soft_reset();
}

/// After a reset there are no activations that KEEP_X could use.
pub fn reset_forgets_activations<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(13));
    let first = bench.operator(&mut rng, 10, 80, 1);
    let second = bench.sharing(&mut rng, &first, 12);
    bench.run(&[first.clone(), second.clone()]);
    bench.soft_reset();
    assert_eq!(
        fails(&mut bench, &first, &second.descriptor.encode(), regs::ERR_BAD_DESCRIPTOR),
        (FRONT_END, bench.slot(0))
    );
}
