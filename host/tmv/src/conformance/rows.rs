//! Rules for operators whose weights lie row by row, and for those that record and skip rows.

use alloc::vec;
use alloc::vec::Vec;
use std::println;

use golden::{Layout, TernaryMatrix};
use rand_core::Rng;

use super::bench::{Bench, Operator, fails};
use super::ring::{FRONT_END, Random, rng};
use crate::descriptor::{Descriptor, ROW_BLOCK, Selection};
use crate::device::Device;
use crate::regs;

/// A matrix whose product with activations of ones is above zero in the rows for which `above` holds.
fn with_signs(rng: &mut Random, rows: usize, cols: usize, above: impl Fn(usize) -> bool) -> TernaryMatrix {
    let mut weights = vec![0; rows * cols];
    for (row, weights) in weights.chunks_exact_mut(cols).enumerate() {
        // As many +1 as -1, then one more of either, or nothing more: zero is not above zero.
        let pairs = rng.next_u32() as usize % cols.div_ceil(2);
        weights[..pairs].fill(1);
        weights[cols - pairs..].fill(-1);
        weights[pairs] = if above(row) { 1 } else { -((rng.next_u32() % 2) as i8) };
    }
    TernaryMatrix::from_rows(rows, cols, &weights).unwrap()
}

impl<D: Device> Bench<D> {
    /// An operator that records: the rows for which `above` holds have results above zero.
    pub fn recording(&mut self, rng: &mut Random, rows: usize, cols: usize, above: impl Fn(usize) -> bool) -> Operator {
        let matrix = with_signs(rng, rows, cols, above);
        let mut op = self.place(matrix, vec![1; cols], 1);
        op.descriptor.selection = Selection::Record;
        op
    }

    /// An operator with random weights in single rows that skips what `record` did not record. It uses the activations
    /// of `x`, and must be queued behind an operator with those.
    pub fn skipping(&mut self, rng: &mut Random, record: &Operator, x: &Operator, selection: Selection) -> Operator {
        let first = Descriptor { layout: Layout::Rows, selection, ..x.descriptor };
        let x = Operator { descriptor: first, ..x.clone() };
        let mut op = self.sharing(rng, &x, record.descriptor.out_features);
        let above = record.expected.iter().map(|y| *y > 0);
        for (y, above) in op.expected.iter_mut().zip(above) {
            *y = if above { *y } else { 0 };
            op.read += u32::from(above);
        }
        op
    }
}

/// Weights in single rows give the results of the same weights in row blocks.
pub fn single_rows<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(30));
    let (most, lanes, words) = (bench.info.max_tokens(), bench.info.lanes(), bench.info.bank_words);
    for (rows, beats, tokens) in
        [(1, 1, 1), (8, 2, 1), (21, 16, most), (19, 17, 1), (40, 3, most), (70, 33, 1), (3, words, 1)]
    {
        let beats = beats.min(words);
        let cols = beats * lanes - rng.next_u32() as usize % lanes;
        let mut x = bench.operator(&mut rng, 5, cols, tokens);
        x.descriptor.layout = Layout::Rows;
        let op = bench.sharing(&mut rng, &x, rows);
        x.descriptor.layout = Layout::Blocks;
        let (other, again) = (bench.sharing(&mut rng, &x, 13), op.clone());
        bench.run(&[x, op, other, again]);
    }
}

/// An operator skips the rows that were not above zero: any share of them, and each number modulo the rows of a block.
pub fn skipped_rows<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(31));
    let cols = 2 * bench.info.lanes() + 3;
    for (rows, share) in [(64, 0), (64, 256), (96, 103), (200, 128), (203, 20), (177, 230), (1, 256), (9, 128)] {
        let signs: Vec<bool> = (0..rows).map(|_| rng.next_u32() % 256 < share).collect();
        let gate = bench.recording(&mut rng, rows, cols, |row| signs[row]);
        let up = bench.skipping(&mut rng, &gate, &gate, Selection::Skip);
        let dense = dense_of(bench.sharing(&mut rng, &gate, 11));
        // Twice: a record stays until the next but one.
        bench.run(&[gate.clone(), up.clone(), up.clone()]);
        bench.run(&[gate, up, dense]);
    }
}

