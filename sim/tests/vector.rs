//! The vector unit under Verilator against the arithmetic of its programs, bit for bit.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Random, below, for_seeds, pick};
use golden::Codec;
use rand_core::{Rng, SeedableRng};
use testbench::device::VerilatedDevice;
use testbench::model::vector_spec;
use tmv::config::UnitConfig;
use tmv::device::Device;
use vector::driver::{Driver, Error};
use vector::instruction::{A, At, B, C, Format, From, Kind, Op, Post, Range, To};
use vector::machine::{Fault, Machine, Memory};
use vector::{Instruction, VectorConfig, regs};
use verilated::{PowerUp, Trace, VerilatedContext};
use zynq_memory::{DECERR, Faults, MemoryConfig, ReadFault, SLVERR, Timing, WriteFault};

/// Words of the scratchpad, and where memory has what.
const USED: u16 = 128;
const PROGRAM: usize = 0;
const INPUT: usize = 64 << 10;
const OUTPUT: usize = 256 << 10;
const BYTES: usize = 512 << 10;

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
    let mut spec = vector_spec(config, Trace::Off).unwrap();
    if lut {
        spec.defines.insert("TMV_LUT_BODIES".into(), "1".into());
        spec.label += ", bodies for LUTs";
    }
    let ports =
        UnitConfig { ports: config.ports, port_bits: config.port_bits, vectors: 1, groups: 1, codec: Codec::Weights2b };
    let mut device = VerilatedDevice::new(&common::model(&spec), context, &ports, memory).unwrap();
    device.set_patience(400_000);
    let driver = Driver::open(device).unwrap();
    assert_eq!(driver.config(), *config);
    driver
}

fn memory() -> MemoryConfig {
    MemoryConfig { bytes: BYTES, ..common::memory() }
}

