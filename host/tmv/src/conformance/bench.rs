//! Operators in a unit's memory, with their expected results.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use golden::{Codec, Layout, TernaryMatrix};
use rand_core::Rng;

use super::ring::{Random, Ring};
use crate::descriptor::{Completion, DESCRIPTOR_BYTES, Descriptor, ROW_BLOCK};
use crate::device::Device;
use crate::info::UnitInfo;
use crate::regs;

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

/// A ternary unit and its ring, with operators in its memory.
pub struct Bench<D> {
    pub ring: Ring<D>,
    pub info: UnitInfo,
}

impl<D> Deref for Bench<D> {
    type Target = Ring<D>;

    fn deref(&self) -> &Ring<D> {
        &self.ring
    }
}

impl<D> DerefMut for Bench<D> {
    fn deref_mut(&mut self) -> &mut Ring<D> {
        &mut self.ring
    }
}

impl<D: Device> Bench<D> {
    pub fn new(device: D) -> Self {
        Self::with_ring(device, 4)
    }

    pub fn with_ring(mut device: D, log2: u32) -> Self {
        let info = UnitInfo::read(&mut device).unwrap();
        Self { ring: Ring::new(device, log2), info }
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

    /// Results in memory, `[tokens, rows]`.
    pub fn results(&mut self, op: &Operator) -> Vec<i32> {
        let (tokens, rows) = (op.descriptor.tokens, op.descriptor.out_features);
        let image = self.bytes(op.descriptor.y_addr, op.descriptor.result_bytes());
        let words: Vec<i32> = image.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
        let at = |token: usize, row: usize| words[(row / ROW_BLOCK * tokens + token) * ROW_BLOCK + row % ROW_BLOCK];
        (0..tokens).flat_map(|token| (0..rows).map(move |row| at(token, row))).collect()
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
    let found = bench.expect_stop(bytes, &good.descriptor.encode(), code);
    bench.soft_reset();
    bench.run(std::slice::from_ref(good));
    found
}
