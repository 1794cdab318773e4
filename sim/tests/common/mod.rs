//! Helpers that the tests of the Verilated unit share. With `TMV_SEED=n`, a seeded test runs with seed `n` only.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::print_stderr, clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use golden::{Codec, TernaryMatrix};
use rand_core::{Rng, SeedableRng};
use testbench::device::VerilatedDevice;
use testbench::model::unit_spec;
use tmv::config::UnitConfig;
pub use tmv::conformance::{Random, below, pick};
use verilated::{ModelLibrary, ModelSpec, PowerUp, Trace, VerilatedContext};
use zynq_memory::{MemoryConfig, Timing};

/// The default unit.
pub const DEFAULT: UnitConfig = UnitConfig { ports: 4, port_bits: 128, vectors: 4, groups: 2, codec: Codec::Weights2b };
pub const SMALLEST: UnitConfig = UnitConfig { ports: 1, port_bits: 64, vectors: 1, groups: 1, codec: Codec::Weights2b };
pub const NARROW: UnitConfig = UnitConfig { ports: 2, port_bits: 64, vectors: 2, groups: 1, codec: Codec::Weights2b };
/// A unit with as many ports as a unit can have.
pub const EIGHT: UnitConfig = UnitConfig { ports: 8, port_bits: 64, vectors: 1, groups: 8, codec: Codec::Weights2b };
/// A unit with base 3 codec and planes in two slices.
pub const BASE3: UnitConfig =
    UnitConfig { ports: 4, port_bits: 128, vectors: 4, groups: 2, codec: Codec::WeightsBase3 };
/// A unit with base 3 codec and planes in one slice.
pub const BASE3_NARROW: UnitConfig =
    UnitConfig { ports: 2, port_bits: 64, vectors: 2, groups: 4, codec: Codec::WeightsBase3 };

/// The model of `spec`. Each process builds it at most once, and takes it from the user's cache if possible.
pub fn model(spec: &ModelSpec) -> ModelLibrary {
    static MODELS: OnceLock<Mutex<HashMap<String, Arc<OnceLock<ModelLibrary>>>>> = OnceLock::new();
    let key = format!("{spec:?}");
    let cell = MODELS.get_or_init(Mutex::default).lock().unwrap().entry(key).or_default().clone();
    let build = || verilated::build(spec, &mut |step| eprintln!("{step}")).unwrap_or_else(|error| panic!("{error}"));
    cell.get_or_init(build).clone()
}

pub fn unit(unit: &UnitConfig) -> ModelLibrary {
    model(&unit_spec(unit, Trace::Off).unwrap())
}

/// A memory of 4 MiB that answers after 8 cycles and never stalls.
pub fn memory() -> MemoryConfig {
    MemoryConfig::plain(0x1000_0000, 4 << 20, Timing::ideal(8))
}

/// A memory with random latency, stalls and order of beats.
pub fn restless(rng: &mut Random) -> MemoryConfig {
    let mut timing = Timing::ideal(pick(rng, &[1, 3, 20, 60]));
    timing.queue = pick(rng, &[1, 2, 8]);
    MemoryConfig {
        timing,
        stall: pick(rng, &[0, 10, 128, 220]),
        interleave: rng.next_u32() & 1 != 0,
        shy: rng.next_u32() & 1 != 0,
        late_writes: rng.next_u32() & 1 != 0,
        data_first: rng.next_u32() & 1 != 0,
        seed: rng.next_u64(),
        ..memory()
    }
}

/// A unit after reset.
pub fn device(config: &UnitConfig, memory: MemoryConfig) -> VerilatedDevice {
    device_of(&unit(config), config, memory, PowerUp::Random, 1)
}

pub fn device_of(
    library: &ModelLibrary,
    config: &UnitConfig,
    memory: MemoryConfig,
    power_up: PowerUp,
    seed: u64,
) -> VerilatedDevice {
    let context = VerilatedContext { power_up, seed, ..VerilatedContext::default() };
    let mut device = VerilatedDevice::new(library, &context, config, memory).unwrap();
    device.set_patience(200_000);
    device
}

pub fn ternary(rng: &mut Random, rows: usize, cols: usize) -> TernaryMatrix {
    // Some rows have only equal weights.
    let mut row = || -> Vec<i8> {
        match rng.next_u32() % 8 {
            0 => vec![0; cols],
            1 => vec![-1; cols],
            2 => vec![1; cols],
            _ => (0..cols).map(|_| (rng.next_u32() % 3) as i8 - 1).collect(),
        }
    };
    let weights: Vec<i8> = (0..rows).flat_map(|_| row()).collect();
    TernaryMatrix::from_rows(rows, cols, &weights).unwrap()
}

pub fn activations(rng: &mut Random, count: usize) -> Vec<i8> {
    match rng.next_u32() % 8 {
        0 => vec![-128; count],
        1 => vec![0; count],
        2 => (0..count).map(|_| if rng.next_u32() & 1 == 0 { -128 } else { 127 }).collect(),
        _ => (0..count).map(|_| rng.next_u32() as i8).collect(),
    }
}

/// Runs `body` with the seeds 1 to `count`, or with `$TMV_SEED` only. Prints the seed of a failure.
pub fn for_seeds(count: u64, mut body: impl FnMut(u64, &mut Random)) {
    struct Tell(u64);

    impl Drop for Tell {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let thread = std::thread::current();
                let test = thread.name().unwrap_or("this test");
                eprintln!("failed with seed {0}; to repeat: TMV_SEED={0} cargo test -p sim {test}", self.0);
            }
        }
    }

    let only: Option<u64> = std::env::var("TMV_SEED").ok().map(|text| text.parse().expect("TMV_SEED is a number"));
    for seed in only.map_or(1..=count, |seed| seed..=seed) {
        let _tell = Tell(seed);
        body(seed, &mut Random::seed_from_u64(seed));
    }
}
