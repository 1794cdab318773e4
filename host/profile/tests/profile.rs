//! The built-in CPU profile: every number that can be recomputed is recomputed, and every disagreement is listed.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use bitnet::config::{Linear, ModelConfig};
use cpu_profile::report::{CpuProfile, OperatorProfile, Quantity};

/// Half a unit of the last printed digit.
const HALF: f64 = 0.005 + 1e-9;

/// The numbers of a profile that do not follow from its other numbers, with an allowance for printed rounding.
fn discrepancies(p: &CpuProfile) -> Vec<String> {
    let config = ModelConfig::bitnet_2b_4t();
    let tokens = p.meta.tokens.unwrap() as u64;
    let layer = p.block("decoder_layer").unwrap().clone();
    let mut out = Vec::new();
    let mut check = |what: String, stated: f64, low: f64, high: f64| {
        if !(low..=high).contains(&stated) {
            out.push(format!("{what}: states {stated}, recomputed {low:.4} to {high:.4}"));
        }
    };
    let mut total = 0;
    for o in &p.operators {
        let OperatorProfile { name, mean_ms, input_shape, .. } = o;
        let (stated_ops, width) = (o.ops.unwrap(), *input_shape.last().unwrap() as u64);
        total += stated_ops;
        let ops = match Linear::ALL.iter().find(|l| l.name() == name) {
            Some(l) => 2 * tokens * (l.in_features(&config) * l.out_features(&config)) as u64,
            None if o.class == "RMSNorm" => 3 * tokens * width,
            None => 2 * tokens * width,
        };
        check(format!("{name} ops"), stated_ops as f64, ops as f64, ops as f64);
        // The time is known to half a unit of its last digit. The derived values have the corresponding uncertainty.
        let (slow, fast) = (mean_ms + HALF, mean_ms - HALF);
        let (least, most) = (100.0 * fast / (layer.mean_ms + HALF), 100.0 * slow / (layer.mean_ms - HALF));
        check(format!("{name} share"), o.share_percent.unwrap(), least - HALF, most + HALF);
        let gops = |ms: f64| ops as f64 / ms / 1e6;
        check(format!("{name} GOPS"), o.gops.unwrap(), gops(slow) - HALF, gops(fast) + HALF);
        if let Some(share) = o.ops_share_percent {
            let exact = 100.0 * ops as f64 / layer.ops.unwrap() as f64;
            check(format!("{name} share of operations"), share, exact - HALF, exact + HALF);
        }
    }
    check("operations of a layer".into(), layer.ops.unwrap() as f64, total as f64, total as f64);
    for b in &p.blocks {
        let rows =
            b.members.iter().map(|m| p.operators.iter().find(|o| o.name == *m).expect("a member is an operator"));
        let (sum, slack) = (rows.clone().map(|o| o.mean_ms).sum::<f64>(), HALF * (b.members.len() + 1) as f64);
        check(format!("{} ms", b.name), b.mean_ms, sum - slack, sum + slack);
        let share = rows.map(|o| o.share_percent.unwrap()).sum::<f64>();
        check(format!("{} share", b.name), b.share_percent.unwrap(), share - slack, share + slack);
    }
    out
}

#[test]
fn tables_follow_from_each_other() {
    let p = CpuProfile::builtin();
    assert_eq!(discrepancies(&p), [""; 0]);
    assert_eq!((p.operators.len(), p.blocks.len(), p.layers.len(), p.global_layers.len()), (12, 7, 14, 2));
}

#[test]
fn a_changed_number_is_noticed() {
    for i in 0..12 {
        let changes: [fn(&mut OperatorProfile); 4] = [
            |o| o.mean_ms *= 1.1,
            |o| o.share_percent = o.share_percent.map(|s| s + 0.2),
            |o| o.ops = o.ops.map(|n| n / 2),
            |o| o.gops = o.gops.map(|g| g * 1.2),
        ];
        for change in changes {
            let mut p = CpuProfile::builtin();
            change(&mut p.operators[i]);
            assert_ne!(discrepancies(&p), [""; 0], "{}", p.operators[i].name);
        }
    }
    for i in 0..7 {
        let mut p = CpuProfile::builtin();
        p.blocks[i].mean_ms += 0.1;
        assert_ne!(discrepancies(&p), [""; 0]);
    }
}

