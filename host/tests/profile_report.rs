//! The command `host profile`: its measurements, the files it writes, their schema, and the tables made from them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use bitnet::checkpoint::Checkpoint;
use bitnet::config::Linear;
use bitnet::layer::{CpuBackend, Observer, Values};
use bitnet::model::Model;
use cpu_profile::report::{CpuProfile, Quantity, SCHEMA, Spread};
use cpu_profile::tables;
use golden::Dtype;
use serde_json::{Value, json};

const PACKED: &str = "../testdata/tiny-packed";

fn host(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_host")).arg("profile").args(arguments).output().unwrap()
}

/// Runs the command, which must end with exit code `code`. Returns standard output and standard error.
fn ends(code: i32, arguments: &[&str]) -> (String, String) {
    let output = host(arguments);
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "host profile {arguments:?}\n{stdout}\n{stderr}");
    (stdout, stderr)
}

/// A small measurement with the real program. Returns its folder and its report.
fn measured(dir: &Path, name: &str, more: &[&str]) -> (PathBuf, Value) {
    let out = dir.join(name);
    let mut arguments = vec!["--model", PACKED, "--layer-repeats", "2", "--warm-up", "1", "--threads", "1"];
    arguments.extend(["--out", out.to_str().unwrap()]);
    if !more.contains(&"--model") {
        arguments.extend(more);
    } else {
        arguments.splice(..2, more.iter().copied());
    }
    ends(0, &arguments);
    let report = serde_json::from_slice(&fs::read(out.join("inference_profile_report.json")).unwrap()).unwrap();
    (out, report)
}

/// Collects the places where `value` violates `schema`.
///
/// Only the keywords of our schema are supported. A crate for all of JSON Schema would take as long to build as all
/// other dependencies of the tests. An unknown keyword is an error, so no rule goes unchecked.
fn violations(root: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("type {other} in the schema"),
    };
    let inner = |schema: &Value| {
        let mut found = vec![];
        violations(root, schema, value, at, &mut found);
        found
    };
    for (keyword, rule) in schema.as_object().unwrap() {
        let ok = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "then" => true,
            "type" => match rule {
                Value::String(kind) => is(kind),
                kinds => kinds.as_array().unwrap().iter().any(|kind| is(kind.as_str().unwrap())),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|x| x >= rule.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|s| s.chars().count() as u64 >= rule.as_u64().unwrap()),
            "minItems" => value.as_array().is_none_or(|a| a.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|a| a.len() as u64 <= rule.as_u64().unwrap()),
            "required" => {
                let missing = |key: &&Value| value.is_object() && value.get(key.as_str().unwrap()).is_none();
                out.extend(rule.as_array().unwrap().iter().filter(missing).map(|key| format!("{at}: no {key}")));
                true
            }
            "properties" => {
                for (key, schema) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        violations(root, schema, value, &format!("{at}.{key}"), out);
                    }
                }
                true
            }
            "items" => {
                for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                    violations(root, rule, value, &format!("{at}[{i}]"), out);
                }
                true
            }
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().trim_start_matches('#')).expect("a definition");
                violations(root, target, value, at, out);
                true
            }
            "if" => {
                if inner(rule).is_empty() {
                    out.extend(inner(&schema["then"]));
                }
                true
            }
            other => panic!("keyword {other} in the schema"),
        };
        if !ok {
            out.push(format!("{at}: {value} against {keyword} {rule}"));
        }
    }
}

fn check(report: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut out = vec![];
    violations(&schema, &schema, report, "", &mut out);
    out
}

