//! The generated files of the repository agree with the register maps.

use std::path::Path;

use register_map::{RegisterMap, SEQUENCER, UNIT, VECTOR, generate};

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    for source in [UNIT, SEQUENCER, VECTOR] {
        let map = RegisterMap::parse(&read(source.path)).expect("the map is right");
        for (path, text) in generate(&map, &source) {
            assert!(read(&path) == text, "{path} is stale: run `cargo run -p register_map`");
        }
    }
}

/// The registers of `tmv_csr` are those of every unit that has it.
#[test]
fn units_share_registers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file of the repository");
    let shared = read("rtl/axi/tmv_csr_pkg.sv");
    for (source, others) in [
        (UNIT, [("StatusReadBurstsLsb", "StatusFrontendBurstsLsb"), ("CountOffset", "PortBusyOffset")]),
        (VECTOR, [("", ""), ("CountOffset", "SlotsOffset")]),
    ] {
        let (folder, package) = source.package;
        let package = read(&format!("{folder}/{package}.sv"));
        let constants = shared.lines().filter(|line| line.contains("localparam"));
        let missing: Vec<_> =
            constants
                .filter(|line| {
                    let named = others.iter().fold((*line).to_owned(), |line, (from, to)| {
                        if from.is_empty() { line } else { line.replace(from, to) }
                    });
                    !package.lines().any(|line| line == named)
                })
                .collect();
        assert!(missing.is_empty(), "{} differs from tmv_csr: {missing:#?}", source.path);
    }
}