#[test]
fn what_a_projection_reads() {
    let p = CpuProfile::builtin();
    let ms = |l| p.operator_ms(l, 14).unwrap();
    assert_eq!(Linear::ALL.map(ms), [3.54, 0.70, 0.50, 2.89, 11.92, 11.48, 11.23]);
    assert_eq!(p.operator_ms(Linear::Q, 0), Some(3.54), "layer 0 was a cold start; the mean stands for it");
    assert_eq!(p.measured_ms(Linear::Q, 0), Some(3001.72));
    assert_eq!(p.measured_ms(Linear::Down, 14), Some(10.80));
    assert_eq!(p.measured_ms(Linear::Down, 13), None);
    assert!((p.nonlinear_ms().unwrap() - 0.90).abs() < 1e-9);
    assert!((p.linear_ms(14).unwrap() - 42.26).abs() < 1e-9);
    assert_eq!(
        p.provenance(),
        "AMD Ryzen 7 9700X 8-Core, 30 GB DDR5; PyTorch, CPU only, FP32; microsoft/bitnet-b1.58-2B-4T-bf16; 2026-01-19"
    );
}

/// Every value in the list of contradictions is either quoted or recomputed here.
#[test]
fn contradictions_are_listed_with_the_right_numbers() {
    let p = CpuProfile::builtin();
    let mean = |l| p.operator_ms(l, 1).unwrap();
    let raw = |l| p.measured_ms(l, 14).unwrap();
    use Linear::{Down, Gate, K, O, Q, Up, V};
    let (mlp, attention) = ([Gate, Up, Down], [Q, K, V, O]);
    let layer = p.block("decoder_layer").unwrap().mean_ms;
    let layer_0: f64 = Linear::ALL.iter().map(|l| p.measured_ms(*l, 0).unwrap()).sum();
    let row_14: f64 = Linear::ALL.into_iter().map(raw).sum();
    let mlp_14: f64 = mlp.into_iter().map(raw).sum();
    let norms: f64 = p.operators.iter().filter(|o| o.class == "RMSNorm").map(|o| o.mean_ms).sum();
    let norm_shares: f64 = p.operators.iter().filter(|o| o.class == "RMSNorm").map(|o| o.share_percent.unwrap()).sum();
    let attention_ms: f64 = attention.into_iter().map(mean).sum();
    let linear_ms = p.linear_ms(1).unwrap();
    let fp32_mb = 2560.0 * 6912.0 * 4.0 / 1e6;
    let gops = |name: &str| {
        let o = p.operators.iter().find(|o| o.name.ends_with(name)).unwrap();
        o.ops.unwrap() as f64 / o.mean_ms / 1e6
    };
    let share = |name: &str| 100.0 * p.operators.iter().find(|o| o.name.ends_with(name)).unwrap().mean_ms / layer;
    // The entry, the index of its value, and the recomputed value.
    let recomputed = [
        ("mlp-share", 0, 100.0 * 34.63 / layer),
        ("attention-ms", 1, attention_ms),
        ("attention-share", 0, 100.0 * 7.64 / layer),
        ("attention-share", 2, 100.0 * 9.65 / layer),
        ("prose-run", 1, 9.65 / 0.192),
        ("mlp-ops", 1, 2.0 * 3.0 * 2560.0 * 6912.0 / 1e6),
        ("mlp-ops-total", 1, 3.0 * 53.07),
        ("mlp-ops-total", 2, 3.0 * 2.0 * 3.0 * 2560.0 * 6912.0 / 1e6),
        ("layer-14-mlp-share", 1, 100.0 * mlp_14 / row_14),
        ("layer-14-mlp-share", 2, 100.0 * mlp_14 / (row_14 + 0.90)),
        ("forward-ms", 1, 30.0 * layer),
        ("forward-ms", 2, layer_0 + 29.0 * layer + 0.90 + 0.82),
        ("untimed-work", 1, linear_ms + p.nonlinear_ms().unwrap()),
        ("linear-ms", 1, linear_ms),
        ("norm-share", 1, norm_shares),
        ("norm-share", 1, 100.0 * norms / layer),
        ("rounded-rates", 1, gops("o_proj")),
        ("rounded-rates", 3, gops("k_proj")),
        ("rounded-rates", 5, gops("v_proj")),
        ("rounded-rates", 7, gops("ffn_sub_norm")),
        ("rounded-rates", 9, gops("input_layernorm")),
        ("rounded-shares", 1, share("up_proj")),
        ("rounded-shares", 3, share("o_proj")),
        ("rounded-shares", 5, share("k_proj")),
        ("rounded-shares", 7, share("ffn_sub_norm")),
        ("rounded-shares", 9, share("input_layernorm")),
        ("gate-bytes", 0, fp32_mb / 16.0),
        ("gate-bytes", 1, fp32_mb),
        ("gate-bandwidth", 0, 5000.0 / 14.06),
        ("gate-bandwidth", 1, 5000.0 / mean(Gate)),
        ("gate-bandwidth", 2, 1000.0 * fp32_mb / mean(Gate)),
        ("model-memory", 2, 2_412_820_480.0 * 4.0 / 1e6),
        ("memory-growth", 0, 10063.3 - 10063.1),
        ("memory-growth", 1, 0.17 * 14.0),
    ];
    for (id, i, want) in recomputed {
        let entry = p.contradictions.iter().find(|c| c.id == id).unwrap_or_else(|| panic!("{id} is listed"));
        let stated = entry.values[i].value().unwrap();
        let digit = if stated >= 300.0 && stated.fract() == 0.0 { 0.5 } else { 0.0051 };
        let digit = if id == "forward-ms" { 0.051 } else { digit };
        assert!((stated - want).abs() <= digit, "{id}: {stated}, recomputed {want}");
    }
    let quoted = [
        ("mlp-share", vec![80.22, 80.8, 80.2]),
        ("attention-ms", vec![7.64, 7.63, 9.65]),
        ("attention-share", vec![17.70, 19.2, 22.35]),
        ("gate_proj-ms", vec![11.92, 14.06]),
        ("q_proj-ms", vec![3.54, 4.40, 4.4]),
        ("o_proj-ms", vec![2.89, 3.67]),
        ("k_proj-ms", vec![0.70, 0.86]),
        ("v_proj-ms", vec![0.50, 0.71]),
        ("mlp-ops", vec![53.07, 106.17]),
        ("layer-14-mlp-share", vec![82.9, 83.12, 81.45]),
        ("forward-ms", vec![4800.0, 1295.1, 4436.92]),
    ];
    for (id, want) in quoted {
        let entry = p.contradictions.iter().find(|c| c.id == id).unwrap();
        assert_eq!(entry.values.iter().map(|v| v.value().unwrap()).collect::<Vec<_>>(), want, "{id}");
    }
    // The numbers of the run in the prose agree with each other: its four operators sum to its 9.65 ms, and its two
    // shares sum to 100.
    assert!((4.40 + 3.67 + 0.86 + 0.71 - 9.65f64).abs() < 0.025 && (80.8 + 19.2 - 100.0f64).abs() < 1e-9);
    let mut ids: Vec<_> = p.contradictions.iter().map(|c| &c.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 24);
    for c in &p.contradictions {
        assert!(c.values.len() >= 2 && !c.why.is_empty() && c.values.len() == c.places.len(), "{}", c.id);
        assert!(c.used.is_none() || c.values.contains(c.used.as_ref().unwrap()), "{}: one of the values is used", c.id);
    }
    for (id, l) in [("gate_proj-ms", Gate), ("q_proj-ms", Q), ("o_proj-ms", O), ("k_proj-ms", K), ("v_proj-ms", V)] {
        let entry = p.contradictions.iter().find(|c| c.id == id).unwrap();
        assert_eq!(entry.used.as_ref().and_then(Quantity::value), Some(mean(l)), "{id}");
    }
}

