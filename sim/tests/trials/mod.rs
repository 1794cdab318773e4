//! Tests that need something that not every machine has.
#![allow(unreachable_pub)]

use libtest_mimic::Trial;

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
