//! Tests that need something that not every machine has.
#![allow(unreachable_pub)]

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use soft_core::core::Core;

/// Rust for a core, if this machine does not have it.
pub fn missing_target(core: Core) -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let arguments = ["--print", "target-libdir", "--target", core.target()];
    let library = Command::new(rustc).args(arguments).output().expect("cargo test has a rustc").stdout;
    let library = String::from_utf8_lossy(&library).trim().to_owned();
    (!Path::new(&library).is_dir()).then(|| format!("Rust for {}", core.target()))
}

/// A test. If `missing` names something that it needs, the summary counts the test as ignored and names what is missing.
/// In CI it fails, because `.ci/run` installs everything.
pub fn trial(name: &str, missing: Option<String>, body: fn()) -> Trial {
    let Some(missing) = missing else {
        return Trial::test(name, move || {
            body();
            Ok(())
        });
    };
    let why = format!("{missing} is missing");
    let ignored = std::env::var_os("CI").is_none();
    Trial::test(name, {
        let why = why.clone();
        move || Err(why.into())
    })
    .with_kind(why)
    .with_ignored_flag(ignored)
}
