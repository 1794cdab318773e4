//! Rules for operators whose weights lie column by column: only columns whose activation is not zero are read.

use alloc::vec;
use alloc::vec::Vec;
use std::println;

use golden::{Layout, TernaryMatrix};
use rand_core::Rng;

use super::bench::{Bench, Operator, fails};
use super::ring::{FRONT_END, Random, rng};
use crate::descriptor::{DESCRIPTOR_BYTES, Descriptor, ROW_BLOCK, Selection};
use crate::device::Device;
use crate::regs;

impl<D: Device> Bench<D> {
    /// An operator with random weights in columns. Its activations are random where `nonzero` holds, else zero.
    pub fn columns(&mut self, rng: &mut Random, rows: usize, cols: usize, nonzero: impl Fn(usize) -> bool) -> Operator {
        let weights: Vec<i8> = (0..rows * cols).map(|_| (rng.next_u32() % 3) as i8 - 1).collect();
        let x = (0..cols).map(|col| if nonzero(col) { (rng.next_u32() % 255 + 1) as i8 } else { 0 }).collect();
        self.place_in(Layout::Columns, TernaryMatrix::from_rows(rows, cols, &weights).unwrap(), x, 1)
    }
}

/// Operators of any shape, with any share of zeros, alone and behind each other.
pub fn columns_by_share<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(50));
    let (lanes, longest) = (bench.info.lanes(), bench.info.max_in_features().min(regs::MAX_COLUMNS as usize));
    for (rows, cols, share) in [
        (1, 1, 256),
        (8, 8, 256),
        (7, 64, 128),
        (lanes, 65, 256),
        (lanes + 1, 200, 100),
        (3 * lanes - 1, 333, 30),
        (17 * lanes + 9, 77, 128),
        (33, longest, 128),
        (24, longest - 5, 3),
        (21, 100, 0),
        (regs::MAX_COLUMN_ROWS as usize, 19, 200),
    ] {
        bench.unload();
        let some: Vec<bool> = (0..cols).map(|_| rng.next_u32() % 256 < share).collect();
        let op = bench.columns(&mut rng, rows, cols, |col| some[col]);
        if cols < 1000 {
            bench.run(&[op.clone(), op.clone(), op]);
            continue;
        }
        // A column takes a cycle at least, so this takes longer than a device may wait for an interrupt.
        let number = bench.queue(&op);
        bench.ring();
        let done = (0..100_000).any(|_| bench.read(regs::RING_HEAD) == u32::from(bench.queued));
        assert!(done, "{cols} columns take too long");
        bench.finish();
        bench.check(&op, number);
    }
}

/// A block of one to eight columns, anywhere.
pub fn few_columns_left<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(51));
    let rows = bench.info.lanes() + 3;
    for count in 1..=9 {
        for first in [0, 7, 8, 33, 72 - count] {
            bench.unload();
            let op = bench.columns(&mut rng, rows, 72, |col| (first..first + count).contains(&col));
            assert_eq!(op.read, count as u32);
            bench.run(std::slice::from_ref(&op));
        }
    }
}

/// The largest sums of either sign, and neighbours of opposite signs.
pub fn extreme_columns<D: Device>(device: D) {
    let mut bench = Bench::new(device);
    let (rows, cols) = (2 * bench.info.lanes(), 4 * ROW_BLOCK);
    let weights: [fn(usize, usize) -> i8; 7] = [
        |_, _| 1,
        |_, _| -1,
        |_, _| 0,
        |row, _| if row % 2 == 0 { -1 } else { 1 },
        |row, _| [-1, 0, 0, 1][row % 4],
        |row, col| if (row + col) % 2 == 0 { -1 } else { 0 },
        |row, col| [1, -1, 0][(row + col) % 3],
    ];
    let values: [fn(usize) -> i8; 4] = [|_| -128, |_| 127, |col| if col % 2 == 0 { -128 } else { 127 }, |_| 1];
    for weights in weights {
        for value in values {
            bench.unload();
            let matrix: Vec<i8> = (0..rows * cols).map(|i| weights(i / cols, i % cols)).collect();
            let matrix = TernaryMatrix::from_rows(rows, cols, &matrix).unwrap();
            let op = bench.place_in(Layout::Columns, matrix, (0..cols).map(value).collect(), 1);
            bench.run(std::slice::from_ref(&op));
        }
    }
}

