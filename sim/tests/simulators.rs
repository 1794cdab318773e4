//! The same operators on two simulators that share no code, Verilator and CXXRTL. Results and cycle counts must be
//! equal.
//!
//! These tests are not part of a plain `cargo test`, because they fetch and compile Yosys, which takes minutes the
//! first time: `cargo test -p sim --test simulators -- --ignored`.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Random, SMALLEST, activations, restless, ternary};
use golden::Codec;
use rand_core::SeedableRng;
use testbench::model::{unit_spec, vector_spec};
use tmv::config::UnitConfig;
use tmv::driver::{Driver, RunResult};
use vector::VectorConfig;
use vector::conformance::bench::{BYTES, USED};
use vector::conformance::random;
use verilated::{ModelLibrary, ModelSpec, PowerUp, Simulator, Trace};
use zynq_memory::{MemoryConfig, Timing};

/// Deliberate changes of the RTL: a file, a text that occurs in it once, its replacement, and whether the change
/// alters results or only cycles.
const BREAKS: [(&str, &str, &str, bool); 2] = [
    ("tmv_dot.sv", "(part_t'(gen_plane[4].count) << 1)", "(part_t'(gen_plane[4].count) << 2)", true),
    ("tmv_unit.sv", "int unsigned Outstanding = 8", "int unsigned Outstanding = 2", false),
];

const UNIT: UnitConfig = UnitConfig { codec: Codec::WeightsBase3, vectors: 2, ..SMALLEST };

fn model(simulator: Simulator, spec: ModelSpec) -> ModelLibrary {
    common::model(&ModelSpec { simulator: Some(simulator), label: format!("{}, {simulator:?}", spec.label), ..spec })
}

/// The results and counters of each run on one simulator, and the cycle in which the run ends.
fn outcome(library: &ModelLibrary, memory: &MemoryConfig, power_up: PowerUp, seed: u64) -> Vec<(RunResult, u64)> {
    let mut rng = Random::seed_from_u64(seed);
    let device = common::device_of(library, &UNIT, memory.clone(), power_up, seed);
    let mut driver = Driver::open(device).unwrap();
    let mut run = |rows: &[usize], cols: usize, tokens: usize| {
        let matrices: Vec<_> = rows.iter().map(|rows| ternary(&mut rng, *rows, cols)).collect();
        let x = activations(&mut rng, tokens * cols);
        let weights: Vec<_> = matrices.iter().map(|matrix| driver.load(matrix).unwrap()).collect();
        let result = driver.run(&weights, &x, tokens).unwrap();
        (result, driver.device().cycles())
    };
    vec![run(&[1], 1, 1), run(&[21, 8], 130, 2), run(&[9], 77, 3)]
}

#[test]
#[ignore = "fetches Yosys and compiles a model for half a minute"]
fn equal_results_and_cycles() {
    let verilator = model(Simulator::Verilator, unit_spec(&UNIT, Trace::Off).unwrap());
    let cxxrtl = model(Simulator::Cxxrtl, unit_spec(&UNIT, Trace::Off).unwrap());
    let states = [PowerUp::Zeros, PowerUp::Ones, PowerUp::Random, PowerUp::Random];
    for (seed, power_up) in (1..).zip(states) {
        let memory = match power_up {
            PowerUp::Zeros => common::memory(),
            _ => restless(&mut Random::seed_from_u64(seed)),
        };
        let expected = outcome(&verilator, &memory, power_up, seed);
        let found = outcome(&cxxrtl, &memory, power_up, seed);
        assert_eq!(expected, found, "seed {seed}, {power_up:?}: Verilator, then CXXRTL");
    }
}

