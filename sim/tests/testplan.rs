//! Checks the test plans of the units and of a system against the existing tests, proofs, cover points, registers and error codes.
//!
//! `cargo test -p sim --test testplan -- --nocapture` prints the plan as a table.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    feature: Vec<Feature>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    name: String,
    text: String,
    tests: Vec<String>,
    #[serde(default)]
    proofs: Vec<String>,
    #[serde(default)]
    covers: Vec<String>,
    #[serde(default)]
    registers: Vec<String>,
    #[serde(default)]
    errors: Vec<String>,
}

/// A list of proofs, as far as the plan needs it: tools/prove.py checks the other keys.
#[derive(Deserialize)]
struct Proofs {
    proof: Vec<Proof>,
}

#[derive(Deserialize)]
struct Proof {
    name: String,
}

/// The existing tests, proofs, cover points, registers and error codes, by the names that the plan uses.
#[derive(Clone, Debug, Default)]
struct Found {
    tests: BTreeSet<String>,
    proofs: BTreeSet<String>,
    covers: BTreeSet<String>,
    registers: BTreeSet<String>,
    errors: BTreeSet<String>,
    /// Test programs of which every test must belong to a feature.
    programs: Vec<&'static str>,
}

/// A unit with a plan.
struct Unit {
    /// The plan, relative to the workspace.
    plan: &'static str,
    /// Its conformance suite, if it has one.
    suite: Option<&'static str>,
    /// Folders in `rtl` with modules, and with proofs.
    rooms: &'static [&'static str],
    proved: &'static [&'static str],
    /// Test programs for the unit. Each of their tests must belong to a feature.
    programs: &'static [&'static str],
    registers: &'static [(&'static str, u32, &'static str)],
    errors: &'static [(u8, &'static str, &'static str)],
}

const TERNARY: Unit = Unit {
    plan: "rtl/ternary/testplan.toml",
    suite: Some("host/tmv/src/conformance/mod.rs"),
    rooms: &["prim", "axi", "ternary"],
    proved: &["prim", "axi", "ternary"],
    programs: &["unit", "cells", "faults", "hostile", "long", "registers", "cycles", "conformance"],
    registers: tmv::regs::REGISTERS,
    errors: tmv::regs::ERRORS,
};

/// Its rooms for cells and bus parts are in the plan of the ternary unit.
const VECTOR: Unit = Unit {
    plan: "rtl/vector/testplan.toml",
    suite: Some("host/vector/src/conformance/mod.rs"),
    rooms: &["float", "vector"],
    proved: &[],
    programs: &["float", "vector", "vector_layer", "conformance"],
    registers: vector::regs::REGISTERS,
    errors: vector::regs::ERRORS,
};