#[test]
fn a_report_has_every_stage_layer_and_operator() {
    let dir = tempfile::tempdir().unwrap();
    let (out, report) = measured(dir.path(), "ids", &["--prompt-ids", "318,2,282,0", "--tokens", "3", "--member", "A"]);
    assert_eq!(check(&report), [""; 0]);
    let stages = report["stage_profiles"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Tokenization", "Prefill", "Decode", "Detokenization"]);
    assert!(stages[0]["duration_ms"].is_null() && stages[0]["note"].as_str().unwrap().contains("no tokenizer.json"));
    assert!(stages[1]["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!((&stages[1]["tokens"], &stages[2]["tokens"]), (&json!(4), &json!(2)));
    assert_eq!(stages[2]["a_token"]["samples"], 2);

    let profile = CpuProfile::load(&out.join("inference_profile_report.json")).unwrap();
    assert_eq!(profile.typical().count(), 16);
    assert_eq!(profile.layers.len(), 2 * 16);
    assert!(Linear::ALL.iter().all(|l| profile.operator_ms(*l, 1).is_some_and(|ms| ms > 0.0)));
    let recomputed = tables::report(&profile);
    assert_eq!((recomputed.tables.len(), recomputed.differences.len()), (4, 0), "{:?}", recomputed.differences);
    // Two repetitions of the embedding, two layers with sixteen operators each, the final norm and the head.
    for (name, rows) in [("raw_layer_data", 2 * 35), ("final_operator_benchmark", 16), ("linear_operator_stats", 7)] {
        let text = fs::read_to_string(out.join(name).with_extension("csv")).unwrap();
        assert_eq!(text.lines().count(), rows + 1, "{name}");
    }
    let nonlinear = fs::read_to_string(out.join("nonlinear_operator_stats.csv")).unwrap();
    assert!(nonlinear.starts_with("Submodule,Type,Time (ms),Time Share (%),OPs,OPs Share (%),GOPS,Memory Delta (MB),"));
    assert_eq!(nonlinear.lines().count(), 10);
    let left = fs::read_dir(&out).unwrap().count();
    assert_eq!(left, 5, "nothing half-written is left");
}

#[test]
fn text_goes_through_all_four_stages() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    for folder in [PACKED, "../testdata/tiny-tokenizer"] {
        for file in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), model.join(file.file_name())).unwrap();
        }
    }
    let arguments = ["--model", model.to_str().unwrap(), "--prompt", "What is a shift register?"];
    let (_, report) = measured(dir.path(), "text", &[&arguments[..], &["--freq-mhz", "2400"]].concat());
    assert_eq!(check(&report), [""; 0]);
    for stage in report["stage_profiles"].as_array().unwrap() {
        let [ms, normalised] = ["duration_ms", "duration_normalized_ms"].map(|key| stage[key].as_f64().unwrap());
        assert!(ms > 0.0 && (normalised - ms * 0.8).abs() < 1e-9, "{stage}");
    }
    assert_eq!(report["freq_normalization"]["scale_factor"], 0.8);
    assert!(report["freq_normalization"]["explanation"].as_str().unwrap().contains("2400 MHz / 3000 MHz"));
}