/// Activations that another operator loaded, and activations that columns leave to another operator.
pub fn columns_of_held_activations<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(52));
    let cols = 3 * bench.info.lanes() - 5;
    for _ in 0..3 {
        bench.unload();
        let blocks = bench.operator(&mut rng, 40, cols, 1);
        let held =
            Operator { descriptor: Descriptor { layout: Layout::Columns, ..blocks.descriptor }, ..blocks.clone() };
        let columns = bench.sharing(&mut rng, &held, 50);
        let other = bench.columns(&mut rng, 30, cols, |col| col % 3 == 0);
        let first = Operator { descriptor: Descriptor { layout: Layout::Blocks, ..other.descriptor }, ..other.clone() };
        let behind = bench.sharing(&mut rng, &first, 90);
        bench.run(&[blocks, columns.clone(), columns, other, behind.clone(), behind]);
    }
}

/// Columns among operators of other kinds, whose results leave in order.
pub fn columns_behind_others<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(53));
    let (most, lanes) = (bench.info.max_tokens(), bench.info.lanes());
    for seed in 0..4 {
        bench.unload();
        let gate = bench.recording(&mut rng, 72, lanes + 1, |row| (row + seed) % 3 == 0);
        let up = bench.skipping(&mut rng, &gate, &gate, Selection::Skip);
        let small = bench.columns(&mut rng, 8, 9, |col| col % 2 == seed % 2);
        let large = bench.columns(&mut rng, 2 * lanes + 7, 150, |col| (col + seed) % 4 != 0);
        let none = bench.columns(&mut rng, 19, 40, |_| false);
        let dense = bench.operator(&mut rng, 600, lanes, most);
        // Rows right behind columns: their ports may have beats of columns left.
        let Operator { matrix, x, .. } = bench.operator(&mut rng, 150, 2 * lanes, 1);
        let rows = bench.place_in(Layout::Rows, matrix, x, 1);
        bench.run(&[dense.clone(), large.clone(), rows.clone(), small.clone(), gate, up, none, dense.clone()]);
        bench.run(&[small, rows.clone(), large, rows, dense]);
    }
}

/// What lies in a column whose activation is zero does not matter: it is not read, also if it has no legal weights.
pub fn skipped_columns_are_not_read<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(54));
    let op = bench.columns(&mut rng, 3 * bench.info.lanes(), 50, |col| col % 3 == 1);
    let bytes = op.descriptor.column_beats * bench.info.port_bytes;
    for col in (0..50).filter(|col| col % 3 != 1) {
        bench.bytes(op.descriptor.w_addr + (col * op.descriptor.w_stride) as u64, bytes).fill(0xff);
    }
    bench.run(std::slice::from_ref(&op));
}

/// An illegal weight in each beat of single columns, with the address of its beat.
pub fn bad_weights_of_columns<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(55));
    let port_bytes = bench.info.port_bytes;
    let op = bench.columns(&mut rng, 2 * bench.info.lanes(), 8, |_| true);
    for beat in 0..16 {
        bench.soft_reset();
        let at = op.descriptor.w_addr + (beat / 2 * op.descriptor.w_stride + beat % 2 * port_bytes) as u64;
        let before = bench.spoil(at);
        bench.queue(&op);
        bench.ring();
        assert_eq!(bench.expect_error(regs::ERR_BAD_WEIGHT), (0, at), "beat {beat}");
        bench.bytes(at, before.len()).copy_from_slice(&before);
    }
    bench.soft_reset();
    bench.run(std::slice::from_ref(&op));
}