fn dense_of(op: Operator) -> Operator {
    Operator { descriptor: Descriptor { selection: Selection::All, ..op.descriptor }, ..op }
}

/// Blocks of one to eight rows, anywhere.
pub fn few_rows_left<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(32));
    let cols = bench.info.lanes();
    for count in 1..=9 {
        for first in [0, 7, 8, 33, 72 - count] {
            let gate = bench.recording(&mut rng, 72, cols, |row| (first..first + count).contains(&row));
            let up = bench.skipping(&mut rng, &gate, &gate, Selection::Skip);
            assert_eq!(up.read, count as u32);
            bench.run(&[gate, up]);
            bench.unload();
        }
    }
}

/// Two records at a time: the last one, and the one before it.
pub fn records_in_turn<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(33));
    let cols = bench.info.lanes() + 1;
    for _ in 0..3 {
        let gates: Vec<Operator> = [40, 72, 16, 130]
            .into_iter()
            .map(|rows| {
                let seed = rng.next_u32() as usize;
                bench.recording(&mut rng, rows, cols, |row| (row * 7 + seed) % 5 < 2)
            })
            .collect();
        let mut up = |gate: usize, x: usize, selection| bench.skipping(&mut rng, &gates[gate], &gates[x], selection);
        let (older, last) = (Selection::SkipOlder, Selection::Skip);
        let ups = [up(0, 1, older), up(1, 2, older), up(2, 2, last), up(2, 3, older), up(3, 3, last), up(2, 3, older)];
        let [u0, u1, u2, u3, u4, u5] = ups;
        let [g0, g1, g2, g3] = [0, 1, 2, 3].map(|i| gates[i].clone());
        bench.run(&[g0, g1, u0, g2, u1, u2, g3, u3, u4, u5]);
    }
}

/// What lies in a skipped row does not matter: it is not read, also if it has no legal weights.
pub fn skipped_rows_are_not_read<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(34));
    let cols = 3 * bench.info.lanes();
    let gate = bench.recording(&mut rng, 50, cols, |row| row % 3 == 1);
    let up = bench.skipping(&mut rng, &gate, &gate, Selection::Skip);
    let bytes = up.descriptor.row_beats * bench.info.port_bytes;
    for row in (0..50).filter(|row| row % 3 != 1) {
        bench.bytes(up.descriptor.w_addr + (row * up.descriptor.w_stride) as u64, bytes).fill(0xff);
    }
    bench.run(&[gate, up]);
}

/// An illegal weight in each beat of single rows, with the address of its beat.
pub fn bad_rows<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(35));
    let port_bytes = bench.info.port_bytes;
    let good = bench.operator(&mut rng, 8, 2 * bench.info.lanes(), 1);
    let x = Operator { descriptor: Descriptor { layout: Layout::Rows, ..good.descriptor }, ..good.clone() };
    let mut op = bench.sharing(&mut rng, &x, 8);
    op.descriptor.keep_x = false;
    for beat in 0..16 {
        bench.soft_reset();
        let at = op.descriptor.w_addr + (beat / 2 * op.descriptor.w_stride + beat % 2 * port_bytes) as u64;
        let before = bench.spoil(at);
        assert_eq!(fails(&mut bench, &good, &op.descriptor.encode(), regs::ERR_BAD_WEIGHT), (0, at), "beat {beat}");
        bench.bytes(at, before.len()).copy_from_slice(&before);
    }
    bench.run(&[op]);
}