#[test]
fn a_report_with_only_the_original_keys_loads() {
    let text = r#"{
        "meta": {"model_name": "m", "timestamp": "2026-01-19T10:00:00", "reference_freq_mhz": 3000, "host": "box"},
        "cpu_info": {"brand": "a CPU", "freq_base_mhz": "2400", "cores": 8},
        "freq_normalization": {"scale_factor": 0.8, "explanation": "2400 / 3000"},
        "stage_profiles": [{"name": "Prefill", "duration_ms": 1000, "duration_normalized_ms": "800",
            "memory_before_mb": 1, "memory_after_mb": 2, "memory_delta_mb": 1}],
        "summary": {"total_time_ms": "~4800", "peak_memory_mb": 12}
    }"#;
    let p = CpuProfile::parse(Path::new("report.json"), text).unwrap();
    assert_eq!(p.stage_profiles[0].duration_normalized_ms.as_ref().and_then(Quantity::value), Some(800.0));
    assert_eq!(p.summary.total_time_ms.value(), Some(4800.0));
    assert_eq!((p.meta.other["host"].as_str(), p.cpu_info.other["cores"].as_u64()), (Some("box"), Some(8)));
    assert_eq!((p.operator_ms(Linear::Q, 1), p.nonlinear_ms(), p.linear_ms(1)), (None, None, None));
    assert!(p.provenance().starts_with("a CPU; framework not stated; m; "));

    // A profile that was written can be read again without a change.
    for p in [p, CpuProfile::builtin()] {
        let text = serde_json::to_string(&p).unwrap();
        assert_eq!(CpuProfile::parse(Path::new("again.json"), &text).unwrap(), p);
    }
    // A row for a single layer has priority over the mean.
    let mut p = CpuProfile::builtin();
    let mut row = p.operators[0].clone();
    (row.layer, row.mean_ms) = (Quantity::Number(3.0), 9.0);
    p.operators.push(row);
    assert_eq!((p.operator_ms(Linear::Gate, 3), p.operator_ms(Linear::Gate, 4)), (Some(9.0), Some(11.92)));
    assert!((p.nonlinear_ms().unwrap() - 0.90).abs() < 1e-9);
}

