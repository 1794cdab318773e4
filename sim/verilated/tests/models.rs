//! Builds and runs small models. All tests share one cache in the target directory.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};
use verilated::{Builder, Error, Model, ModelLibrary, ModelSpec, PowerUp, Trace, VerilatedContext};

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("verilated-cache")
}

fn rtl(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtl").join(name)
}

fn spec(top: &str) -> ModelSpec {
    ModelSpec::new(top, [rtl(&format!("{top}.sv"))])
}

fn try_build(spec: &ModelSpec) -> Result<ModelLibrary, Error> {
    Builder::new().cache_dir(cache()).build(spec, &mut |step| println!("{step}"))
}

fn build(spec: &ModelSpec) -> ModelLibrary {
    try_build(spec).unwrap_or_else(|error| panic!("{error}"))
}

fn start(library: &ModelLibrary) -> Model {
    Model::new(library, &VerilatedContext::default()).unwrap()
}

fn counter(width: u32) -> ModelLibrary {
    build(&spec("counter").param("Width", width))
}

/// Resets a counter and sets its step.
fn reset(model: &mut Model, step: u64) {
    let (rst_ni, step_i) = (model.pin("rst_ni").unwrap(), model.pin("step_i").unwrap());
    model.set(rst_ni, 0);
    model.set(step_i, step);
    model.cycle().unwrap();
    model.set(rst_ni, 1);
}

#[test]
fn parameters_set_widths() {
    for width in [7, 12, 40] {
        let library = counter(width);
        let mut model = start(&library);
        let count = model.pin_of_width("count_o", width).unwrap();
        let step = model.pin("step_i").unwrap();
        reset(&mut model, u64::MAX);
        assert_eq!(model.get(step), (1 << width) - 1, "values are cut to the width");
        for _ in 0..3 {
            model.cycle().unwrap();
        }
        assert_eq!(model.get(count), (1 << width) - 3);
        assert_eq!(model.cycles(), 4);
        model.finish().unwrap();
    }
}

#[test]
fn wide_pins() {
    let library = build(&spec("wide"));
    let mut model = start(&library);
    let pin = |name| model.pin(name).unwrap();
    let (word_i, word_o, odd_i, odd_o) = (pin("word_i"), pin("word_o"), pin("odd_i"), pin("odd_o"));
    let counts = ["ones_o", "ones64_o", "ones32_o"].map(pin);
    let word: Vec<u8> = (0..64u8).map(|i| i.wrapping_mul(37).wrapping_add(5)).collect();
    model.set_wide(word_i, &word);
    model.set_wide(odd_i, &[0xff; 9]);
    model.cycle().unwrap();
    assert_eq!(model.get_wide(word_o), word.iter().map(|byte| !byte).collect::<Vec<_>>());
    assert_eq!(model.get_wide(odd_o), [255, 255, 255, 255, 255, 255, 255, 255, 0x3f]);
    let ones = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
    assert_eq!(counts.map(|pin| model.get(pin)), [ones(&word), ones(&word[..8]), ones(&word[..4])]);

    model.set_bytes(word_i, 62, &[0xaa, 0x55]);
    let mut end = [0; 3];
    model.get_bytes(word_i, 61, &mut end);
    assert_eq!(end, [word[61], 0xaa, 0x55]);
    model.set_wide(word_i, &[1]);
    assert_eq!(ones(&model.get_wide(word_i)), 1, "missing bytes are zero");
}

#[test]
fn misuse_panics() {
    let (wide, counter) = (build(&spec("wide")), counter(8));
    let panics = |action: fn(&mut Model, &Model)| {
        let (mut wide, counter) = (start(&wide), start(&counter));
        let action = std::panic::AssertUnwindSafe(|| action(&mut wide, &counter));
        std::panic::catch_unwind(action).expect_err("it should panic");
    };
    panics(|wide, _| _ = wide.get(wide.pin("word_i").unwrap()));
    panics(|wide, _| wide.set(wide.pin("ones_o").unwrap(), 1));
    panics(|wide, _| wide.set_bytes(wide.pin("word_i").unwrap(), 60, &[0; 5]));
    panics(|wide, _| wide.get_bytes(wide.pin("odd_i").unwrap(), 9, &mut [0]));
    panics(|wide, _| wide.set_bytes(wide.pin("word_o").unwrap(), 0, &[0]));
    panics(|wide, counter| _ = wide.get(counter.pin("step_i").unwrap()));
}