/// Its error codes are those of the firmware.
const SYSTEM: Unit = Unit {
    plan: "rtl/system/testplan.toml",
    suite: None,
    rooms: &["system"],
    proved: &["system"],
    programs: &["bus_parts", "switch", "soft_core"],
    registers: sequencer::regs::REGISTERS,
    errors: &[],
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of the functions with the attribute `#[test]`.
fn tests_of(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut lines = source.lines();
    // Other attributes may follow the attribute `#[test]`.
    while lines.any(|line| line.trim() == "#[test]") {
        let function = lines.find_map(|line| line.trim().strip_prefix("fn "));
        found.extend(function.and_then(|text| text.split('(').next()));
    }
    found
}

/// Names of the tests in a program with a harness of its own: those in `trials![...]`, and those that are ignored.
fn trials_of(source: &str) -> Vec<&str> {
    let listed = source.split_once("= trials![").map_or("", |(_, list)| list.split_once(']').unwrap().0);
    let alone = source.split("trials::trial(\"").skip(1).filter_map(|text| text.split_once('"')).map(|(name, _)| name);
    listed.split(',').map(str::trim).filter(|name| !name.is_empty()).chain(alone).collect()
}

/// The rules from which `conformance_suite!` makes tests.
fn conformance_rules(source: &str) -> Vec<&str> {
    let Some((_, list)) = source.split_once("$fresh, identity") else { return Vec::new() };
    let list = list.split_once(");").unwrap().0;
    std::iter::once("identity").chain(list.split(',').map(str::trim).filter(|rule| !rule.is_empty())).collect()
}

/// Names of the cover points, from the uses of `TMV_COVER`.
fn covers_of(source: &str) -> Vec<&str> {
    let uses = source.split("`TMV_COVER(").skip(1);
    uses.map(|text| text.split(',').next().unwrap().trim()).collect()
}

impl Found {
    fn of(unit: &Unit) -> Self {
        let (root, mut found) = (workspace(), Self { programs: unit.programs.into(), ..Self::default() });
        for folder in [
            "sim/tests",
            "host/model/tests",
            "host/tmv/tests",
            "host/vector/tests",
            "golden/tests",
            "sim/verilated/tests",
        ] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let Some(program) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".rs")) else {
                    continue;
                };
                let prefix = if folder == "sim/tests" { program.to_string() } else { format!("{folder}/{program}.rs") };
                let source = read(&path);
                let tests = tests_of(&source).into_iter().chain(trials_of(&source));
                found.tests.extend(tests.map(|test| format!("{prefix}::{test}")));
            }
        }
        let suite = unit.suite.map_or(String::new(), |suite| read(&root.join(suite)));
        found.tests.extend(conformance_rules(&suite).iter().map(|rule| format!("conformance::{rule}")));
        for room in unit.proved {
            let list = root.join("rtl").join(room).join("formal/proofs.toml");
            let list: Proofs = toml::from_str(&read(&list)).unwrap();
            found.proofs.extend(list.proof.into_iter().map(|proof| proof.name));
        }
        for room in unit.rooms {
            let room = root.join("rtl").join(room);
            for entry in std::fs::read_dir(&room).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "sv") {
                    let module = path.file_stem().unwrap().to_str().unwrap();
                    found.covers.extend(covers_of(&read(&path)).iter().map(|name| format!("{module}.{name}")));
                }
            }
        }
        found.registers.extend(unit.registers.iter().map(|(name, ..)| name.to_string()));
        found.errors.extend(unit.errors.iter().map(|(_, name, _)| name.to_string()));
        found
    }
}

/// The problems of a plan.
fn complaints(plan: &Plan, found: &Found) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for feature in &plan.feature {
        if !names.insert(&feature.name) {
            wrong.push(format!("there are two features {}", feature.name));
        }
        if feature.tests.is_empty() && feature.proofs.is_empty() {
            wrong.push(format!("feature {} has no test", feature.name));
        }
    }
    let rtl_tests: BTreeSet<String> = found
        .tests
        .iter()
        .filter(|test| test.split_once("::").is_some_and(|(program, _)| found.programs.contains(&program)))
        .cloned()
        .collect();
    type Names = fn(&Feature) -> &Vec<String>;
    let kinds: [(&str, Names, &BTreeSet<String>, &BTreeSet<String>); 5] = [
        ("test", |f| &f.tests, &found.tests, &rtl_tests),
        ("proof", |f| &f.proofs, &found.proofs, &found.proofs),
        ("cover point", |f| &f.covers, &found.covers, &found.covers),
        ("register", |f| &f.registers, &found.registers, &found.registers),
        ("error", |f| &f.errors, &found.errors, &found.errors),
    ];
    for (kind, names, there, needed) in kinds {
        let mut used = BTreeSet::new();
        for feature in &plan.feature {
            for name in names(feature) {
                used.insert(name.clone());
                if !there.contains(name) {
                    wrong.push(format!("feature {} names {kind} {name}, which there is not", feature.name));
                }
            }
        }
        wrong.extend(needed.difference(&used).map(|name| format!("{kind} {name} belongs to no feature")));
    }
    wrong
}

