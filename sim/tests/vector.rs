//! The vector unit under Verilator against the arithmetic of its programs, bit for bit.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Random, below, for_seeds, pick};
use golden::Codec;
use rand_core::Rng;
use testbench::device::VerilatedDevice;
use testbench::model::vector_spec;
use tmv::config::UnitConfig;
use tmv::device::Device;
use vector::driver::{Driver, Error};
use vector::instruction::{A, At, B, C, Format, From, Kind, Op, Post, Range, To};
use vector::machine::{Fault, Machine, Memory};
use vector::{Instruction, VectorConfig, regs};
use verilated::{Trace, VerilatedContext};
use zynq_memory::{DECERR, Faults, MemoryConfig, ReadFault, SLVERR, WriteFault};

/// Words of the scratchpad, and where memory has what.
const USED: u16 = 128;
const PROGRAM: usize = 0;
const INPUT: usize = 64 << 10;
const OUTPUT: usize = 256 << 10;
const BYTES: usize = 512 << 10;

fn open(config: &VectorConfig, memory: MemoryConfig, lut: bool) -> Driver<VerilatedDevice> {
    let mut spec = vector_spec(config, Trace::Off).unwrap();
    if lut {
        spec.defines.insert("TMV_LUT_BODIES".into(), "1".into());
        spec.label += ", bodies for LUTs";
    }
    let ports =
        UnitConfig { ports: config.ports, port_bits: config.port_bits, vectors: 1, groups: 1, codec: Codec::Weights2b };
    let context = VerilatedContext::default();
    let mut device = VerilatedDevice::new(&common::model(&spec), &context, &ports, memory).unwrap();
    device.set_patience(400_000);
    let driver = Driver::open(device).unwrap();
    assert_eq!(driver.config(), *config);
    driver
}

fn memory() -> MemoryConfig {
    MemoryConfig { bytes: BYTES, ..common::memory() }
}

/// A float near 1, or of any exponent.
fn single(rng: &mut Random) -> f32 {
    let bits = rng.next_u32();
    let exponent = match rng.next_u32() % 16 {
        0 => bits >> 23 & 0xff,
        1 => 0,
        _ => 120 + rng.next_u32() % 14,
    };
    let x = f32::from_bits(bits & 0x807f_ffff | exponent << 23);
    if x.is_finite() { x } else { 1.5 }
}

/// A pass of some kind, mostly one that a unit takes.
fn instruction(rng: &mut Random, config: &VectorConfig, base: u64) -> Instruction {
    let sets = config.sets() as u16;
    let small = |rng: &mut Random| 1 + below(rng, 5) as u16;
    let word = |rng: &mut Random| below(rng, usize::from(USED) - 40) as u16;
    let kind = pick(rng, &[Kind::Map, Kind::Map, Kind::Map, Kind::Sum, Kind::Keep, Kind::Max, Kind::MaxAbs]);
    let mut i = Instruction { kind, counts: [small(rng), small(rng), small(rng), small(rng)], ..Default::default() };
    let chain = matches!(kind, Kind::Sum | Kind::Keep);
    let maximum = matches!(kind, Kind::Max | Kind::MaxAbs);
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
    i.b = pick(rng, &[B::One, B::Imm, B::Y, B::Y, B::A]);
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
        if i.c == C::Y && i.b == B::Y {
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
            let beats = usize::from(block) * config.lanes * bits / config.port_bits;
            let whole = rng.next_u32() & 1 != 0;
            i.from = From::Memory(Range {
                address: base + (INPUT + below(rng, 1000) * port) as u64,
                rows: if whole { 1 } else { n[0] },
                row_beats: (if whole { beats * usize::from(n[0]) } else { beats }) as u16,
                row_stride: ((beats * port).next_multiple_of(16) + 16 * below(rng, 4)) as u32,
                format,
            });
            i.x = At { base: 0, strides: [block, n[2] * n[3], n[3], 1] };
        }
    }
    i.fence = rng.next_u32() & 15 == 0;
    i
}

