//! Errors of this crate.

use std::path::PathBuf;

/// The result of functions in this crate that read reports or measure.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the measured model, of the request, or of the file of a report.
    #[error(transparent)]
    Model(#[from] bitnet::Error),
    /// A profile report cannot be compared with the other reports.
    #[error("{}: cannot be combined with the other reports: {reason}", path.display())]
    ForeignReport {
        /// File of the report.
        path: PathBuf,
        /// The expected and the found value.
        reason: String,
    },
}
