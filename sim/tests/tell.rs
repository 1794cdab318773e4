//! Units that wait for each other by wires: what one tells, and what the other one does not do before.
#![allow(clippy::unwrap_used)]

mod common;

use common::{NARROW, Random, restless};
use conformance::{Bench, Operator};
use golden::Codec;
use rand_core::SeedableRng;
use testbench::device::VerilatedDevice;
use testbench::model::vector_spec;
use tmv::config::UnitConfig;
use tmv::conformance;
use tmv::descriptor::Descriptor;
use tmv::device::Device;
use tmv::regs;
use vector::driver::Driver;
use vector::instruction::{At, Format, From, Range, To};
use vector::{Instruction, VectorConfig};
use verilated::{Trace, VerilatedContext};
use zynq_memory::{Faults, MemoryConfig, SLVERR, WriteFault};

/// Cycles in which a unit that can go on would go on.
const LONG: usize = 20_000;

/// Clocks a device, and returns how often it tells meanwhile.
fn steps(device: &mut VerilatedDevice, cycles: usize) -> usize {
    (0..cycles).filter(|_| tells(device)).count()
}

/// Clocks a device once. Whether it tells.
fn tells(device: &mut VerilatedDevice) -> bool {
    device.step().unwrap();
    device.parts().0.tells()
}

/// Tells a device `count` times, one cycle after the other.
fn tell(device: &mut VerilatedDevice, count: usize) {
    device.parts().0.set_told(true);
    steps(device, count);
    device.parts().0.set_told(false);
}

fn bench(memory: MemoryConfig) -> Bench<VerilatedDevice> {
    Bench::new(common::device(&NARROW, memory))
}

/// An operator of one token with these flags.
fn operator(bench: &mut Bench<VerilatedDevice>, seed: u64, after: bool, tell: bool) -> Operator {
    let op = bench.operator(&mut Random::seed_from_u64(seed), 400, 300, 1);
    Operator { descriptor: Descriptor { after, tell, ..op.descriptor }, ..op }
}

fn completed(bench: &mut Bench<VerilatedDevice>) -> u32 {
    steps(&mut bench.device, LONG);
    bench.read(regs::RING_HEAD)
}

/// Weights are read before the other unit tells, and activations are not. The watchdog does not bite.
#[test]
fn activations_wait_for_the_other_unit() {
    let mut bench = bench(common::memory());
    let op = operator(&mut bench, 1, true, false);
    bench.write(regs::WATCHDOG, 1_000);
    let number = bench.queue(&op);
    let (at, right) = (op.descriptor.x_addr, op.x.iter().map(|x| *x as u8).collect::<Vec<_>>());
    bench.bytes(at, right.len()).fill(0x55);
    bench.ring();
    assert_eq!(completed(&mut bench), 0);
    assert_ne!(bench.read(regs::PORT_BEATS), 0, "no weights were read ahead");
    assert_eq!(bench.read(regs::STATUS), regs::STATUS_BUSY);
    bench.bytes(at, right.len()).copy_from_slice(&right);
    tell(&mut bench.device, 1);
    bench.finish();
    bench.check(&op, number);
}

/// Each telling ends one wait, also if it came before. Descriptors that do not wait leave it to others.
#[test]
fn a_telling_ends_one_wait() {
    let mut bench = bench(common::memory());
    let ops = [true, false, true, true].map(|after| operator(&mut bench, 2, after, false));
    let numbers = ops.each_ref().map(|op| bench.queue(op));
    tell(&mut bench.device, 2);
    bench.ring();
    assert_eq!(completed(&mut bench), 3);
    tell(&mut bench.device, 1);
    bench.finish();
    for (op, number) in ops.iter().zip(numbers) {
        bench.check(op, number);
    }
}

/// A telling in the cycle in which a wait ends counts for the next one, and not for those after it.
#[test]
fn a_telling_beside_the_end_of_a_wait() {
    for gap in 0..16 {
        let mut bench = bench(common::memory());
        let op = operator(&mut bench, 3, true, false);
        let numbers = [0; 2].map(|_| bench.queue(&op));
        bench.ring();
        steps(&mut bench.device, LONG);
        tell(&mut bench.device, 1);
        steps(&mut bench.device, gap);
        tell(&mut bench.device, 1);
        bench.finish();
        numbers.into_iter().for_each(|number| bench.check(&op, number));
        // And for one only.
        bench.queue(&op);
        bench.ring();
        assert_eq!(completed(&mut bench), 2, "{gap} cycles apart");
    }
}

/// A soft reset forgets what was told. A count of tellings that nobody waited for does not wrap.
#[test]
fn tellings_are_counted() {
    let mut bench = bench(common::memory());
    tell(&mut bench.device, 3);
    bench.soft_reset();
    let op = operator(&mut bench, 3, true, false);
    bench.queue(&op);
    bench.ring();
    assert_eq!(completed(&mut bench), 0);
    tell(&mut bench.device, 1);
    bench.finish();
    tell(&mut bench.device, 256);
    for _ in 0..4 {
        bench.queue(&op);
    }
    bench.finish();
}