#[test]
fn damaged_profiles_are_refused_by_file_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cpu.json");
    let good = serde_json::to_string_pretty(&CpuProfile::builtin()).unwrap();
    let refused = |text: &str, parts: &[&str]| {
        fs::write(&path, text).unwrap();
        let error = CpuProfile::load(&path).expect_err("damaged");
        assert!(error.is_input_file());
        let message = error.to_string();
        for part in ["cpu.json"].iter().chain(parts) {
            assert!(message.contains(part), "\"{message}\" says {part}");
        }
    };
    fs::write(&path, &good).unwrap();
    assert_eq!(CpuProfile::load(&path).unwrap(), CpuProfile::builtin());
    refused("", &["the file is empty"]);
    refused("[]", &["expected an object"]);
    for key in ["meta", "cpu_info", "freq_normalization", "stage_profiles", "summary"] {
        refused(&good.replacen(&format!("\"{key}\""), "\"x\"", 1), &[&format!("key \"{key}\" is missing")]);
    }
    refused(&good.replacen("\"brand\"", "\"x\"", 1), &["key \"cpu_info\"", "missing field `brand`"]);
    refused(&good.replacen("\"mean_ms\"", "\"x\"", 1), &["key \"operators[0]\"", "missing field `mean_ms`"]);
    refused(
        &good.replacen("\"mean_ms\": 11.92", "\"mean_ms\": \"11.92\"", 1),
        &["key \"operators[0]\"", "expected f64"],
    );
    refused(&good.replacen("\"mean_ms\": 11.92", "\"mean_ms\": -1", 1), &["operators", "zero or more"]);
    refused(&good.replacen("\"time_ms\"", "\"x\"", 1), &["key \"layers[0]\""]);
    refused(&good.replacen("\"3.1, 5.1, 5.2\",", "", 1), &["contradictions", "as many entries in \"where\""]);
    let missing = CpuProfile::load(&dir.path().join("nowhere.json")).unwrap_err();
    assert!(missing.is_input_file() && missing.to_string().contains("nowhere.json"));
}

