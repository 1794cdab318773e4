//! The outputs of the command: refused before the run if they cannot be written, and written where they are.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

mod program;

use program::{PROMPT, Ran, program, testdata};

/// Runs the command in `folder`.
fn sim_in(folder: &Path, arguments: &[&str]) -> Ran {
    let output = program().args(arguments).current_dir(folder).output().unwrap();
    Ran::new(format!("sim {}", arguments.join(" ")), &output)
}

#[test]
fn two_outputs_are_two_files() {
    let folder = tempfile::tempdir().unwrap();
    symlink("a", folder.path().join("link")).unwrap();
    let layer = ["--layer", "14", "--op", "k_proj"];
    for outputs in [
        ["--json", "a", "--html", "a"],
        ["--json", "a", "--html", "./a"],
        ["--json", "a", "--dump", "link"],
        ["--trace", "a", "--json", "a"],
        ["--journal", "a", "--json", "link"],
    ] {
        let ran = sim_in(folder.path(), &[&layer[..], &outputs].concat()).code(2);
        ran.says(&[outputs[0], outputs[2], "names the same file"]);
    }
    let picture = format!("d/{}.svg", report::html::PICTURES[0]);
    fs::create_dir(folder.path().join("d")).unwrap();
    let page = ["--html", &picture, "--svg", "d"];
    sim_in(folder.path(), &[&layer[..], &page].concat()).code(2).says(&["--svg", "names the same file"]);
    let sweep = ["sweep", "--ports", "4", "--sample", "0", "--csv", "a", "--svg", "a"];
    sim_in(folder.path(), &sweep).code(2).says(&["--csv", "--svg a", "names the same file"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "only the link and the folder");
}

#[test]
fn a_folder_may_be_the_current_one_or_a_link() {
    let parent = tempfile::tempdir().unwrap();
    let path = |name: &str| parent.path().join(name);
    fs::create_dir(path("here")).unwrap();
    fs::create_dir(path("aim")).unwrap();
    symlink("aim", path("link")).unwrap();
    sim_in(&path("here"), &["handoff", "--out", "."]).code(0);
    sim_in(parent.path(), &["handoff", "--out", "link"]).code(0);
    for name in ["here", "aim"] {
        assert!(path(name).join("SHA256SUMS").exists());
        assert!(fs::read_dir(path(name)).unwrap().all(|e| !e.unwrap().file_name().to_string_lossy().starts_with('.')));
    }
    assert!(path("link").is_symlink());
    // Found before a gigabyte is written, and without work.
    for out in ["/proc/here", "/dev/null", "here"] {
        sim_in(parent.path(), &["export", "--out", out]).code(2).says(&["--out", out]);
    }
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 3);
}

/// A container can have a single file of its host as a mount, and an empty folder too.
#[test]
fn mounts_are_filled() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["r.json", "of-host.json"] {
        fs::write(folder.path().join(name), "old").unwrap();
    }
    fs::create_dir(folder.path().join("out")).unwrap();
    let script = "\
        mount --bind of-host.json r.json && mount -t tmpfs none out || exit 99
        \"$SIM\" --layer 14 --op k_proj --json r.json || exit 1
        \"$SIM\" handoff --out out && test -e out/SHA256SUMS && grep -q totals of-host.json";
    if let Some(ran) = with_mounts(folder.path(), script) {
        ran.code(0);
        assert_eq!(fs::read(folder.path().join("r.json")).unwrap(), b"old", "the mount is gone with its namespace");
    }
}

/// Runs `script` where it may mount file systems; `None` if that is not allowed here. It exits with 99 if a mount fails.
fn with_mounts(folder: &Path, script: &str) -> Option<Ran> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).env("SIM", cargo_bin!("sim")).current_dir(folder);
    match command.output() {
        Ok(output) if output.status.code() != Some(99) && !output.stderr.starts_with(b"unshare") => {
            Some(Ran::new(script.into(), &output))
        }
        _ => {
            eprintln!("mounts are not allowed here: outputs on other file systems are NOT checked");
            None
        }
    }
}

/// The waveform is the largest output, and it is written during the run.
#[test]
fn a_waveform_that_does_not_fit_loses_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("small")).unwrap();
    for (name, inject, code) in [("k.fst", "", 74), ("k.vcd", "", 74), ("k.fst", "--inject weight-bit", 1)] {
        let script = format!(
            "mount -t tmpfs -o size=16k none small || exit 99
            \"$SIM\" --layer 14 --op k_proj --json r.json --trace small/{name} {inject}
            code=$?; ls -A small; exit $code"
        );
        let Some(ran) = with_mounts(folder.path(), &script) else { return };
        let ran = ran.code(code).says(&[&format!("error: --trace small/{name}: cannot write: no storage space")]);
        assert!(ran.out.trim_end().ends_with("projected, not measured on a board"), "half a waveform is left: {ran}");
        let report: Value = serde_json::from_slice(&fs::read(folder.path().join("r.json")).unwrap()).unwrap();
        assert_eq!(report["totals"]["outputs"], 1_920, "{ran}");
    }
}

/// What standard output has already stays when a file is written to it.
#[test]
fn standard_output_can_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = testdata("tiny-packed").display().to_string();
    let out = fs::File::create(folder.path().join("out")).unwrap();
    let mut command = program();
    command.args(["--layer", "1", "--model", &model, "--prompt-ids", PROMPT, "--json", "/dev/stdout"]);
    assert_eq!(command.stdout(out).status().unwrap().code(), Some(0));
    let text = fs::read_to_string(folder.path().join("out")).unwrap();
    assert!(text.starts_with("Layer 1 of") && text.contains("\"schema_version\""), "{text}");
}
