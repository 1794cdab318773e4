//! The page of a report: it is well-formed, needs no other file, and shows the numbers of the report.
#![allow(clippy::unwrap_used)]

use std::fs;

use roxmltree::Document;
use serde_json::Value;

mod program;

use program::{Ran, sim, testdata};

/// `sim --layer 14` with synthetic weights and the options `more`.
fn layer(more: &[&str]) -> Ran {
    sim(&[&["--layer", "14"], more].concat())
}

/// The number of compared fields, and a description of each field of `page` that differs from `report`.
fn differences(page: &str, report: &Value) -> (usize, Vec<String>) {
    let document = Document::parse(page.strip_prefix("<!DOCTYPE html>").unwrap()).unwrap();
    let fields = document.descendants().filter_map(|n| Some((n, n.attribute("data-field")?)));
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (node, path) in fields {
        compared += 1;
        let shown: String = node.descendants().filter_map(|n| n.text().filter(|_| n.is_text())).collect();
        let value = report.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or(&Value::Null);
        let same = match value {
            Value::Null => shown == "-",
            Value::String(text) => shown == *text,
            Value::Number(number) => {
                let decimals = shown.split_once('.').map_or(0, |(_, digits)| digits.len());
                shown == format!("{:.decimals$}", number.as_f64().unwrap())
            }
            Value::Bool(yes) => shown == yes.to_string(),
            _ => false,
        };
        if !same {
            wrong.push(format!("{path}: {shown} on the page, {value} in the report"));
        }
    }
    (compared, wrong)
}

/// The report that the page contains.
fn embedded(page: &str) -> Value {
    let document = Document::parse(page.strip_prefix("<!DOCTYPE html>").unwrap()).unwrap();
    let script = document.descendants().find(|n| n.attribute("id") == Some("report")).unwrap();
    serde_json::from_str(script.text().unwrap()).unwrap()
}

#[test]
fn every_number_is_that_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for more in [&["--tokens", "3"][..], &["--tokens", "1"], &["--memory", "ideal"]] {
        layer(&[more, &["--html", &path("page"), "--svg", &path("svg"), "--json", &path("json")]].concat()).code(0);
        let page = fs::read_to_string(path("page")).unwrap();
        let report: Value = serde_json::from_slice(&fs::read(path("json")).unwrap()).unwrap();
        assert_eq!(embedded(&page), report);
        let (compared, wrong) = differences(&page, &report);
        assert!(compared > 300 && wrong.is_empty(), "{compared} compared\n{}", wrong.join("\n"));

        // The page needs no other file. The name of a namespace is not a reference.
        let rest = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for outside in ["src=", "href=", "url(", "@import", "<link", "http://", "https://"] {
            assert!(!rest.contains(outside), "{outside}");
        }
        for name in ["operators", "roofline", "amdahl", "ports"] {
            let svg = fs::read_to_string(folder.path().join("svg").join(format!("{name}.svg"))).unwrap();
            assert!(page.contains(&svg), "{name}");
            Document::parse(&svg).unwrap();
        }

        // The comparison detects a number that is wrong in its last digit.
        let cycles = report["projection"]["phases"][0]["linears"][0]["cycles"].as_f64().unwrap();
        let field = "data-field=\"projection.phases.0.linears.0.cycles\">";
        let (right, off) = (format!("{field}{cycles:.0}<"), format!("{field}{:.0}<", cycles + 1.0));
        assert!(page.contains(&right));
        let (_, wrong) = differences(&page.replacen(&right, &off, 1), &report);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }
}

#[test]
fn a_whole_model_has_a_page_and_so_has_a_part_of_a_layer() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page");
    let model = testdata("tiny-packed").display().to_string();
    for more in [&["--all-layers"][..], &["--layer", "1", "--op", "q_proj"]] {
        let arguments = [more, &["--model", &model, "--tokens", "1", "--html", page.to_str().unwrap()]].concat();
        sim(&arguments).code(0);
        let text = fs::read_to_string(&page).unwrap();
        let (compared, wrong) = differences(&text, &embedded(&text));
        assert!(compared > 10 && wrong.is_empty(), "{compared} compared\n{}", wrong.join("\n"));
        assert_eq!(text.contains("No projection of a token"), more.contains(&"--op"));
    }
}

/// What a vector unit computed, and what need not be read: tables and a picture of their own.
#[test]
fn every_operator_and_every_zero_is_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let model = testdata("tiny-packed").display().to_string();
    let arguments = ["--all-layers", "--model", &model, "--prompt-ids", "318,2,282", "--context", "2"];
    let more = ["--nonlinear", "vector", "--html", &path("page"), "--svg", &path("svg")];
    sim(&[&arguments[..], &more].concat()).code(0);
    let page = fs::read_to_string(path("page")).unwrap();
    let (_, wrong) = differences(&page, &embedded(&page));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for field in ["nonlinear.token.cycles", "nonlinear.operators.24.cycles", "zeros.1.zero_down_inputs"] {
        assert!(page.contains(&format!("data-field=\"{field}\"")), "{field}");
    }
    assert!(page.contains(&fs::read_to_string(folder.path().join("svg/units.svg")).unwrap()));
}

#[test]
fn more_profiles_stand_beside_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine.json");
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/profile/data/ryzen-9700x-pytorch.json");
    let mut profile: Value = serde_json::from_slice(&fs::read(built_in).unwrap()).unwrap();
    profile["meta"]["machine"] = "mine".into();
    fs::write(&mine, profile.to_string()).unwrap();
    let mine = mine.to_str().unwrap();
    let report = layer(&["--cpu-profile", mine, "--cpu-profile", built_in, "--json", "-"]).code(0).json();
    let baselines = report["projection"]["baselines"].as_array().unwrap();
    assert_eq!(baselines.len(), 3);
    assert!(report["cpu_profile"]["provenance"].as_str().unwrap().starts_with("mine"), "the first one is in the table");
    assert_eq!(baselines[1]["layer_ms"], baselines[0]["layer_ms"]);

    // If a profile has the time of the whole prompt, the report has a whole pass: the profile's prefill, with the
    // times of its linears replaced by the unit's.
    profile["stage_profiles"][0]["duration_ms"] = 1500.0.into();
    fs::write(mine, profile.to_string()).unwrap();
    let report = layer(&["--cpu-profile", mine, "--json", "-"]).code(0).json();
    let phases = report["projection"]["phases"].as_array().unwrap();
    let prefill = phases.iter().find(|phase| phase["name"] == "prefill").unwrap();
    let on = prefill["on_cores"].as_array().unwrap().iter().find(|on| on["core"].as_str().unwrap().starts_with("mine"));
    let (on, number) = (on.unwrap(), |value: &Value| value.as_f64().unwrap());
    let unit = number(&prefill["linear_ms"]) + number(&prefill["driver_ms"]);
    let cpu = number(&report["projection"]["baselines"][1]["linear_ms"]);
    assert!((number(&on["pass_ms"]) - (1500.0 - 30.0 * cpu + 30.0 * unit)).abs() < 1e-6, "{on}");
    assert!(report["projection"]["amdahl"].as_array().unwrap().iter().all(|curve| number(&curve["limit"]) > 1.0));
}
