//! Cycle counts of some operators on the ideal memory. The counts are deterministic, so the tolerance is zero.
//!
//! The expected counts are in `cycles.json`. After an intended change of the counts,
//! `TMV_UPDATE_CYCLES=1 cargo test -p sim --test cycles` writes the file again. Review the difference like code.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{BASE3, DEFAULT, NARROW, Random};
use golden::TernaryMatrix;
use rand_core::{Rng, SeedableRng};
use tmv::config::UnitConfig;
use tmv::driver::Driver;
use zynq_memory::{MemoryConfig, Timing};

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
struct Counts {
    /// Cycles in which the unit was busy.
    cycles: u64,
    /// Weight beats divided by ports.
    ideal_cycles: u64,
    /// Cycles in which a port had work and waited, summed over the ports.
    stall_cycles: u64,
}

/// Runs operators that share activations, checks their results, and counts cycles.
fn measure(unit: &UnitConfig, rows: &[usize], cols: usize, tokens: usize) -> Counts {
    let memory = MemoryConfig { bytes: 16 << 20, timing: Timing::ideal(40), ..common::memory() };
    let mut driver = Driver::open(common::device(unit, memory)).unwrap();
    let mut rng = Random::seed_from_u64(1);
    let mut plane = |rows: usize| (0..rows * cols.div_ceil(64)).map(|_| rng.next_u64()).collect::<Vec<_>>();
    let matrices: Vec<_> =
        rows.iter().map(|n| TernaryMatrix::from_planes(*n, cols, plane(*n), plane(*n)).unwrap()).collect();
    let x: Vec<i8> = (0..tokens * cols).map(|i| ((i * 37 + i / cols * 11) % 256) as u8 as i8).collect();
    let weights: Vec<_> = matrices.iter().map(|m| driver.load(m).unwrap()).collect();
    let run = driver.run(&weights, &x, tokens).unwrap();
    for (matrix, result) in matrices.iter().zip(&run.operators) {
        assert!(result.accumulators == golden::matvec::matvec(matrix, &x), "{rows:?} x {cols}: results differ");
    }
    Counts {
        cycles: run.cycles,
        ideal_cycles: rows.iter().map(|n| unit.ideal_cycles(*n, cols, tokens)).sum(),
        stall_cycles: run.ports.iter().map(|port| port.stalls()).sum(),
    }
}

#[test]
fn cycle_counts() {
    let found: BTreeMap<&str, Counts> = [
        ("4 x 128 bits, 4 vectors: k_proj, 3 tokens", measure(&DEFAULT, &[640], 2560, 3)),
        ("4 x 128 bits, 4 vectors: o_proj, 1 token", measure(&DEFAULT, &[2560], 2560, 1)),
        ("4 x 128 bits, 4 vectors: q, k, v_proj, 3 tokens", measure(&DEFAULT, &[2560, 640, 640], 2560, 3)),
        ("4 x 128 bits, 4 vectors: down_proj, 4 tokens", measure(&DEFAULT, &[2560], 6912, 4)),
        ("4 x 128 bits, 4 vectors: 1 x 1", measure(&DEFAULT, &[1], 1, 1)),
        ("4 x 128 bits, 4 vectors: 640 x 64, 9 tokens", measure(&DEFAULT, &[640], 64, 9)),
        ("2 x 64 bits, 2 vectors: 256 x 600, 3 tokens", measure(&NARROW, &[256], 600, 3)),
        ("4 x 128 bits, 4 vectors, base3: k_proj, 3 tokens", measure(&BASE3, &[640], 2560, 3)),
        ("4 x 128 bits, 4 vectors, base3: down_proj, 1 token", measure(&BASE3, &[2560], 6912, 1)),
        ("4 x 128 bits, 4 vectors in 2 groups, base3: o_proj, 8 tokens", measure(&BASE3, &[2560], 2560, 8)),
        ("4 x 128 bits, 4 vectors in 2 groups, base3: k_proj, 5 tokens", measure(&BASE3, &[640], 2560, 5)),
    ]
    .into();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cycles.json");
    if std::env::var_os("TMV_UPDATE_CYCLES").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        return;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let expected: BTreeMap<&str, Counts> = serde_json::from_str(&text).unwrap();
    let changed: Vec<String> = found
        .iter()
        .filter(|(name, counts)| expected.get(*name) != Some(counts))
        .map(|(name, counts)| format!("{name}:\n  expected {:?}\n  found    {counts:?}", expected.get(name)))
        .collect();
    assert!(
        changed.is_empty() && expected.len() == found.len(),
        "cycle counts changed:\n{}\nIf that is meant: TMV_UPDATE_CYCLES=1 cargo test -p sim --test cycles, and review {}",
        changed.join("\n"),
        path.display(),
    );
}
