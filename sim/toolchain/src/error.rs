//! The error type of this crate.

use std::io;
use std::path::PathBuf;

/// An error of a tool or of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that this crate has to run is absent, broken or too old.
    #[error("{tool} is not usable: {hint}")]
    ToolMissing {
        /// The required tool.
        tool: String,
        /// What is wrong, and what to install or set.
        hint: String,
    },
    /// The directory for built models cannot be written.
    #[error(
        "the cache directory {} cannot be written ({source}), and not everything needed is in it; \
         set TMV_CACHE_DIR to a writable directory",
        path.display()
    )]
    CacheUnwritable {
        /// The directory that was tried.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Programs and libraries cannot be loaded from the directory for built models.
    #[error(
        "the cache directory {} is on a file system from which no program may run (mounted with noexec); \
         set TMV_CACHE_DIR to a directory on another one", path.display()
    )]
    CacheNoExec {
        /// The directory.
        path: PathBuf,
    },
    /// The C++ compiler or linker failed on generated code.
    #[error("the C++ compiler failed on {}:\n{log}", file.display())]
    Compile {
        /// The translation unit, or the library being linked.
        file: PathBuf,
        /// The output of the compiler.
        log: String,
    },
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Attaches a path to an I/O error. To be used as `map_err(io(path))`.
pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { path, source }
}