/// Runs end at a watched bit, at their limit, and at a failing assertion; with what as many single cycles would give.
#[test]
fn runs_of_cycles() {
    let library = counter(12);
    let (mut model, mut single) = (start(&library), start(&library));
    let count = model.pin("count_o").unwrap();
    let (any, none) = (model.watch(&[count]), model.watch(&[]));
    reset(&mut model, 128);
    reset(&mut single, 128);
    assert_eq!(model.run(0, &any).unwrap(), 0);
    assert_eq!(model.run(100, &any).unwrap(), 1, "a bit is set after the first cycle");
    assert_eq!(model.run(30, &none).unwrap(), 30, "nothing is watched");
    for _ in 0..31 {
        single.cycle().unwrap();
    }
    assert_eq!((model.get(count), model.cycles()), (single.get(count), single.cycles()));
    assert_eq!((model.get(count), model.cycles()), (31 * 128, 32));
    // The count wraps to zero, which is no watched bit.
    assert_eq!(model.run(1, &any).unwrap(), 1);
    assert_eq!(model.get(count), 0);
    assert_eq!(model.run(9, &any).unwrap(), 1);

    let library = counter(8);
    let mut model = start(&library);
    let watch = model.watch(&[]);
    reset(&mut model, 1);
    let error = model.run(1_000, &watch).unwrap_err();
    assert!(matches!(error, Error::Simulation { cycle: 78, .. }), "{error:?}");
    assert!(model.run(1, &watch).is_err(), "a model that failed does not go on");
}

#[test]
#[should_panic(expected = "the watches belong to another model library")]
fn watches_belong_to_their_library() {
    let (mut model, other) = (start(&counter(12)), start(&counter(8)));
    let _ = model.run(1, &other.watch(&[]));
}

#[test]
fn failing_assertion_is_an_error() {
    let library = counter(8);
    let mut model = start(&library);
    reset(&mut model, 1);
    let error = loop {
        if let Err(error) = model.cycle() {
            break error;
        }
        assert!(model.cycles() < 100, "the canary must fail");
    };
    let Error::Simulation { cycle: 78, message } = &error else { panic!("{error:?}") };
    let place = format!("{}:16: ", rtl("counter.sv").display());
    assert!(message.starts_with(&place), "{message}");
    assert!(message.ends_with("canary, count is 77"), "{message}");
    assert_eq!(model.cycle().unwrap_err().to_string(), error.to_string(), "it stays stopped");
    assert!(start(&library).eval().is_ok(), "another instance is not affected");
}

#[test]
fn assertions_can_be_left_out() {
    let library = build(&ModelSpec { assertions: false, ..spec("counter").param("Width", 8) });
    let mut model = start(&library);
    reset(&mut model, 1);
    (0..100).for_each(|_| model.cycle().unwrap());
}

#[test]
fn instances_in_threads() {
    let library = counter(40);
    let run = |step: u64| {
        let library = library.clone();
        thread::spawn(move || {
            let mut model = start(&library);
            let count = model.pin("count_o").unwrap();
            reset(&mut model, step);
            (0..100_000).for_each(|_| model.cycle().unwrap());
            (model, count) // moved back: instances are `Send`
        })
    };
    for (step, thread) in [3, 1000, 12345].map(|step| (step, run(step))) {
        let (mut model, count) = thread.join().unwrap();
        assert_eq!(model.get(count), step * 100_000);
        model.cycle().unwrap();
        assert_eq!(model.get(count), step * 100_001);
    }
}

#[test]
fn power_up_values() {
    let library = build(&spec("power"));
    let state = |power_up, seed| {
        let context = VerilatedContext { seed, power_up, ..VerilatedContext::default() };
        let mut model = Model::new(&library, &context).unwrap();
        let hold = model.pin("hold_i").unwrap();
        model.set(hold, 1);
        model.cycle().unwrap();
        model.get(model.pin("state_o").unwrap())
    };
    assert_eq!(state(PowerUp::Zeros, 1), 0);
    assert_eq!(state(PowerUp::Ones, 1), u64::MAX);
    let seeds = [0, 1, 2, 3, 1 << 31, 1 << 40];
    let states = seeds.map(|seed| state(PowerUp::Random, seed));
    assert_eq!(seeds.map(|seed| state(PowerUp::Random, seed)), states, "a seed reproduces");
    let distinct = std::collections::BTreeSet::from(states);
    assert_eq!(distinct.len(), states.len(), "seeds differ: {states:x?}");
}

#[test]
fn printing_and_endings() {
    let library = build(&spec("talk"));
    let context = VerilatedContext { keep_log: true, ..VerilatedContext::default() };
    let run = |act: u64| {
        let mut model = Model::new(&library, &context).unwrap();
        let act_i = model.pin("act_i").unwrap();
        model.set(act_i, act);
        let outcome = model.cycle();
        (outcome, model.take_log())
    };
    assert!(run(0).0.is_ok());
    let (outcome, log) = run(1);
    assert!(outcome.is_ok());
    assert_eq!(log, "hello 1\n");
    let outcome = run(2).0.unwrap_err();
    assert!(matches!(&outcome, Error::Finished { message, .. } if message.ends_with("talk.sv:9")), "{outcome}");
    let outcome = run(3).0.unwrap_err();
    assert!(
        matches!(&outcome, Error::Simulation { message, .. }
            if message.contains("talk.sv:10: ") && message.ends_with("fatal 3")),
        "{outcome}"
    );
}

