//! Console output: data on standard output, messages for people on standard error.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::Error;

/// Prints data on standard output. It is no error if the reader closes the pipe early.
///
/// # Errors
/// [`Error::Output`] if standard output cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Output { what: "standard output".into(), reason: error.kind() })
        }
        _ => Ok(()),
    }
}

/// Prints a line for people on standard error. A failure is ignored, because no result depends on these lines.
pub fn tell(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Converts `value` to JSON for files and standard output, with a line end.
pub fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports have string keys only") + "\n"
}
