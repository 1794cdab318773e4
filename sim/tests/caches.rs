//! The cache of models and tools: shared by users, read-only, on file systems that run no programs; and compilers with
//! arguments.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use toolchain::cache::cache_dir;

mod program;

use program::{Ran, program, sim};

const LAYER: [&str; 4] = ["--layer", "14", "--op", "k_proj"];

/// Runs the program with the cache `$CACHE` after `prepare`, in a place where it may mount file systems. `None` if that
/// is not allowed here.
fn mounted(cache: &Path, prepare: &str) -> Option<Ran> {
    let script = format!("{prepare} || exit 99; TMV_CACHE_DIR=\"$CACHE\" exec \"$SIM\" {}", LAYER.join(" "));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env("SIM", cargo_bin!("sim")).env("CACHE", cache);
    match command.output() {
        Ok(output) if output.status.code() != Some(99) && !output.stderr.starts_with(b"unshare") => {
            Some(Ran::new(script, &output))
        }
        _ => {
            eprintln!("mounts are not allowed here: caches on other file systems are NOT checked");
            None
        }
    }
}

const READ_ONLY: &str = "mount --bind \"$CACHE\" \"$CACHE\" && mount -o remount,bind,ro \"$CACHE\"";

#[test]
fn a_complete_cache_may_be_read_only() {
    sim(&LAYER).code(0);
    if let Some(ran) = mounted(&cache_dir(), READ_ONLY) {
        ran.code(0);
    }
    let empty = tempfile::tempdir().unwrap();
    if let Some(ran) = mounted(empty.path(), READ_ONLY) {
        let path = empty.path().display().to_string();
        ran.code(4).says(&[&path, "cannot be written", "not everything needed is in it", "TMV_CACHE_DIR"]);
    }
}

#[test]
fn a_cache_that_runs_no_programs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(ran) = mounted(folder.path(), "mount -t tmpfs -o noexec none \"$CACHE\"") {
        let path = folder.path().display().to_string();
        ran.code(4).says(&[&path, "noexec", "set TMV_CACHE_DIR"]);
    }
}

#[test]
fn a_compiler_may_have_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("wrapper");
    // The wrapper passes questions on, and does not compile.
    let script =
        "#!/bin/sh\ncase \"$*\" in *--version*|*-E*) exec \"$@\";; esac\necho the wrapper got \"$1\" >&2; exit 1\n";
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o755)).unwrap();
    let run = |compiler: String| {
        let output = program().args(LAYER).env("CXX", &compiler).output().unwrap();
        Ran::new(format!("CXX='{compiler}' sim"), &output)
    };
    run(format!("{} c++", wrapper.display())).code(4).says(&["the wrapper got c++"]);
    run("/no/such/wrapper c++".into()).code(4).says(&["cannot run `/no/such/wrapper`", "CXX"]);
}
