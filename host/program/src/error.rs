//! The errors of this crate: output that cannot be written.

use std::io::ErrorKind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A requested output cannot be written. This is found before any work is done.
    #[error("{what}: {why}")]
    Refused {
        /// The option with its file or folder.
        what: String,
        /// The reason, and the action that solves it.
        why: String,
    },
    /// An output could not be written when it was complete, for instance because the disk is full.
    #[error("{what}: cannot write: {reason}")]
    Write {
        /// The option with its file or folder, or standard output.
        what: String,
        /// The reason that the operating system gives.
        reason: ErrorKind,
    },
}

/// The exit code after [`Error::Write`]; `EX_IOERR` in `sysexits.h`.
pub const UNWRITTEN: u8 = 74;
