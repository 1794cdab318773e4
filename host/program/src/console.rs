//! Console output: data and text on standard output, messages for people on standard error.
//!
//! No other module writes to the console. Text for people changes no exit code and loses no report, whatever becomes
//! of the console: only data, which a program asked for, can fail.
#![allow(clippy::disallowed_methods)] // This is the one place.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::Error;

/// Prints data on standard output. It is no error if the reader closes the pipe early.
///
/// # Errors
/// [`Error::Write`] if standard output cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Error> {
    match write(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Write { what: "standard output".into(), reason: error.kind() })
        }
        _ => Ok(()),
    }
}

/// Prints text for people on standard output. The first failure is told on standard error, and nothing else follows
/// from it: what the text says is also in the exit code, and in the files that the options name.
pub fn show(text: &str) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if let Err(error) = write(text)
        && error.kind() != ErrorKind::BrokenPipe
        && !TOLD.swap(true, Ordering::Relaxed)
    {
        tell(format_args!("standard output: cannot write: {}; text is missing there", error.kind()));
    }
}

/// Prints a line for people on standard error. A failure is ignored, because no result depends on these lines.
pub fn tell(line: impl fmt::Display) {
    // One write keeps the line whole if other processes write to the same terminal.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Converts `value` to JSON for files and standard output, with a line end.
pub fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports have string keys only") + "\n"
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}
