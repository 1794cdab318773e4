//! Verilator's lint reports nothing: for every module as its own top, and for the unit in every configuration of the
//! boards.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use soft_core::core::Core;
use toolchain::cache::Cache;
use verilated::Builder;

/// A case to lint: the top module and options.
type Case = (String, Vec<String>);

fn listed(list: &str) -> Vec<PathBuf> {
    rtl::listed(list).unwrap().iter().map(|file| rtl::dir().join(file)).collect()
}

fn modules(files: &[PathBuf]) -> impl Iterator<Item = Case> {
    let names = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_string());
    names.filter(|name| !name.ends_with("_pkg")).map(|name| (name, Vec::new()))
}

/// Waivers of the ternary unit, of the sequencer, of the vector unit, and of the system.
const UNIT: &str = "lint/verilator_waiver.vlt";
const SEQUENCER: &str = "lint/sequencer_waiver.vlt";
const VECTOR: &str = "lint/vector_waiver.vlt";
const SYSTEM: &str = "lint/system_waiver.vlt";

/// Lints each case. Returns the complaints.
fn lint(waivers: &str, files: &[PathBuf], cases: &[Case]) -> Vec<String> {
    let verilator = Builder::new().find_verilator(&mut |step| eprintln!("{step}")).unwrap();
    let (rtl, next) = (rtl::dir(), AtomicUsize::new(0));
    let worker = || {
        let mut complaints = Vec::new();
        while let Some((top, options)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut command = Command::new(verilator.program());
            // The pinned package runs without its wrapper script, which would set this variable.
            if verilator.program().ends_with("bin/verilator_bin") {
                command.env("VERILATOR_ROOT", verilator.program().ancestors().nth(2).unwrap());
            }
            command.args(["--lint-only", "-Wall", "--assert", "--top-module", top]).args(options);
            command.arg(format!("-I{}", rtl.join("prim").display())).arg(rtl.join(waivers)).args(files);
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            if !output.status.success() || said.contains("%Warning") {
                complaints.push(format!("{top} {options:?}:\n{said}"));
            }
        }
        complaints
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn every_module() {
    let rtl = rtl::dir();
    let mut files = listed(rtl::UNIT_LIST);
    let mut cases: Vec<Case> = modules(&files).collect();
    for (ports, bits, vectors, groups) in [
        (4, 128, 4, 2),
        (4, 64, 2, 4),
        (1, 64, 1, 8),
        (1, 128, 1, 1),
        (3, 128, 3, 2),
        (8, 128, 8, 1),
        (4, 128, 8, 1),
        (4, 128, 4, 1),
    ] {
        let options = [("Ports", ports), ("PortBits", bits), ("Vectors", vectors), ("Groups", groups)];
        let options = options.map(|(name, value)| format!("-G{name}={value}"));
        cases.push(("tmv_unit".into(), options.to_vec()));
    }
    for bits in [64, 128] {
        cases.push(("tmv_unit".into(), vec!["-GCodec=1".into(), format!("-GPortBits={bits}")]));
        cases.push(("tmv_decode".into(), vec!["-GCodec=1".into(), format!("-GPortBits={bits}")]));
    }
    cases.push(("tmv_unit".into(), vec!["-GColumns=0".into()]));
    for define in ["-DTMV_LUT_BODIES", "-DSYNTHESIS"] {
        cases.push(("tmv_unit".into(), vec![define.into(), "-GPorts=1".into(), "-GVectors=1".into()]));
        cases.push(("tmv_popcount".into(), vec![define.into(), "-GWidth=80".into(), "-GSlices=2".into()]));
    }
    let complaints = lint(UNIT, &files, &cases);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));

    // The files for simulation only, in addition to the files of the unit.
    let tb = [listed(rtl::CHECKER_LIST), vec![rtl.join("tb/tmv_cells_tb.sv")]].concat();
    let cases: Vec<Case> = modules(&tb).chain([("tmv_unit".into(), Vec::new())]).collect();
    files.extend(tb);
    let complaints = lint(UNIT, &files, &cases);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The modules of the sequencer, each as its own top, with the core.
#[test]
fn every_module_of_the_sequencer() {
    let mut files = listed(rtl::SEQUENCER_LIST);
    let mut cases: Vec<Case> = modules(&files).filter(|(name, _)| name != "tmv_axil_slave").collect();
    for bits in [64, 128] {
        cases.push(("tmv_sequencer".into(), vec![format!("-GPortBits={bits}"), "-GRamWords=16384".into()]));
    }
    cases.push(("tmv_sequencer".into(), vec!["-DSYNTHESIS".into()]));
    let cache = Cache::open(None).unwrap();
    files.extend(Core::VexRiscv.verilog(&cache, &mut |step| eprintln!("{step}")).unwrap().files);
    let complaints = lint(SEQUENCER, &files, &cases);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));

    for (top, option, text) in [
        ("tmv_core_window", "-GPortBits=32", "PortBits must be 64 or 128"),
        ("tmv_core_window", "-GWrites=3", "Writes must be a power of two"),
        ("tmv_core_ram", "-GWords=100", "Words must be a power of two"),
    ] {
        let complaints = lint(SEQUENCER, &files, &[(top.into(), vec![option.into()])]);
        assert!(complaints.iter().any(|said| said.contains(text)), "{option}: {complaints:?}");
    }
}

