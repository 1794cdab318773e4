//! Rules for instructions: what a unit refuses, and what it computes at the edges.

use alloc::vec;
use alloc::vec::Vec;

use golden::Dtype;
use tmv::device::Device;

use super::bench::{BYTES, INPUT, OUTPUT, PROGRAM, USED, compare, fault_of, moved, queue, ring, works};
use crate::config::PARTIALS;
use crate::driver::Driver;
use crate::instruction::{A, At, B, C, Format, From, Instruction, Kind, Op, Post, Range, To, WORDS};
use crate::machine;
use crate::regs;

/// Two words, one after the other.
fn two_words() -> Instruction {
    Instruction { counts: [1, 2, 1, 1], x: At::row(1), d: At::row(9), ..Default::default() }
}

/// Every field that contradicts another one, or is out of range, is an error with the address of the instruction; what
/// stands before it is done.
pub fn bad_instructions<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let (config, base) = (driver.config(), driver.device().memory_base());
    let (lanes, words) = (config.lanes as u16, config.words as u16);
    // Beats of a word; elements of the scratchpad.
    let (beats, elements) = ((32 * config.lanes / config.port_bits) as u16, words * lanes);
    let good = two_words();
    let range =
        Range { address: base + INPUT as u64, rows: 1, row_beats: 2 * beats, row_stride: 0, format: Format::F32 };
    let stream = Instruction {
        counts: [2, 1, 1, 1],
        from: From::Memory(range),
        x: At { base: 0, strides: [1, 0, 0, 0] },
        ..good
    };
    let store = Instruction { to: To::Memory(range), ..good };
    let max = Instruction { kind: Kind::Max, ..good };
    let sum = Instruction { kind: Kind::Sum, counts: [1, 1, 1, config.sets() as u16], ..good };
    let keep = Instruction { kind: Kind::Keep, ..good };
    let odd = |address, rows, row_beats| From::Memory(Range { address, rows, row_beats, ..range });
    let within = u64::from(config.port_bits as u32 / 16);
    let block = |block, inner| At { base: 0, strides: [block, inner, 0, 0] };
    let limit = config.stream_words as u16;
    let mut cases: Vec<(&str, Instruction)> = vec![
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
        ("a maximum in four loops", Instruction { counts: [1, 2, 1, 2], ..max }),
        ("a maximum of quotients", Instruction { op: Op::Div, ..max }),
        ("a maximum to memory", Instruction { to: To::Memory(range), ..max }),
        ("accumulators to memory", Instruction { to: To::Memory(range), ..keep }),
        ("more lanes than there are", Instruction { last: lanes as u8 + 1, ..max }),
        ("a last word without a maximum", Instruction { last: 3, ..good }),
        ("a stream that is not used", Instruction { a: A::One, ..stream }),
        ("a stream to memory", Instruction { to: To::Memory(range), ..stream }),
        ("a stream without rows", Instruction { from: odd(range.address, 0, 2 * beats), ..stream }),
        ("a stream without beats", Instruction { from: odd(range.address, 1, 0), ..stream }),
        ("a stream between beats", Instruction { from: odd(range.address + within, 1, 2 * beats), ..stream }),
        ("blocks without words", Instruction { x: At::default(), ..stream }),
        ("a stream that begins later", Instruction { x: At { base: 1, ..stream.x }, ..stream }),
        (
            "a block that no stream holds",
            Instruction {
                counts: [1; 4],
                from: odd(range.address, 1, (limit + 1) * beats),
                x: block(limit + 1, 0),
                ..stream
            },
        ),
        ("two rows of a store", Instruction { to: To::Memory(Range { rows: 2, ..range }), ..store }),
        ("a store without beats", Instruction { to: To::Memory(Range { row_beats: 0, ..range }), ..store }),
        (
            "a store between beats",
            Instruction { to: To::Memory(Range { address: range.address + within, ..range }), ..store },
        ),
        // What only shows when the pass runs.
        ("X beyond the scratchpad", Instruction { x: At::row(words - 1), ..good }),
        ("Y beyond the scratchpad", Instruction { b: B::Y, y: At::row(words - 1), ..good }),
        ("C beyond the scratchpad", Instruction { c: C::Y, y: At::row(words - 1), ..good }),
        ("an element beyond it", Instruction { b: B::Y, y_element: true, y: At::row(elements - 1), ..good }),
        ("results beyond the scratchpad", Instruction { d: At::row(words - 1), ..good }),
        ("a sum beyond it", Instruction { d: At::fixed(elements), ..sum }),
        ("a maximum beyond it", Instruction { r: elements, ..max }),
        (
            "more accumulators than there are",
            Instruction { counts: [1, config.accs as u16 + 1, 1, 1], d: At::fixed(0), x: At::fixed(0), ..keep },
        ),
        ("a stream that ends early", Instruction { counts: [1, 1, 1, 1], ..stream }),
        ("a stream that ends late", Instruction { counts: [3, 1, 1, 1], ..stream }),
        ("a word and a half", Instruction { from: odd(range.address, 1, beats + beats / 2), ..stream }),
        ("a word beside the block", Instruction { counts: [2, 2, 1, 1], x: block(1, 1), d: At::fixed(9), ..stream }),
        ("more words than a store has", Instruction { counts: [1, 3, 1, 1], ..store }),
        ("fewer words than a store has", Instruction { counts: [1, 1, 1, 1], ..store }),
    ];
    if config.sets() > 1 {
        let of = |n3| Instruction { counts: [1, 1, 1, n3], ..sum };
        cases.push(("a sum of half of the partial sums", of(sum.counts[3] / 2)));
        cases.push(("a sum of two folds", of(2 * sum.counts[3])));
    }
    for (what, bad) in cases {
        let (code, origin, at) = fault_of(&mut driver, &[good, bad, good]);
        assert_eq!(code, regs::ERR_BAD_INSTRUCTION, "{what}");
        let by = if machine::is_legal(&bad, &config) { "the engine" } else { "the front end" };
        assert_eq!((origin, at), (by, 64), "{what}: address of the instruction");
        assert_eq!(driver.counters().unwrap().instructions, 1, "{what}: complete instructions");
        works(&mut driver);
    }
}

