//! Reading the files of a checkpoint folder, and what is wrong with a file of another kind.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::{Error, Result};

/// The advice for a file that this program cannot read in any form.
pub(crate) const CHECKPOINTS: &str = "give the folder of a Hugging Face checkpoint with config.json and \
    safetensors, such as microsoft/bitnet-b1.58-2B-4T";

/// The bytes of a file; `None` if there is no such file. A link without a target is an error.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !present(path) => Ok(None),
        result => result.map(Some).map_err(Error::io(path)),
    }
}

/// Whether a folder has an entry with this name, even a link without a target.
pub(crate) fn present(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The text of a file, of which `bytes` is the content.
pub(crate) fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    if let Some(error) = other_kind(path, bytes).or_else(|| other_text(path, bytes)) {
        return Err(error);
    }
    std::str::from_utf8(bytes).map_err(|e| Error::io(path)(std::io::Error::new(ErrorKind::InvalidData, e)))
}

/// The error for text in another form than UTF-8 without a mark.
fn other_text(path: &Path, bytes: &[u8]) -> Option<Error> {
    let (found, advice) = match bytes {
        [] => ("the file is empty", "is the download complete?"),
        [0xef, 0xbb, 0xbf, ..] => ("the text begins with a byte-order mark", "save it as UTF-8 without this mark"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("the text is UTF-16", "save it as UTF-8"),
        _ => return None,
    };
    Some(Error::OtherContent { path: path.into(), found: found.into(), advice: advice.into() })
}

/// The error for a file that is not what its name says, if its first bytes show what it is.
pub(crate) fn other_kind(path: &Path, bytes: &[u8]) -> Option<Error> {
    let start = bytes.trim_ascii_start();
    let page = |tag: &str| start.get(..tag.len()).is_some_and(|text| text.eq_ignore_ascii_case(tag.as_bytes()));
    let (found, advice) = if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
        (lfs_pointer(bytes), "run `git lfs pull` in its folder".into())
    } else if page("<!doctype html") || page("<html") {
        let advice = "download the file itself, with its link \"download\" or with `hf download`";
        ("a web page (HTML), not the file itself".into(), advice.into())
    } else if bytes.starts_with(b"GGUF") {
        ("a GGUF file, which llama.cpp and bitnet.cpp read".into(), CHECKPOINTS.into())
    } else if bytes.starts_with(b"PK\x03\x04") {
        ("a ZIP archive, or weights in the form of PyTorch".into(), format!("unpack it, or {CHECKPOINTS}"))
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        ("a gzip archive".into(), "unpack it".into())
    } else {
        return None;
    };
    Some(Error::OtherContent { path: path.into(), found, advice })
}

/// A pointer has three lines, the last with the size of the file.
fn lfs_pointer(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
    let size = text.lines().find_map(|line| line.strip_prefix("size ")?.parse::<u64>().ok());
    let size = size.map_or(String::new(), |size| format!(" of {size} bytes"));
    format!("a Git LFS pointer, not the file{size} itself")
}