/// Flags that lack what they need are refused.
pub fn bad_selections<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(36));
    let lanes = bench.info.lanes();
    let gate = bench.recording(&mut rng, 24, 9 * lanes, |row| row % 2 == 0);
    let up = bench.skipping(&mut rng, &gate, &gate, Selection::Skip);
    let (d, most) = (up.descriptor, bench.info.max_tokens());
    let row_bytes = d.row_beats * bench.info.port_bytes;
    let large = regs::MAX_RECORDED_ROWS as usize + 1;
    let flags = |descriptor: Descriptor, more: u32| {
        let mut bytes = descriptor.encode();
        bytes[0] |= more as u8;
        bytes
    };
    let mut refused = |what: &str, before: &[&Operator], bytes: [u8; 64]| {
        println!("{what}");
        bench.soft_reset();
        before.iter().for_each(|op| bench.run(std::slice::from_ref(*op)));
        let number = bench.queued;
        let found = fails(&mut bench, &gate, &bytes, regs::ERR_BAD_DESCRIPTOR);
        assert_eq!(found, (FRONT_END, bench.slot(number)), "{what}");
    };
    let alone = Descriptor { keep_x: false, ..d };
    refused("nothing was recorded", &[], alone.encode());
    refused("one record only", &[&gate], Descriptor { selection: Selection::SkipOlder, ..d }.encode());
    for rows in [23, 25, 16, 32, 24 + 8192] {
        refused("other rows than recorded", &[&gate], Descriptor { out_features: rows, ..d }.encode());
    }
    refused("row blocks", &[&gate], Descriptor { layout: Layout::Blocks, w_stride: 1 << 20, ..d }.encode());
    refused("records what it skips", &[&gate], flags(d, regs::FLAG_RECORD));
    refused("older of nothing", &[&gate], flags(Descriptor { selection: Selection::All, ..d }, regs::FLAG_OLDER));
    refused("older record", &[&gate], flags(Descriptor { selection: Selection::Record, ..d }, regs::FLAG_OLDER));
    if most > 1 {
        refused("skips with two tokens", &[&gate], Descriptor { tokens: 2, ..alone }.encode());
        refused("records two tokens", &[], Descriptor { tokens: 2, ..gate.descriptor }.encode());
    }
    refused("records too many rows", &[], Descriptor { out_features: large, ..gate.descriptor }.encode());
    // A stride of a row is enough for a row, and no less.
    let less = Descriptor { w_stride: row_bytes.next_multiple_of(64) - 64, ..d };
    if less.w_stride < row_bytes {
        refused("rows that overlap", &[&gate], less.encode());
        refused("rows that overlap", &[], Descriptor { keep_x: false, selection: Selection::All, ..less }.encode());
    }
    bench.soft_reset();
    bench.run(&[gate, up]);
}

/// After a reset there is no record.
pub fn reset_forgets_records<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(37));
    let gate = bench.recording(&mut rng, 3 * ROW_BLOCK, 40, |row| row % 2 == 0);
    let mut up = bench.skipping(&mut rng, &gate, &gate, Selection::SkipOlder);
    bench.run(&[gate.clone(), gate.clone(), up.clone()]);
    bench.soft_reset();
    up.descriptor.keep_x = false;
    let found = fails(&mut bench, &gate, &up.descriptor.encode(), regs::ERR_BAD_DESCRIPTOR);
    assert_eq!(found, (FRONT_END, bench.slot(0)));
    // Operators that record nothing are no records, however many there are and whatever was recorded before.
    let plain = bench.operator(&mut rng, 3 * ROW_BLOCK, 40, 1);
    for selection in [Selection::Skip, Selection::SkipOlder] {
        bench.soft_reset();
        bench.run(&[plain.clone(), plain.clone()]);
        up.descriptor.selection = selection;
        let found = fails(&mut bench, &gate, &up.descriptor.encode(), regs::ERR_BAD_DESCRIPTOR);
        assert_eq!(found, (FRONT_END, bench.slot(2)), "{selection:?}");
    }
}
