//! Rules for registers, rings, descriptors and interrupts.

use alloc::format;
use alloc::vec::Vec;

use tmv::conformance::{ALL_SOURCES, FRONT_END, Map, Ring, WRITER, refuses, rng};
use tmv::descriptor::{Completion, DESCRIPTOR_BYTES};
use tmv::device::{Device, DeviceError};

use super::bench::{BYTES, INPUT, OUTPUT, PROGRAM, descriptor, moved, queue, ring, works};
use super::random;
use crate::config::PARTIALS;
use crate::driver::Driver;
use crate::instruction::{Instruction, WORDS};
use crate::regs;

fn map() -> Map {
    let registers = regs::REGISTERS.iter().map(|(_, offset, access)| (*offset, *access)).collect();
    Map { registers, writable: regs::WRITABLE }
}

pub fn identity<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let config = driver.config();
    assert!(matches!((config.lanes, config.ports, config.port_bits), (8 | 16 | 32, 1 | 2, 64 | 128)), "{config:?}");
    assert!(config.words.is_power_of_two() && config.words * config.lanes <= 1 << 16, "{config:?}");
    assert_eq!(config.sets() * config.lanes, PARTIALS);
    assert_eq!((driver.device().memory_base() % 4096, driver.device().memory().len()), (0, BYTES));
}

pub fn reset_values<D: Device>(mut device: D) {
    map().check_reset_values(&mut device);
}

pub fn read_only_registers<D: Device>(mut device: D) {
    map().check_read_only(&mut device);
}

pub fn reserved_register_bits<D: Device>(mut device: D) {
    map().check_reserved_bits(&mut device);
}

pub fn unknown_offsets<D: Device>(mut device: D) {
    map().check_unknown_offsets(&mut device);
}

/// Counters of slots, instructions and beats; CLEAR_COUNTERS zeroes them.
pub fn counters<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let (config, base) = (driver.config(), driver.device().memory_base());
    let program = [moved(base, INPUT, 8, &config, true), moved(base, OUTPUT, 8, &config, false)];
    // Eight words each way, and a record of 16 bytes.
    let beats = (8 * config.lanes * 32 / config.port_bits) as u32;
    for _ in 0..2 {
        driver.run(&program, PROGRAM, INPUT..BYTES).unwrap();
        let counters = driver.counters().unwrap();
        assert_eq!((counters.slots, counters.instructions), (16, 2));
        assert_eq!(counters.read_beats, beats);
        assert_eq!(counters.write_beats, beats + (128 / config.port_bits) as u32);
    }
    driver.device().write_register(regs::CONTROL, regs::CONTROL_CLEAR_COUNTERS).unwrap();
    for (name, offset, _) in regs::REGISTERS.iter().filter(|(_, offset, _)| *offset >= regs::SLOTS) {
        assert_eq!(driver.device().read_register(*offset).unwrap(), 0, "{name}");
    }
    assert_eq!(driver.device().read_register(regs::RING_HEAD).unwrap(), 2);
}

/// A program of a unit, as its instructions stand in memory: eight words to the scratchpad.
fn good<D: Device>(device: &mut D) -> [[u32; WORDS]; 1] {
    let base = device.memory_base();
    let config = Driver::open(device).unwrap().config();
    [moved(base, INPUT, 8, &config, true).encode()]
}

fn check_record<D: Device>(ring: &mut Ring<D>, number: u16) {
    ring.settle();
    let record = ring.record(number);
    assert_eq!((record.status, record.tag), (Completion::DONE, number), "record of descriptor {number}");
}