/// Memory somewhere: also where a program, its operands or its results lie across 4 GiB.
fn anywhere(rng: &mut Random) -> u64 {
    let across = pick(rng, &[PROGRAM + 640, INPUT + 4096, OUTPUT + 4096]) as u64;
    pick(rng, &[memory().base, (1 << 32) - across, 0xff << 32])
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
        let mut driver = open(&unit, MemoryConfig { base: anywhere(rng), ..memories(rng) }, lut);
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

/// The register ERROR and the error's address, after `words` at the begin of memory and a doorbell for `tail` descriptors of the
/// ring at `ring`. The unit works again.
fn error_of(driver: &mut Driver<VerilatedDevice>, words: &[u32], ring: u64, tail: u32) -> (u32, u64) {
    let device = driver.device();
    for (bytes, word) in device.memory().as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    device.write_register(regs::RING_BASE_LO, ring as u32).unwrap();
    device.write_register(regs::RING_LOG2, 0).unwrap();
    device.write_register(regs::RING_TAIL, tail).unwrap();
    device.wait_interrupt().unwrap();
    let (error, at) = (device.read_register(regs::ERROR).unwrap(), device.read_register(regs::ERROR_ADDR_LO).unwrap());
    driver.reset().unwrap();
    works(driver);
    driver.reset().unwrap();
    (error, at.into())
}

/// A unit works after an error, and what it computes is right: quotients, a root, a sum and a maximum of a stream.
fn works(driver: &mut Driver<VerilatedDevice>) {
    let (config, base) = (driver.config(), driver.device().memory_base());
    let mut image = vec![0; BYTES];
    for (at, byte) in image[INPUT..OUTPUT].iter_mut().enumerate() {
        *byte = if at % 4 == 3 { 0x3f } else { at as u8 };
    }
    let sets = config.sets() as u16;
    let words = |counts, x: u16, d: u16| Instruction { counts, x: At::row(x), d: At::row(d), ..Default::default() };
    let program = [
        moved(base, INPUT, 9, &config, true),
        Instruction { op: Op::Div, b: B::Imm, imm_b: 3.0, ..words([1, 4, 1, 1], 0, 9) },
        Instruction { op: Op::Root, ..words([1, 1, 1, 1], 1, 13) },
        Instruction { b: B::Y, y: At::row(3), ..words([1, 1, 1, 1], 5, 8) },
        Instruction { kind: Kind::Max, r: 15 * config.lanes as u16, ..words([1, 1, 1, 1], 2, 14) },
        Instruction {
            kind: Kind::Sum,
            x: At { base: 0, strides: [0, sets, 0, 1] },
            d: At::fixed(15 * config.lanes as u16 + 1),
            ..words([1, 2, 1, sets], 0, 0)
        },
    ];
    compare(driver, &program, &moved(base, OUTPUT, 15, &config, false), &image).unwrap();
}

fn small_unit() -> VectorConfig {
    VectorConfig { words: usize::from(USED), ..VectorConfig::of(8) }
}

/// The units on which errors and resets are tried: with a port, and with two.
fn small_and_wide() -> [VectorConfig; 2] {
    [small_unit(), VectorConfig::of(32)]
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
        ("Y twice, once as a power", Instruction { b: B::Exp2, c: C::Y, ..good }),
        ("a quotient plus Y", Instruction { op: Op::Div, b: B::Imm, c: C::Y, ..good }),
        ("two roots", Instruction { op: Op::Root, ..good }),
        ("a maximum in three loops", Instruction { counts: [1, 2, 2, 1], ..max }),
        ("a maximum of quotients", Instruction { op: Op::Div, ..max }),
        ("a maximum to memory", Instruction { to: To::Memory(range), ..max }),
        ("a sum of half of the partial sums", Instruction { counts: [1, 1, 1, 2], ..sum }),
        ("a sum of two folds", Instruction { counts: [1, 1, 1, 8], ..sum }),
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
        assert_eq!(driver.counters().unwrap().instructions, 1, "{what}: complete instructions");
        works(&mut driver);
    }
    // Beats of 16 bytes.
    let mut driver = open(&VectorConfig::of(32), memory(), false);
    let between = Instruction { from: odd(range.address + 8, 1, 16), ..stream };
    assert_eq!(fault_of(&mut driver, &[good, between, good]), (regs::ERR_BAD_INSTRUCTION, "the front end", 64));
    works(&mut driver);
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

/// S of 2^-13 and what is next to it, beside a product of zero and of something: which become zero.
#[test]
fn flushes_at_the_limit() {
    let limit = 2f32.powi(-13);
    for config in small_and_wide() {
        let mut driver = open(&config, memory(), false);
        for s in [limit, limit.next_down(), limit.next_up()] {
            for (s, product) in [(s, 0.0), (-s, 0.0), (s, f32::from_bits(1))] {
                let flush = Instruction {
                    a: A::One,
                    b: B::Imm,
                    imm_b: product,
                    c: C::Imm,
                    imm_c: s,
                    post: Post::Flush,
                    d: At::fixed(0),
                    ..Default::default()
                };
                let base = driver.device().memory_base();
                let image = vec![0; BYTES];
                compare(&mut driver, &[flush], &moved(base, OUTPUT, 1, &config, false), &image).unwrap();
                let found = driver.device().memory()[OUTPUT..].first_chunk().copied().map(f32::from_le_bytes);
                let kept = product != 0.0 || s.abs() > limit;
                assert_eq!(found, Some(if kept { s } else { 0.0 }), "{s:e} beside a product of {product:e}");
            }
        }
    }
}

/// Codes that no field has, reserved bits, and loops without iterations, one at a time in an instruction that is right
/// otherwise.
#[test]
fn fields_out_of_range() {
    let mut driver = open(&small_unit(), memory(), false);
    let good = Instruction { counts: [1, 2, 1, 1], x: At::row(1), d: At::row(9), ..Default::default() }.encode();
    // Word, lowest bit, bits, values.
    let fields: &[(&str, usize, u32, u32, &[u32])] = &[
        ("kind", 0, 0, 3, &[5, 6, 7]),
        ("operation", 0, 5, 2, &[3]),
        ("A", 0, 7, 2, &[3]),
        ("B", 0, 9, 3, &[5, 6, 7]),
        ("C", 0, 13, 2, &[3]),
        ("reserved", 14, 10, 6, &[1, 2, 4, 8, 16, 32]),
        ("iterations of loop 0", 3, 0, 16, &[0]),
        ("iterations of loop 1", 3, 16, 16, &[0]),
        ("iterations of loop 2", 4, 0, 16, &[0]),
        ("iterations of loop 3", 4, 16, 16, &[0]),
    ];
    for (field, word, low, bits, values) in fields {
        for value in *values {
            let mut bad = good;
            bad[*word] = bad[*word] & !(((1 << bits) - 1) << low) | value << low;
            let base = driver.device().memory_base();
            let words = [vector::driver::descriptor(base + 64, 2, true), good, bad].concat();
            let (error, at) = error_of(&mut driver, &words, base, 1);
            let wanted = u32::from(regs::ERR_BAD_INSTRUCTION) | regs::SOURCE_FRONTEND << 8;
            assert_eq!(error, wanted, "{field} {value}");
            assert_eq!(at, base + 128, "{field} {value}: address of the instruction");
        }
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
            assert_eq!(driver.counters().unwrap().instructions, 1, "{kind:?}, {value}: complete instructions");
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

/// Descriptors, rings and doorbells that are out of range.
#[test]
fn bad_descriptors() {
    let mut driver = open(&small_unit(), memory(), false);
    let base = driver.device().memory_base();
    let error = |driver: &mut Driver<VerilatedDevice>, ring: u64, descriptor: [u32; 16], tail: u32| {
        let (code, at) = error_of(driver, &descriptor, ring, tail);
        if code & regs::ERROR_CODE != u32::from(regs::ERR_BAD_DOORBELL) {
            assert_eq!(at, ring & !63, "address of the descriptor");
        }
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

/// Descriptors on a ring that wraps, queued one or several at a time: each gets its record, in order, and only those that
/// ask for it interrupt.
#[test]
fn rings() {
    const LOG2: u32 = 2;
    let mut driver = open(&small_unit(), memory(), false);
    let (config, base) = (driver.config(), driver.device().memory_base());
    let device = driver.device();
    let program: Vec<u8> =
        moved(base, INPUT, 8, &config, true).encode().into_iter().flat_map(u32::to_le_bytes).collect();
    device.memory()[1024..1024 + program.len()].copy_from_slice(&program);
    device.write_register(regs::RING_BASE_LO, base as u32).unwrap();
    device.write_register(regs::RING_BASE_HI, (base >> 32) as u32).unwrap();
    device.write_register(regs::RING_LOG2, LOG2).unwrap();
    device.write_register(regs::CONTROL, regs::CONTROL_CLEAR_COUNTERS).unwrap();
    let (mut tail, mut end) = (0u32, 0);
    for (count, irq) in [(1, false), (4, true), (3, false), (2, true), (4, false), (1, true)] {
        for number in tail..tail + count {
            // Only the last one may interrupt.
            let descriptor = vector::driver::descriptor(base + 1024, 1, irq && number + 1 == tail + count);
            let words: Vec<u8> = descriptor.into_iter().flat_map(u32::to_le_bytes).collect();
            let at = (number as usize % (1 << LOG2)) * 64;
            device.memory()[at..at + 64].copy_from_slice(&words);
        }
        device.write_register(regs::RING_TAIL, tail + count).unwrap();
        while device.read_register(regs::RING_HEAD).unwrap() < tail + count {
            let early = device.read_register(regs::IRQ_STATUS).unwrap();
            // The head may have moved between both reads.
            let head = device.read_register(regs::RING_HEAD).unwrap();
            assert!(early == 0 || head == tail + count, "an interrupt before the last descriptor");
        }
        let pending = device.read_register(regs::IRQ_STATUS).unwrap();
        assert_eq!(pending, if irq { regs::IRQ_ENABLE_DONE } else { 0 }, "{count} descriptors");
        device.write_register(regs::IRQ_STATUS, pending).unwrap();
        for number in tail..tail + count {
            let at = (number as usize % (1 << LOG2)) * 64;
            let record = &device.memory()[at..at + 64];
            let word = |index: usize| u32::from_le_bytes(record[4 * index..4 * index + 4].try_into().unwrap());
            assert_eq!((word(regs::DESC_STATUS), word(regs::DESC_TAG)), (1 << 31, number));
            let (start, stop) = (word(regs::DESC_START_CYCLE), word(regs::DESC_END_CYCLE));
            assert!(start >= end && stop > start + 30, "descriptor {number}: {start} to {stop}, after {end}");
            end = stop;
        }
        tail += count;
    }
    assert_eq!(device.read_register(regs::INSTRUCTIONS).unwrap(), tail);
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
    // The first words are late, and the lanes of a block wait for all of it.
    assert_eq!((counters.stall_stream, counters.stall_store), (47, 0));
    // Beats that a memory lets wait count once.
    let mut slow = open(&small_unit(), MemoryConfig { stall: 200, ..memory() }, false);
    slow.run(&program, PROGRAM, INPUT..BYTES).unwrap();
    let counters = slow.counters().unwrap();
    assert_eq!((counters.read_beats, counters.write_beats), (32, 34), "with stalls");
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
