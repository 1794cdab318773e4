//! The command line: the real program on the small checkpoints. Output and exit codes are part of its interface.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

mod program;

use program::{PROMPT, Ran, program, sim, testdata};

/// Largest allowed difference of free-running fp32 results, relative to the rms of a row. Rounding errors add up over
/// the layers.
const FREE_RUNNING: f64 = 5e-5;

/// Runs `sim --model FOLDER --layer LAYER --prompt-ids PROMPT ...`.
fn tiny(folder: &Path, layer: &str, more: &[&str]) -> Ran {
    let model = folder.display().to_string();
    sim(&[&["--model", &model, "--layer", layer, "--prompt-ids", PROMPT], more].concat())
}

fn packed(more: &[&str]) -> Ran {
    tiny(&testdata("tiny-packed"), "1", more)
}

/// The report without the keys that depend on the machine and the time.
fn results(ran: &Ran) -> Value {
    let mut report = ran.json();
    for key in ["simulation", "command", "digest"] {
        report.as_object_mut().unwrap().remove(key);
    }
    report
}

#[test]
fn every_checkpoint_layer_and_dtype_is_bit_exact() {
    for folder in ["tiny-online", "tiny-packed", "tiny-packed-sharded"] {
        for layer in ["0", "1"] {
            for dtype in ["fp32", "bf16"] {
                let ran = tiny(&testdata(folder), layer, &["--dtype", dtype, "--json", "-"]).code(0);
                let totals = &ran.json()["totals"];
                assert_eq!((&totals["outputs"], &totals["mismatches"]), (&13_056.into(), &0.into()), "{ran}");
            }
        }
    }
}

#[test]
fn base3_gives_the_same_outputs_in_fewer_cycles() {
    let of = |codec: &str| packed(&["--codec", codec, "--memory", "ideal", "--json", "-"]).code(0).json();
    let (two, three) = (of("2bit"), of("base3"));
    assert_eq!(three["unit"]["lanes"], 320);
    assert_eq!((&three["totals"]["outputs"], &three["totals"]["mismatches"]), (&13_056.into(), &0.into()));
    assert_eq!(three["forward"], two["forward"]);
    assert!(three["totals"]["cycles"].as_u64() < two["totals"]["cycles"].as_u64());
    packed(&["--codec", "base3", "--inject", "weight-bit"]).code(1).says(&["mismatch: layer 1, "]);
}

fn floats(view: &safetensors::tensor::TensorView<'_>) -> Vec<f64> {
    view.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
}

#[test]
fn a_dump_agrees_with_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    for (model, layer) in [("tiny-online", "0"), ("tiny-online", "1"), ("tiny-packed", "0"), ("tiny-packed", "1")] {
        let file = folder.path().join(format!("{model}-{layer}.safetensors"));
        tiny(&testdata(model), layer, &["--dump", &file.display().to_string()]).code(0);
        let (got, want) =
            (fs::read(&file).unwrap(), fs::read(testdata(model).join("expected-fp32.safetensors")).unwrap());
        let (got, want) = (SafeTensors::deserialize(&got).unwrap(), SafeTensors::deserialize(&want).unwrap());
        let prefix = format!("model.layers.{layer}.");
        let names = |file: &SafeTensors<'_>| -> Vec<String> {
            let mut names: Vec<String> =
                file.names().into_iter().filter(|n| n.starts_with(&prefix)).map(Into::into).collect();
            names.sort();
            names
        };
        assert_eq!(names(&got), names(&want), "{model}");
        for name in names(&want) {
            let (got, want) = (got.tensor(&name).unwrap(), want.tensor(&name).unwrap());
            assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{model} {name}");
            if got.dtype() != Dtype::F32 {
                assert!(got.data() == want.data(), "{model} {name}: integers differ");
                continue;
            }
            let width = *want.shape().last().unwrap();
            for (got, want) in floats(&got).chunks(width).zip(floats(&want).chunks(width)) {
                let rms = (want.iter().map(|x| x * x).sum::<f64>() / width as f64).sqrt();
                let off = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
                assert!(off <= FREE_RUNNING * rms, "{model} {name}: off by {off}, rms {rms}");
            }
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "temporary files are left");
}