#[test]
fn cache_hits_edits_and_corruption() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("power.sv");
    let text = fs::read_to_string(rtl("power.sv")).unwrap();
    fs::write(&file, &text).unwrap();
    let spec = ModelSpec::new("power", [&file]);
    let first = build(&spec);
    assert!(!first.was_cached());
    let second = build(&spec);
    assert!(second.was_cached());
    assert_eq!(first.key(), second.key());

    let size = fs::metadata(first.path()).unwrap().len();
    // The library is written to a new file, because the old one is mapped into this process.
    let bytes = fs::read(first.path()).unwrap();
    fs::remove_file(first.path()).unwrap();
    fs::write(first.path(), &bytes[..bytes.len() / 2]).unwrap();
    let third = build(&spec);
    assert!(!third.was_cached(), "a truncated library is rebuilt");
    assert_eq!(fs::metadata(third.path()).unwrap().len(), size);
    assert!(start(&third).eval().is_ok());

    fs::write(&file, text.replace("~state_q", "state_q + 64'd1")).unwrap();
    let edited = build(&spec);
    assert!(!edited.was_cached());
    assert_ne!(edited.key(), first.key());
    println!(
        "first {:.2} s, cached {:.4} s, after an edit {:.2} s",
        first.build_seconds(),
        second.build_seconds(),
        edited.build_seconds()
    );
    let pin_of_another_build = start(&first).pin("state_o").unwrap();
    let mixed = std::panic::AssertUnwindSafe(|| start(&edited).get(pin_of_another_build));
    assert!(std::panic::catch_unwind(mixed).is_err());
    for library in [first, edited] {
        let _ = fs::remove_dir_all(library.path().parent().unwrap());
    }
}

#[test]
fn includes_are_part_of_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let width = |bits: u32| {
        fs::write(dir.path().join("width.svh"), format!("`define WIDTH {bits}\n")).unwrap();
        let library = build(&ModelSpec { include_dirs: vec![dir.path().into()], ..spec("included") });
        let width = start(&library).pin_of_width("data_o", bits).map(drop);
        let _ = fs::remove_dir_all(library.path().parent().unwrap());
        width.unwrap();
    };
    width(5);
    width(6);
}

#[test]
fn rejected_rtl_tells_why() {
    let error = try_build(&spec("bad")).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Verilation { .. }), "{text}");
    assert!(text.contains("WIDTHTRUNC") && text.contains("bad.sv:7"), "{text}");
    let error = try_build(&ModelSpec::new("counter", ["/nowhere/counter.sv"])).unwrap_err();
    assert!(
        matches!(&error, Error::Toolchain(toolchain::Error::Io { path, .. }) if path.ends_with("counter.sv")),
        "{error}"
    );
}

#[test]
fn unknown_pins_list_what_there_is() {
    let library = counter(8);
    let model = start(&library);
    let text = model.pin("cuont_o").unwrap_err().to_string();
    for part in ["`counter`", "`cuont_o`", "clk_i", "rst_ni", "step_i", "count_o"] {
        assert!(text.contains(part), "{text}");
    }
    let error = model.pin_of_width("count_o", 9).unwrap_err();
    assert!(matches!(error, Error::PinWidth { expected: 9, found: 8, .. }));
    let context = VerilatedContext { clock: "clock".into(), ..VerilatedContext::default() };
    assert!(matches!(Model::new(&library, &context), Err(Error::NoSuchPin { .. })));
}

