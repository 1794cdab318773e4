//! The vector unit under Verilator against the arithmetic of its programs, bit for bit.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Random, below, for_seeds, pick};
use golden::Codec;
use rand_core::SeedableRng;
use testbench::device::VerilatedDevice;
use testbench::model::vector_spec;
use tmv::config::UnitConfig;
use tmv::device::Device;
use vector::conformance::bench::{BYTES, INPUT, OUTPUT, PROGRAM, USED, compare, fault_of, moved, works};
use vector::conformance::random::{self, single};
use vector::driver::{Driver, Error};
use vector::instruction::{A, At, B, C, Format, From, Kind, Op, Range};
use vector::{Instruction, VectorConfig, conformance_suite, regs};
use verilated::{PowerUp, Trace, VerilatedContext};
use zynq_memory::{DECERR, Faults, MemoryConfig, ReadFault, SLVERR, Timing, WriteFault};

macro_rules! unit {
    ($name:ident, $config:expr) => {
        mod $name {
            use super::*;

            fn fresh() -> VerilatedDevice {
                let mut device = device(&$config, memory(), false, &VerilatedContext::default());
                device.set_patience(60_000);
                device
            }

            conformance_suite!(fresh());
        }
    };
}

unit!(lanes_8, small_unit());
unit!(lanes_16, VectorConfig::of(16));
unit!(lanes_32, VectorConfig::of(32));

fn open(config: &VectorConfig, memory: MemoryConfig, lut: bool) -> Driver<VerilatedDevice> {
    open_from(config, memory, lut, &VerilatedContext::default())
}

/// A unit that powers up as `context` says.
fn open_from(
    config: &VectorConfig,
    memory: MemoryConfig,
    lut: bool,
    context: &VerilatedContext,
) -> Driver<VerilatedDevice> {
    let driver = Driver::open(device(config, memory, lut, context)).unwrap();
    assert_eq!(driver.config(), *config);
    driver
}

fn device(config: &VectorConfig, memory: MemoryConfig, lut: bool, context: &VerilatedContext) -> VerilatedDevice {
    let mut spec = vector_spec(config, Trace::Off).unwrap();
    if lut {
        spec.defines.insert("TMV_LUT_BODIES".into(), "1".into());
        spec.label += ", bodies for LUTs";
    }
    let ports =
        UnitConfig { ports: config.ports, port_bits: config.port_bits, vectors: 1, groups: 1, codec: Codec::Weights2b };
    let mut device = VerilatedDevice::new(&common::model(&spec), context, &ports, memory).unwrap();
    device.set_patience(400_000);
    device
}

fn memory() -> MemoryConfig {
    MemoryConfig { bytes: BYTES, ..common::memory() }
}

/// Memory somewhere: also where a program, its operands or its results lie across 4 GiB.
fn anywhere(rng: &mut Random) -> u64 {
    let across = pick(rng, &[PROGRAM + 640, INPUT + 4096, OUTPUT + 4096]) as u64;
    pick(rng, &[memory().base, (1 << 32) - across, 0xff << 32])
}

/// Random programs on a unit of `lanes` lanes with some memory.
fn random_programs(lanes: usize, seeds: u64, lut: bool, memories: impl Fn(&mut Random) -> MemoryConfig) {
    // The units of 16 and 32 lanes are those of other tests, and so are their models.
    let unit = if lanes == 8 { small_unit() } else { VectorConfig::of(lanes) };
    random_programs_of(&unit, seeds, lut, memories);
}

fn random_programs_of(unit: &VectorConfig, seeds: u64, lut: bool, memories: impl Fn(&mut Random) -> MemoryConfig) {
    for_seeds(seeds, |_, rng| {
        let mut driver = open(unit, MemoryConfig { base: anywhere(rng), ..memories(rng) }, lut);
        random::check_programs(&mut driver, rng, 4);
    });
}