#[test]
fn injected_faults_are_caught() {
    let repeat = "--seed 7";
    for fault in ["weight-bit", "result-bit"] {
        for operator in ["q_proj", "down_proj"] {
            let ran = packed(&["--inject", fault, "--op", operator, "--seed", "7"]).code(1);
            let ran = ran.says(&[
                "mismatch: layer 1, ",
                operator,
                ", row ",
                ", token ",
                " cycle ",
                "expected ",
                "got ",
                repeat,
            ]);
            // The printed command does reproduce the mismatch.
            let line = ran.err.lines().find_map(|l| l.strip_prefix("repeat it with: ")).unwrap();
            let output = Command::new("sh").args(["-c", line]).env_remove("CARGO_PKG_NAME").output().unwrap();
            let again = Ran::new(line.into(), &output).code(1);
            // The text before the mismatch depends on whether another process builds models.
            let told = |text: &str| text[text.find("mismatch: ").unwrap()..].to_string();
            assert_eq!(told(&again.err), told(&ran.err));
        }
    }
    packed(&["--inject", "slverr"]).code(5).says(&["layer 1", "READ_SLVERR", "repeat it with: "]);
}

#[test]
fn wrong_requests_are_usage_errors() {
    for (arguments, texts) in [
        (&["--layer", "30"][..], &["layer 30 is out of range", "0 to 29"][..]),
        (&[], &["--layer"]),
        (&["--layer", "1", "--op", "gate-proj"], &["did you mean mlp.gate_proj?"]),
        (&["--layer", "x"], &["--layer"]),
        (&["--layer", "1", "--tokens", "0"], &["--tokens"]),
        (&["--layer", "1", "--tokens", "5000"], &["5000 tokens", "1 to 4096"]),
        (&["--layer", "1", "--layers"], &["--layers"]),
        (&["--layer", "1", "--board", "kv620"], &["kv620", "kv260, zcu102, zcu104, zedboard, zc706, pynq-z2"]),
        (&["--layer", "1", "--codec", "3bit"], &["--codec", "2bit"]),
        (&["--layer", "1", "--ports", "9"], &["--ports"]),
        (&["--layer", "1", "--clock-mhz", "0"], &["--clock-mhz", "10 to 1000 MHz"]),
        (&["--all-layers", "--clock-mhz", "250000000"], &["--clock-mhz", "10 to 1000 MHz"]),
        (&["generate", "--clock-mhz", "9.9"], &["--clock-mhz", "10 to 1000 MHz"]),
        (&["sweep", "--clock-mhz", "100,250000000"], &["--clock-mhz", "10 to 1000 MHz"]),
        (&["handoff", "--clock-mhz", "nan", "--out", "x"], &["--clock-mhz", "10 to 1000 MHz"]),
        (&["--layer", "1", "--ddr-gb-per-s", "0.01"], &["--ddr-gb-per-s", "0.1 to 1000 GB/s"]),
        (&["--layer", "1", "--ps-gb-per-s", "18"], &["--ps-gb-per-s 18", "at most 11.95"]),
        (&["generate", "--ps-gb-per-s", "18"], &["--ps-gb-per-s 18", "at most 11.95"]),
        (&["--layer", "1", "--driver-overhead-us", "1e300"], &["--driver-overhead-us", "0 to 1000000 us"]),
        (&["--layer", "1", "--jobs", "1025"], &["--jobs", "1..=1024"]),
        (&["--layer", "1", "--trace", "x", "--trace-cycles", "0"], &["--trace-cycles"]),
        (&["--layer", "1", "--ps-gb-per-s", "x"], &["--ps-gb-per-s"]),
        (&["--layer", "1", "--ports", "8"], &["--ports 8", "--memory ideal"]),
        (&["--layer", "1", "--prompt-ids", "1,2"], &["--model"]),
        (&["--layer", "1", "--trace-from", "5"], &["--trace"]),
        (&["--layer", "1", "--json", "/no/such/folder/x"], &["--json /no/such/folder/x: cannot write"]),
    ] {
        let ran = sim(arguments).code(2).says(texts);
        assert!(ran.out.is_empty(), "{ran}");
    }
    packed(&["--tokens", "3"]).code(2).says(&["--prompt-ids has 6 ids, expected 3"]);
    tiny(&testdata("tiny-online"), "2", &[]).code(2).says(&["layers 0 to 1"]);
    let model = testdata("tiny-packed").display().to_string();
    sim(&["--layer", "0", "--model", &model, "--prompt-ids", "1,320"])
        .code(2)
        .says(&["token 320 at position 1", "0 to 319"]);
}