fn moved(base: u64, from: usize, words: u16, config: &VectorConfig, load: bool) -> Instruction {
    let row_beats = (usize::from(words) * config.lanes * 32 / config.port_bits) as u16;
    let range = Range { address: base + from as u64, rows: 1, row_beats, row_stride: 0, format: Format::F32 };
    let x = At { base: 0, strides: [1, 0, 0, 0] };
    Instruction {
        counts: [words, 1, 1, 1],
        from: if load { From::Memory(range) } else { From::Scratch },
        to: if load { To::Scratch } else { To::Memory(range) },
        x,
        d: if load { x } else { At::default() },
        ..Default::default()
    }
}

/// The bits, with one NaN for all.
fn bits(bytes: &[u8]) -> Vec<u32> {
    let single = |b: &[u8; 4]| f32::from_le_bytes(*b);
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| if single(b).is_nan() { 0x7fc0_0000 } else { single(b).to_bits() })
        .collect()
}

/// Runs a program and then `all` on the unit, and compares what they wrote with what the machine writes.
fn compare(
    driver: &mut Driver<VerilatedDevice>,
    program: &[Instruction],
    all: &Instruction,
    image: &[u8],
) -> Result<(), String> {
    let program = [program, &[*all]].concat();
    let (config, base) = (driver.config(), driver.device().memory_base());
    let mut expected = image.to_vec();
    // What the program is to write is not there before.
    expected[OUTPUT..].fill(0x5a);
    driver.device().memory()[INPUT..].copy_from_slice(&expected[INPUT..]);
    Machine::new(config).run(&program, Memory { base, bytes: &mut expected }).unwrap();
    driver.run(&program, PROGRAM, INPUT..BYTES).map_err(|error| error.to_string())?;
    let (found, expected) = (bits(&driver.device().memory()[OUTPUT..]), bits(&expected[OUTPUT..]));
    match found.iter().zip(&expected).position(|(found, expected)| found != expected) {
        Some(at) => {
            Err(format!("single {at} of the output: found {:#010x}, expected {:#010x}", found[at], expected[at]))
        }
        None => Ok(()),
    }
}

/// Random programs on a unit of `lanes` lanes with some memory.
fn random_programs(lanes: usize, seeds: u64, lut: bool, memories: impl Fn(&mut Random) -> MemoryConfig) {
    // Programs use a part of the scratchpad. The units of 16 and 32 lanes are those of other tests, and so are their models.
    let config = VectorConfig { words: usize::from(USED), ..VectorConfig::of(lanes) };
    let unit = if lanes == 8 { config } else { VectorConfig::of(lanes) };
    for_seeds(seeds, |seed, rng| {
        let mut driver = open(&unit, memories(rng), lut);
        let base = driver.device().memory_base();
        let mut image = vec![0u8; BYTES];
        for bytes in image[INPUT..OUTPUT].as_chunks_mut::<4>().0 {
            *bytes = if rng.next_u32() & 31 == 0 { rng.next_u32().to_le_bytes() } else { single(rng).to_le_bytes() };
        }
        let mut machine = Machine::new(config);
        for _ in 0..4 {
            // Accumulators and scratchpad have no content at first.
            let clear = Instruction {
                kind: Kind::Keep,
                counts: [1, config.accs as u16, 1, 1],
                a: A::One,
                b: B::Imm,
                d: At { base: 0, strides: [0, 1, 0, 0] },
                ..Default::default()
            };
            let mut program = vec![clear, moved(base, INPUT, USED, &config, true)];
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
                    Err((_, Fault::Memory)) => panic!("{instr:?}"),
                    Err(_) => assert!(tried < 5000, "no more instructions"),
                }
            }
            let all = moved(base, OUTPUT + (128 << 10), USED, &config, false);
            // A program that fails is cut, so that the message has the instruction that is wrong.
            if let Err(why) = compare(&mut driver, &program, &all, &image) {
                let shortest =
                    (3..=program.len()).find(|n| compare(&mut driver, &program[..*n], &all, &image).is_err());
                let wrong = shortest.and_then(|n| program.get(n - 1));
                panic!("seed {seed}: {why}; first wrong: {shortest:?}, {wrong:#?}");
            }
        }
    });
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

/// The bodies for LUTs. Few programs, because they simulate slowly.
#[test]
fn bodies_for_luts() {
    random_programs(8, 4, true, |_| memory());
}

