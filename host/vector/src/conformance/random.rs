//! Random programs, and random instructions that a unit may refuse.

use alloc::vec;
use alloc::vec::Vec;
use std::format;

use rand_core::Rng;
use tmv::conformance::{Random, below, pick};
use tmv::device::Device;

use super::bench::{BYTES, INPUT, OUTPUT, USED, bits, compare, moved, queue, ring, works};
use crate::config::VectorConfig;
use crate::driver::Driver;
use crate::functional::decode;
use crate::instruction::{A, At, B, C, Format, From, Instruction, Kind, Op, Post, Range, To, WORDS};
use crate::machine::{self, Fault, Machine, Memory};
use crate::regs;

/// A float near 1, or of any exponent.
pub fn single(rng: &mut Random) -> f32 {
    let bits = rng.next_u32();
    let exponent = match rng.next_u32() % 16 {
        0 => bits >> 23 & 0xff,
        1 => 0,
        _ => 120 + rng.next_u32() % 14,
    };
    let x = f32::from_bits(bits & 0x807f_ffff | exponent << 23);
    if x.is_finite() { x } else { 1.5 }
}

/// A random instruction. A unit accepts most of them.
pub fn instruction(rng: &mut Random, config: &VectorConfig, base: u64) -> Instruction {
    let sets = config.sets() as u16;
    let small = |rng: &mut Random| 1 + below(rng, 5) as u16;
    let word = |rng: &mut Random| below(rng, usize::from(USED) - 40) as u16;
    let kind = pick(rng, &[Kind::Map, Kind::Map, Kind::Map, Kind::Sum, Kind::Keep, Kind::Max, Kind::MaxAbs]);
    let mut i = Instruction { kind, counts: [small(rng), small(rng), small(rng), small(rng)], ..Default::default() };
    let chain = matches!(kind, Kind::Sum | Kind::Keep);
    let maximum = matches!(kind, Kind::Max | Kind::MaxAbs);
    if below(rng, 8) == 0 {
        // The largest block of a stream.
        (i.counts[1], i.counts[2], i.counts[3]) = (config.stream_words as u16 / sets, 1, sets);
    }
    if kind == Kind::Sum && sets > 1 {
        i.counts[3] = sets;
    }
    if maximum {
        (i.counts[2], i.counts[3]) = (1, 1);
        i.last = below(rng, config.lanes + 1) as u8;
    }
    let strides = |rng: &mut Random| [0; 4].map(|_| pick(rng, &[0u16, 1, 1, 2, 3]));
    i.x = At { base: word(rng), strides: strides(rng) };
    i.y = At { base: word(rng), strides: strides(rng) };
    // Results in loops of their own, so that no word is written twice in an order that loops do not define.
    let n = i.counts;
    i.d = At { base: word(rng), strides: [n[1] * n[2] * n[3], n[2] * n[3], n[3], 1] };
    if kind == Kind::Sum {
        i.d.base *= config.lanes as u16;
        let inner = if sets > 1 { 1 } else { n[3] };
        i.d.strides = [n[2] * inner, 0, inner, 1];
    } else if kind == Kind::Keep {
        i.d.strides = [0, n[2] * n[3], n[3], 1];
    }
    i.a = pick(rng, &[A::X, A::X, A::Relu, A::One]);
    i.b = pick(rng, &[B::One, B::Imm, B::Y, B::Y, B::A, B::Exp2]);
    i.y_element = rng.next_u32() & 3 == 0;
    if i.y_element {
        i.y.base = i.y.base * config.lanes as u16 + below(rng, config.lanes) as u16;
    }
    i.b_negative = rng.next_u32() & 3 == 0;
    (i.imm_b, i.imm_c) = (single(rng), single(rng));
    (i.round_m, i.round_s) = (rng.next_u32() & 1 != 0, rng.next_u32() & 1 != 0);
    if !chain {
        i.c = pick(rng, &[C::None, C::Imm, C::Y]);
        i.c_negative = i.c != C::None && rng.next_u32() & 1 != 0;
        i.post = pick(rng, &[Post::None, Post::None, Post::Trunc, Post::Floor, Post::Flush]);
        if i.c == C::Y && matches!(i.b, B::Y | B::Exp2) {
            i.b = B::Imm;
        }
        if !maximum && i.c != C::Y {
            i.op = pick(rng, &[Op::Mul, Op::Mul, Op::Div]);
        }
    } else {
        i.more = rng.next_u32() & 7 == 0;
        i.hold = rng.next_u32() & 7 == 0;
    }
    i.r = (word(rng) + 40) * config.lanes as u16;
    let port = config.port_bytes();
    if kind == Kind::Map && rng.next_u32() & 3 == 0 {
        let words = n.iter().map(|n| usize::from(*n)).product::<usize>();
        let (format, bits) = pick(rng, &[(Format::F32, 32), (Format::Bf16, 16), (Format::Int, 8)]);
        let row_beats = (words * config.lanes * bits / config.port_bits) as u16;
        let address = base + (OUTPUT + below(rng, 1000) * port) as u64;
        i.to = To::Memory(Range { address, rows: 1, row_beats, row_stride: 0, format });
    } else if i.a != A::One && rng.next_u32() & 1 == 0 {
        // A block has the words of the inner loops.
        let (format, bits) = pick(rng, &[(Format::F32, 32), (Format::Bf16, 16), (Format::Int, 32)]);
        let block = n[1] * n[2] * n[3];
        if block <= config.stream_words as u16 {
            // All blocks in a row, a row for each, or rows that end within a word.
            let beats = usize::from(n[0]) * usize::from(block) * config.lanes * bits / config.port_bits;
            let rows = pick(rng, &[1, usize::from(n[0]), 2 * usize::from(n[0]), 3]);
            let rows = if beats.is_multiple_of(rows) { rows } else { 1 };
            let far = if rows <= 3 { pick(rng, &[0, 0, 1 << 16]) } else { 0 };
            i.from = From::Memory(Range {
                address: base + (INPUT + below(rng, 1000) * port) as u64,
                rows: rows as u16,
                row_beats: (beats / rows) as u16,
                row_stride: ((beats / rows * port).next_multiple_of(16) + 16 * below(rng, 4) + far) as u32,
                format,
            });
            i.x = At { base: 0, strides: [block, n[2] * n[3], n[3], 1] };
        }
    }
    i.fence = rng.next_u32() & 15 == 0;
    i
}