/// A copy of the packed checkpoint, with `file` changed by `change`.
fn damaged(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(testdata("tiny-packed").join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    folder
}

#[test]
fn bad_input_files_are_named() {
    let weights = "model.safetensors";
    let cases: [(tempfile::TempDir, &[&str]); 5] = [
        (damaged(weights, |b| b[..b.len() / 2].to_vec()), &[weights, "not a complete safetensors file"]),
        (
            damaged(weights, |mut b| {
                b[..8].fill(0xff);
                b
            }),
            &[weights, "not a complete safetensors file"],
        ),
        (damaged(weights, |_| fs::read(testdata("tiny-edge/expected.safetensors")).unwrap()), &[weights, "is missing"]),
        (
            damaged("config.json", |b| text(b).replace("\"intermediate_size\"", "\"other\"").into()),
            &["config.json", "\"intermediate_size\" is missing"],
        ),
        (damaged("config.json", |b| text(b).replace("576", "640").into()), &[weights, "expected", "found"]),
    ];
    for (folder, texts) in &cases {
        let file = folder.path().join("out.json");
        tiny(folder.path(), "0", &["--json", &file.display().to_string()]).code(3).says(texts);
        assert!(!file.exists());
    }
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), "0", &[]).code(3).says(&["config.json"]);
    fs::copy(testdata("tiny-packed/config.json"), folder.path().join("config.json")).unwrap();
    tiny(folder.path(), "0", &[]).code(3).says(&["no model.safetensors"]);
    packed(&["--cpu-profile", "/no/such/profile.json"]).code(3).says(&["/no/such/profile.json"]);
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn missing_tools_and_places_are_named() {
    let model = testdata("tiny-packed").display().to_string();
    let run = |name: &str, value: &str| {
        let mut command = program();
        let output = command.args(["--layer", "0", "--model", &model]).env(name, value).output().unwrap();
        Ran::new(format!("{name}={value} sim"), &output)
    };
    run("CXX", "/no/such/compiler").code(4).says(&["/no/such/compiler"]);
    run("VERILATOR", "/no/such/verilator").code(4).says(&["/no/such/verilator"]);
    run("TMV_CACHE_DIR", "/proc/no-such-folder").code(4).says(&["/proc/no-such-folder", "TMV_CACHE_DIR"]);
    run("TMV_RTL_DIR", "/no/such/rtl").code(3).says(&["/no/such/rtl", "TMV_RTL_DIR"]);
    run("TMV_RTL_DIR", "").code(0);
}

