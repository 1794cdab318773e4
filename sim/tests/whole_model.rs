//! Whole models, generation, shards and journals: the real program on the small checkpoints.
#![allow(clippy::unwrap_used)]

mod program;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use program::{PROMPT, Ran, program, sim, testdata};
use serde_json::Value;

/// The tokens that `transformers` generates greedily after [`PROMPT`]. They are the same in every weight form and
/// dtype.
const GREEDY: [u32; 8] = [188, 194, 31, 142, 93, 241, 36, 30];
/// The prompt for the gqa checkpoints.
const GQA_PROMPT: &str = "318,2,77,0,1,205,14";
/// The tokens that `transformers` generates greedily after [`GQA_PROMPT`].
const GQA_GREEDY: [u32; 2] = [218, 178];

/// Runs `sim --all-layers --model FOLDER --prompt-ids PROMPT ...`.
fn all_layers(folder: &str, more: &[&str]) -> Ran {
    let model = testdata(folder).display().to_string();
    sim(&[&["--all-layers", "--model", &model, "--prompt-ids", PROMPT], more].concat())
}

fn generate(folder: &str, more: &[&str]) -> Ran {
    let model = testdata(folder).display().to_string();
    sim(&[&["generate", "--model", &model, "--prompt-ids", PROMPT, "--json", "-"], more].concat())
}

/// The report without the keys that depend on the machine and the time.
fn results(mut report: Value) -> Value {
    for key in ["simulation", "command", "digest"] {
        report.as_object_mut().unwrap().remove(key);
    }
    report
}