/// A unit tells once for each descriptor that says so, with all results in memory.
#[test]
fn results_are_in_memory_when_the_unit_tells() {
    for seed in 0..8 {
        let mut bench = bench(restless(&mut Random::seed_from_u64(seed)));
        let ops = [true, false, true].map(|tell| operator(&mut bench, seed, false, tell));
        ops.iter().for_each(|op| {
            bench.queue(op);
        });
        bench.ring();
        let mut told = [&ops[0], &ops[2]].into_iter();
        for _ in 0..10 * LONG {
            if tells(&mut bench.device) {
                let op = told.next().expect("the unit tells twice, and not once more");
                assert_eq!(bench.results(op), op.expected, "seed {seed}");
            }
        }
        assert!(told.next().is_none(), "seed {seed}: the unit tells less than twice");
        bench.finish();
    }
}

/// Results that memory refuses are not told.
#[test]
fn refused_results_are_not_told() {
    let beats = (400 * 4 / NARROW.port_bits * 8) as u64;
    for beat in [0, beats / 2, beats - 1] {
        let faults = Faults { write: Some((beat, WriteFault::Response(SLVERR))), ..Faults::default() };
        let mut bench = bench(MemoryConfig { faults, ..common::memory() });
        let op = operator(&mut bench, 4, false, true);
        bench.queue(&op);
        bench.ring();
        assert_eq!(steps(&mut bench.device, LONG), 0, "beat {beat}");
        bench.expect_error(regs::ERR_WRITE_SLVERR);
    }
}

/// Where programs, what they read, and what they write are in memory.
const PROGRAM: u64 = 4096;
const INPUT: u64 = 8192;
const OUTPUT: u64 = 16384;

/// A vector unit with a program of its own, rung and not waited for.
struct Vector {
    driver: Driver<VerilatedDevice>,
    base: u64,
}

impl Vector {
    fn new(memory: MemoryConfig) -> Self {
        let config = VectorConfig { ports: 2, ..VectorConfig::of(8) };
        let ports = UnitConfig {
            ports: config.ports,
            port_bits: config.port_bits,
            vectors: 1,
            groups: 1,
            codec: Codec::Weights2b,
        };
        let library = common::model(&vector_spec(&config, Trace::Off).unwrap());
        let device = VerilatedDevice::new(&library, &VerilatedContext::default(), &ports, memory).unwrap();
        let mut driver = Driver::open(device).unwrap();
        let base = driver.device().memory_base();
        Self { driver, base }
    }

    fn device(&mut self) -> &mut VerilatedDevice {
        self.driver.device()
    }

    fn bytes(&mut self, at: u64, len: usize) -> &mut [u8] {
        &mut self.device().memory()[at as usize..at as usize + len]
    }

    /// A word of memory becomes a word of memory.
    fn copy(&self, from: u64, to: u64) -> [Instruction; 2] {
        let range = |address| Range {
            address: self.base + address,
            rows: 1,
            row_beats: (32 / self.driver.config().port_bytes()) as u16,
            row_stride: 0,
            format: Format::F32,
        };
        let word = At { base: 7, strides: [1, 1, 0, 0] };
        [
            Instruction { from: From::Memory(range(from)), x: At { base: 0, ..word }, d: word, ..Default::default() },
            Instruction { to: To::Memory(range(to)), x: word, ..Default::default() },
        ]
    }

    /// Rings the doorbell for a program.
    fn ring(&mut self, program: &[Instruction]) {
        let descriptor = vector::driver::descriptor(self.base + PROGRAM, program.len(), true);
        for (at, words) in [(0, descriptor.to_vec()), (PROGRAM, program.iter().flat_map(|i| i.encode()).collect())] {
            let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
            self.bytes(at, bytes.len()).copy_from_slice(&bytes);
        }
        let base = self.base as u32;
        for (register, value) in [(regs::RING_BASE_LO, base), (regs::RING_LOG2, 0), (regs::RING_TAIL, 1)] {
            self.device().write_register(register, value).unwrap();
        }
    }

    fn read(&mut self, register: u32) -> u32 {
        self.device().read_register(register).unwrap()
    }

    fn instructions(&mut self) -> u32 {
        steps(self.device(), LONG);
        self.read(vector::regs::INSTRUCTIONS)
    }
}

fn singles(number: u8) -> Vec<u8> {
    (0..8).flat_map(|i| f32::from(number + i).to_le_bytes()).collect()
}