#[test]
fn json_has_every_promised_field() {
    let ran = packed(&["--json", "-"]).code(0);
    let report = ran.json();
    for (section, fields) in [
        ("", "schema_version command seed model unit memory operators totals simulation assumptions"),
        ("/model", "source name hidden_size"),
        ("/unit", "board ports port_bits vectors codec lanes clock_mhz"),
        ("/memory", "mode reader_gb_per_s band_gb_per_s calibrated"),
        (
            "/operators/6",
            "layer name in_features out_features tokens outputs mismatches cycles ideal_cycles stall_cycles weight_bytes rows_read \
             fpga_ms cpu_ms speedup",
        ),
        (
            "/totals",
            "outputs mismatches cycles ideal_cycles linear_fpga_ms linear_fpga_ms_band weight_gb_per_s reader_share \
             linear_cpu_ms linear_speedup \
             layer_ms_with_host_nonlinear",
        ),
        ("/simulation", "wall_s cycles_per_second model_build_s model_cached"),
    ] {
        let object = report.pointer(section).unwrap().as_object().unwrap();
        for field in fields.split_whitespace() {
            assert!(object.contains_key(field), "{section} lacks {field}\n{ran}");
        }
    }
    assert_eq!(
        (&report["schema_version"], &report["unit"]["codec"], &report["unit"]["lanes"]),
        (&2.into(), &"base3".into(), &320.into())
    );
    let down = &report["operators"][6];
    assert_eq!((&down["name"], &down["tokens"]), (&"mlp.down_proj".into(), &6.into()));
    // 256 rows of 8 beats (80 weights each), two passes of 4 tokens, on 4 ports.
    assert_eq!(down["ideal_cycles"], 256 * 8 * 2 / 4, "{ran}");
    assert!(down["cpu_ms"].is_null() && report["totals"]["linear_cpu_ms"].is_null(), "another model than profiled");
    let sum: u64 = report["operators"].as_array().unwrap().iter().map(|o| o["cycles"].as_u64().unwrap()).sum();
    assert_eq!(report["totals"]["cycles"], sum);
}

#[test]
fn json_goes_to_a_file_beside_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let ran = packed(&["--op", "k_proj", "--op", "o_proj", "--json", &file.display().to_string()]).code(0);
    for text in
        ["self_attn.k_proj", "self_attn.o_proj", "bit for bit", "Assumptions", "projected, not measured on a board"]
    {
        assert!(ran.out.contains(text), "{ran}");
    }
    assert!(!ran.out.contains("q_proj"), "{ran}");
    let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(report["operators"].as_array().unwrap().len(), 2);
    assert!(report["totals"]["layer_ms_with_host_nonlinear"].is_null(), "part of a layer is no layer");
}

#[test]
fn results_do_not_depend_on_jobs_or_power_up() {
    let first = packed(&["--json", "-", "--jobs", "1", "--seed", "1"]).code(0);
    for more in [["--jobs", "4", "--seed", "1"], ["--jobs", "2", "--seed", "2"], ["--jobs", "1", "--seed", "3"]] {
        let (mut a, mut b) = (results(&first), results(&packed(&[&["--json", "-"], &more[..]].concat()).code(0)));
        a["seed"] = Value::Null;
        b["seed"] = Value::Null;
        assert_eq!(a, b, "{more:?}");
    }
    let stalled: Vec<Value> =
        ["1", "4"].map(|jobs| results(&packed(&["--json", "-", "--stall", "64", "--jobs", jobs]).code(0))).into();
    assert_eq!(stalled[0], stalled[1]);
    assert!(stalled[0]["totals"]["cycles"].as_u64() > results(&first)["totals"]["cycles"].as_u64());
}

#[test]
fn boards_and_memories() {
    let cycles = |more: &[&str]| {
        let ran = packed(&[more, &["--json", "-"]].concat()).code(0);
        (ran.json()["totals"]["cycles"].as_u64().unwrap(), ran.json())
    };
    let (ideal, _) = cycles(&["--memory", "ideal"]);
    let (ddr, _) = cycles(&["--memory", "ddr"]);
    assert!(ideal < ddr, "{ideal} cycles with the ideal memory, {ddr} with the board's");
    let (_, pynq) = cycles(&["--board", "pynq-z2"]);
    let unit: BTreeMap<String, Value> = serde_json::from_value(pynq["unit"].clone()).unwrap();
    assert_eq!((&unit["port_bits"], &unit["vectors"], &unit["clock_mhz"]), (&64.into(), &2.into(), &150.0.into()));
    for arguments in [&["boards"][..], &["--board", "help"], &["--layer", "3", "--board", "help"]] {
        let ran = sim(arguments).code(0);
        assert!(
            ["kv260", "zcu104", "pynq-z2", "assumed", "fitted", "not calibrated"].iter().all(|t| ran.out.contains(t)),
            "{ran}"
        );
    }
}

