//! Runs programs for their output.
//!
//! Every program gets a process group of its own, so that it can be ended with all programs that it has started: g++
//! leaves the work to cc1plus, and pip to other Pythons.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// The process groups that are running.
struct Running {
    groups: Vec<Pid>,
    /// Whether no more programs may start.
    stopped: bool,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { groups: Vec::new(), stopped: false });

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends all programs that this module has started, and starts no more. For a program that a signal asked to stop.
pub fn stop_all() {
    let mut running = running();
    running.stopped = true;
    for group in &running.groups {
        // A group that has just ended is no longer there.
        let _ = kill_process_group(*group, Signal::TERM);
    }
}

/// Runs a program, without input, until it ends.
///
/// # Errors
/// If it cannot be started, or after [`stop_all`].
pub fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let (child, group) = {
        // The lock is held, so that `stop_all` misses no program.
        let mut running = running();
        if running.stopped {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        let group = Pid::from_child(&child);
        running.groups.push(group);
        (child, group)
    };
    let output = child.wait_with_output();
    running().groups.retain(|other| *other != group);
    output
}

/// A command that runs a program of Python, without the user's settings for Python: they are for other programs.
pub fn python(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PYTHON")) {
        command.env_remove(name);
    }
    command
}

/// The error output and the standard output of a program that failed; its exit status if it printed nothing.
pub fn log(output: &Output) -> String {
    let text = [&output.stderr[..], &output.stdout[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    if text.is_empty() { output.status.to_string() } else { text.to_owned() }
}

/// Runs a program and returns its standard output.
///
/// # Errors
/// The output of a program that failed, or the reason why it cannot be run.
pub fn stdout(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = output(command).map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(format!("`{program}` failed: {}", log(&output)))
    }
}