fn plan(unit: &Unit) -> Plan {
    toml::from_str(&read(&workspace().join(unit.plan))).unwrap()
}

#[test]
fn the_plans_are_whole() {
    for unit in [TERNARY, VECTOR, SYSTEM] {
        let (plan, found) = (plan(&unit), Found::of(&unit));
        let wrong = complaints(&plan, &found);
        assert!(wrong.is_empty(), "{}:\n{}", unit.plan, wrong.join("\n"));

        println!("| feature | what | tests | proofs | cover points |\n|---|---|---|---|---|");
        for f in &plan.feature {
            let [tests, proofs, covers] = [&f.tests, &f.proofs, &f.covers].map(|names| names.join(", "));
            println!("| {} | {} | {tests} | {proofs} | {covers} |", f.name, f.text);
        }
    }
}

#[test]
fn names_are_found_in_sources() {
    let source = "#[test]\nfn one() {}\n\nfn helper() {}\n    #[test]\n    #[ignore]\n    fn two() {\n";
    assert_eq!(tests_of(source), ["one", "two"]);
    assert_eq!(covers_of("  `TMV_COVER(Full, a && b)\n  `TMV_COVER(Empty, c)\n"), ["Full", "Empty"]);
    assert_eq!(conformance_rules("x($fresh, identity, reset,\n    runs,\n  );"), ["identity", "reset", "runs"]);
    let found = Found::of(&TERNARY);
    let per_kind = [&found.tests, &found.proofs, &found.covers, &found.registers, &found.errors].map(BTreeSet::len);
    assert!(per_kind.iter().all(|count| *count >= 10), "{per_kind:?}");
}

/// Each way to break the plan gives its complaint and no other.
#[test]
fn gaps_are_noticed() {
    let (plan, found) = (plan(&TERNARY), Found::of(&TERNARY));
    type Break = fn(&mut Plan, &mut Found);
    let cases: [(Break, &str); 12] = [
        (|p, _| p.feature[0].tests.clear(), "has no test"),
        (|p, _| p.feature[0].tests.push("unit::dreamt_of".into()), "names test unit::dreamt_of"),
        (|p, _| p.feature[0].proofs.push("tmv_none".into()), "names proof tmv_none"),
        (|p, _| p.feature[0].covers.push("tmv_unit.Never".into()), "names cover point tmv_unit.Never"),
        (|p, _| p.feature[0].registers.push("NONE".into()), "names register NONE"),
        (|p, _| p.feature[0].errors.push("DREAM".into()), "names error DREAM"),
        (|p, _| p.feature.push(p.feature[0].clone()), "there are two features"),
        (|_, f| _ = f.tests.insert("faults::orphan".into()), "test faults::orphan belongs to no feature"),
        (|_, f| _ = f.tests.insert("conformance::orphan".into()), "test conformance::orphan belongs to no feature"),
        (|_, f| _ = f.proofs.insert("tmv_orphan".into()), "proof tmv_orphan belongs to no feature"),
        (|_, f| _ = f.covers.insert("tmv_fifo.Orphan".into()), "cover point tmv_fifo.Orphan belongs to no feature"),
        (|_, f| _ = f.registers.insert("ORPHAN".into()), "register ORPHAN belongs to no feature"),
    ];
    for (index, (broken, text)) in cases.into_iter().enumerate() {
        let (mut plan, mut found) = (plan.clone(), found.clone());
        broken(&mut plan, &mut found);
        let wrong = complaints(&plan, &found);
        assert!(wrong.iter().any(|said| said.contains(text)), "{text}: {wrong:?}");
        // Without the tests of a feature, some tests may belong to no feature, which gives more complaints.
        assert!(index == 0 || wrong.len() == 1, "{wrong:?}");
    }
    // Tests of other programs do not need a feature of the unit.
    let mut more = found.clone();
    more.tests.insert("sweep::anything".into());
    assert_eq!(complaints(&plan, &more), [] as [String; 0]);
}