/// The code, the origin and the address of the error of a program, relative to the program.
fn fault_of(driver: &mut Driver<VerilatedDevice>, program: &[Instruction]) -> (u8, &'static str, i64) {
    let program_at = driver.device().memory_base() as i64 + 64;
    match driver.run(program, PROGRAM, INPUT..BYTES) {
        Err(Error::Unit { code, origin, address, .. }) => (code, origin, address as i64 - program_at),
        other => panic!("expected an error of the unit, found {other:?}"),
    }
}

/// A unit works after an error, and what it computes is right.
fn works(driver: &mut Driver<VerilatedDevice>) {
    let (config, base) = (driver.config(), driver.device().memory_base());
    for (at, byte) in driver.device().memory()[INPUT..OUTPUT].iter_mut().enumerate() {
        *byte = if at % 4 == 3 { 0x3f } else { at as u8 };
    }
    let program = [moved(base, INPUT, 8, &config, true), moved(base, OUTPUT, 8, &config, false)];
    driver.run(&program, PROGRAM, INPUT..BYTES).unwrap();
    let bytes = 8 * config.lanes * 4;
    let memory = driver.device().memory();
    assert_eq!(memory[INPUT..INPUT + bytes], memory[OUTPUT..OUTPUT + bytes]);
}

fn small_unit() -> VectorConfig {
    VectorConfig { words: usize::from(USED), ..VectorConfig::of(8) }
}

/// Every field that contradicts another one, or is out of range, is an error with the address of the instruction; what
/// stands before it is done.
#[test]
fn bad_instructions() {
    let mut driver = open(&small_unit(), memory(), false);
    let base = driver.device().memory_base();
    let good = Instruction { counts: [1, 2, 1, 1], x: At::row(1), d: At::row(9), ..Default::default() };
    let range = Range { address: base + INPUT as u64, rows: 1, row_beats: 8, row_stride: 0, format: Format::F32 };
    let stream = Instruction { counts: [2, 1, 1, 1], from: From::Memory(range), ..good };
    let stream = Instruction { x: At { base: 0, strides: [1, 0, 0, 0] }, d: At::row(9), ..stream };
    let store = Instruction { to: To::Memory(range), ..good };
    let max = Instruction { kind: Kind::Max, ..good };
    let sum = Instruction { kind: Kind::Sum, counts: [1, 1, 1, 4], ..good };
    let keep = Instruction { kind: Kind::Keep, ..good };
    let odd = |address, rows, row_beats| From::Memory(Range { address, rows, row_beats, ..range });
    let cases: Vec<(&str, Instruction)> = vec![
        ("no iterations", Instruction { counts: [1, 0, 1, 1], ..good }),
        ("an addend for a chain", Instruction { c: C::Imm, ..keep }),
        ("a division in a chain", Instruction { op: Op::Div, ..keep }),
        ("a post for a chain", Instruction { post: Post::Trunc, ..keep }),
        ("more without a chain", Instruction { more: true, ..good }),
        ("hold without a chain", Instruction { hold: true, ..good }),
        ("nothing, negated", Instruction { c_negative: true, ..good }),
        ("Y twice", Instruction { b: B::Y, c: C::Y, ..good }),
        ("a quotient plus Y", Instruction { op: Op::Div, b: B::Imm, c: C::Y, ..good }),
        ("two roots", Instruction { op: Op::Root, ..good }),
        ("a maximum in three loops", Instruction { counts: [1, 2, 2, 1], ..max }),
        ("a maximum of quotients", Instruction { op: Op::Div, ..max }),
        ("a maximum to memory", Instruction { to: To::Memory(range), ..max }),
        ("a sum of half a word of partial sums", Instruction { counts: [1, 1, 1, 2], ..sum }),
        ("more lanes than there are", Instruction { last: 9, ..max }),
        ("a last word without a maximum", Instruction { last: 3, ..good }),
        ("a stream that is not used", Instruction { a: A::One, ..stream }),
        ("a stream without rows", Instruction { from: odd(range.address, 0, 8), ..stream }),
        ("a stream without beats", Instruction { from: odd(range.address, 1, 0), ..stream }),
        ("a stream between beats", Instruction { from: odd(range.address + 4, 1, 8), ..stream }),
        ("blocks without words", Instruction { x: At::default(), ..stream }),
        ("a stream that begins later", Instruction { x: At { base: 1, ..stream.x }, ..stream }),
        ("two rows of a store", Instruction { to: To::Memory(Range { rows: 2, ..range }), ..store }),
        (
            "a store between beats",
            Instruction { to: To::Memory(Range { address: range.address + 4, ..range }), ..store },
        ),
        // What only shows when the pass runs.
        ("X beyond the scratchpad", Instruction { x: At::row(USED - 1), ..good }),
        ("Y beyond the scratchpad", Instruction { b: B::Y, y: At::row(USED - 1), ..good }),
        ("an element beyond it", Instruction { b: B::Y, y_element: true, y: At::fixed(USED * 8), ..good }),
        ("results beyond the scratchpad", Instruction { d: At::row(USED - 1), ..good }),
        ("a sum beyond it", Instruction { d: At::fixed(USED * 8), ..sum }),
        ("a maximum beyond it", Instruction { r: USED * 8, ..max }),
        (
            "more accumulators than there are",
            Instruction { counts: [1, 65, 1, 1], d: At::fixed(0), x: At::fixed(0), ..keep },
        ),
        ("a stream that ends early", Instruction { counts: [1, 1, 1, 1], ..stream }),
        ("a word and a half", Instruction { from: odd(range.address, 1, 6), ..stream }),
        ("more words than a store has", Instruction { counts: [1, 3, 1, 1], ..store }),
        ("fewer words than a store has", Instruction { counts: [1, 1, 1, 1], ..store }),
    ];
    for (what, bad) in cases {
        let (code, origin, at) = fault_of(&mut driver, &[good, bad, good]);
        assert_eq!(code, regs::ERR_BAD_INSTRUCTION, "{what}");
        assert!(["the front end", "the engine"].contains(&origin), "{what}: {origin}");
        assert_eq!(at, 64, "{what}: address of the instruction");
        works(&mut driver);
    }
}

