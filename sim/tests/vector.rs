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
use vector::driver::Driver;
use vector::instruction::{A, At, B, C, Format, From, Kind, Op, Post, Range, To};
use vector::machine::{Fault, Machine, Memory};
use vector::{Instruction, VectorConfig};
use verilated::{Trace, VerilatedContext};
use zynq_memory::MemoryConfig;

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
    let config = VectorConfig { words: usize::from(USED), ..VectorConfig::of(lanes) };
    for_seeds(seeds, |seed, rng| {
        let mut driver = open(&config, memories(rng), lut);
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
    random_programs(32, 40, false, |_| memory());
}

#[test]
fn programs_of_16_lanes() {
    random_programs(16, 40, false, |_| memory());
}

#[test]
fn programs_of_8_lanes() {
    random_programs(8, 40, false, |_| memory());
}

/// Memories that stall, answer late and in another order.
#[test]
fn restless_memories() {
    for lanes in [8, 16, 32] {
        random_programs(lanes, 20, false, |rng| MemoryConfig { bytes: BYTES, ..common::restless(rng) });
    }
}

/// The bodies for LUTs. Few programs, because they simulate slowly.
#[test]
fn bodies_for_luts() {
    random_programs(8, 4, true, |_| memory());
}