/// The unit as random programs use it: they touch only the first words of its scratchpad.
fn part(config: VectorConfig) -> VectorConfig {
    VectorConfig { words: usize::from(USED), ..config }
}

/// A memory with random singles for programs to read.
fn image(rng: &mut Random) -> Vec<u8> {
    let mut image = vec![0u8; BYTES];
    for bytes in image[INPUT..OUTPUT].as_chunks_mut::<4>().0 {
        *bytes = if rng.next_u32() & 31 == 0 { rng.next_u32().to_le_bytes() } else { single(rng).to_le_bytes() };
    }
    image
}

/// The first instructions of a random program. They give accumulators and scratchpad a content, which a reset does not.
fn beginning(config: &VectorConfig, base: u64) -> [Instruction; 2] {
    let clear = Instruction {
        kind: Kind::Keep,
        counts: [1, config.accs as u16, 1, 1],
        a: A::One,
        b: B::Imm,
        d: At { base: 0, strides: [0, 1, 0, 0] },
        ..Default::default()
    };
    [clear, moved(base, INPUT, USED, config, true)]
}

/// Where the scratchpad goes at the end of a program.
const END: usize = OUTPUT + (128 << 10);

/// Runs random programs and compares what is in memory afterwards.
pub fn check_programs<D: Device>(driver: &mut Driver<D>, rng: &mut Random, programs: usize) {
    let config = part(driver.config());
    let base = driver.device().memory_base();
    let mut image = image(rng);
    let mut machine = Machine::new(config);
    for _ in 0..programs {
        let mut program = beginning(&config, base).to_vec();
        machine.run(&program, Memory { base, bytes: &mut image }).unwrap();
        let mut tried = 0;
        while program.len() < 24 {
            let instr = instruction(rng, &config, base);
            let (mut trial, mut after) = (machine.clone(), image.clone());
            tried += 1;
            match trial.run(&[instr], Memory { base, bytes: &mut after }) {
                Ok(()) => {
                    program.push(instr);
                    (machine, image) = (trial, after);
                }
                Err((_, Fault::Read(_) | Fault::Write(_))) => panic!("{instr:?}"),
                Err(_) => assert!(tried < 5000, "no more instructions"),
            }
        }
        let all = moved(base, END, USED, &config, false);
        // A program that fails is cut, so that the message has the instruction that is wrong.
        if let Err(why) = compare(driver, &program, &all, &image) {
            let shortest = (3..=program.len()).find(|n| compare(driver, &program[..*n], &all, &image).is_err());
            let wrong = shortest.and_then(|n| program.get(n - 1));
            panic!("{why}; first wrong: {shortest:?}, {wrong:#?}");
        }
    }
}

/// What a unit must make of an instruction.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// It is complete, and this is in memory afterwards.
    Complete(Vec<u8>),
    /// The front end refuses it.
    Refused,
    /// The pass stops.
    Stopped,
    /// The memory refuses something. The pass may stop as well, and first.
    Bus,
    /// It runs too long for a test, or its result depends on the pipeline.
    Open,
}

/// Changes some bits of an instruction, but not whether it waits for another unit.
fn damage(rng: &mut Random, words: &mut [u32; WORDS]) {
    for _ in 0..1 + below(rng, 3) {
        let word = below(rng, WORDS);
        // Bits of control and of counts are more likely to matter.
        let word = if rng.next_u32() & 3 == 0 { 0 } else { word };
        words[word] ^= 1 << below(rng, 32);
        if rng.next_u32() & 7 == 0 {
            let half = 16 * below(rng, 2);
            words[word] = words[word] & !(0xffff << half) | (below(rng, 40) as u32) << half;
        }
    }
    words[14] &= !0x300;
}