/// Values from which nothing can be computed: the row's maximum is an error, but not what lies beyond the row.
#[test]
fn maxima_that_are_not_finite() {
    let mut driver = open(&small_unit(), memory(), false);
    let base = driver.device().memory_base();
    for (kind, value, last, fails) in [
        (Kind::Max, f32::NAN, 0, true),
        (Kind::Max, f32::INFINITY, 0, true),
        (Kind::Max, f32::NEG_INFINITY, 0, false),
        (Kind::Max, f32::NAN, 3, false),
        (Kind::MaxAbs, f32::NAN, 0, true),
        (Kind::MaxAbs, f32::INFINITY, 0, true),
        (Kind::MaxAbs, f32::NEG_INFINITY, 0, true),
        (Kind::MaxAbs, f32::INFINITY, 3, false),
    ] {
        driver.device().memory()[INPUT..INPUT + 64].fill(0);
        // The last value of the second word.
        driver.device().memory()[INPUT + 60..INPUT + 64].copy_from_slice(&value.to_le_bytes());
        let max = Instruction {
            kind,
            counts: [1, 2, 1, 1],
            x: At::row(0),
            d: At::row(4),
            r: 500,
            last,
            ..Default::default()
        };
        let program = [moved(base, INPUT, 2, &driver.config(), true), max];
        if fails {
            assert_eq!(fault_of(&mut driver, &program), (regs::ERR_NOT_FINITE, "the engine", 64), "{kind:?}, {value}");
        } else {
            driver.run(&program, PROGRAM, INPUT..BYTES).unwrap();
        }
        works(&mut driver);
    }
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
}