/// Descriptors that ask for columns and for something else are refused, and so are wrong sizes of columns.
pub fn bad_columns<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(56));
    let (lanes, port_bytes, most) = (bench.info.lanes(), bench.info.port_bytes, bench.info.max_tokens());
    // A column is longer than a row, and it needs a longer stride.
    let good = bench.columns(&mut rng, 9 * lanes, 24, |col| col % 2 == 0);
    let gate = bench.recording(&mut rng, 9 * lanes, 24, |row| row % 2 == 0);
    let d = good.descriptor;
    let large = Descriptor { w_stride: 1 << 20, ..d };
    let mut refused = |what: &str, before: &[&Operator], bytes: [u8; DESCRIPTOR_BYTES]| {
        println!("{what}");
        bench.soft_reset();
        before.iter().for_each(|op| bench.run(std::slice::from_ref(*op)));
        let number = bench.queued;
        let found = fails(&mut bench, &good, &bytes, regs::ERR_BAD_DESCRIPTOR);
        assert_eq!(found, (FRONT_END, bench.slot(number)), "{what}");
    };
    let flags = |more: u32| {
        let mut bytes = large.encode();
        bytes[0] |= more as u8;
        bytes
    };
    refused("columns and rows", &[], flags(regs::FLAG_ROWS));
    refused("columns and a record", &[], flags(regs::FLAG_RECORD));
    refused("columns and a skip", &[&gate], flags(regs::FLAG_SKIP));
    refused("columns, rows and a skip", &[&gate], flags(regs::FLAG_SKIP | regs::FLAG_ROWS));
    refused("columns and an older record", &[&gate, &gate], flags(regs::FLAG_OLDER));
    if most > 1 {
        refused("columns of two tokens", &[], Descriptor { tokens: 2, ..large }.encode());
    }
    for beats in [0, 8, 10, 9 + (1 << 8), 9 + (1 << 15)] {
        refused("beats of a column", &[], Descriptor { column_beats: beats, ..large }.encode());
    }
    refused("rows of a column", &[], Descriptor { out_features: 9 * lanes + 1, ..large }.encode());
    refused("rows of a column", &[], Descriptor { out_features: 8 * lanes, ..large }.encode());
    refused("rows of a column", &[], Descriptor { out_features: 9 * lanes + (1 << 16), ..large }.encode());
    let rows = regs::MAX_COLUMN_ROWS as usize + 1;
    let beats = rows.div_ceil(lanes);
    refused("too many rows", &[], Descriptor { out_features: rows, column_beats: beats, ..large }.encode());
    refused("beats of a column without columns", &[], Descriptor { layout: Layout::Blocks, ..large }.encode());
    let cols = regs::MAX_COLUMNS as usize + 1;
    if cols <= bench.info.max_in_features() {
        let row_beats = bench.info.codec.row_beats(cols, port_bytes);
        let wide = Descriptor { in_features: cols, row_beats, ..large };
        bench.soft_reset();
        let found = fails(&mut bench, &good, &wide.encode(), regs::ERR_BAD_DESCRIPTOR);
        assert_eq!(found, (FRONT_END, bench.slot(0)), "too many columns");
    }
    // A stride of a column is enough for a column, and no less.
    let column = 9 * port_bytes;
    let less = Descriptor { w_stride: column.next_multiple_of(64) - 64, ..d };
    assert!(less.w_stride < column && d.w_stride == column.next_multiple_of(64));
    bench.soft_reset();
    let found = fails(&mut bench, &good, &less.encode(), regs::ERR_BAD_DESCRIPTOR);
    assert_eq!(found, (FRONT_END, bench.slot(0)), "columns that overlap");
    bench.soft_reset();
    bench.run(std::slice::from_ref(&good));
}

/// A reset while columns are read leaves nothing behind.
pub fn reset_amid_columns<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(57));
    let long = bench.columns(&mut rng, 5 * bench.info.lanes(), 300, |_| true);
    let short = bench.columns(&mut rng, 5 * bench.info.lanes(), 30, |col| col % 5 == 0);
    // From before the first column to the results.
    for reads in (0..120).step_by(5) {
        bench.queue(&long);
        bench.ring();
        let mut states = vec![0; reads];
        states.iter_mut().for_each(|status| *status = bench.read(regs::STATUS));
        bench.soft_reset();
        bench.run(std::slice::from_ref(&short));
    }
}