#[test]
fn requests_that_make_no_sense() {
    let refused = |code: i32, arguments: &[&str], part: &str| {
        let stderr = ends(code, arguments).1;
        assert!(stderr.contains(part), "\"{stderr}\" says {part}");
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let to = ["--out", out.to_str().unwrap(), "--model"];
    refused(3, &[&to[..], &["nowhere"]].concat(), "nowhere");
    refused(2, &[&to[..], &[PACKED, "--prompt", "x"]].concat(), "no tokenizer.json");
    refused(2, &[&to[..], &[PACKED, "--prompt-ids", "320"]].concat(), "token 320");
    refused(2, &[&to[..], &[PACKED, "--layer", "2"]].concat(), "layers 0 to 1");
    refused(2, &[&to[..], &[PACKED, "--tokens", "5000"]].concat(), "5003 tokens");
    refused(2, &["--freq-mhz=-1"], "expected 1 to 100000 MHz");
    fs::write(dir.path().join("file"), "").unwrap();
    refused(2, &["--out", dir.path().join("file/x").to_str().unwrap(), "--model", PACKED], "cannot write");
}

/// An observer that records the names of the operators and nothing else.
#[derive(Default)]
struct Names(Vec<(Option<usize>, &'static str)>);

impl Observer for Names {
    fn active(&self) -> bool {
        false
    }

    fn tensor(&mut self, _: &str, _: &[usize], _: Values<'_>) {}

    fn timing(&self) -> bool {
        true
    }

    fn ran(&mut self, layer: Option<usize>, operator: &'static str, _: Duration) {
        self.0.push((layer, operator));
    }
}

#[test]
fn timing_changes_no_bit() {
    let source = Checkpoint::open(PACKED).unwrap();
    for dtype in [Dtype::Fp32, Dtype::Bf16] {
        let mut names = Names::default();
        let ids = [318, 2, 282, 0, 1, 7];
        let timed = Model::new(&source, dtype).forward(&ids, &mut CpuBackend, &mut names).unwrap();
        assert_eq!(timed, Model::new(&source, dtype).forward(&ids, &mut CpuBackend, &mut ()).unwrap());
        let layer = |l| names.0.iter().filter(move |(layer, _)| *layer == Some(l)).map(|(_, name)| *name);
        assert_eq!(
            layer(1).collect::<Vec<_>>(),
            [
                "input_layernorm",
                "self_attn.q_proj",
                "self_attn.k_proj",
                "self_attn.v_proj",
                "self_attn.attention",
                "self_attn.attn_sub_norm",
                "self_attn.o_proj",
                "self_attn.residual",
                "post_attention_layernorm",
                "mlp.gate_proj",
                "mlp.up_proj",
                "mlp.act_fn",
                "mlp.product",
                "mlp.ffn_sub_norm",
                "mlp.down_proj",
                "mlp.residual"
            ]
        );
        assert!(layer(0).eq(layer(1)));
        let outside = names.0.iter().filter(|(layer, _)| layer.is_none()).map(|(_, name)| *name);
        assert_eq!(outside.collect::<Vec<_>>(), ["embed_tokens", "norm", "lm_head"]);
    }
}

#[test]
fn a_violation_of_the_schema_is_noticed() {
    let good = serde_json::to_value(CpuProfile::builtin()).unwrap();
    assert_eq!(check(&good), [""; 0], "the built-in profile obeys it too");
    let removals = [
        "/meta",
        "/cpu_info/brand",
        "/freq_normalization/scale_factor",
        "/stage_profiles/0/memory_delta_mb",
        "/summary",
        "/operators/3/mean_ms",
        "/layers/2/time_ms",
    ];
    for path in removals {
        let mut report = good.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let object = if parent.is_empty() { &mut report } else { report.pointer_mut(parent).unwrap() };
        assert!(object.as_object_mut().unwrap().remove(key).is_some(), "{path}");
        assert_eq!(check(&report).len(), 1, "{path}");
    }
    let replacements = [
        ("/stage_profiles", json!({})),
        ("/stage_profiles/0/name", json!("Prefil")),
        ("/stage_profiles/0/duration_ms", json!(-1)),
        ("/meta/timestamp", json!(0)),
        ("/meta/tokens", json!("3")),
        ("/cpu_info/freq_base_mhz", json!([3000])),
        ("/operators/0/input_shape", json!([1, 0])),
        ("/operators/0/mean_ms", json!("11.92")),
    ];
    for (path, value) in replacements {
        let mut report = good.clone();
        *report.pointer_mut(path).unwrap() = value;
        assert_eq!(check(&report).len(), 1, "{path}");
    }
    // A stage that was not measured must give the reason.
    let mut report = good.clone();
    report["stage_profiles"][0]["duration_ms"] = Value::Null;
    assert_eq!(check(&report), [""; 0]);
    report["stage_profiles"][0].as_object_mut().unwrap().remove("note");
    assert_eq!(check(&report), [": no \"note\"".replace(':', ".stage_profiles[0]:")]);
    let error = CpuProfile::parse(Path::new("r.json"), &report.to_string()).unwrap_err().to_string();
    assert!(error.contains("Prefill to have a duration_ms or a note"), "{error}");
}

#[test]
fn the_built_in_tables_and_a_wrong_cell() {
    let (stdout, _) = ends(0, &["tables"]);
    for part in
        ["3.1 Blocks", "4.1 Linear operators", "4.2 Other operators", "4.4 Layer", "416981760", "0 of them not listed"]
    {
        assert!(stdout.contains(part), "{part}\n{stdout}");
    }
    let builtin = CpuProfile::builtin();
    let report = tables::report(&builtin);
    assert_eq!(report.differences.len(), 14);
    // After a change, a stated cell is no longer explained by a contradiction, and the command names the cell.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.json");
    let good = serde_json::to_value(&builtin).unwrap();
    let mut cells = vec![];
    for i in 0..builtin.operators.len() {
        cells.extend(["share_percent", "ops", "ops_share_percent", "gops"].map(|key| format!("/operators/{i}/{key}")));
    }
    for (i, block) in builtin.blocks.iter().enumerate() {
        cells.push(format!("/blocks/{i}/mean_ms"));
        cells.extend((block.name != "decoder_layer").then(|| format!("/blocks/{i}/share_percent")));
    }
    let mut tried = 0;
    for cell in &cells {
        let mut wrong = good.clone();
        let value = wrong.pointer_mut(cell).unwrap();
        match (value.as_u64(), value.as_f64()) {
            (Some(n), _) => *value = (n + 1).into(),
            (_, Some(x)) => *value = (x * 1.3 + 0.3).into(),
            _ => continue,
        }
        let wrong = CpuProfile::parse(&path, &wrong.to_string()).unwrap();
        assert!(tables::report(&wrong).unlisted().count() > 0, "{cell}");
        tried += 1;
    }
    assert_eq!(tried, 12 * 3 + 7 + 7 + 6, "ops shares are stated for linears only");
    let mut wrong = good;
    wrong["operators"][4]["gops"] = json!(13.7);
    fs::write(&path, wrong.to_string()).unwrap();
    let (stdout, _) = ends(1, &["tables", path.to_str().unwrap()]);
    assert!(stdout.contains("4.1 self_attn.o_proj GOPS: stated 13.70, recomputed 13.61, ! NOT LISTED"), "{stdout}");
    assert!(stdout.contains("1 of them not listed"));
}

#[test]
fn a_team_of_three() {
    let dir = tempfile::tempdir().unwrap();
    let ids = ["--prompt-ids", "318,2,282", "--tokens", "3", "--freq-mhz", "1500"];
    let report = |name: &str, more: &[&str]| {
        let (out, _) = measured(dir.path(), name, &[&ids[..], more].concat());
        out.join("inference_profile_report.json").to_str().unwrap().to_string()
    };
    let [a, b, c] = [report("a", &["--member", "WJ"]), report("b", &["--member", "WYC"]), report("c", &[])];
    let (markdown, _) = ends(0, &["merge", &a, &b, &c, "--format", "markdown"]);
    let lines: Vec<&str> = markdown.lines().collect();
    assert_eq!(lines.len(), 5, "{markdown}");
    assert!(lines[0].starts_with("| member | CPU") && lines[1].starts_with("|-"), "{markdown}");
    assert!(lines[2].contains("WJ") && lines[3].contains("WYC") && lines[4].starts_with("| c "), "{markdown}");
    let (csv, _) = ends(0, &["merge", &a, &b, &c, "--format", "csv"]);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    for (row, path) in rows.iter().zip([&a, &b, &c]) {
        let profile = CpuProfile::load(Path::new(path)).unwrap();
        let prefill = profile.stage("Prefill").unwrap().duration_ms.as_ref().and_then(Quantity::value).unwrap();
        let decode = profile.stage("Decode").unwrap().a_token.unwrap().median_ms;
        let want = [prefill, prefill / 2.0, decode, decode / 2.0].map(|ms| format!("{ms:.2}"));
        assert_eq!([&row[3], &row[4], &row[5], &row[6]], want.each_ref().map(String::as_str));
    }
    assert!(ends(0, &["merge", &a]).0.contains("WJ"));
    // A report that names no member is labelled with the name of its file or folder.
    let renamed = dir.path().join("LCJ.json");
    fs::copy(&c, &renamed).unwrap();
    assert!(ends(0, &["merge", &a, renamed.to_str().unwrap()]).0.contains("LCJ"));

    let refused = |files: &[&str], parts: &[&str]| {
        let (stdout, stderr) = ends(3, &[&["merge"], files].concat());
        assert!(stdout.is_empty());
        for part in parts {
            assert!(stderr.contains(part), "\"{stderr}\" says {part}");
        }
    };
    let foreign = dir.path().join("foreign.json");
    let edit = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&fs::read(&b).unwrap()).unwrap();
        change(&mut value);
        fs::write(&foreign, value.to_string()).unwrap();
        foreign.to_str().unwrap().to_string()
    };
    refused(&[&a, "nowhere.json"], &["nowhere.json"]);
    refused(&[&a, "../testdata/tiny-packed/config.json"], &["config.json", "\"meta\" is missing"]);
    refused(&[&a, &a], &["a second one of \"WJ\""]);
    refused(&[&a, &edit(&|v| v["meta"]["dimensions"] = json!("m"))], &["foreign.json", "found \"m\""]);
    // The same model may have another name on another machine. Without dimensions, only the name can be compared.
    let elsewhere = |v: &mut Value| v["meta"]["model_name"] = json!("m");
    ends(0, &["merge", &a, &edit(&elsewhere)]);
    let unknown = |v: &mut Value| v["meta"] = json!({"model_name": "m", "timestamp": "", "reference_freq_mhz": 3000});
    refused(&[&a, &edit(&unknown)], &["foreign.json", "found \"m\""]);
    refused(&[&a, &edit(&|v| v["meta"]["tokens"] = json!(4))], &["a prompt of 3 tokens", "found 4"]);
    refused(&[&a, &edit(&|v| v["stage_profiles"] = json!([]))], &["foreign.json", "stage Prefill, found none"]);
    let (one_layer, _) = measured(dir.path(), "layer", &["--layer", "1"]);
    let one_layer = one_layer.join("inference_profile_report.json");
    refused(&[one_layer.to_str().unwrap()], &["stage Prefill, found none"]);
}

#[test]
fn profiles_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let (out, _) = measured(dir.path(), "one", &["--layer", "1"]);
    let one = out.join("inference_profile_report.json");
    let mut slow = CpuProfile::load(&one).unwrap();
    for o in &mut slow.operators {
        o.median_ms = o.median_ms.map(|ms| 3.0 * ms);
        o.min_ms = o.min_ms.map(|ms| 2.0 * ms);
    }
    let twice = dir.path().join("slow.json");
    fs::write(&twice, serde_json::to_string(&slow).unwrap()).unwrap();
    let (csv, _) = ends(0, &["compare", one.to_str().unwrap(), twice.to_str().unwrap(), "--format", "csv"]);
    assert!(csv.starts_with("operator,one ms,slow ms,ratio\n"), "{csv}");
    for line in csv.lines().skip(1).take(17) {
        assert!(line.ends_with(",3.0x"), "{line}");
    }
    let (fastest, _) = ends(0, &["compare", one.to_str().unwrap(), twice.to_str().unwrap(), "--fastest"]);
    assert_eq!(fastest.matches(" 2.0x ").count(), 18, "{fastest}");
    // Models of different sizes cannot be compared.
    let builtin = dir.path().join("builtin.json");
    fs::write(&builtin, serde_json::to_string(&CpuProfile::builtin()).unwrap()).unwrap();
    let (_, stderr) = ends(3, &["compare", one.to_str().unwrap(), builtin.to_str().unwrap()]);
    assert!(stderr.contains("builtin.json") && stderr.contains("found [1, 3, 2560]"), "{stderr}");
}

/// Tests the PyTorch program without PyTorch: synthetic calls of a layer of 2B-4T pass through all its computing and
/// writing.
#[test]
fn the_pytorch_program_writes_the_same_files() {
    let script = r#"
import argparse, sys
sys.dont_write_bytecode = True
sys.path.insert(0, "pytorch")
import run
from pathlib import Path

H, I = 2560, 6912
inputs = {"mlp.down_proj": I, "mlp.act_fn": I, "mlp.ffn_sub_norm": I}
outputs = {**inputs, "mlp.down_proj": H, "mlp.gate_proj": I, "mlp.up_proj": I, "self_attn.k_proj": 640,
           "self_attn.v_proj": 640}
calls = run.Calls([])
for calls.repeat in range(3):
    for layer in 4, 5:
        calls.whole[layer, calls.repeat] = 100.0
        for i, name in enumerate(run.OPERATORS):
            calls.rows.append({"layer": layer, "name": name, "type": "T", "repeat": calls.repeat, "time_ms": 1.5 + i + layer,
                               "input_shape": [1, 3, inputs.get(name, H)], "output_shape": [1, 3, outputs.get(name, H)],
                               "memory_delta_mb": 0.1, "memory_mb": 9.0})
calls.finish("rest")
options = argparse.Namespace(out=Path(sys.argv[1]), mode="online", dtype="fp32", member="WJ", freq_mhz=1500,
                             warm_up=1, layer_repeats=3)
stages = [run.not_measured("Tokenization", "no text")]
for name in "Prefill", "Decode":
    with run.Stage(name) as stage:
        pass
    stages.append(stage.report(tokens=3))
stages.append(run.not_measured("Detokenization", "no text"))
about = {"model_name": "m", "tokens": 3, run.OTHERS: None}
run.publish(options, "PyTorch", 1, stage, stages, calls.rows, [4.0, 6.0, 7.0], about, [])
"#;
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("python3").args(["-c", script]).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = dir.path().join("inference_profile_report.json");
    assert_eq!(check(&serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()), [""; 0]);
    let profile = CpuProfile::load(&path).unwrap();
    assert_eq!(tables::report(&profile).differences, []);
    assert_eq!(profile.operator_ms(Linear::Q, 4), Some(6.0));
    // The twelve operators take more than the 100 ms of the layer. The rest must be zero, not negative.
    assert_eq!(profile.typical().find(|o| o.name == "rest").unwrap().mean_ms, 0.0);
    assert_eq!(profile.block("decoder_layer").unwrap().ops, CpuProfile::builtin().block("decoder_layer").unwrap().ops);
    assert_eq!(profile.layer_wall.unwrap().median_ms, 6.0);
    assert!(tables::team(&[(path.clone(), profile)]).unwrap().rows[0].contains(&"WJ".to_string()));
    let header = |path: &Path| fs::read_to_string(path).unwrap().lines().next().unwrap().to_string();
    let (ours, _) = measured(dir.path(), "ours", &["--tokens", "1"]);
    for file in ["raw_layer_data", "final_operator_benchmark", "linear_operator_stats", "nonlinear_operator_stats"] {
        let file = Path::new(file).with_extension("csv");
        assert_eq!(header(&dir.path().join(&file)), header(&ours.join(&file)));
    }
}

#[test]
fn spreads() {
    assert_eq!(Spread::of(&[]), None);
    let spread = Spread::of(&[4.0, 1.0, 2.0, 9.0]).unwrap();
    assert_eq!((spread.samples, spread.median_ms, spread.mean_ms), (4, 3.0, 4.0));
    assert_eq!((spread.min_ms, spread.max_ms), (1.0, 9.0));
}

/// What a checkpoint folder has and this command does not use is told; a tokenizer is needed only for text.
#[test]
fn remarks_on_the_model() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(Path::new(PACKED).join(file), dir.path().join(file)).unwrap();
    }
    fs::write(dir.path().join("tokenizer.json"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    fs::write(dir.path().join("model.safetensors.index.json"), "{}").unwrap();
    let (model, out) = (dir.path().display().to_string(), dir.path().join("out").display().to_string());
    let quick = ["--model", &model, "--out", &out, "--layer", "0", "--layer-repeats", "1", "--warm-up", "0"];
    let (_, told) = ends(0, &[&quick[..], &["--prompt-ids", "1,2"]].concat());
    for remark in [
        "remark: 1 file not used: model.safetensors.index.json; model.safetensors decides",
        "tokenizer.json: a Git LFS pointer, not the file itself; run `git lfs pull` in its folder; the stages with text",
    ] {
        assert!(told.contains(remark), "{told}");
    }
    let (_, told) = ends(3, &[&quick[..], &["--prompt", "-5 + 3"]].concat());
    assert!(told.contains("tokenizer.json: a Git LFS pointer"), "{told}");
    ends(2, &[&quick[..], &["--prompt-ids", ""]].concat());
}
