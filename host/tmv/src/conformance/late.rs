//! Rules for descriptors that are queued before their activations are in memory.

use alloc::vec::Vec;

use super::bench::{Bench, Operator, STALE};
use super::ring::{FRONT_END, rng};
use crate::descriptor::{DESCRIPTOR_BYTES, Descriptor};
use crate::device::Device;
use crate::regs;

/// Reads of a register that a waiting unit has to survive.
const READS: usize = 2_000;

impl<D: Device> Bench<D> {
    /// Overwrites the activations of an operator with others. Returns them.
    fn withhold(&mut self, op: &Operator) -> Vec<u8> {
        let len = op.descriptor.tokens * op.descriptor.x_stride;
        let image = self.bytes(op.descriptor.x_addr, len);
        let x = image.to_vec();
        image.fill(STALE);
        x
    }

    fn give(&mut self, op: &Operator, x: &[u8]) {
        self.bytes(op.descriptor.x_addr, x.len()).copy_from_slice(x);
    }

    /// Waits until so many descriptors are complete, and sees that the next one is not.
    fn stops_at(&mut self, count: u16) {
        let mut polls = 0;
        while self.read(regs::RING_HEAD) != u32::from(count) {
            polls += 1;
            assert!(polls < 100_000, "RING_HEAD stays at {}, not at {count}", self.read(regs::RING_HEAD));
        }
        for _ in 0..READS {
            assert_eq!(self.read(regs::RING_HEAD), u32::from(count), "a late descriptor did not wait");
        }
        assert_eq!(self.read(regs::STATUS) & (regs::STATUS_BUSY | regs::STATUS_ERROR), regs::STATUS_BUSY);
    }
}

/// Late operators of any length wait, one after the other, and compute with the activations that come.
pub fn late_activations<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(70));
    let tokens = bench.info.max_tokens();
    let lanes = bench.info.lanes();
    for (rows, cols, tokens) in [(8, lanes, 1), (3, 5, tokens), (600, 2 * lanes + 1, 1), (2000, 40, tokens)] {
        bench.unload();
        let first = bench.queued;
        let ops: Vec<Operator> = (0..4).map(|_| bench.operator(&mut rng, rows, cols, tokens)).collect();
        let numbers: Vec<u16> = ops.iter().map(|op| bench.queue(op)).collect();
        let withheld: Vec<Vec<u8>> = ops[1..].iter().map(|op| bench.withhold(op)).collect();
        bench.ring_late(3);
        bench.stops_at(first.wrapping_add(1));
        assert_eq!(bench.read(regs::RING_TAIL), u32::from(bench.queued) | 3 << 16);
        bench.give(&ops[1], &withheld[0]);
        bench.ring_late(2);
        bench.stops_at(first.wrapping_add(2));
        // Those that are not late any more need no doorbell each.
        bench.give(&ops[2], &withheld[1]);
        bench.give(&ops[3], &withheld[2]);
        bench.finish();
        for (op, number) in ops.iter().zip(numbers) {
            bench.check(op, number);
        }
        assert_eq!(bench.read(regs::RING_TAIL), u32::from(bench.queued));
    }
}

/// What holds the activations of the descriptor before does not wait for its own. Behind one that waits, it waits too.
pub fn late_held_activations<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(71));
    let first = bench.operator(&mut rng, 20, 30, 1);
    let held = bench.sharing(&mut rng, &first, 50);
    let late = bench.operator(&mut rng, 9, 30, 1);
    let behind = bench.sharing(&mut rng, &late, 700);
    let ops = [first, held, late, behind];
    let numbers: Vec<u16> = ops.iter().map(|op| bench.queue(op)).collect();
    let x = bench.withhold(&ops[2]);
    bench.ring_late(3);
    bench.stops_at(2);
    bench.give(&ops[2], &x);
    bench.ring_late(1);
    bench.finish();
    for (op, number) in ops.iter().zip(numbers) {
        bench.check(op, number);
    }
}

/// Which columns are read is known when the activations are there.
pub fn late_columns<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(72));
    let before = bench.operator(&mut rng, 40, 20, 1);
    let op = bench.columns(&mut rng, 30, 90, |col| col % 3 == 0);
    let numbers = [bench.queue(&before), bench.queue(&op)];
    let x = bench.withhold(&op);
    bench.ring_late(1);
    bench.stops_at(1);
    bench.give(&op, &x);
    bench.finish();
    bench.check(&before, numbers[0]);
    bench.check(&op, numbers[1]);
}

/// More late descriptors than are queued.
pub fn bad_late_doorbells<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(73));
    let op = bench.operator(&mut rng, 8, 8, 1);
    for done in [0, 3] {
        for _ in 0..done {
            bench.queue(&op);
        }
        bench.finish();
        bench.queue(&op);
        bench.queue(&op);
        bench.ring_late(3);
        let tail = u64::from(bench.queued);
        assert_eq!(bench.expect_error(regs::ERR_BAD_DOORBELL), (FRONT_END, tail));
        assert_eq!(bench.read(regs::RING_TAIL), done, "a refused doorbell changes nothing");
        bench.soft_reset();
        bench.run(&[op.clone(), op.clone()]);
        bench.soft_reset();
    }
}

/// A descriptor that is wrong is an error before its activations are there, and behind one that waits when that is complete.
pub fn late_and_bad<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(74));
    let op = bench.operator(&mut rng, 8, 8, 1);
    let bad = Descriptor { out_features: 0, ..op.descriptor }.encode();
    bench.queue_bytes(&bad);
    bench.ring_late(1);
    assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR), (FRONT_END, bench.slot(0)));
    bench.soft_reset();
    let number = bench.queue(&op);
    let x = bench.withhold(&op);
    bench.queue_bytes(&bad);
    bench.ring_late(2);
    bench.stops_at(0);
    bench.give(&op, &x);
    bench.ring_late(1);
    assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR), (FRONT_END, bench.slot(0) + DESCRIPTOR_BYTES as u64));
    bench.check(&op, number);
    bench.soft_reset();
    bench.run(&[op]);
}

/// A reset in the middle of a wait, with weights that were read ahead.
pub fn reset_of_a_waiting_unit<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(75));
    let others: Vec<Operator> = (0..2).map(|_| bench.operator(&mut rng, 90, 33, 1)).collect();
    for command in [regs::CONTROL_SOFT_RESET, regs::CONTROL_ABORT] {
        bench.queue(&others[0]);
        bench.queue(&others[1]);
        bench.ring_late(1);
        bench.stops_at(1);
        bench.write(regs::CONTROL, command);
        let idle = (0..10_000).any(|_| bench.read(regs::STATUS) == 0);
        assert!(idle, "the reset does not end: STATUS is {:#x}", bench.read(regs::STATUS));
        assert_eq!((bench.read(regs::RING_TAIL), bench.read(regs::RING_HEAD)), (0, 0));
        bench.set_up();
        bench.run(&[others[1].clone(), others[0].clone()]);
        bench.soft_reset();
    }
}

/// Activations that are there already cannot come after another unit.
pub fn kept_activations_do_not_wait<D: Device>(device: D) {
    let (mut bench, mut rng) = (Bench::new(device), rng(76));
    let first = bench.operator(&mut rng, 90, 33, 1);
    let kept = bench.sharing(&mut rng, &first, 40);
    bench.run(&[first.clone(), kept.clone()]);
    bench.queue(&first);
    bench.queue_bytes(&Descriptor { after: true, ..kept.descriptor }.encode());
    bench.ring();
    assert_eq!(bench.expect_error(regs::ERR_BAD_DESCRIPTOR).0, FRONT_END);
}