/// Descriptors on a ring that wraps, queued one or several at a time: each gets its record, in order, and only those that
/// ask for it interrupt.
pub fn rings<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 2);
    // A model may have no time.
    let has_time = ring.read(regs::CYCLE_LO) != 0;
    let mut end = 0;
    for (count, irq) in [(1, false), (4, true), (3, false), (2, true), (4, false), (1, true)] {
        let first = ring.queued;
        for index in 0..count {
            // Only the last one may interrupt.
            queue(&mut ring, &program, irq && index + 1 == count);
        }
        ring.ring();
        while ring.read(regs::RING_HEAD) < u32::from(ring.queued) {
            let early = ring.read(regs::IRQ_STATUS);
            // The head may have moved between both reads.
            let head = ring.read(regs::RING_HEAD);
            assert!(early == 0 || head == u32::from(ring.queued), "an interrupt before the last descriptor");
        }
        let pending = ring.read(regs::IRQ_STATUS);
        assert_eq!(pending, if irq { regs::IRQ_ENABLE_DONE } else { 0 }, "{count} descriptors");
        ring.write(regs::IRQ_STATUS, pending);
        for number in first..ring.queued {
            check_record(&mut ring, number);
            let record = ring.record(number);
            let timed = record.start_cycle >= end && record.end_cycle > record.start_cycle + 30;
            assert_eq!(timed, has_time, "descriptor {number}: {record:?}, after {end}");
            end = record.end_cycle;
        }
    }
    assert_eq!(ring.read(regs::INSTRUCTIONS), u32::from(ring.queued));
    ring.soft_reset();
    assert_eq!(queue(&mut ring, &program, true), 0);
    ring.finish();
    check_record(&mut ring, 0);
}

/// Only an enabled source raises the interrupt line; a one clears its bit, a zero does not.
pub fn interrupts<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 2);
    ring.write(regs::IRQ_ENABLE, regs::IRQ_ENABLE_ERROR);
    queue(&mut ring, &program, true);
    ring.ring();
    assert!(matches!(ring.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
    assert_eq!(ring.read(regs::IRQ_STATUS), regs::IRQ_ENABLE_DONE, "pending though not enabled");
    ring.write(regs::IRQ_ENABLE, regs::IRQ_ENABLE_DONE);
    ring.device.wait_interrupt().unwrap();
    ring.write(regs::IRQ_STATUS, ALL_SOURCES & !regs::IRQ_ENABLE_DONE);
    assert_eq!(ring.read(regs::IRQ_STATUS), regs::IRQ_ENABLE_DONE);
    ring.write(regs::IRQ_STATUS, regs::IRQ_ENABLE_DONE);
    assert!(matches!(ring.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
}

/// The unit stops at `bad` with an error of the front end, and works after a reset.
fn refuse<D: Device>(ring: &mut Ring<D>, bad: &[u8; DESCRIPTOR_BYTES], code: u8, what: &str) {
    let at = ring.slot(ring.queued) & !63;
    let next = descriptor(ring.device.memory_base() + INPUT as u64, 1, true);
    assert_eq!(ring.expect_stop(bad, &next, code), (FRONT_END, at), "{what}");
    ring.soft_reset();
}

/// The unit neither reads nor writes a descriptor at a misaligned address.
pub fn misaligned_rings<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 1);
    for bit in [1, 2, 4, 8, 16, 32] {
        let address = ring.allocate(4 * WORDS);
        for bytes in [descriptor(address, 1, true), [0; DESCRIPTOR_BYTES]] {
            let base = ring.slot(0) as u32;
            ring.write(regs::RING_BASE_LO, base | bit);
            refuse(&mut ring, &bytes, regs::ERR_MISALIGNED, "misaligned ring");
        }
        ring.unload();
    }
    queue(&mut ring, &program, true);
    ring.finish();
    check_record(&mut ring, 0);
}

/// The ring cannot be changed while a descriptor is queued, and a stopped unit has one. After a soft reset it can.
pub fn ring_of_a_stopped_unit<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 2);
    ring.check_stopped();
    queue(&mut ring, &program, true);
    ring.finish();
}