#[test]
fn a_dry_run_builds_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, file) = (folder.path().join("cache"), folder.path().join("x.json"));
    let mut command = program();
    let command = command.args(["--layer", "14", "--dry-run", "--json"]).arg(&file).env("TMV_CACHE_DIR", &cache);
    let ran = Ran::new("sim --dry-run".into(), &command.output().unwrap()).code(0);
    for text in ["6912 x 2560", "217,472 ideal cycles", "nothing was built or written"] {
        assert!(ran.out.contains(text), "{ran}");
    }
    assert!(!cache.exists() && !file.exists());
    assert_eq!(sim(&["--layer", "14", "--dry-run", "--json", "-"]).code(0).json()["ideal_cycles"], 217_472);
}

#[test]
fn without_a_model_the_layer_is_synthetic_at_true_dimensions() {
    let ran = sim(&["--layer", "14", "--op", "k_proj", "--json", "-", "--memory", "ideal"]).code(0);
    let ran = ran.says(&["seed 1", "synthetic", "2B-4T"]);
    let k = &ran.json()["operators"][0];
    assert_eq!((&k["outputs"], &k["ideal_cycles"], &k["cpu_ms"]), (&1920.into(), &5120.into(), &0.7.into()), "{ran}");
}

/// A faster memory takes less time. The clock changes only the milliseconds, not the cycles.
#[test]
fn memory_and_clock_can_be_asked_for() {
    let totals = |extra: &[&str]| packed(&[&["--json", "-"], extra].concat()).code(0).json()["totals"].clone();
    let ms = |extra: &[&str]| totals(extra)["linear_fpga_ms"].as_f64().unwrap();
    assert!(ms(&["--ddr-gb-per-s", "1"]) > 1.5 * ms(&["--ddr-gb-per-s", "2"]));
    assert!(ms(&["--ps-gb-per-s", "2"]) > ms(&[]));
    let ideal = |clock: &str| ms(&["--memory", "ideal", "--clock-mhz", clock]);
    assert!((ideal("100") / ideal("300") - 3.0).abs() < 1e-9);
    assert!(totals(&["--ddr-gb-per-s", "1"])["linear_fpga_ms_band"].is_null());
}

