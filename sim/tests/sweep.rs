//! The sweep command: the error of its formula against the RTL, and its output files.
#![allow(clippy::unwrap_used)]

mod program;

use std::fs;

use program::sim;

#[test]
fn the_formula_is_near_the_rtl() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, svg) = (folder.path().join("a.csv"), folder.path().join("a.svg"));
    let (csv_name, svg_name) = (csv.display().to_string(), svg.display().to_string());
    let units = ["sweep", "--board", "kv260", "--ports", "4", "--vectors", "4", "--groups", "2", "--sample", "2"];
    let ran = sim(&[&units[..], &["--json", "-", "--csv", &csv_name, "--svg", &svg_name]].concat()).code(0);
    let sweep = ran.json();
    let samples = sweep["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2, "{ran}");
    for s in samples {
        let [tokens, outputs, mismatches] = ["tokens", "outputs", "mismatches"].map(|key| s[key].as_u64().unwrap());
        assert_eq!((outputs, mismatches), (22_784 * tokens, 0), "{s}");
        assert!(s["error"].as_f64().unwrap().abs() < 0.03, "{s}");
    }
    let points = sweep["points"].as_array().unwrap();
    let decode = |i: usize| points[i]["decode_tokens_per_s"].as_f64().unwrap();
    assert_eq!((&points[0]["codec"], &points[1]["codec"]), (&"2bit".into(), &"base3".into()));
    assert!(decode(1) > 1.2 * decode(0), "base 3 wins where memory is the limit");
    let mut rows = csv::Reader::from_path(&csv).unwrap();
    let header = rows.headers().unwrap().clone();
    assert_eq!(header.get(0), Some("board"));
    assert_eq!(rows.records().map(Result::unwrap).count(), points.len());
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
}

#[test]
fn every_board_has_its_points() {
    let boards = "kv260,zcu102,zcu104,zedboard,zc706,pynq-z2";
    let units = ["sweep", "--board", boards, "--sample", "0", "--ports", "2,4,8", "--width", "64,128"];
    let sweep = sim(&[&units[..], &["--json", "-"]].concat()).code(0).json();
    let points = sweep["points"].as_array().unwrap();
    for board in boards.split(',') {
        let of = |ports: u64, bits: u64| {
            points.iter().any(|p| p["board"] == board && p["ports"] == ports && p["port_bits"] == bits)
        };
        assert!(of(2, 64) && of(4, 64) && !of(8, 64), "{board}");
        assert_eq!(of(4, 128), !["zedboard", "zc706", "pynq-z2"].contains(&board), "{board}");
        assert!(points.iter().any(|p| p["board"] == board && p["pareto"] == true), "{board} has a front");
    }
    let ran = sim(&units).code(0);
    assert!(ran.out.contains("seen to deliver 1.58 to 2.04 GB/s"), "{ran}");
}

#[test]
fn wrong_sweeps_are_usage_errors() {
    for (arguments, texts) in [
        (&["sweep", "--board", "kv620"][..], &["kv620"][..]),
        (&["sweep", "--ports", "8"], &["no such unit can be built"]),
        (&["sweep", "--width", "32"], &["expected 64 or 128"]),
        (&["sweep", "--csv", "/no/such/folder/x"], &["--csv /no/such/folder/x: cannot write"]),
    ] {
        sim(arguments).code(2).says(texts);
    }
}