#[test]
fn missing_tools_and_directories() {
    let build = |builder: Builder| builder.build(&spec("counter"), &mut |_| {}).unwrap_err();
    let error = build(Builder::new().cache_dir(cache()).verilator("/nonexistent/verilator"));
    assert!(
        matches!(&error, Error::Toolchain(toolchain::Error::ToolMissing { tool, .. }) if tool.contains("/nonexistent")),
        "{error}"
    );
    let error = build(Builder::new().cache_dir(cache()).compiler("/nonexistent/c++"));
    assert!(
        matches!(&error, Error::Toolchain(toolchain::Error::ToolMissing { hint, .. }) if hint.contains("CXX")),
        "{error}"
    );
    let error = build(Builder::new().cache_dir("/dev/null/x"));
    assert!(matches!(&error, Error::Toolchain(toolchain::Error::CacheUnwritable { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains("/dev/null/x") && text.contains("TMV_CACHE_DIR"), "{text}");
}

#[test]
fn waveforms_of_a_window() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["wave.vcd", "wave.fst"] {
        let path = dir.path().join(name);
        let library = build(&ModelSpec { trace: Trace::for_path(&path), ..spec("counter").param("Width", 8) });
        let mut model = start(&library);
        model.open_trace(&path, 10..14).unwrap();
        reset(&mut model, 1);
        (0..20).for_each(|_| model.cycle().unwrap());
        let wave = fs::read(&path).unwrap();
        if name.ends_with("vcd") {
            let text = String::from_utf8(wave).unwrap();
            let times: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('#')).collect();
            assert_eq!(times, ["20", "21", "22", "23", "24", "25", "26", "27"]);
            assert!(text.contains("count_o"));
        } else {
            assert!(wave.len() > 100, "{} bytes", wave.len());
            fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("wave.fst"), wave).unwrap();
        }
        let nowhere = model.open_trace(Path::new("/dev/null/wave"), 0..1).unwrap_err();
        assert!(matches!(nowhere, Error::Toolchain(toolchain::Error::Io { .. })));
    }
    let mut plain = start(&counter(8));
    let error = plain.open_trace(&dir.path().join("x.fst"), 0..1).unwrap_err();
    assert!(matches!(error, Error::NotBuiltIn { facility: "tracing", .. }));
}

/// A waveform that cannot be written stops neither the simulation nor the program.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_spoils_only_the_waveform() {
    for name in ["wave.vcd", "wave.fst"] {
        let library =
            build(&ModelSpec { trace: Trace::for_path(Path::new(name)), ..spec("counter").param("Width", 8) });
        for cycles in [20, 20_000] {
            let mut model = start(&library);
            let count_o = model.pin("count_o").unwrap();
            model.open_trace(Path::new("/dev/full"), 0..10_000).unwrap();
            // The counter stays even, because its canary fails at 77.
            reset(&mut model, 2);
            (0..cycles).for_each(|_| model.cycle().unwrap());
            assert_eq!(model.get(count_o), 2 * cycles % 256, "{name}");
            let error = model.close_trace().unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{name}: {error}");
            assert!(model.close_trace().is_ok(), "told once");
            model.cycle().unwrap();
        }
        let mut model = start(&library);
        model.open_trace(Path::new("/dev/full"), 0..10).unwrap();
        model.cycle().unwrap();
        drop(model);
    }
}

#[test]
fn coverage_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("coverage.dat");
    let library = build(&ModelSpec { coverage: true, ..spec("counter").param("Width", 8) });
    let mut model = start(&library);
    reset(&mut model, 1);
    (0..20).for_each(|_| model.cycle().unwrap());
    model.write_coverage(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("counter.sv") && text.contains("toggle"), "{text}");
    assert!(matches!(
        model.write_coverage(Path::new("/dev/null/x")),
        Err(Error::Toolchain(toolchain::Error::Io { .. }))
    ));
    model.cycle().unwrap();
    let error = start(&counter(8)).write_coverage(&path).unwrap_err();
    assert!(matches!(error, Error::NotBuiltIn { facility: "coverage", .. }));
}

/// If one bit of a wide signal changes, only this bit is counted, and no bit of the words above it.
#[test]
fn wide_signals_are_counted_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("coverage.dat");
    let library = build(&ModelSpec { coverage: true, ..spec("wide") });
    let mut model = start(&library);
    let word_i = model.pin("word_i").unwrap();
    for byte in [0, 1, 0, 1] {
        model.set_wide(word_i, &[0, 0, 0, 0, 0, byte]);
        model.cycle().unwrap();
    }
    model.write_coverage(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let hit = |line: &&str| line.contains("\u{2}word_o[") && !line.ends_with(" 0") && line.contains(":1->0");
    let hit: Vec<&str> = text.lines().filter(hit).collect();
    assert!(hit.iter().any(|line| line.contains("word_o[40]:")), "{hit:?}");
    assert!(!hit.iter().any(|line| line.contains("word_o[72]:") || line.contains("word_o[104]:")), "{hit:?}");
}

/// With `TMV_COVERAGE`, the counters of all instances of a process are in one file per model after the process has
/// ended.
#[test]
fn coverage_is_collected() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, test) = (dir.path().join("new"), "parameters_set_widths");
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    let output = process.args(["--exact", test]).env("TMV_COVERAGE", &folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "one for each width: {files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let hit = |what: &str| text.lines().any(|line| line.contains(what) && !line.ends_with(" 0"));
        assert!(hit("count_o[0]:0->1"), "{text}");
        assert!(!hit("step_i[6]:1->0"), "{text}");
    }
}