/// Recomputes the statements of docs/cpu-profile.md about the report's conclusions from the report's raw tables.
#[test]
fn conclusions_against_arithmetic() {
    let p = CpuProfile::builtin();
    let doc = fs::read_to_string("../../docs/cpu-profile.md").unwrap();
    let config = ModelConfig::bitnet_2b_4t();
    let layer = p.block("decoder_layer").unwrap().mean_ms;
    let ms = |name: &str| p.block(name).unwrap().mean_ms;
    let (linear, nonlinear, mlp) = (ms("linear"), ms("nonlinear"), ms("mlp_linear"));
    let gate = p.operator_ms(Linear::Gate, 1).unwrap();
    let weights = (Linear::Gate.in_features(&config) * Linear::Gate.out_features(&config)) as f64;
    let (fp32, packed) = (4.0 * weights / 1e6, weights / 4.0 / 1e6);
    let all = config.weights_per_layer() as f64;
    let head = (config.vocab_size * config.hidden_size) as f64;
    let dram = 4800.0 * 8.0 * 2.0 / 1e3;
    let gops = 2.0 * 3.0 * weights / gate / 1e6;
    let roof = dram * 6.0 / 4.0;
    let peak = 8.0 * 64.0 * 3.8;
    // The figures of sections 3.3.1, 4.5.1 and 4.5.2 that are right.
    assert_eq!(6912.0 / 2560.0, 2.7);
    assert!((17.69 - weights / 1e6).abs() < 0.005 && (4.42 - packed).abs() < 0.005 && dram == 76.8);
    assert!((0.03072f64 - 3.0 * 2560.0 * 4.0 / 1e6).abs() < 1e-12 && (100.0 * 356.0 / 76800.0 - 0.46f64).abs() < 0.005);
    assert!((100.0 * 318.505 / 416.98 - 76.4f64).abs() < 0.05 && 36.49f64 == 12.14 + 13.55 + 10.80);
    let faster = |factor: f64| linear / factor + nonlinear;
    let section = doc.split("## ").find(|s| s.starts_with("Where the report contradicts arithmetic")).unwrap();
    let numbers: Vec<&str> =
        section.split(|c: char| !c.is_ascii_digit() && c != '.').map(|n| n.trim_end_matches('.')).collect();
    for (what, stated) in [
        (5.938, format!("{:.3}", fp32 / gate)),
        (7.7, format!("{:.1}", 100.0 * fp32 / gate / dram)),
        (115.2, format!("{roof:.1}")),
        (12.9, format!("{:.1}", roof / gops)),
        (283.1, format!("{:.1}", 4.0 * fp32)),
        (23.8, format!("{:.1}", 4.0 * fp32 / gate)),
        (31.0, format!("{:.0}", 100.0 * 4.0 * fp32 / gate / dram)),
        (446.0, format!("{:.0}", 8.91 / 0.02)),
        (391.0, format!("{:.0}", 19.55 / 0.05)),
        (1946.0, format!("{peak:.0}")),
        (0.46, format!("{:.2}", 100.0 * 8.91 / peak)),
        (1.0, format!("{:.1}", 100.0 * 19.55 / peak)),
        (4.45, format!("{:.2}", packed + 0.03072)),
        (277.9, format!("{:.1}", 4.0 * all / 1e6)),
        (521.0, format!("{:.0}", 30.0 * all / 4.0 / 1e6)),
        (126.0, format!("{:.0}", 4.0 * (30.0 * all + head) / dram / 1e6)),
        (5.1, format!("{:.1}", layer / (layer - mlp))),
        (48.0, format!("{:.0}", layer / nonlinear)),
        (39.0, format!("{:.0}", 100.0 * nonlinear / faster(30.0))),
        (18.7, format!("{:.1}", layer / faster(30.0))),
    ] {
        assert_eq!(stated.parse::<f64>().unwrap(), what, "recomputed");
        assert!(numbers.contains(&stated.as_str()), "docs/cpu-profile.md says {stated}");
    }
}
