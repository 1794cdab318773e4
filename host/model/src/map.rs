//! The bytes of a file, memory-mapped or read.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::path::Path;

/// How the files of a checkpoint are brought into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Memory-mapped: a page is loaded when it is needed. The files must not be truncated while they are in use. This
    /// program cannot check that; the operating system would end the process.
    #[default]
    Map,
    /// Read into memory as a whole.
    Read,
}

#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path, access: Access) -> io::Result<Self> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        match access {
            Access::Map => map(&File::open(path)?).map(Self::Mapped),
            Access::Read => fs::read(path).map(Self::Owned),
        }
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the map is private to `Bytes`, read-only, and handed out only as a slice of plain bytes, every value of
    // which is valid. Other processes remain a risk that no process can rule out: if one truncates the file, a later
    // access is a bus error; if one writes to the file, the bytes change while they are in use. `Access` documents
    // the truncation, and `Access::Read` avoids both.
    unsafe { memmap2::Mmap::map(file) }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}