/// The top with all units, in the configurations of the boards, and the switch of its registers.
#[test]
fn the_whole_system() {
    let mut files: Vec<PathBuf> =
        soft_core::model::top_files(Core::VexRiscv).unwrap().iter().map(|file| rtl::dir().join(file)).collect();
    let mut cases = vec![("tmv_sys_switch".into(), Vec::new())];
    for (board, bits) in [("kv260", 128), ("pynq-z2", 64)] {
        let board = cost::board::BOARDS.iter().find(|known| known.name == board).unwrap();
        let vector = vector::VectorConfig::for_ports_of(bits);
        for define in ["-DTMV_LUT_BODIES", "-DSYNTHESIS"] {
            let options = [
                ("Ports", board.family.ports.value),
                ("PortBits", bits),
                ("Vectors", board.vectors),
                ("Groups", board.groups),
                ("Codec", 1),
                ("UltraRam", usize::from(board.device.uram > 0)),
                ("FifoBeats", 64),
                ("Lanes", vector.lanes),
                ("VectorPorts", vector.ports),
                ("Words", vector.words),
            ];
            let options = options.map(|(name, value)| format!("-G{name}={value}"));
            cases.push(("tmv_system".into(), [options.to_vec(), vec![define.into()]].concat()));
        }
    }
    let cache = Cache::open(None).unwrap();
    let waivers = [UNIT, SEQUENCER, VECTOR].map(|file| rtl::dir().join(file));
    files.splice(0..0, waivers);
    files.extend(Core::VexRiscv.verilog(&cache, &mut |step| eprintln!("{step}")).unwrap().files);
    let complaints = lint(SYSTEM, &files, &cases);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The modules of the vector unit, each as its own top, and the unit in its configurations.
#[test]
fn every_module_of_the_vector_unit() {
    let mut files = listed(rtl::VECTOR_LIST);
    let shared = |name: &str| rtl::listed(rtl::UNIT_LIST).unwrap().iter().any(|file| rtl::module(file) == name);
    let mut cases: Vec<Case> = modules(&files).filter(|(name, _)| !shared(name)).collect();
    for (lanes, ports, bits) in [(8, 1, 64), (8, 2, 64), (16, 1, 128), (16, 2, 64), (32, 1, 128), (32, 2, 128)] {
        for define in ["-DTMV_LUT_BODIES", "-DSYNTHESIS"] {
            let options = [("Lanes", lanes), ("Ports", ports), ("PortBits", bits)];
            let options = options.map(|(name, value)| format!("-G{name}={value}"));
            cases.push(("tmv_vec_unit".into(), [options.to_vec(), vec![define.into()]].concat()));
        }
    }
    files.push(rtl::dir().join("tb/tmv_float_tb.sv"));
    cases.push(("tmv_float_tb".into(), Vec::new()));
    let complaints = lint(VECTOR, &files, &cases);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));

    for (top, option, text) in [
        ("tmv_vec_unit", "-GLanes=4", "Lanes must be 8, 16 or 32"),
        ("tmv_vec_unit", "-GPorts=3", "Ports must be 1 or 2"),
        ("tmv_vec_unit", "-GWords=1000", "Words must be a power of two"),
        ("tmv_vec_unit", "-GWords=4096", "the number of an element has 16 bits"),
        ("tmv_vec_engine", "-GPortBits=64", "a stored word must not take longer than a division"),
        ("tmv_vec_fetch", "-GLanes=8", "a word of bytes must fill a beat"),
        ("tmv_fp_zeros", "-GWidth=30", "whole groups"),
    ] {
        let complaints = lint(VECTOR, &files, &[(top.into(), vec![option.into()])]);
        assert!(complaints.iter().any(|said| said.contains(text)), "{option}: {complaints:?}");
    }
}

/// The lint is active, and it refuses configurations that are not allowed.
#[test]
fn complaints_are_heard() {
    let files = listed(rtl::UNIT_LIST);
    for (option, text) in [
        ("-GPorts=9", "Ports must be 1 to 8"),
        ("-GPortBits=32", "PortBits must be 64 or 128"),
        ("-GVectors=9", "Vectors * Groups at most 8"),
        ("-GGroups=3", "Groups must be a power of two"),
        ("-GGroups=4", "Vectors * Groups at most 8"),
        ("-GBankWords=2048", "in_features must fit 16 bits"),
        ("-GCodec=2", "this codec is not built yet"),
    ] {
        let complaints = lint(UNIT, &files, &[("tmv_unit".into(), vec![option.into()])]);
        assert!(complaints.iter().any(|said| said.contains(text)), "{option}: {complaints:?}");
    }
}