/// A doorbell that takes descriptors back, or that asks for more than the ring holds. The unit stops with the value, and
/// runs nothing.
pub fn bad_doorbells<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 2);
    for done in [0u16, 3, 4, 6] {
        for tail in [done.wrapping_sub(1), done + 5, done + 6, done.wrapping_add(1 << 15), done.wrapping_sub(4)] {
            for _ in 0..done {
                queue(&mut ring, &program, true);
                ring.finish();
            }
            let before = ring.queued;
            for _ in 0..4 {
                queue(&mut ring, &program, true);
            }
            ring.doorbell(tail);
            let what = format!("doorbell {tail} after {done} descriptors");
            assert_eq!(ring.expect_error(regs::ERR_BAD_DOORBELL), (FRONT_END, u64::from(tail)), "{what}");
            let state = (ring.read(regs::RING_HEAD), ring.read(regs::RING_TAIL));
            assert_eq!(state, (u32::from(done), u32::from(before)), "{what}");
            ring.settle();
            assert!((before..before + 4).all(|number| ring.record(number).status == 0), "{what}: a descriptor ran");
            ring.soft_reset();
        }
    }
}

/// ABORT of a unit that waits for nothing is a soft reset.
pub fn abort_is_a_soft_reset<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 2);
    ring.check_abort();
    queue(&mut ring, &program, true);
    ring.finish();
}

/// A bad descriptor right behind good ones, with one doorbell for all. The good ones are complete, the one behind is not.
pub fn bad_behind_good<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 3);
    for count in 1..4u16 {
        let numbers: Vec<u16> = (0..count).map(|_| queue(&mut ring, &program, false)).collect();
        let bad = ring.queue_bytes(&[0; DESCRIPTOR_BYTES]);
        let last = queue(&mut ring, &program, true);
        ring.ring();
        assert_eq!(ring.expect_error(regs::ERR_BAD_DESCRIPTOR), (FRONT_END, ring.slot(bad)));
        assert_eq!(ring.read(regs::RING_HEAD), u32::from(count));
        numbers.into_iter().for_each(|number| check_record(&mut ring, number));
        assert_eq!((ring.record(bad).status, ring.record(last).status), (0, 0));
        ring.soft_reset();
    }
}

/// Every bit of a descriptor that must be zero.
pub fn reserved_descriptor_bits<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut ring = Ring::new(device, 2);
    queue(&mut ring, &program, true);
    let slot = ring.slot(0);
    let bytes: [u8; DESCRIPTOR_BYTES] = (&*ring.bytes(slot, DESCRIPTOR_BYTES)).try_into().unwrap();
    ring.finish();
    ring.soft_reset();
    for (word, mask) in regs::DESC_RESERVED_BITS.iter().enumerate() {
        for bit in (0..32).filter(|bit| mask >> bit & 1 != 0) {
            let mut bad = bytes;
            bad[4 * word + bit / 8] |= 1 << (bit % 8);
            refuse(&mut ring, &bad, regs::ERR_BAD_DESCRIPTOR, &format!("word {word}, bit {bit}"));
        }
    }
}

