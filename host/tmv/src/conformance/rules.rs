//! Rules for registers, descriptors, interrupts and errors.

use alloc::vec;
use alloc::vec::Vec;
use std::{format, println};

use golden::{Codec, TernaryMatrix};
use rand_core::Rng;

use super::bench::{Bench, Operator, STALE, fails};
use super::registers::Map;
use super::ring::{ALL_SOURCES, FRONT_END, WRITER, rng};
use crate::descriptor::{DESCRIPTOR_BYTES, Descriptor, ROW_BLOCK};
use crate::device::{Device, DeviceError};
use crate::info::UnitInfo;
use crate::regs;

/// The registers of this unit. Those that exist once per port are listed for every port.
fn map<D: Device>(device: &mut D) -> Map {
    let ports = UnitInfo::read(device).unwrap().ports as u32;
    let all = regs::REGISTERS.iter();
    let registers = all.flat_map(|(_, offset, access)| {
        let copies = if *offset >= regs::PORT_BUSY { ports } else { 1 };
        (0..copies).map(move |copy| (offset + copy * regs::PORT_BUSY_STRIDE, *access))
    });
    Map { registers: registers.collect(), writable: regs::WRITABLE }
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
    map(device).check_reset_values(device);
}

pub fn read_only_registers<D: Device>(mut device: D) {
    map(&mut device).check_read_only(&mut device);
}

pub fn reserved_register_bits<D: Device>(mut device: D) {
    map(&mut device).check_reserved_bits(&mut device);
}

pub fn unknown_offsets<D: Device>(mut device: D) {
    map(&mut device).check_unknown_offsets(&mut device);
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
    bench.log2 = 0;
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
    assert!(tried > 90, "{tried} reserved bits");
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
    bench.check_stopped();
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
    bench.check_abort();
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
