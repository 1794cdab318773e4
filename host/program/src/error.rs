//! The error of this crate: output that cannot be written.

/// The only error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The output of a command cannot be written.
    #[error("{what}: cannot write: {reason}")]
    Output {
        /// The option with its file, or standard output.
        what: String,
        /// The reason that the operating system gives.
        reason: std::io::ErrorKind,
    },
}