/// A vector unit with 8 lanes on both simulators: random programs with all errors of instructions, whose results are compared
/// with their arithmetic, take the same cycles. CXXRTL simulates the bodies for LUTs, Verilator those that simulate fast.
#[test]
#[ignore = "fetches Yosys and compiles a model for minutes"]
fn equal_cycles_of_the_vector_unit() {
    let unit = VectorConfig { words: usize::from(USED), ..VectorConfig::of(8) };
    let verilator = vector_spec(&unit, Trace::Off).unwrap();
    let mut cxxrtl = verilator.clone();
    cxxrtl.defines.insert("TMV_LUT_BODIES".into(), "1".into());
    let models = [model(Simulator::Verilator, verilator), model(Simulator::Cxxrtl, cxxrtl)];
    for seed in 1..=3 {
        let memory = MemoryConfig { bytes: BYTES, ..restless(&mut Random::seed_from_u64(seed)) };
        let cycles = models.each_ref().map(|library| {
            let mut rng = Random::seed_from_u64(seed);
            // CXXRTL looks at assertions before a reset at power-up has reached all parts.
            let ports = UnitConfig { ports: unit.ports, port_bits: unit.port_bits, ..SMALLEST };
            let device = common::device_of(library, &ports, memory.clone(), PowerUp::Zeros, seed);
            let mut driver = vector::driver::Driver::open(device).unwrap();
            random::check_programs(&mut driver, &mut rng, 2);
            let programs = driver.device().cycles();
            random::check_instructions(&mut driver, &mut rng, 20);
            (programs, driver.device().cycles(), driver.counters().unwrap())
        });
        assert_eq!(cycles[0], cycles[1], "seed {seed}: Verilator, then CXXRTL");
    }
}

/// The tests below are rarely run. This test shows when a change of the RTL makes their replacements fail.
#[test]
fn breaks_have_their_place() {
    for (file, old, new, _) in BREAKS {
        broken(tempfile::tempdir().unwrap().path(), file, old, new);
    }
}

/// The comparison detects a simulator with changed RTL: by results if a sum is wrong, by cycles if a queue is
/// shorter.
#[test]
#[ignore = "fetches Yosys and compiles a model for half a minute"]
fn differences_are_found() {
    let right = model(Simulator::Cxxrtl, unit_spec(&UNIT, Trace::Off).unwrap());
    // The latency is so long that the depth of the queue of bursts matters.
    let memory = MemoryConfig { timing: Timing::ideal(60), ..common::memory() };
    let right = outcome(&right, &memory, PowerUp::Random, 1);
    for (file, old, new, results_differ) in BREAKS {
        let copy = tempfile::tempdir().unwrap();
        let broken = model(Simulator::Verilator, broken(copy.path(), file, old, new));
        let found = outcome(&broken, &memory, PowerUp::Random, 1);
        let same = |a: &(RunResult, u64), b: &(RunResult, u64)| {
            a.0.operators.iter().zip(&b.0.operators).all(|(a, b)| a.accumulators == b.accumulators)
        };
        assert_eq!(!right.iter().zip(&found).all(|(a, b)| same(a, b)), results_differ, "{file}: {new}: results");
        assert!(right.iter().zip(&found).any(|(a, b)| a.1 != b.1 || a.0 != b.0), "{file}: {new}: nothing differs");
    }
}

/// The specification of the unit's model, from a copy of the RTL in which `old` in `file` is replaced by `new`.
fn broken(copy: &Path, file: &str, old: &str, new: &str) -> ModelSpec {
    let mut spec = unit_spec(&UNIT, Trace::Off).unwrap();
    let rtl = rtl::dir().join("prim");
    for header in std::fs::read_dir(&rtl).unwrap().flatten().filter(|e| e.path().extension() == Some("svh".as_ref())) {
        std::fs::copy(header.path(), copy.join(header.file_name())).unwrap();
    }
    for source in spec.files.iter_mut().chain(&mut spec.checkers) {
        let mut text = std::fs::read_to_string(&*source).unwrap();
        if source.ends_with(file) {
            assert_eq!(text.matches(old).count(), 1, "{file}: {old}");
            text = text.replace(old, new);
        }
        *source = copy.join(source.file_name().unwrap());
        std::fs::write(&*source, text).unwrap();
    }
    spec.include_dirs = vec![copy.into()];
    spec.label += &format!(", {file} with {new}");
    spec
}

/// A layer of 2B-4T with its real dimensions, on the default unit, in the real program.
#[test]
#[ignore = "fetches Yosys and compiles the default unit for minutes"]
fn layer_14() {
    let report = |simulator: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_sim"));
        program.args(["--layer", "14", "--tokens", "1", "--json", "-"]).env("TMV_SIMULATOR", simulator);
        let output = program.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{simulator}: {}", output.status);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let cycles = report["simulation"]["simulated_cycles"].as_u64().unwrap();
        eprintln!("{simulator}: {cycles} cycles, {} a second a thread", report["simulation"]["cycles_per_second"]);
        assert!(cycles > 250_000 && report["operators"].as_array().unwrap().len() == 7, "{simulator}: {report:#}");
        (cycles, report["operators"].clone(), report["runs"].clone(), report["totals"].clone())
    };
    assert_eq!(report("verilator"), report("cxxrtl"), "Verilator, then CXXRTL");
}