/// Descriptors, rings and doorbells that are out of range.
#[test]
fn bad_descriptors() {
    let mut driver = open(&small_unit(), memory(), false);
    let base = driver.device().memory_base();
    let error = |driver: &mut Driver<VerilatedDevice>, ring: u64, descriptor: [u32; 16], tail: u32| {
        let words: Vec<u8> = descriptor.into_iter().flat_map(u32::to_le_bytes).collect();
        let device = driver.device();
        device.memory()[..64].copy_from_slice(&words);
        device.write_register(regs::RING_BASE_LO, ring as u32).unwrap();
        device.write_register(regs::RING_LOG2, 0).unwrap();
        device.write_register(regs::RING_TAIL, tail).unwrap();
        device.wait_interrupt().unwrap();
        let code = device.read_register(regs::ERROR).unwrap();
        driver.reset().unwrap();
        works(driver);
        driver.reset().unwrap();
        code
    };
    let good = vector::driver::descriptor(base + 64, 1, true);
    let with = |word: usize, value: u32| {
        let mut descriptor = good;
        descriptor[word] = value;
        descriptor
    };
    let front_end = regs::SOURCE_FRONTEND << 8;
    let bad = u32::from(regs::ERR_BAD_DESCRIPTOR) | front_end;
    let misaligned = u32::from(regs::ERR_MISALIGNED) | front_end;
    assert_eq!(error(&mut driver, base, with(regs::DESC_CONTROL, 0xB1 << 24), 1), bad, "opcode");
    assert_eq!(error(&mut driver, base, with(regs::DESC_CONTROL, regs::OPCODE << 24 | 1), 1), bad, "flag");
    assert_eq!(error(&mut driver, base, with(regs::DESC_COUNT, 0), 1), bad, "no instructions");
    assert_eq!(error(&mut driver, base, with(regs::DESC_COUNT, regs::MAX_INSTRUCTIONS + 1), 1), bad, "too many");
    assert_eq!(error(&mut driver, base, with(regs::DESC_RESERVED_7, 1), 1), bad, "a reserved word");
    assert_eq!(error(&mut driver, base, with(regs::DESC_PROGRAM, base as u32 + 32), 1), misaligned, "program");
    assert_eq!(error(&mut driver, base + 16, good, 1), misaligned, "ring");
    assert_eq!(error(&mut driver, base, good, 2), u32::from(regs::ERR_BAD_DOORBELL) | front_end, "doorbell");
}

/// A soft reset at any moment of a program leaves a unit that works.
#[test]
fn resets_in_the_middle() {
    for_seeds(6, |seed, rng| {
        let memory = MemoryConfig { bytes: BYTES, ..common::restless(rng) };
        let mut driver = open(&small_unit(), memory, false);
        let (config, base) = (driver.config(), driver.device().memory_base());
        let words = 100;
        let program: Vec<Instruction> = (0..6)
            .flat_map(|_| [moved(base, INPUT, words, &config, true), moved(base, OUTPUT, words, &config, false)])
            .collect();
        for _ in 0..12 {
            driver.device().set_patience(below(rng, 3000) as u64);
            // It stops waiting, while the unit goes on; or the program was shorter.
            let stopped = driver.run(&program, PROGRAM, INPUT..BYTES);
            assert!(matches!(stopped, Ok(_) | Err(Error::Device(_))), "seed {seed}: {stopped:?}");
            driver.device().set_patience(400_000);
            driver.reset().unwrap();
            works(&mut driver);
        }
    });
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

/// Registers: identity, counters, and accesses that are refused.
#[test]
fn registers() {
    let mut driver = open(&small_unit(), memory(), false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    let program = [moved(base, INPUT, 8, &config, true), moved(base, OUTPUT, 8, &config, false)];
    let done = driver.run(&program, PROGRAM, INPUT..BYTES).unwrap();
    let counters = driver.counters().unwrap();
    assert_eq!((counters.slots, counters.instructions), (16, 2));
    // Eight words of eight singles: 32 beats of 64 bits each way, and a record of two.
    assert_eq!((counters.read_beats, counters.write_beats), (32, 34));
    let device = driver.device();
    let busy = device.read_register(regs::BUSY_CYCLES).unwrap();
    assert!(done.cycles > 60 && busy >= done.cycles, "{} cycles of {busy}", done.cycles);
    assert_eq!(device.read_register(regs::RING_HEAD).unwrap(), 1);
    for (offset, value) in [(regs::ID, 0), (regs::CONTROL, 8), (regs::RING_LOG2, 16), (0x118, 0), (regs::SLOTS, 1)] {
        device.write_register(offset, value).unwrap();
        let refused = device.read_register(regs::ACCESS_ERROR).unwrap();
        assert_eq!(refused & regs::ACCESS_ERROR_OFFSET, offset, "{offset:#x}");
        device.write_register(regs::IRQ_STATUS, regs::IRQ_ENABLE_BAD_ACCESS).unwrap();
    }
    assert_eq!(device.read_register(0x118).unwrap(), 0);
    assert_ne!(device.read_register(regs::ACCESS_ERROR).unwrap(), 0, "a read of no register");
}
