//! Programs on a device, compared with their arithmetic.

use alloc::vec;
use alloc::vec::Vec;
use std::format;
use std::string::{String, ToString};

use tmv::conformance::Ring;
use tmv::descriptor::DESCRIPTOR_BYTES;
use tmv::device::Device;

use crate::config::VectorConfig;
use crate::driver::{self, Driver, Error};
use crate::instruction::{At, B, Format, From, Instruction, Kind, Op, Range, To, WORDS};
use crate::machine::{Machine, Memory};

/// Words of the scratchpad, and where memory has what.
pub const USED: u16 = 128;
pub const PROGRAM: usize = 0;
pub const INPUT: usize = 64 << 10;
pub const OUTPUT: usize = 256 << 10;
pub const BYTES: usize = 512 << 10;

/// A pass that moves words between memory, `from` bytes behind its begin, and the begin of the scratchpad.
pub fn moved(base: u64, from: usize, words: u16, config: &VectorConfig, load: bool) -> Instruction {
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
pub fn bits(bytes: &[u8]) -> Vec<u32> {
    let single = |b: &[u8; 4]| f32::from_le_bytes(*b);
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| if single(b).is_nan() { 0x7fc0_0000 } else { single(b).to_bits() })
        .collect()
}

/// Runs a program and then `all` on the unit, and compares what they wrote with what the machine writes.
pub fn compare<D: Device>(
    driver: &mut Driver<D>,
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

/// The code, the origin and the address of the error of a program, relative to the program.
pub fn fault_of<D: Device>(driver: &mut Driver<D>, program: &[Instruction]) -> (u8, &'static str, i64) {
    let program_at = driver.device().memory_base() as i64 + 64;
    match driver.run(program, PROGRAM, INPUT..BYTES) {
        Err(Error::Unit { code, origin, address, .. }) => (code, origin, address as i64 - program_at),
        other => panic!("expected an error of the unit, found {other:?}"),
    }
}

/// A unit works after an error, and what it computes is right: quotients, a root, a sum and a maximum of a stream.
pub fn works<D: Device>(driver: &mut Driver<D>) {
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

/// The ring of a unit that was reset.
pub fn ring<D: Device>(driver: &mut Driver<D>) -> Ring<&mut D> {
    driver.reset().unwrap();
    Ring::new(driver.device(), 0)
}

/// Puts a program behind the ring, and its descriptor into the ring. Returns the number of the descriptor.
pub fn queue<D: Device>(ring: &mut Ring<D>, program: &[[u32; WORDS]], irq: bool) -> u16 {
    ring.unload();
    let address = ring.allocate(4 * WORDS * program.len());
    let bytes = ring.bytes(address, 4 * WORDS * program.len());
    bytes.as_chunks_mut().0.iter_mut().zip(program.as_flattened()).for_each(|(to, word)| *to = word.to_le_bytes());
    ring.queue_bytes(&descriptor(address, program.len(), irq))
}

/// The bytes of a descriptor.
pub fn descriptor(address: u64, count: usize, irq: bool) -> [u8; DESCRIPTOR_BYTES] {
    let mut bytes = [0; DESCRIPTOR_BYTES];
    let words = driver::descriptor(address, count, irq);
    bytes.as_chunks_mut().0.iter_mut().zip(words).for_each(|(to, word)| *to = word.to_le_bytes());
    bytes
}
