//! Standard output and standard error that are closed or full. Text for people changes no exit code and loses no
//! report; data that a program asked for fails with a named error.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

mod program;

use program::{PROMPT, Ran, program, testdata};

/// The exit code after an output that could not be written.
const UNWRITTEN: i32 = 74;

/// A layer of the small checkpoint: all seven operators.
fn layer(more: &[&str]) -> Command {
    let mut command = program();
    command.arg("--model").arg(testdata("tiny-packed")).args(["--layer", "1", "--prompt-ids", PROMPT]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn ran(output: &Output) -> Ran {
    Ran::new("sim".into(), output)
}

fn outputs_of(report: &Path) -> Value {
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    report["totals"]["outputs"].clone()
}

#[test]
fn text_for_people_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (json, page) = (folder.path().join("r.json"), folder.path().join("r.html"));
    let files = ["--json", json.to_str().unwrap(), "--html", page.to_str().unwrap()];
    for inject in [&[][..], &["--inject", "weight-bit"]] {
        let code = i32::from(!inject.is_empty());
        for stream in [full, closed] {
            for (out, err) in [(true, false), (false, true), (true, true)] {
                let mut command = layer(&[&files, inject].concat());
                if out {
                    command.stdout(stream());
                }
                if err {
                    command.stderr(stream());
                }
                let ran = ran(&command.output().unwrap()).code(code);
                assert!(err || code == 0 || ran.err.contains("mismatch: layer 1"), "{ran}");
                assert_eq!(outputs_of(&json), 13_056, "{ran}");
                fs::remove_file(&json).unwrap();
                fs::remove_file(&page).unwrap();
            }
        }
    }
    let told = ran(&layer(&[]).stdout(full()).output().unwrap()).code(0);
    told.says(&["standard output: cannot write: no storage space"]);
}

/// `sim ... 2>&1 | head -1`: the reader leaves after the first line of standard error.
#[test]
fn a_reader_may_leave_early() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = layer(&["--json", json.to_str().unwrap(), "--inject", "result-bit"]);
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    assert!(line.contains("seed 1"), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(outputs_of(&json), 13_056);
}

#[test]
fn every_command_keeps_its_exit_code_without_a_console() {
    let model = testdata("tiny-packed").display().to_string();
    let generate = ["generate", "--model", &model, "--prompt-ids", PROMPT, "--tokens", "2"];
    for (arguments, code) in [
        (&[&generate[..], &["--device", "golden"]].concat()[..], 0),
        (&[&generate[..], &["--inject", "weight-bit"]].concat(), 1),
        (&["--layer", "30"], 2),
        (&["--bogus"], 2),
        (&["merge", "/no/such/report"], 3),
        (&["--layer", "0", "--model", &model, "--inject", "slverr"], 5),
    ] {
        for stream in [full, closed] {
            let output = program().args(arguments).stdout(stream()).stderr(stream()).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        }
    }
}

#[test]
fn data_that_was_asked_for_must_arrive() {
    let named = ["standard output: cannot write: no storage space"];
    ran(&layer(&["--json", "-"]).stdout(full()).output().unwrap()).code(UNWRITTEN).says(&named);
    ran(&layer(&["--dry-run", "--json", "-"]).stdout(full()).output().unwrap()).code(UNWRITTEN).says(&named);
    ran(&program().arg("boards").stdout(full()).output().unwrap()).code(UNWRITTEN).says(&named);
    // A mismatch is worse than a lost report.
    let both = ran(&layer(&["--json", "-", "--inject", "weight-bit"]).stdout(full()).output().unwrap());
    both.code(1).says(&named).says(&["mismatch: layer 1"]);
    // A reader that leaves early has what it wanted.
    ran(&layer(&["--json", "-"]).stdout(closed()).output().unwrap()).code(0);
}

/// An output file that cannot be written at the end stops no other output, and hides no mismatch.
#[test]
fn a_full_disk_loses_only_what_was_meant_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    for (inject, code) in [(&[][..], UNWRITTEN), (&["--inject", "weight-bit"], 1)] {
        let files = ["--html", "/dev/full", "--dump", "/dev/full", "--json", json.to_str().unwrap()];
        let ran = ran(&layer(&[&files, inject].concat()).output().unwrap()).code(code);
        assert!(ran.out.contains("self_attn.q_proj"), "{ran}");
        assert_eq!(outputs_of(&json), 13_056, "{ran}");
        ran.says(&["--html /dev/full: cannot write: no storage space", "--dump /dev/full: cannot write"]);
        fs::remove_file(&json).unwrap();
    }
}
