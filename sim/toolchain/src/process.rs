//! Runs programs for their output.

use std::process::{Command, Output};

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
    let output = command.output().map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(format!("`{program}` failed: {}", log(&output)))
    }
}