/// Two narrow ports, which no board has.
#[test]
fn programs_of_8_lanes_and_two_ports() {
    let unit = VectorConfig { ports: 2, ..VectorConfig::of(8) };
    random_programs_of(&unit, 12, false, |rng| MemoryConfig { bytes: BYTES, ..common::restless(rng) });
}

#[test]
fn programs_of_32_lanes() {
    random_programs(32, 12, false, |_| memory());
}

#[test]
fn programs_of_16_lanes() {
    random_programs(16, 20, false, |_| memory());
}

#[test]
fn programs_of_8_lanes() {
    random_programs(8, 30, false, |_| memory());
}

/// Memories that stall, answer late and in another order.
#[test]
fn restless_memories() {
    for lanes in [8, 16, 32] {
        random_programs(lanes, 8, false, |rng| MemoryConfig { bytes: BYTES, ..common::restless(rng) });
    }
}

/// Instructions with damaged bits, in restless memories: a unit refuses what its arithmetic refuses, and nothing else.
#[test]
fn damaged_instructions() {
    for lanes in [8, 16, 32] {
        let unit = if lanes == 8 { small_unit() } else { VectorConfig::of(lanes) };
        for_seeds(6, |_, rng| {
            let memory = MemoryConfig { bytes: BYTES, ..common::restless(rng) };
            let mut driver = open(&unit, MemoryConfig { base: anywhere(rng), ..memory }, false);
            random::check_instructions(&mut driver, rng, 60);
        });
    }
}

/// The bodies for LUTs. Few programs, because they simulate slowly.
#[test]
fn bodies_for_luts() {
    random_programs(8, 4, true, |_| memory());
}

fn small_unit() -> VectorConfig {
    VectorConfig { words: usize::from(USED), ..VectorConfig::of(8) }
}

/// The units on which errors and resets are tried: with a port, and with two.
fn small_and_wide() -> [VectorConfig; 2] {
    [small_unit(), VectorConfig::of(32)]
}

/// Whatever registers and memories hold at power-up, the first program is right and takes as long.
#[test]
fn power_up_state_is_irrelevant() {
    for config in small_and_wide() {
        let powers = [PowerUp::Zeros, PowerUp::Ones].into_iter().chain([PowerUp::Random; 6]);
        let mut cycles = powers.zip(1..).map(|(power_up, seed)| {
            let context = VerilatedContext { power_up, seed, ..VerilatedContext::default() };
            let mut driver = open_from(&config, memory(), false, &context);
            works(&mut driver);
            driver.device().cycles()
        });
        let first = cycles.next().unwrap();
        assert!(cycles.all(|cycles| cycles == first), "{} lanes", config.lanes);
    }
}

/// A stream with a fence sees what the program wrote before, also in a memory that shows it late; after many instructions,
/// and after one.
#[test]
fn fences() {
    for_seeds(10, |seed, rng| {
        // It reads fast, and takes its time to answer writes.
        let timing = Timing::ideal(1);
        let memory =
            MemoryConfig { bytes: BYTES, late_writes: true, timing, stall: 220, seed, ..common::restless(rng) };
        let mut driver = open(&small_and_wide()[seed as usize % 2], memory, false);
        let (config, base) = (driver.config(), driver.device().memory_base());
        let mut image = vec![0; BYTES];
        image[INPUT..OUTPUT]
            .iter_mut()
            .enumerate()
            .for_each(|(at, byte)| *byte = if at % 4 == 3 { 0x3f } else { at as u8 });
        let mut program = vec![moved(base, INPUT, 4, &config, true)];
        for pass in 0..6u16 {
            program.push(moved(base, OUTPUT + 4096, 4, &config, false));
            // The words change in the scratchpad and come back from memory, as they were.
            let row = At::row(0);
            let change =
                Instruction { counts: [1, 4, 1, 1], c: C::Imm, imm_c: 1.0, x: row, d: row, ..Default::default() };
            program.extend(vec![change; usize::from(pass) * 2]);
            program.push(Instruction { fence: true, ..moved(base, OUTPUT + 4096, 4, &config, true) });
            program.push(Instruction { b: B::Imm, imm_b: 1.5, c: C::None, ..change });
        }
        compare(&mut driver, &program, &moved(base, OUTPUT, 4, &config, false), &image).unwrap();
    });
}