/// A mutant of a unit's `semantic.toml`, for `tools/mutate.py --semantic`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    file: String,
    kind: String,
    source: String,
    mutant: String,
    bug: String,
    reason: Option<String>,
}

/// What makes mutants useless: a text that is not once in its file, two of one name, a module without any.
fn bad_mutants(mutants: &[Mutant], modules: &[(String, String)]) -> Vec<String> {
    let mut names = BTreeSet::new();
    let mut bad = Vec::new();
    for Mutant { name, file, kind, source, mutant, bug, reason } in mutants {
        let text = modules.iter().find(|(module, _)| module == file).map_or("", |(_, text)| text);
        let count = text.matches(source.as_str()).count();
        if count != 1 {
            bad.push(format!("{name}: its source occurs {count} times in {file}: {source}"));
        }
        if !names.insert(name) {
            bad.push(format!("{name}: two mutants have this name"));
        }
        if !["expression", "statement"].contains(&kind.as_str()) || mutant == source {
            bad.push(format!("{name}: no mutant"));
        }
        if bug.is_empty() || reason.as_ref().is_some_and(String::is_empty) {
            bad.push(format!("{name}: an empty text"));
        }
    }
    let without = |module: &&(String, String)| mutants.iter().all(|mutant| mutant.file != module.0);
    bad.extend(modules.iter().filter(without).map(|(module, _)| format!("{module}: no mutant")));
    bad
}

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

/// The mutants of a unit, and the modules of these rooms in its lists of files.
fn mutants_of(unit: &str, lists: &[&str], rooms: &[&str]) -> (Mutants, Vec<(String, String)>) {
    let rtl = workspace().join("rtl");
    let lists: Vec<String> = lists.iter().map(|list| read(&rtl.join(list))).collect();
    let modules = lists
        .iter()
        .flat_map(|list| list.lines())
        .filter(|line| rooms.iter().any(|room| line.starts_with(room)))
        .filter(|line| line.ends_with(".sv") && !line.ends_with("_pkg.sv"))
        .map(|line| (line.rsplit('/').next().unwrap().to_string(), read(&rtl.join(line))))
        .collect();
    (toml::from_str(&read(&rtl.join(unit).join("semantic.toml"))).unwrap(), modules)
}

/// Mutants made by hand are texts of the RTL. Each text is still there, once, and each module has a mutant.
#[test]
fn semantic_mutants_fit_the_rtl() {
    let (list, modules) = mutants_of("vector", &[rtl::VECTOR_LIST], &["float/", "vector/"]);
    assert_eq!(bad_mutants(&list.mutant, &modules), Vec::<String>::new());
    // The core's own wires and those of the top have none.
    let rooms = ["system/tmv_core_", "system/tmv_se", "system/tmv_sys_"];
    let (list, modules) = mutants_of("system", &[rtl::SEQUENCER_LIST, rtl::SYSTEM_LIST], &rooms);
    assert_eq!(bad_mutants(&list.mutant, &modules), Vec::<String>::new());
    let (mut list, modules) = mutants_of("ternary", &[rtl::UNIT_LIST], &[""]);
    assert_eq!(bad_mutants(&list.mutant, &modules), Vec::<String>::new());

    // The check finds what it looks for.
    list.mutant[0].source.push_str("no such text");
    list.mutant[1].name = list.mutant[2].name.clone();
    list.mutant[3].kind = "line".into();
    list.mutant.retain(|mutant| mutant.file != "tmv_dot.sv");
    let bad = bad_mutants(&list.mutant, &modules);
    for text in ["occurs 0 times", "two mutants", "no mutant", "tmv_dot.sv: no mutant"] {
        assert!(bad.iter().any(|line| line.contains(text)), "{text}: {bad:?}");
    }
}
