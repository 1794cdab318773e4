//! Journal: the runs that were verified, on disk as they come, so that a run that was killed can go on.
//!
//! One JSON object a line: first what is run ([`Identity`] and shard), then an [`Outcome`] for each verified run. Each
//! line carries a checksum over itself and the line before, so that lines cannot be changed, lost or swapped; a last
//! line without an end is what a kill leaves, and is dropped.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use host::weight_cache::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bench::Outcome;
use crate::exit::{Exit, Failure};
use crate::report::{Identity, SCHEMA_VERSION};
use crate::shard::Shard;
use crate::verify::lock;

/// What a journal is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    schema_version: u32,
    #[serde(flatten)]
    identity: Identity,
    shard: Option<Shard>,
}

impl Header {
    /// The journal of a run.
    pub fn new(identity: Identity, shard: Option<Shard>) -> Self {
        Self { schema_version: SCHEMA_VERSION, identity, shard }
    }
}

/// How every line begins.
const LINE: &[u8] = br#"{"content":"#;

/// A line: its content and the checksum.
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

/// The end of the file.
struct Tail {
    file: File,
    digest: String,
}

impl Journal {
    /// Opens the journal at `path` or starts one, and returns the runs in it.
    ///
    /// # Errors
    /// A file that cannot be used (usage), is no journal, of another run, or damaged (input file).
    pub fn open(path: &Path, header: &Header) -> Result<(Self, Vec<Outcome>), Failure> {
        let unusable =
            |e: std::io::Error| Failure::usage(format!("--journal {}: cannot write: {}", path.display(), e.kind()));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(Failure::usage(format!("--journal {}: in use by another run", path.display())));
            }
            Err(std::fs::TryLockError::Error(e)) if e.kind() != ErrorKind::Unsupported => return Err(unusable(e)),
            _ => {}
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unusable)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        // What a kill leaves of a line is dropped; what was never one stays.
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
            journal.append(header)?;
        }
        Ok((journal, outcomes))
    }

    /// Adds a verified run.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn add(&self, outcome: &Outcome) -> Result<(), Failure> {
        self.append(outcome)
    }

    fn append(&self, content: &impl Serialize) -> Result<(), Failure> {
        let content = serde_json::to_value(content).expect("a journal line has string keys only");
        let tail = &mut *lock(&self.tail);
        let digest = chain(&tail.digest, &content);
        let line = Line { content, digest: digest.clone() };
        let line = serde_json::to_string(&line).expect("a journal line has string keys only") + "\n";
        let written = tail.file.write_all(line.as_bytes()).and_then(|()| tail.file.sync_data());
        written.map_err(|e| Failure::usage(format!("--journal {}: cannot write: {e}", self.path.display())))?;
        tail.digest = digest;
        Ok(())
    }

    fn refuse(path: &Path, why: String) -> Failure {
        Failure::new(Exit::InputFile, format!("--journal {}: {why}", path.display()))
    }

    /// The complaint about a run that came out different from the one in the journal.
    pub fn conflict(&self, run: &str) -> Failure {
        Self::refuse(&self.path, format!("{run}: activations are not those of the journal; remove it or name another"))
    }
}

/// The checksum of a line behind one with the checksum `before`.
fn chain(before: &str, content: &Value) -> String {
    hex(Sha256::new_with_prefix(format!("{before}{content}")))
}

/// The sections in which two headers differ.
fn difference(a: &Header, b: &Header) -> String {
    let [a, b] = [a, b].map(|h| serde_json::to_value(h).unwrap_or_default());
    let keys = b.as_object().into_iter().flat_map(|object| object.keys());
    keys.filter(|key| a.get(key) != b.get(key)).cloned().collect::<Vec<_>>().join(", ")
}
