//! Errors of reports and journals.

use std::fmt::Display;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A report or journal is missing, damaged, of another kind, or of another run.
    #[error("{what}: {why}")]
    Refused {
        /// The file, or the option and its file.
        what: String,
        /// The problem, and the action that solves it.
        why: String,
    },
    /// Some shards have no report.
    #[error("shard {shards} is missing")]
    MissingShards {
        /// The missing shards, each as `2/8`.
        shards: String,
    },
    /// A requested file cannot be created or used.
    #[error("{what}: {why}")]
    Unusable {
        /// The option and its file.
        what: String,
        /// The reason.
        why: String,
    },
    /// A journal cannot be continued, for instance because the disk is full.
    #[error("{what}: {why}")]
    Unwritten {
        /// The option and its file.
        what: String,
        /// The reason, and the action that solves it.
        why: String,
    },
    /// The picture of a sweep would be empty.
    #[error("--svg: no unit of this sweep is similar enough to a synthesised unit to estimate its LUTs")]
    NothingToDraw,
    /// A library that writes a picture or a table failed: an internal error.
    #[error("{what}: {why}")]
    Internal {
        /// The output that was written.
        what: &'static str,
        /// The message of the library.
        why: String,
    },
}

impl Error {
    pub(crate) fn refused(what: impl Display, why: impl Display) -> Self {
        Self::Refused { what: what.to_string(), why: why.to_string() }
    }
}