/// A stream is read when the other unit has told, once for each wait. The watchdog does not bite, and a reset forgets.
#[test]
fn instructions_wait_for_the_other_unit() {
    let mut unit = Vector::new(common::memory());
    let [load, store] = unit.copy(INPUT, OUTPUT);
    let program = [Instruction { after: true, ..load }, Instruction { after: true, ..store }, load];
    unit.device().write_register(regs::WATCHDOG, 1_000).unwrap();
    tell(unit.device(), 3);
    unit.driver.reset().unwrap();
    unit.ring(&program);
    assert_eq!(unit.instructions(), 0);
    assert_eq!(unit.read(regs::STATUS), regs::STATUS_BUSY);
    unit.bytes(INPUT, 32).copy_from_slice(&singles(9));
    tell(unit.device(), 1);
    assert_eq!(unit.instructions(), 1);
    assert_eq!(unit.bytes(OUTPUT, 32), [0; 32]);
    tell(unit.device(), 256);
    assert_eq!(unit.instructions(), 3);
    assert_eq!(unit.bytes(OUTPUT, 32), singles(9));
    assert_eq!((unit.read(regs::STATUS), unit.read(regs::RING_HEAD)), (0, 1));
}

/// An instruction that does not wait takes no telling.
#[test]
fn other_instructions_take_no_telling() {
    let mut unit = Vector::new(common::memory());
    let [load, store] = unit.copy(INPUT, OUTPUT);
    tell(unit.device(), 2);
    unit.ring(&[load, Instruction { after: true, ..load }, load, Instruction { after: true, ..store }]);
    assert_eq!(unit.instructions(), 4);
}

/// A unit tells when all that was stored is in memory, before the instruction that tells does anything, and before that waits.
#[test]
fn stores_are_in_memory_when_the_unit_tells() {
    for seed in 0..8 {
        let mut unit = Vector::new(MemoryConfig { bytes: 1 << 20, ..restless(&mut Random::seed_from_u64(seed)) });
        unit.bytes(INPUT, 32).copy_from_slice(&singles(3));
        let ([load, store], [again, last]) = (unit.copy(INPUT, OUTPUT), unit.copy(INPUT + 64, OUTPUT + 64));
        let again = Instruction { tell: true, after: true, ..again };
        unit.ring(&[load, store, again, Instruction { tell: true, ..last }]);
        let mut told = 0;
        for _ in 0..20_000 {
            if tells(unit.device()) {
                told += 1;
                if told == 1 {
                    assert_eq!(unit.bytes(OUTPUT, 32), singles(3), "seed {seed}");
                    unit.bytes(INPUT + 64, 32).copy_from_slice(&singles(5));
                    tell(unit.device(), 1);
                }
            }
        }
        assert_eq!((told, unit.read(regs::STATUS)), (2, 0), "seed {seed}");
        assert_eq!(unit.bytes(OUTPUT + 64, 32), singles(5), "seed {seed}");
    }
}

/// A program of which beats are owed, while its first instruction waits for the other unit: the watchdog bites if and only if
/// memory stops before all of the program has come.
#[test]
fn the_watchdog_bites_while_a_program_is_owed() {
    let mut seen = [0; 2];
    for after in (0..400).step_by(7) {
        let mut unit = Vector::new(common::memory());
        unit.device().write_register(regs::WATCHDOG, 1_000).unwrap();
        let stop = Some((0, unit.device().cycles() + after));
        *unit.device().axi_memory().faults() = Faults { starve_read_data: stop, ..Faults::default() };
        unit.ring(&[Instruction { after: true, ..Default::default() }; 20]);
        steps(unit.device(), LONG);
        let owed = !unit.device().axi_memory().is_idle(0);
        let bites = unit.read(regs::ERROR) & 0xff == u32::from(regs::ERR_WATCHDOG);
        assert_eq!(bites, owed, "memory stops after {after} cycles");
        seen[usize::from(owed)] += 1;
    }
    assert!(seen.iter().all(|times| *times > 3), "{seen:?}: with nothing owed, and with something");
}

/// A memory that never answers is noticed, although an instruction waits.
#[test]
fn the_watchdog_bites_while_an_instruction_waits() {
    // Descriptors and programs come through port 0, and words 4 to 7 of a stream through port 1.
    let faults = Faults { starve_read_data: Some((1, 0)), ..Faults::default() };
    let mut unit = Vector::new(MemoryConfig { faults, ..common::memory() });
    let [load, store] = unit.copy(INPUT, OUTPUT);
    let From::Memory(range) = load.from else { unreachable!("a load reads memory") };
    let range = Range { row_beats: 8 * range.row_beats, ..range };
    let eight = Instruction { counts: [8, 1, 1, 1], from: From::Memory(range), ..load };
    unit.device().write_register(regs::WATCHDOG, 1_000).unwrap();
    unit.ring(&[eight, Instruction { after: true, ..store }]);
    steps(unit.device(), LONG);
    assert_eq!(unit.read(regs::ERROR) & 0xff, u32::from(regs::ERR_WATCHDOG));
}
