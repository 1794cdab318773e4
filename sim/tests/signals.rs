//! Signals: Ctrl-C, SIGTERM and SIGHUP end the command in order.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use toolchain::cache::cache_dir;

mod program;

use program::{Ran, program, sim};

const SIGNALS: [(&str, i32); 3] = [("-INT", 130), ("-TERM", 143), ("-HUP", 129)];

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Waits for the first line on standard error. The program catches signals before it writes this line.
fn first_line(child: &mut Child) {
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
}

/// Waits until `ready` holds.
#[track_caller]
fn until(mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(120), "this takes too long");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn signals_end_a_run_in_order() {
    for (signal, code) in SIGNALS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let mut command = program();
        // The run is long enough to be interrupted, because every channel is idle most of the time.
        command.args(["--layer", "14", "--stall", "250", "--tokens", "64", "--json"]).arg(&file);
        let mut child = piped(&mut command).spawn().unwrap();
        first_line(&mut child);
        thread::sleep(Duration::from_millis(800));
        send(signal, &child);
        let ran = Ran::new(format!("sim, kill {signal}"), &child.wait_with_output().unwrap()).code(code);
        assert!(ran.err.contains("interrupted") && ran.out.is_empty(), "{ran}");
        assert!(names(folder.path()).is_empty(), "nothing half-written");
    }
}

#[test]
fn the_verified_part_is_reported() {
    for (signal, code) in SIGNALS {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal) = (folder.path().join("report.json"), folder.path().join("journal"));
        let mut command = program();
        command.args(["--all-layers", "--jobs", "1", "--json"]).arg(&file).arg("--journal").arg(&journal);
        let child = piped(&mut command).spawn().unwrap();
        until(|| fs::read_to_string(&journal).is_ok_and(|text| text.lines().count() > 2));
        send(signal, &child);
        let ran = Ran::new(format!("sim --all-layers, kill {signal}"), &child.wait_with_output().unwrap()).code(code);
        let ran = ran.says(&["of 120 runs verified", "partial report written"]);
        let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!((&report["complete"], &report["totals"]["mismatches"]), (&false.into(), &0.into()), "{ran}");
        let runs = report["runs"].as_array().unwrap().len();
        assert!((2..120).contains(&runs), "{runs} runs");
        assert_eq!(names(folder.path()).len(), 2, "{ran}");
    }
}

/// Number of processes whose arguments contain `mark`.
fn processes(mark: &str) -> usize {
    let arguments = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let all = fs::read_dir("/proc").unwrap().flatten().map(arguments);
    all.filter(|text| String::from_utf8_lossy(text).contains(mark)).count()
}

/// A compiler that takes its time, as g++ does: it starts a program that does the work.
#[test]
fn programs_of_a_build_end_too() {
    for (signal, code) in SIGNALS {
        let folder = tempfile::tempdir().unwrap();
        let (cache, slow, mark) =
            (folder.path().join("cache"), folder.path().join("slow-c++"), folder.path().join("works"));
        // The compiler answers questions, and never finishes its work.
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--version*|*-E*) exec c++ \"$@\";; esac\nsh -c 'sleep 600; : {0}'; : {0}\n",
            mark.display()
        );
        fs::write(&slow, script).unwrap();
        Command::new("chmod").arg("+x").arg(&slow).status().unwrap();
        // The tools of the usual cache spare a download.
        fs::create_dir(&cache).unwrap();
        sim(&["--layer", "14", "--op", "k_proj"]).code(0);
        std::os::unix::fs::symlink(cache_dir().join("tools"), cache.join("tools")).unwrap();
        let mut command = program();
        command.args(["--layer", "14", "--op", "k_proj"]).env("CXX", &slow).env("TMV_CACHE_DIR", &cache);
        let child = piped(&mut command).spawn().unwrap();
        let mark = mark.display().to_string();
        until(|| processes(&mark) > 0);
        send(signal, &child);
        let start = Instant::now();
        let ran = Ran::new(format!("sim, kill {signal}"), &child.wait_with_output().unwrap()).code(code);
        assert!(start.elapsed() < Duration::from_secs(20), "{ran}");
        until(|| processes(&mark) == 0);
        let left = |kind: &str| names(&cache.join(kind)).iter().any(|name| name.starts_with(".tmp"));
        assert!(!left("models") && !left("runtime"), "{ran}");
    }
}

#[test]
fn an_export_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["export", "--out"]).arg(folder.path().join("model"));
    let child = piped(&mut command).spawn().unwrap();
    until(|| !names(folder.path()).is_empty());
    send("-TERM", &child);
    Ran::new("sim export".into(), &child.wait_with_output().unwrap()).code(143).says(&["interrupted"]);
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
}

/// `nohup sim ...` survives the end of its terminal.
#[test]
fn an_ignored_signal_stays_ignored() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" --layer 14 --op k_proj --stall 200"]);
    let mut child = piped(command.arg(assert_cmd::cargo::cargo_bin!("sim"))).spawn().unwrap();
    first_line(&mut child);
    send("-HUP", &child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

/// A limit of the size of files is an error of the file, not the end of the program.
#[test]
fn a_limit_of_file_sizes_is_no_signal() {
    let folder = tempfile::tempdir().unwrap();
    let run = |limit: &str, code: i32| {
        let script = format!("{limit} \"$0\" --layer 14 --op k_proj --trace k.fst --html r.html");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).arg(assert_cmd::cargo::cargo_bin!("sim")).current_dir(folder.path());
        Ran::new(script, &piped(&mut command).output().unwrap()).code(code)
    };
    run("", 0);
    let ran = run("ulimit -f 4;", 74).says(&["--trace k.fst: cannot write", "--html r.html: cannot write"]);
    assert!(ran.out.contains("self_attn.k_proj"), "{ran}");
}