/// Codes that no field has, reserved bits, and loops without iterations, one at a time in an instruction that is right
/// otherwise.
pub fn fields_out_of_range<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let good = two_words().encode();
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
            let mut ring = ring(&mut driver);
            queue(&mut ring, &[good, bad], true);
            ring.ring();
            let (source, address) = ring.expect_error(regs::ERR_BAD_INSTRUCTION);
            let at = ring.slot(1) + 64 + 4 * WORDS as u64;
            assert_eq!((u32::from(source), address), (regs::SOURCE_FRONTEND, at), "{field} {value}");
        }
        driver.reset().unwrap();
        works(&mut driver);
    }
}

/// A memory with a ramp of singles that differ.
fn image() -> Vec<u8> {
    let mut image = vec![0; BYTES];
    for (at, bytes) in image[INPUT..OUTPUT].as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *bytes = (at as f32 * 0.37 - 80.0).to_le_bytes();
    }
    image
}

/// Runs a program that is right, and compares the scratchpad after it.
fn agrees<D: Device>(driver: &mut Driver<D>, program: &[Instruction]) {
    let (config, base) = (driver.config(), driver.device().memory_base());
    let all = moved(base, OUTPUT, USED, &config, false);
    let program = [&[moved(base, INPUT, USED, &config, true)], program].concat();
    compare(driver, &program, &all, &image()).unwrap();
}

/// Blocks of all sizes that a stream holds: a pass may read the words of a block in any order, several times, or not at all.
pub fn blocks_of_a_stream<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let (config, base) = (driver.config(), driver.device().memory_base());
    let beats = (32 * config.lanes / config.port_bits) as u16;
    for block in 1..=config.stream_words as u16 {
        let from = |rows, row_beats| {
            From::Memory(Range {
                address: base + (INPUT + 4096) as u64,
                rows,
                row_beats,
                row_stride: u32::from(row_beats) * config.port_bytes() as u32 + 64,
                format: Format::F32,
            })
        };
        let first = Instruction { from: from(1, 3 * block * beats), ..Default::default() };
        let at = |base, strides| At { base, strides };
        agrees(
            &mut driver,
            &[
                // All words.
                Instruction {
                    counts: [3, block, 1, 1],
                    x: at(0, [block, 1, 0, 0]),
                    d: at(0, [block, 1, 0, 0]),
                    ..first
                },
                // The first one twice, in rows of a block.
                Instruction {
                    counts: [3, 2, 1, 1],
                    from: from(3, block * beats),
                    x: at(0, [block, 0, 0, 0]),
                    d: at(100, [2, 1, 0, 0]),
                    ..first
                },
                // The last one alone.
                Instruction { counts: [3, block, 1, 1], x: at(0, [block, 1, 0, 0]), d: at(110, [1, 0, 0, 0]), ..first },
            ],
        );
    }
}

/// The last word and the last element of the scratchpad, and the last accumulator, can be used.
pub fn ends_of_the_scratchpad<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let config = driver.config();
    let (words, lanes) = (config.words as u16, config.lanes as u16);
    let (last, element) = (At::fixed(words - 1), words * lanes - 1);
    let one = Instruction { counts: [1; 4], ..Default::default() };
    let accs = config.accs as u16;
    agrees(
        &mut driver,
        &[
            Instruction { x: At::fixed(3), d: last, ..one },
            Instruction { x: last, b: B::Y, y: last, d: At::fixed(4), ..one },
            Instruction { kind: Kind::Max, x: At::fixed(5), d: At::fixed(6), r: element, ..one },
            Instruction { b: B::Y, y: At::fixed(element), y_element: true, d: At::fixed(7), ..one },
            Instruction { kind: Kind::Sum, counts: [1, 2, 1, config.sets() as u16], d: At::fixed(element), ..one },
            Instruction { x: last, d: At::fixed(8), ..one },
            Instruction { kind: Kind::Keep, counts: [2, accs, 1, 1], x: At::row(0), d: At::row(64), ..one },
        ],
    );
}