/// Checks that two reports have equal results.
#[track_caller]
fn assert_same(a: Value, b: Value) {
    let (a, b) = (results(a), results(b));
    let keys = a.as_object().unwrap().keys().chain(b.as_object().unwrap().keys());
    for key in keys {
        assert!(a[key] == b[key], "{key}: {} and {}", a[key], b[key]);
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_layer_is_bit_exact_and_gives_the_next_token() {
    for folder in ["tiny-online", "tiny-packed", "tiny-packed-sharded"] {
        for dtype in ["fp32", "bf16"] {
            let ran = all_layers(folder, &["--dtype", dtype, "--json", "-"]).code(0);
            let report = ran.json();
            let totals = &report["totals"];
            assert_eq!((&totals["outputs"], &totals["mismatches"]), (&26_112.into(), &0.into()), "{ran}");
            assert_eq!(report["operators"].as_array().unwrap().len(), 14, "{ran}");
            assert_eq!(report["forward"]["next_token"], GREEDY[0], "{ran}");
            assert_eq!((&report["complete"], &report["runs_in_all"]), (&true.into(), &8.into()), "{ran}");
        }
    }
}

/// Both codecs with awkward dimensions: rows fill neither beats nor row blocks, and four query heads share a
/// key/value head.
#[test]
fn awkward_dimensions_are_bit_exact() {
    for folder in ["gqa-online", "gqa-packed"] {
        for codec in ["2bit", "base3"] {
            let model = testdata(folder).display().to_string();
            let arguments =
                ["generate", "--model", &model, "--prompt-ids", GQA_PROMPT, "--tokens", "2", "--codec", codec];
            let report = sim(&[&arguments[..], &["--json", "-"]].concat()).code(0).json();
            assert_eq!(report["generated_ids"], Value::from(GQA_GREEDY.to_vec()), "{folder} {codec}");
            assert_eq!(report["verification"]["mismatches"], 0, "{folder} {codec}");
        }
    }
}

#[test]
fn a_fault_in_any_layer_is_caught() {
    for (shard, layer) in [("1/8", "layer 0, "), ("8/8", "layer 1, ")] {
        let ran = all_layers("tiny-packed", &["--inject", "weight-bit", "--shard", shard, "--seed", "1"]).code(1);
        ran.says(&["mismatch: ", layer, "repeat it with: "]);
    }
    generate("tiny-packed", &["--tokens", "1", "--inject", "result-bit"]).code(1).says(&["mismatch: layer 0, "]);
    generate("tiny-packed", &["--tokens", "1", "--inject", "slverr"])
        .code(5)
        .says(&["READ_SLVERR", "repeat it with: "]);
}

#[test]
fn generation_gives_the_tokens_of_the_reference() {
    for folder in ["tiny-online", "tiny-packed", "tiny-packed-sharded"] {
        for dtype in ["fp32", "bf16"] {
            let report = generate(folder, &["--tokens", "8", "--dtype", dtype]).code(0).json();
            assert_eq!(report["generated_ids"], Value::from(GREEDY.to_vec()), "{folder} {dtype}");
            let v = &report["verification"];
            // 14 BitLinears per pass; 8 passes, the first with 6 tokens; 4352 outputs per token.
            assert_eq!((&v["operators"], &v["outputs"], &v["mismatches"]), (&112.into(), &56_576.into(), &0.into()));
            let golden = generate(folder, &["--tokens", "8", "--dtype", dtype, "--device", "golden"]).code(0).json();
            assert_eq!(golden["generated_ids"], report["generated_ids"]);
            assert!(golden["verification"].is_null());
        }
    }
}

#[test]
fn sampling_is_seeded_and_its_settings_are_checked() {
    let ids = |more: &[&str]| {
        let all = [&["--device", "golden", "--tokens", "6"], more].concat();
        generate("tiny-packed", &all).code(0).json()["generated_ids"].clone()
    };
    let hot = ["--temperature", "3", "--seed", "5"];
    assert_eq!(ids(&hot), ids(&hot));
    assert_ne!(ids(&hot), ids(&["--temperature", "3", "--seed", "6"]));
    assert_eq!(ids(&["--temperature", "3", "--top-k", "1"]), Value::from(GREEDY[..6].to_vec()));
    for (more, text) in [
        (&["--temperature", "0"][..], "temperature"),
        (&["--temperature", "1", "--top-p", "2"], "top_p"),
        (&["--top-k", "2"], "--temperature"),
        (&["--tokens", "5000"], "tokens"),
        (&["--prompt", "Hello"], "--prompt"),
    ] {
        generate("tiny-packed", more).code(2).says(&[text]);
    }
}

#[test]
fn an_int8_head_is_close_to_the_float_head() {
    let ids =
        |head| generate("tiny-packed", &["--device", "golden", "--head", head]).code(0).json()["generated_ids"].clone();
    assert_eq!(ids("int8"), ids("float"));
}

#[test]
fn joined_shards_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let shard = |i: &str, name: &str, more: &[&str]| {
        let of = format!("{i}/3");
        all_layers("tiny-packed", &[&["--shard", &of, "--json", &path(name)], more].concat()).code(0);
    };
    for i in ["1", "2", "3"] {
        shard(i, i, &[]);
    }
    let merged = sim(&["merge", &path("2"), &path("3"), &path("1"), "--json", "-"]).code(0).json();
    let whole = all_layers("tiny-packed", &["--json", "-"]).code(0).json();
    assert_same(merged, whole);
    assert!(sim(&["merge", &path("1"), &path("2"), &path("3")]).code(0).out.contains("26,112 outputs, 0 mismatches"));

    shard("2", "seed", &["--seed", "2"]);
    shard("2", "model", &["--dtype", "bf16"]);
    shard("2", "unit", &["--ports", "2"]);
    all_layers("tiny-packed", &["--shard", "2/4", "--json", &path("four")]).code(0);
    all_layers("tiny-packed", &["--json", &path("whole")]).code(0);
    let text = fs::read_to_string(path("2")).unwrap();
    for (name, from, to) in [
        ("cycles", "\"mismatches\": 0", "\"mismatches\": 1"),
        ("float", "\"fpga_ms\": 0.0", "\"fpga_ms\": 0.1"),
        ("added", "\"complete\"", "\"more\": 1,\n  \"complete\""),
        ("cut", "\"status\"", ""),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(path(name), text.replacen(from, to, 1)).unwrap();
    }
    for (second, why) in [
        ("seed", "another seed"),
        ("model", "another model"),
        ("unit", "another unit"),
        ("four", "another number of shards"),
        ("whole", "not the report of a shard"),
        ("3", "twice"),
        ("cycles", "changed since it was written"),
        ("float", "changed since it was written"),
        ("added", "changed since it was written"),
        ("cut", "not a report"),
        ("absent", "No such file"),
    ] {
        let ran = sim(&["merge", &path("1"), &path(second), &path("3"), "--json", &path("out")]).code(3).says(&[why]);
        assert!(ran.out.is_empty() && !Path::new(&path("out")).exists(), "{ran}");
    }
    sim(&["merge", &path("1"), &path("3")]).code(3).says(&["shard 2/3 is missing"]);
}

/// Starts the program and kills it after some milliseconds, until it ends by itself.
#[test]
#[cfg(unix)]
fn a_killed_run_goes_on_from_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (model, journal, json) = (testdata("tiny-packed").display().to_string(), path("j"), path("r"));
    // The run is slow enough to be killed at many places.
    let slow = ["--stall", "200", "--jobs", "1"];
    let arguments = ["--all-layers", "--model", &model, "--prompt-ids", PROMPT, "--journal", &journal, "--json", &json];
    let mut kills = 0;
    loop {
        let mut command = program();
        command.args(arguments).args(slow).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + 37 * kills % 200));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        if !child.wait().unwrap().success() {
            kills += 1;
        }
        assert!(kills < 200, "it never gets to the end");
    }
    assert!(kills > 0, "it was never killed");
    let lines: Vec<Value> =
        fs::read_to_string(&journal).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut runs: Vec<u64> = lines[1..].iter().map(|l| l["content"]["index"].as_u64().unwrap()).collect();
    runs.sort_unstable();
    assert_eq!(runs, [0, 1, 2, 3, 4, 5, 6, 7], "each run once, after {kills} kills");
    let whole = all_layers("tiny-packed", &[&slow[..], &["--json", "-"]].concat()).code(0).json();
    assert_same(read(Path::new(&json)), whole);

    // All runs are in the journal now, so nothing is simulated again.
    let again = sim(&[&arguments[..], &slow].concat()).code(0).says(&["8 of 8 runs are in the journal"]);
    assert!(again.out.contains("8 runs from the journal"), "{again}");

    let text = fs::read_to_string(&journal).unwrap();
    let refused = |content: &str, more: &[&str], why: &str| {
        fs::write(&journal, content).unwrap();
        sim(&[&arguments[..], &slow, more].concat()).code(3).says(&["--journal", why]);
    };
    refused(&text, &["--dtype", "bf16"], "of another run: model differ");
    refused(&text, &["--shard", "1/2"], "shard differ");
    refused(&text.replacen("\"mismatches\":0", "\"mismatches\":1", 1), &[], "is damaged");
    let without_third: String =
        text.lines().enumerate().filter(|(i, _)| *i != 3).map(|(_, l)| format!("{l}\n")).collect();
    refused(&without_third, &[], "line 4 is damaged");
    refused("{}\n", &[], "line 1 is damaged");
    refused("something else", &[], "not a journal");
    refused(&format!("{text}something else"), &[], "not a journal");
    assert!(fs::read_to_string(&journal).unwrap().ends_with("something else"), "a file that is refused is left alone");
    // A kill in the middle of a line leaves a partial line, which is dropped.
    fs::write(&journal, &text[..text.len() - 40]).unwrap();
    sim(&[&arguments[..], &slow].concat()).code(0).says(&["7 of 8 runs are in the journal"]);
}