/// What a unit must make of an instruction behind the first instructions of a program. These write only the first words of the
/// scratchpad. If the instruction reaches other words, its result is not defined: the answer is [`Outcome::Open`].
fn expected(words: &[u32; WORDS], config: VectorConfig, base: u64, image: &[u8]) -> Outcome {
    let [all, fewer] = [config, part(config)].map(|config| outcome(words, config, base, image));
    if all == fewer { all } else { Outcome::Open }
}

/// What `vector::machine` makes of the instruction, on a unit with the scratchpad of `config`.
fn outcome(words: &[u32; WORDS], config: VectorConfig, base: u64, image: &[u8]) -> Outcome {
    let Some(instr) = decode::instruction(words).filter(|instr| machine::is_legal(instr, &config)) else {
        return Outcome::Refused;
    };
    if instr.counts.iter().map(|n| u64::from(*n)).product::<u64>() > 3000 {
        return Outcome::Open;
    }
    let mut machine = Machine::new(config);
    let mut bytes = image.to_vec();
    let mut memory = Memory { base, bytes: &mut bytes };
    for begin in beginning(&config, base) {
        machine.step(&begin, &mut memory).unwrap();
    }
    // What a program stores must not change it, and it must not read itself: here, it is not in memory.
    if let From::Memory(range) = instr.from
        && memory.slice(range.address, 0).is_ok()
        && range.address < base + INPUT as u64
    {
        return Outcome::Open;
    }
    if let To::Memory(range) = instr.to
        && memory.slice(range.address, 0).is_ok()
        && range.address < base + OUTPUT as u64
    {
        return Outcome::Open;
    }
    let outside = match instr.to {
        To::Memory(range) => {
            let bytes = usize::from(range.row_beats) * config.port_bytes();
            memory.slice(range.address, bytes).is_err()
        }
        To::Scratch => false,
    };
    match machine.step(&instr, &mut memory) {
        // Words leave for memory before the pass is over.
        Err(Fault::Beyond) if outside => Outcome::Bus,
        Err(Fault::Illegal) => Outcome::Refused,
        Err(Fault::Beyond | Fault::NotFinite) => Outcome::Stopped,
        Err(Fault::Overlap | Fault::Unfenced) => Outcome::Open,
        Err(Fault::Read(_) | Fault::Write(_)) => Outcome::Bus,
        Ok(()) => {
            machine.step(&moved(base, END, USED, &config, false), &mut memory).unwrap();
            Outcome::Complete(bytes)
        }
    }
}

/// Runs `count` instructions with damaged bits. The unit must refuse those that `vector::machine` refuses, and report the address
/// of the instruction. Of the others it must give the same results. Returns how many were complete, refused, and stopped.
pub fn check_instructions<D: Device>(driver: &mut Driver<D>, rng: &mut Random, count: usize) -> [usize; 3] {
    let config = part(driver.config());
    let base = driver.device().memory_base();
    let image = image(rng);
    let mut found = [0; 3];
    while found.iter().sum::<usize>() < count {
        let mut words = instruction(rng, &config, base).encode();
        damage(rng, &mut words);
        let wanted = expected(&words, driver.config(), base, &image);
        if wanted == Outcome::Open {
            continue;
        }
        let begin = beginning(&config, base);
        let program = [begin[0].encode(), begin[1].encode(), words, moved(base, END, USED, &config, false).encode()];
        driver.device().memory().copy_from_slice(&image);
        let mut ring = ring(driver);
        queue(&mut ring, &program, true);
        ring.ring();
        let pending = ring.wait();
        let (code, source, address) = ring.error();
        ring.settle();
        let what = || format!("{words:#010x?}, {:#?}, as the unit is {config:?}", decode::instruction(&words));
        let at = base + 64 + 2 * u64::from(regs::INSTR_BYTES);
        let (bad, not_finite) = (regs::ERR_BAD_INSTRUCTION, regs::ERR_NOT_FINITE);
        let (front, engine) = (regs::SOURCE_FRONTEND as u8, regs::SOURCE_ENGINE as u8);
        match wanted {
            Outcome::Complete(bytes) => {
                assert_eq!((code, pending), (0, regs::IRQ_ENABLE_DONE), "refused by {source}: {}", what());
                let same = bits(&ring.device.memory()[OUTPUT..]) == bits(&bytes[OUTPUT..]);
                assert!(same, "another result: {}", what());
                found[0] += 1;
            }
            Outcome::Refused => {
                assert_eq!((code, source, address), (bad, front, at), "not refused: {}", what());
                found[1] += 1;
            }
            Outcome::Stopped => {
                assert!([bad, not_finite].contains(&code), "error {code}, expected a stop: {}", what());
                assert_eq!((source, address), (engine, at), "{}", what());
                found[2] += 1;
            }
            Outcome::Bus => {
                let bus = [regs::ERR_READ_DECERR, regs::ERR_WRITE_DECERR].contains(&code);
                let stopped = [bad, not_finite].contains(&code) && address == at;
                assert!(bus || stopped, "error {code}, expected the memory's: {}", what());
            }
            Outcome::Open => {}
        }
        driver.reset().unwrap();
        if pending != regs::IRQ_ENABLE_DONE && rng.next_u32() & 3 == 0 {
            works(driver);
        }
    }
    found
}