#[test]
fn a_trace_is_a_file_of_the_wanted_window() {
    let folder = tempfile::tempdir().unwrap();
    let trace = |name: &str, cycles: &str| {
        let file = folder.path().join(name);
        packed(&["--op", "k_proj", "--trace", &file.display().to_string(), "--trace-cycles", cycles]).code(0);
        fs::metadata(&file).unwrap().len()
    };
    assert!(trace("short.fst", "50") < trace("long.fst", "400"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "temporary files are left");
}

/// What the options allow, the program can do, on every board.
#[test]
fn numbers_at_their_limits_work() {
    for board in ["kv260", "zcu104", "zedboard", "pynq-z2"] {
        for clock in ["10", "1000"] {
            packed(&["--board", board, "--clock-mhz", clock]).code(0);
            packed(&["--board", board, "--clock-mhz", clock, "--ps-gb-per-s", "1.4"]).code(0);
        }
    }
    for (ddr, ps) in [("0.1", "0.07"), ("1000", "700")] {
        for clock in ["10", "1000"] {
            packed(&["--ddr-gb-per-s", ddr, "--ps-gb-per-s", ps, "--clock-mhz", clock]).code(0);
        }
    }
    packed(&["--op", "k_proj", "--ddr-gb-per-s", "0.1", "--ps-gb-per-s", "0.07", "--stall", "255"]).code(0);
    packed(&["--op", "k_proj", "--jobs", "1024", "--driver-overhead-us", "1000000"]).code(0);
}

/// Rows behind gates that are not above zero are skipped with one token, and columns whose activation is zero. Golden counts
/// them, the unit reads the others.
#[test]
fn zeros_are_skipped_with_one_token() {
    let model = testdata("tiny-packed").display().to_string();
    let arguments = ["--model", &model, "--all-layers", "--prompt-ids", "318", "--json", "-"];
    let read = |report: &Value, name: &str, what: &str| -> Vec<u64> {
        let operators = report["operators"].as_array().unwrap().iter().filter(|o| o["name"] == name);
        operators.map(|o| o[what].as_u64().unwrap()).collect()
    };
    let rows_read = |report: &Value| read(report, "mlp.up_proj", "rows_read");
    let columns_read = |report: &Value| read(report, "mlp.down_proj", "columns_read");
    let zeros = |report: &Value, what: &str| -> Vec<u64> {
        report["zeros"].as_array().unwrap().iter().map(|z| z[what].as_u64().unwrap()).collect()
    };
    let above = |report: &Value| zeros(report, "gates_above_zero");
    let not_zero = |report: &Value| -> Vec<u64> {
        let inputs = zeros(report, "down_inputs").into_iter().zip(zeros(report, "zero_down_inputs"));
        inputs.map(|(all, zero)| all - zero).collect()
    };
    let all = sim(&[&arguments[..], &["--skip-zeros=off"]].concat()).code(0).json();
    let skipped = sim(&arguments).code(0).json();
    let demanded = sim(&[&arguments[..], &["--skip-zeros"]].concat()).code(0).json();
    assert_eq!(demanded["operators"], skipped["operators"], "it is the default");
    let rows = all["model"]["intermediate_size"].as_u64().unwrap();
    assert_eq!((rows_read(&all), columns_read(&all)), (vec![rows, rows], vec![rows, rows]));
    assert_eq!((rows_read(&skipped), columns_read(&skipped)), (above(&all), not_zero(&all)));
    assert!(not_zero(&all).iter().all(|read| (1..rows).contains(read)), "{:?}", not_zero(&all));
    assert_eq!((above(&skipped), &skipped["totals"]["mismatches"]), (above(&all), &0.into()));
    assert!(above(&all).iter().all(|above| (1..rows).contains(above)), "{:?}", above(&all));
    assert_eq!(skipped["forward"], all["forward"], "the logits are those of all rows");
    // A wrong gate makes the unit read another row.
    sim(&[&arguments[..], &["--inject", "weight-bit"]].concat()).code(1);
    // With several tokens all rows are read, and all columns; on demand row by row.
    for more in [&["--json", "-"][..], &["--json", "-", "--skip-zeros"]] {
        let several = sim(&[&arguments[..3], &["--prompt-ids", PROMPT], more].concat()).code(0).json();
        assert_eq!((rows_read(&several), columns_read(&several)), (vec![rows, rows], vec![rows, rows]));
        assert_eq!(several["skip_zeros"] == true, more.len() == 3);
    }
    let generate = ["generate", "--model", &model, "--prompt-ids", PROMPT, "--tokens", "3", "--json", "-"];
    let tokens = |more: &[&str]| sim(&[&generate[..], more].concat()).code(0).json();
    let skipping = tokens(&[]);
    assert_eq!(skipping["generated_ids"], tokens(&["--skip-zeros=off"])["generated_ids"]);
    assert_eq!(skipping["verification"]["mismatches"], 0);
    sim(&[&generate[..], &["--skip-zeros", "--device", "golden"]].concat()).code(2).says(&["--skip-zeros"]);
    for share in ["-0.1", "1.1", "nan", "half"] {
        sim(&["--layer", "0", &format!("--gate-share={share}")]).code(2).says(&["--gate-share"]);
    }
    sim(&["--model", &model, "--layer", "0", "--gate-share", "0.5"]).code(2).says(&["--gate-share"]);
}
