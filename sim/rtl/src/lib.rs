//! The RTL files of the units, of the sequencer and of the system: their location, their names and their hash.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The file list of the unit, relative to [`dir`].
pub const UNIT_LIST: &str = "ternary/tmv_files.f";
/// The file list of the sequencer, relative to [`dir`]. The files of the core come beside it.
pub const SEQUENCER_LIST: &str = "system/tmv_seq_files.f";
/// The file list of the vector unit, relative to [`dir`].
pub const VECTOR_LIST: &str = "vector/tmv_vec_files.f";
/// The list of the files that a whole system has beside those of its units and of the sequencer, relative to [`dir`].
pub const SYSTEM_LIST: &str = "system/tmv_system_files.f";
/// The file list of the checkers that are bound to every model of the unit, relative to [`dir`].
pub const CHECKER_LIST: &str = "tb/tmv_tb_files.f";
/// The headers that the unit's files include, relative to [`dir`].
pub const HEADERS: &[&str] = &["prim/tmv_macros.svh"];

/// A file of the RTL cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; is the RTL of the unit there? TMV_RTL_DIR names its folder", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: std::io::Error,
}

/// The folder of the RTL: `$TMV_RTL_DIR`, otherwise the folder `rtl` of the source tree from which this program was
/// built.
pub fn dir() -> PathBuf {
    let given = std::env::var_os("TMV_RTL_DIR").filter(|path| !path.is_empty());
    given.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rtl"), PathBuf::from)
}

/// Reads a text file whose name is relative to [`dir`].
///
/// # Errors
/// The file is missing or is not text.
pub fn read(name: &str) -> Result<String, Error> {
    let path = dir().join(name);
    std::fs::read_to_string(&path).map_err(|source| Error { path, source })
}

/// The names of the files in a file list, in order, relative to [`dir`].
///
/// # Errors
/// The list cannot be read.
///
/// ```
/// let files = rtl::listed(rtl::UNIT_LIST)?;
/// assert_eq!(files.last().map(String::as_str), Some("ternary/tmv_unit.sv"));
/// # Ok::<(), rtl::Error>(())
/// ```
pub fn listed(list: &str) -> Result<Vec<String>, Error> {
    Ok(names(&read(list)?).map(String::from).collect())
}

/// The names of the files in the text of a file list, without comments and empty lines.
pub fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"))
}

/// The name of a file without folders and extension: the name of the module or package in it.
pub fn module(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// SHA-256 in hexadecimal over the file list of the unit and its files, in order.
///
/// # Errors
/// A file cannot be read.
pub fn unit_sha256() -> Result<String, Error> {
    let list = read(UNIT_LIST)?;
    let mut hash = Sha256::new_with_prefix(&list);
    for name in names(&list) {
        hash.update(read(name)?);
    }
    Ok(hex::encode(hash.finalize()))
}