pub fn bad_descriptors<D: Device>(device: D) {
    let mut ring = Ring::new(device, 2);
    let address = ring.device.memory_base() + INPUT as u64;
    let with = |word: usize, value: u32| {
        let mut bytes = descriptor(address, 1, true);
        bytes[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    let (bad, misaligned) = (regs::ERR_BAD_DESCRIPTOR, regs::ERR_MISALIGNED);
    for (what, bytes, code) in [
        ("opcode", with(regs::DESC_CONTROL, 0xb1 << 24), bad),
        ("opcode", with(regs::DESC_CONTROL, 0), bad),
        ("no instructions", with(regs::DESC_COUNT, 0), bad),
        ("too many", with(regs::DESC_COUNT, regs::MAX_INSTRUCTIONS + 1), bad),
        ("far too many", with(regs::DESC_COUNT, 2 * regs::MAX_INSTRUCTIONS), bad),
        ("program", with(regs::DESC_PROGRAM, address as u32 + 32), misaligned),
        ("program", with(regs::DESC_PROGRAM, address as u32 + 1), misaligned),
    ] {
        refuse(&mut ring, &bytes, code, what);
    }
    works(&mut Driver::open(ring.device).unwrap());
}

/// Memory ends before the program, within it, and before what a pass reads or writes: the error has the address of the first
/// beat that is outside, as far as one is read.
pub fn addresses_outside<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let (config, base) = (driver.config(), driver.device().memory_base());
    let end = base + BYTES as u64;
    let loads = Instruction { ..moved(base, BYTES - 64, 8, &config, true) };
    let stores = Instruction { ..moved(base, BYTES - 64, 8, &config, false) };
    let load = Instruction { ..moved(base, BYTES + 4096, 8, &config, true) };
    for (what, instr, code, source) in [
        ("partly, a load", loads, regs::ERR_READ_DECERR, regs::SOURCE_LOADER as u8),
        ("a load", load, regs::ERR_READ_DECERR, regs::SOURCE_LOADER as u8),
        ("partly, a store", stores, regs::ERR_WRITE_DECERR, WRITER),
    ] {
        let mut ring = ring(&mut driver);
        queue(&mut ring, &[instr.encode()], true);
        ring.ring();
        let (found, address) = ring.expect_error(code);
        assert_eq!(found, source, "{what}");
        match code {
            regs::ERR_READ_DECERR if instr == load => assert_eq!(address, end + 4096, "{what}"),
            // Of two ports, the second one is four words further.
            regs::ERR_READ_DECERR => {
                let second = end - 64 + 16 * config.lanes as u64;
                assert!(address == end || (config.ports == 2 && address == second), "{what}: {address:#x}");
            }
            // A refused burst has one answer.
            _ => assert!((end - 64..end + 64).contains(&address), "{what}: {address:#x}"),
        }
        driver.reset().unwrap();
        works(&mut driver);
    }
    for (program, what) in [(end, "a program"), (end - 64, "half of a program"), (base | 0xff << 32, "far away")] {
        let mut ring = ring(&mut driver);
        let first = moved(base, INPUT, 8, &config, true).encode();
        let bytes = ring.bytes(end - 64, 64);
        bytes.as_chunks_mut().0.iter_mut().zip(first).for_each(|(to, word)| *to = word.to_le_bytes());
        ring.queue_bytes(&descriptor(program, 2, true));
        ring.ring();
        assert_eq!(ring.expect_error(regs::ERR_READ_DECERR), (FRONT_END, program.max(end)), "{what}");
        driver.reset().unwrap();
        works(&mut driver);
    }
}

/// A unit that waits for another one is busy and does nothing; a reset ends that.
pub fn reset_of_a_waiting_unit<D: Device>(mut device: D) {
    let program = good(&mut device);
    let mut waits = program;
    waits[0][14] |= 0x200;
    let mut ring = Ring::new(device, 2);
    let number = queue(&mut ring, &waits, true);
    ring.ring();
    assert!(matches!(ring.device.wait_interrupt(), Err(DeviceError::Timeout { .. })));
    assert_eq!(ring.read(regs::STATUS), regs::STATUS_BUSY);
    assert!(refuses(&mut ring.device, regs::RING_LOG2, 3), "the ring of a busy unit");
    assert_eq!((ring.read(regs::RING_HEAD), ring.record(number).status), (0, 0));
    ring.soft_reset();
    queue(&mut ring, &program, true);
    ring.finish();
    check_record(&mut ring, 0);
}

pub fn random_programs<D: Device>(device: D) {
    random::check_programs(&mut Driver::open(device).unwrap(), &mut rng(31), 6);
}

pub fn random_instructions<D: Device>(device: D) {
    let found = random::check_instructions(&mut Driver::open(device).unwrap(), &mut rng(32), 300);
    assert!(found.iter().all(|count| *count >= 20), "complete, refused, stopped: {found:?}");
}
