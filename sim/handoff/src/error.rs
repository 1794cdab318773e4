//! Errors of hand-offs.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no hand-off for this board.
    #[error("--board: no board is called \"{name}\"; boards are {known}")]
    UnknownBoard {
        /// The requested board.
        name: String,
        /// The names of all boards.
        known: String,
    },
    /// A file of the RTL is missing.
    #[error(transparent)]
    Rtl(#[from] rtl::Error),
    /// The writer of the wrapper cannot read a file of the RTL.
    #[error("{}: {what}", path.display())]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// The problem with the file.
        what: String,
    },
    /// The folder cannot be written.
    #[error(transparent)]
    Output(#[from] program::Error),
    /// The user asked to stop.
    #[error("interrupted: nothing was written")]
    Interrupted,
}