/// Memory that answers with errors, wherever the unit reads or writes.
#[test]
fn bus_errors() {
    // With 64-bit ports: a descriptor and a program of two instructions are 24 beats, then come 32 of the stream. A program
    // writes 32 beats, then a record of two.
    for (read, write, code, origin) in [
        (Some((40, ReadFault::Response(SLVERR))), None, regs::ERR_READ_SLVERR, "the loader"),
        (Some((40, ReadFault::Response(DECERR))), None, regs::ERR_READ_DECERR, "the loader"),
        (Some((40, ReadFault::FlipLast)), None, regs::ERR_READ_LAST, "the loader"),
        (Some((3, ReadFault::Response(DECERR))), None, regs::ERR_READ_DECERR, "the front end"),
        (Some((10, ReadFault::Response(SLVERR))), None, regs::ERR_READ_SLVERR, "the front end"),
        (None, Some((5, WriteFault::Response(SLVERR))), regs::ERR_WRITE_SLVERR, "the storer"),
        (None, Some((33, WriteFault::Response(DECERR))), regs::ERR_WRITE_DECERR, "the storer"),
    ] {
        let faults = Faults { read: read.map(|(beat, fault)| (0, beat, fault)), write, ..Faults::default() };
        let mut driver = open(&small_unit(), MemoryConfig { faults, ..memory() }, false);
        let (config, base) = (driver.config(), driver.device().memory_base());
        let program = [moved(base, INPUT, 8, &config, true), moved(base, OUTPUT, 8, &config, false)];
        let (found, from, _) = fault_of(&mut driver, &program);
        assert_eq!((found, from), (code, origin), "{read:?}, {write:?}");
        works(&mut driver);
    }
    // The second port of a wide unit: its beat 12 is the fifth of the second pair of words. Eight beats are a word.
    let faults = Faults { read: Some((1, 20, ReadFault::Response(SLVERR))), ..Faults::default() };
    let mut driver = open(&VectorConfig::of(32), MemoryConfig { faults, ..memory() }, false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    let program = [moved(base, INPUT, 8, &config, true), moved(base, OUTPUT, 8, &config, false)];
    let (found, from, at) = fault_of(&mut driver, &program);
    assert_eq!((found, from), (regs::ERR_READ_SLVERR, "the loader"));
    // Words 2 and 3, 6 and 7 are of this port: beat 20 is the fifth of word 6.
    assert_eq!(at, (INPUT + 6 * 128 + 4 * 16 - 64) as i64);
    works(&mut driver);
}

/// A soft reset at any moment of a program leaves a unit that works.
#[test]
fn resets_in_the_middle() {
    for_seeds(8, |seed, rng| {
        let memory = MemoryConfig { bytes: BYTES, ..common::restless(rng) };
        let mut driver = open(&small_and_wide()[seed as usize % 2], memory, false);
        let (config, base) = (driver.config(), driver.device().memory_base());
        let words = 3200 / config.lanes as u16 / 4;
        let first = Instruction { x: At::row(1), d: At::row(1), ..Default::default() };
        let program: Vec<Instruction> = (0..6)
            .flat_map(|_| {
                [
                    moved(base, INPUT, words, &config, true),
                    Instruction { op: Op::Root, ..first },
                    Instruction { op: Op::Div, counts: [1, 8, 1, 1], b: B::Imm, imm_b: 3.0, ..first },
                    Instruction { kind: Kind::Max, counts: [8, 1, 1, 1], x: At::row(0), d: At::fixed(9), ..first },
                    moved(base, OUTPUT, words, &config, false),
                ]
            })
            .collect();
        for _ in 0..12 {
            driver.device().set_patience(below(rng, 4000) as u64);
            // It stops waiting, while the unit goes on; or the program was shorter.
            let stopped = driver.run(&program, PROGRAM, INPUT..BYTES);
            assert!(matches!(stopped, Ok(_) | Err(Error::Device(_))), "seed {seed}: {stopped:?}");
            driver.device().set_patience(400_000);
            driver.reset().unwrap();
            works(&mut driver);
        }
    });
}

/// A reset while a root is at work leaves nothing of it behind.
#[test]
fn resets_of_roots() {
    let mut driver = open(&small_unit(), memory(), false);
    let program = vec![Instruction { op: Op::Root, x: At::row(1), d: At::row(1), ..Default::default() }; 60];
    for wait in (0..40).map(|step| 600 + 19 * step) {
        driver.device().set_patience(wait);
        assert!(matches!(driver.run(&program, PROGRAM, INPUT..BYTES), Err(Error::Device(_))), "after {wait} cycles");
        driver.device().set_patience(400_000);
        works(&mut driver);
    }
}

/// The watchdog bites when a program waits for ever: here for a memory that does not answer.
#[test]
fn watchdog() {
    let faults = Faults { starve_read_data: Some((0, 2_000)), ..Faults::default() };
    let mut driver = open(&small_unit(), MemoryConfig { faults, ..memory() }, false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    driver.device().write_register(regs::WATCHDOG, 5_000).unwrap();
    while driver.device().cycles() < 2_000 {
        driver.device().step().unwrap();
    }
    let at = driver.device().memory_base() + 64;
    driver.device().memory()[..64].fill(0);
    let descriptor = vector::driver::descriptor(at, 1, true);
    let instruction = moved(base, INPUT, 8, &config, true).encode();
    let words: Vec<u8> = descriptor.into_iter().chain(instruction).flat_map(u32::to_le_bytes).collect();
    let device = driver.device();
    device.memory()[..words.len()].copy_from_slice(&words);
    device.write_register(regs::RING_BASE_LO, base as u32).unwrap();
    device.write_register(regs::RING_TAIL, 1).unwrap();
    device.wait_interrupt().unwrap();
    let error = device.read_register(regs::ERROR).unwrap();
    assert_eq!(error & regs::ERROR_CODE, u32::from(regs::ERR_WATCHDOG));
}

/// A memory that takes no more addresses, or no more words: the watchdog bites too. It does not while words come, however
/// slowly.
#[test]
fn watchdog_of_addresses_and_words() {
    for (faults, bites) in [
        (Faults { starve_read_address: Some((0, 2_000)), ..Faults::default() }, true),
        (Faults { starve_write: Some(2_000), ..Faults::default() }, true),
        (Faults::default(), false),
    ] {
        let slow = MemoryConfig { faults, stall: if bites { 0 } else { 250 }, ..memory() };
        let mut driver = open(&small_unit(), slow, false);
        let (config, base) = (driver.config(), driver.device().memory_base());
        driver.device().write_register(regs::WATCHDOG, if bites { 5_000 } else { 1_500 }).unwrap();
        while driver.device().cycles() < 1_990 {
            driver.device().step().unwrap();
        }
        let program = [moved(base, INPUT, 100, &config, true), moved(base, OUTPUT, 100, &config, false)];
        match driver.run(&program, PROGRAM, INPUT..BYTES) {
            Ok(_) => assert!(!bites),
            Err(Error::Unit { code, .. }) => assert_eq!((code, bites), (regs::ERR_WATCHDOG, true)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// STATUS has the bursts of both ports that are outstanding.
#[test]
fn outstanding_bursts() {
    let faults = Faults { starve_read_data: Some((1, 0)), ..Faults::default() };
    let mut driver = open(&VectorConfig::of(32), MemoryConfig { faults, ..memory() }, false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    driver.device().set_patience(3_000);
    assert!(driver.run(&[moved(base, INPUT, 100, &config, true)], PROGRAM, INPUT..BYTES).is_err());
    let status = driver.device().read_register(regs::STATUS).unwrap();
    assert_eq!((status & regs::STATUS_READ_BURSTS) >> regs::STATUS_READ_BURSTS.trailing_zeros(), 8);
}

/// Long loops, elements with large numbers, and the longest program.
#[test]
fn large_numbers() {
    let memory = MemoryConfig { bytes: 2 * BYTES, ..memory() };
    let mut driver = open(&VectorConfig::of(32), memory, false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    let mut rng = Random::seed_from_u64(7);
    let mut image = vec![0u8; 2 * BYTES];
    for bytes in image[INPUT..OUTPUT].as_chunks_mut::<4>().0 {
        *bytes = single(&mut rng).to_le_bytes();
    }
    let last = config.words as u16 - 1;
    let elements = 20_000u16;
    let program = [
        moved(base, INPUT, last, &config, true),
        // Each element once, by its number, to words that stay: the last one is left.
        Instruction {
            counts: [1, elements, 1, 1],
            a: A::One,
            b: B::Y,
            y: At { base: 4_000, strides: [0, 1, 0, 0] },
            y_element: true,
            d: At::fixed(last),
            ..Default::default()
        },
        // Sums as elements with large numbers, of many words.
        Instruction {
            kind: Kind::Sum,
            counts: [2, 500, 1, 1],
            x: At { base: 3, strides: [400, 1, 0, 0] },
            d: At { base: last * 32 + 5, strides: [1, 0, 0, 0] },
            ..Default::default()
        },
    ];
    let all = moved(base, OUTPUT, last + 1, &config, false);
    compare(&mut driver, &program, &all, &image).unwrap();
    let counters = driver.counters().unwrap();
    assert_eq!(counters.slots, u32::from(last) + u32::from(elements) + 1_000 + u32::from(last) + 1);
    // Eight beats a word: from both ports, and to the one for writing; a record of one.
    let words = |count: u16| 8 * u32::from(count);
    assert_eq!((counters.read_beats, counters.write_beats), (words(last), words(last + 1) + 1));

    // Slots beyond 16 bits.
    let long = Instruction { counts: [7, 100, 100, 1], x: At::fixed(0), d: At::fixed(1), ..Default::default() };
    let program = vec![long; 2];
    driver.run(&program, PROGRAM, INPUT..BYTES).unwrap();
    assert_eq!(driver.counters().unwrap().slots, 140_000);

    // A stream of more words than 16 bits count: a row again and again, of which each block gives a word.
    let row = Range { address: base + INPUT as u64, rows: 525, row_beats: 128 * 8, row_stride: 0, format: Format::F32 };
    let x = At { base: 0, strides: [32, 0, 0, 0] };
    let stream =
        Instruction { counts: [2_100, 1, 1, 1], from: From::Memory(row), x, d: At::fixed(1), ..Default::default() };
    driver.run(&[stream], PROGRAM, INPUT..BYTES).unwrap();
    assert_eq!(driver.counters().unwrap().read_beats, 525 * 128 * 8);

    // Each instruction adds one to a word.
    let add = Instruction { c: C::Imm, imm_c: 1.0, ..Default::default() };
    let count = regs::MAX_INSTRUCTIONS as usize;
    let clear = Instruction { a: A::One, b: B::Imm, ..Default::default() };
    let store = Instruction { to: moved(base, OUTPUT, 1, &config, false).to, ..Default::default() };
    let program: Vec<Instruction> =
        std::iter::once(clear).chain(std::iter::repeat_n(add, count - 2)).chain([store]).collect();
    driver.run(&program, BYTES, INPUT..BYTES).unwrap();
    let found = f32::from_le_bytes(driver.device().memory()[OUTPUT..OUTPUT + 4].try_into().unwrap());
    assert_eq!(found, (count - 2) as f32);
    assert_eq!(driver.counters().unwrap().instructions, count as u32);
}

/// Cycles of programs with everything that keeps the lanes waiting, with a memory that answers after 8 cycles. A change of the
/// RTL may change them: then the new ones belong here.
#[test]
fn cycles_of_programs() {
    let mut found = Vec::new();
    for lanes in [8, 16, 32] {
        let mut driver = open(&if lanes == 8 { small_unit() } else { VectorConfig::of(lanes) }, memory(), false);
        let (config, base) = (driver.config(), driver.device().memory_base());
        let (sets, far) = (config.sets() as u16, At { base: 0, strides: [8, 1, 0, 0] });
        let words = |counts, x: u16, d: u16| Instruction { counts, x: At::row(x), d: At::row(d), ..Default::default() };
        let load = moved(base, INPUT, 32, &config, true);
        for instruction in [
            words([1, 100, 1, 1], 0, 20),
            Instruction { op: Op::Div, b: B::Imm, imm_b: 3.0, ..words([1, 20, 1, 1], 0, 40) },
            Instruction { op: Op::Root, ..words([1, 1, 1, 1], 1, 60) },
            Instruction { kind: Kind::Max, r: 70, x: far, d: far, ..words([4, 6, 1, 1], 0, 0) },
            Instruction { kind: Kind::MaxAbs, r: 70, x: far, d: far, ..words([3, 1, 1, 1], 0, 0) },
            Instruction {
                kind: Kind::Sum,
                counts: [3, 4, 2, sets],
                x: At { base: 0, strides: [8, 2, 0, 1] },
                d: At { base: 600, strides: [1, 0, 1, 0] },
                ..Default::default()
            },
            Instruction { kind: Kind::Keep, x: far, ..words([5, 3, 1, 1], 0, 50) },
            Instruction { kind: Kind::Keep, x: far, ..words([5, 12, 1, 1], 0, 50) },
            moved(base, OUTPUT, 60, &config, false),
        ] {
            found.push(driver.run(&[load, instruction], PROGRAM, INPUT..BYTES).unwrap().cycles);
        }
    }
    // Without a fence, an instruction does not wait for what an earlier one stores.
    let mut driver = open(&small_unit(), MemoryConfig { timing: Timing::ideal(200), ..memory() }, false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    let after = Instruction { counts: [1, 100, 1, 1], x: At::row(0), d: At::row(20), ..Default::default() };
    let fenced = Instruction { fence: true, ..after };
    let both = [after, fenced].map(|last| {
        let program = [moved(base, OUTPUT, 8, &config, false), last];
        driver.run(&program, PROGRAM, INPUT..BYTES).unwrap().cycles
    });
    assert!(both[0] + 90 < both[1], "{both:?} cycles without and with a fence");
    let expected = [
        [340, 418, 277, 273, 251, 411, 275, 300, 521],
        [332, 410, 269, 266, 244, 371, 267, 292, 513],
        [336, 414, 273, 278, 254, 365, 271, 296, 772],
    ];
    assert_eq!(found, expected.concat(), "8, 16 and 32 lanes");
}

/// Counters of cycles, and of beats that a memory lets wait: those count once.
#[test]
fn counters_of_cycles() {
    let mut driver = open(&small_unit(), memory(), false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    let program = [moved(base, INPUT, 8, &config, true), moved(base, OUTPUT, 8, &config, false)];
    let done = driver.run(&program, PROGRAM, INPUT..BYTES).unwrap();
    let counters = driver.counters().unwrap();
    // The first words are late, and the lanes of a block wait for all of it.
    assert_eq!((counters.stall_stream, counters.stall_store), (47, 0));
    let busy = driver.device().read_register(regs::BUSY_CYCLES).unwrap();
    assert!(done.cycles > 60 && busy >= done.cycles, "{} cycles of {busy}", done.cycles);
    let mut slow = open(&small_unit(), MemoryConfig { stall: 200, ..memory() }, false);
    slow.run(&program, PROGRAM, INPUT..BYTES).unwrap();
    let counters = slow.counters().unwrap();
    assert_eq!((counters.read_beats, counters.write_beats), (32, 34), "with stalls");
}