/// Values from which nothing can be computed: the row's maximum is an error, but not what lies beyond the row.
pub fn maxima_that_are_not_finite<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let word = 4 * driver.config().lanes;
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
        let memory = driver.device().memory();
        memory[INPUT..INPUT + 2 * word].fill(0);
        // The last value of the second word.
        memory[INPUT + 2 * word - 4..INPUT + 2 * word].copy_from_slice(&value.to_le_bytes());
        let max = Instruction {
            kind,
            counts: [1, 2, 1, 1],
            x: At::row(0),
            d: At::row(4),
            r: 500,
            last,
            ..Default::default()
        };
        let base = driver.device().memory_base();
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

/// S of 2^-13 and what is next to it, beside a product of zero and of something: which become zero.
pub fn flushes_at_the_limit<D: Device>(device: D) {
    let limit = 2f32.powi(-13);
    let mut driver = Driver::open(device).unwrap();
    let (config, base) = (driver.config(), driver.device().memory_base());
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
            compare(&mut driver, &[flush], &moved(base, OUTPUT, 1, &config, false), &vec![0; BYTES]).unwrap();
            let found = driver.device().memory()[OUTPUT..].first_chunk().copied().map(f32::from_le_bytes);
            let kept = product != 0.0 || s.abs() > limit;
            assert_eq!(found, Some(if kept { s } else { 0.0 }), "{s:e} beside a product of {product:e}");
        }
    }
}

/// A sum in golden's order: element i belongs to partial sum i mod 32, and those are folded in halves.
fn in_order(row: &[f32]) -> f32 {
    let mut sums = [0.0; PARTIALS];
    row.iter().enumerate().for_each(|(i, x)| sums[i % PARTIALS] += x);
    for half in [16, 8, 4, 2, 1] {
        (0..half).for_each(|i| sums[i] += sums[i + half]);
    }
    sums[0]
}

/// Sums of rows have the bits of golden's.
pub fn sums_in_order<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let (config, base) = (driver.config(), driver.device().memory_base());
    let sets = config.sets() as u16;
    for (links, round_s) in [(1u16, false), (2, true), (5, false), (11, true)] {
        let image = image();
        driver.device().memory()[INPUT..].copy_from_slice(&image[INPUT..]);
        let sum = Instruction {
            kind: Kind::Sum,
            counts: [1, links, 1, sets],
            x: At { base: 0, strides: [0, sets, 0, 1] },
            d: At::fixed(100 * config.lanes as u16),
            round_s,
            ..Default::default()
        };
        let words = links * sets;
        let store = Instruction { x: At::fixed(100), d: At::default(), ..moved(base, OUTPUT, 1, &config, false) };
        driver.run(&[moved(base, INPUT, words, &config, true), sum, store], PROGRAM, INPUT..BYTES).unwrap();
        let row: Vec<f32> = image[INPUT..INPUT + 4 * PARTIALS * usize::from(links)]
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        let expected = in_order(&row);
        let expected = if round_s { Dtype::Bf16.round(expected) } else { expected };
        let found = driver.device().memory()[OUTPUT..].first_chunk().copied().map(f32::from_le_bytes);
        assert_eq!(found, Some(expected), "{links} links");
    }
}

/// Chains that stay for the next pass, and go on there or begin anew.
pub fn chains_that_go_on<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let sets = driver.config().sets() as u16;
    let lanes = driver.config().lanes as u16;
    let chains = [
        Instruction { kind: Kind::Keep, counts: [3, 4, 1, 1], d: At::row(60), ..two_words() },
        Instruction {
            kind: Kind::Sum,
            counts: [2, 3, 1, sets],
            d: At { base: 80 * lanes, strides: [1, 0, 0, 0] },
            ..two_words()
        },
    ];
    for chain in chains {
        let x = At { base: 2, strides: [5, 4, 0, 1] };
        let with = |hold, more| Instruction { x, hold, more, ..chain };
        let part = |hold, more| Instruction { counts: [1, chain.counts[1], 1, chain.counts[3]], ..with(hold, more) };
        agrees(&mut driver, &[with(false, false)]);
        agrees(&mut driver, &[part(true, false), part(true, true), part(false, true)]);
        // What a chain begins with does not depend on the one before.
        agrees(&mut driver, &[part(true, false), part(false, false)]);
    }
}

/// A stream with a fence has what the program stored before, after one instruction and after many.
pub fn fences<D: Device>(device: D) {
    let mut driver = Driver::open(device).unwrap();
    let (config, base) = (driver.config(), driver.device().memory_base());
    let row = At::row(0);
    let change = Instruction { counts: [1, 4, 1, 1], c: C::Imm, imm_c: 1.0, x: row, d: row, ..Default::default() };
    let mut program = Vec::new();
    for pass in 0..6 {
        program.push(moved(base, OUTPUT + 4096, 4, &config, false));
        // The words change in the scratchpad and come back from memory as they were.
        program.extend(vec![change; 2 * pass]);
        program.push(Instruction { fence: true, ..moved(base, OUTPUT + 4096, 4, &config, true) });
        program.push(Instruction { b: B::Imm, imm_b: 1.5, c: C::None, ..change });
    }
    agrees(&mut driver, &program);
}
