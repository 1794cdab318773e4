//! The journal: a file that receives each verified run as soon as the run is verified, so that a killed program can
//! resume.
//!
//! The journal has one JSON object per line. The first line describes the run ([`Identity`] and shard). Each further
//! line is the [`Outcome`] of a verified run. Each line has a checksum over its content and the checksum of the
//! previous line, so that changed, lost or swapped lines are detected. A kill can leave a last line without a line
//! end; such a line is dropped.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use testbench::outcome::Outcome;

use crate::error::Error;
use crate::records::{Identity, SCHEMA_VERSION};
use crate::shard::Shard;

/// The first line of a journal: a description of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    schema_version: u32,
    #[serde(flatten)]
    identity: Identity,
    shard: Option<Shard>,
}

impl Header {
    /// Creates the header for a run, or for one shard of the run.
    pub fn new(identity: Identity, shard: Option<Shard>) -> Self {
        Self { schema_version: SCHEMA_VERSION, identity, shard }
    }
}

/// The beginning of every line.
const LINE: &[u8] = br#"{"content":"#;

/// A line: the content and the checksum.
#[derive(Serialize, Deserialize)]
struct Line {
    content: Value,
    digest: String,
}

/// An open journal.
pub struct Journal {
    path: PathBuf,
    tail: Mutex<Tail>,
}

/// The open file and the checksum of its last line.
struct Tail {
    file: File,
    digest: String,
}

impl Journal {
    /// Opens the journal at `path`, or creates it if there is none. Returns the journal and the runs in it.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the file cannot be opened, locked, read or written. [`Error::Refused`] if the file is
    /// not a journal, is damaged, or belongs to another run.
    pub fn open(path: &Path, header: &Header) -> Result<(Self, Vec<Outcome>), Error> {
        let unusable = |e: std::io::Error| Self::unusable(path, format!("cannot write: {}", e.kind()));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(Self::unusable(path, "in use by another run".into()));
            }
            Err(std::fs::TryLockError::Error(e)) if e.kind() != ErrorKind::Unsupported => return Err(unusable(e)),
            _ => {}
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unusable)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        // A kill can leave the beginning of a line, which is dropped. A file that never was a journal is refused
        // unchanged.
        let rest = &bytes[whole..];
        if !(rest.starts_with(LINE) || LINE.starts_with(rest)) {
            return Err(Self::refuse(path, "not a journal; name another file".into()));
        }
        let mut digest = String::new();
        let mut contents = Vec::new();
        for (i, line) in bytes[..whole].split_inclusive(|b| *b == b'\n').enumerate() {
            let line: Option<Line> = serde_json::from_slice(line).ok();
            let line = line.filter(|l| l.digest == chain(&digest, &l.content)).ok_or_else(|| {
                Self::refuse(path, format!("line {} is damaged; to start again, remove the file", i + 1))
            })?;
            digest = line.digest;
            contents.push(line.content);
        }
        let not_ours =
            || Self::refuse(path, "not a journal of this program's version; remove it or name another".into());
        let mut contents = contents.into_iter();
        if let Some(found) = contents.next() {
            let found: Header = serde_json::from_value(found).map_err(|_| not_ours())?;
            if found != *header {
                let what = difference(&found, header);
                return Err(Self::refuse(path, format!("of another run: {what} differ; remove it or name another")));
            }
        }
        let outcomes: Result<Vec<Outcome>, _> = contents.map(serde_json::from_value).collect();
        let outcomes = outcomes.map_err(|_| not_ours())?;
        file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(unusable)?;
        let journal = Self { path: path.into(), tail: Mutex::new(Tail { file, digest }) };
        if whole == 0 {
            journal.append(header).map_err(unusable)?;
        }
        Ok((journal, outcomes))
    }

    /// Appends a verified run and syncs the file.
    ///
    /// # Errors
    /// [`Error::Unwritten`].
    pub fn add(&self, outcome: &Outcome) -> Result<(), Error> {
        self.append(outcome).map_err(|error| Error::Unwritten {
            what: format!("--journal {}", self.path.display()),
            why: format!("cannot write: {}; the runs in it are kept: make room, then repeat the command", error.kind()),
        })
    }

    fn append(&self, content: &impl Serialize) -> std::io::Result<()> {
        let content = serde_json::to_value(content).expect("a journal line has string keys only");
        let tail = &mut *self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = chain(&tail.digest, &content);
        let line = Line { content, digest: digest.clone() };
        let line = serde_json::to_string(&line).expect("a journal line has string keys only") + "\n";
        tail.file.write_all(line.as_bytes()).and_then(|()| tail.file.sync_data())?;
        tail.digest = digest;
        Ok(())
    }

    fn unusable(path: &Path, why: String) -> Error {
        Error::Unusable { what: format!("--journal {}", path.display()), why }
    }

    fn refuse(path: &Path, why: String) -> Error {
        Error::refused(format_args!("--journal {}", path.display()), why)
    }

    /// The error for a run whose activations differ from those of the journal. `run` describes the run.
    pub fn conflict(&self, run: &str) -> Error {
        Self::refuse(&self.path, format!("{run}: activations are not those of the journal; remove it or name another"))
    }
}

/// The checksum of a line with content `content`. `before` is the checksum of the previous line.
fn chain(before: &str, content: &Value) -> String {
    hex::encode(Sha256::digest(format!("{before}{content}")))
}

/// The names of the keys in which two headers differ.
fn difference(a: &Header, b: &Header) -> String {
    let [a, b] = [a, b].map(|h| serde_json::to_value(h).unwrap_or_default());
    let keys = b.as_object().into_iter().flat_map(|object| object.keys());
    keys.filter(|key| a.get(key) != b.get(key)).cloned().collect::<Vec<_>>().join(", ")
}
