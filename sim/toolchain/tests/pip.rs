//! The first use fetches packages with pip, whatever the user's settings for Python and pip are. The tests install a
//! package from a folder and need no network.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

const INSTALL: &str = include_str!("../../../tools/pip_install.py");

/// Writes a wheel, and the requirement that names it, into `folder`.
const WHEEL: &str = "
import hashlib, pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
wheel = folder / 'tmv_probe-1.0-py3-none-any.whl'
info = 'tmv_probe-1.0.dist-info/'
with zipfile.ZipFile(wheel, 'w') as file:
    file.writestr('tmv_probe.py', 'here = 1')
    file.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: tmv-probe\\nVersion: 1.0\\n')
    file.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    file.writestr(info + 'RECORD', ''.join(name + ',,\\n' for name in file.namelist()))
digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
(folder / 'requirements.txt').write_text(f'tmv-probe==1.0 --hash=sha256:{digest}\\n')
";

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let environment: Vec<_> = command.get_envs().collect();
    assert!(output.status.success(), "{environment:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder with a wheel, and a pip.conf that says where wheels are.
fn prepared(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("python3").args(["-I", "-c", WHEEL]).arg(folder.path()));
    let links = folder.path().display();
    fs::write(folder.path().join("pip.conf"), format!("[global]\nno-index = true\nfind-links = {links}\n{more}"))
        .unwrap();
    folder
}

/// Installs the wheel of `folder` into a folder `into`, with more variables in the environment.
fn install(folder: &Path, environment: &[(&str, &str)]) {
    let into = folder.join("into");
    let mut command = Command::new("python3");
    command.args(["-I", "-c", INSTALL]).arg(&into).arg(folder.join("requirements.txt"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PIP_")) {
        command.env_remove(name);
    }
    command.env("PIP_CONFIG_FILE", folder.join("pip.conf")).env("HOME", folder).envs(environment.iter().copied());
    run(&mut command);
    assert!(into.join("tmv_probe.py").exists(), "{environment:?}");
    let elsewhere = fs::read_dir(folder).unwrap().any(|entry| entry.unwrap().file_name() == "elsewhere");
    assert!(!elsewhere, "{environment:?}");
    fs::remove_dir_all(into).unwrap();
}

#[test]
fn settings_for_other_packages_do_no_harm() {
    let folder = prepared("require-virtualenv = true\nuser = true\n[install]\nuser = true\n");
    let elsewhere = folder.path().join("elsewhere").display().to_string();
    // A pip that fails, should it be found.
    fs::write(folder.path().join("pip.py"), "raise SystemExit('the wrong pip')").unwrap();
    let here = folder.path().display().to_string();
    for environment in [
        &[][..],
        &[("PIP_USER", "1")],
        &[("PIP_TARGET", &elsewhere)],
        &[("PIP_PREFIX", &elsewhere)],
        &[("PIP_ROOT", &elsewhere)],
        &[("PIP_REQUIRE_VIRTUALENV", "1")],
        &[("PIP_NO_BINARY", ":all:")],
        &[("PIP_DRY_RUN", "1")],
        &[("PYTHONPATH", &here)],
        &[("PYTHONHOME", "/nowhere")],
        &[("PYTHONSTARTUP", "/nowhere"), ("PYTHONUSERBASE", "/nowhere"), ("PYTHONNOUSERSITE", "")],
    ] {
        install(folder.path(), environment);
    }
    let folder = prepared("[install]\ntarget = elsewhere\nprefix = elsewhere\n");
    install(folder.path(), &[]);
}

#[test]
fn settings_of_the_index_are_kept() {
    let folder = prepared("");
    let links = folder.path().display().to_string();
    install(folder.path(), &[]);
    // The environment has precedence.
    fs::write(folder.path().join("pip.conf"), "[global]\nno-index = true\nfind-links = /nowhere\n").unwrap();
    install(folder.path(), &[("PIP_FIND_LINKS", &links)]);
}
