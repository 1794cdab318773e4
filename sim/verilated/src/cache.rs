//! The directory of built things: locks, atomic entries, checksums, pruning.

use crate::error::{Error, io};
use sha2::{Digest, Sha256};
use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// Built models kept before the least recently used is removed.
const MAX_MODELS: usize = 64;
/// Bytes of built models kept.
const MAX_BYTES: u64 = 1 << 30;
/// Leftovers of interrupted builds are removed at this age.
const STALE: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Cache {
    dir: PathBuf,
}

/// The cache directory of the environment: `$TMV_CACHE_DIR`, else `tmv` in the user's. It need not exist.
pub fn cache_dir() -> PathBuf {
    let dir = match std::env::var_os("TMV_CACHE_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => dir.into(),
        None => dirs::cache_dir().map_or_else(|| ".tmv-cache".into(), |dir| dir.join("tmv")),
    };
    std::path::absolute(&dir).unwrap_or(dir)
}

impl Cache {
    /// Opens `dir`, else `$TMV_CACHE_DIR`, else the user's cache directory, and proves it writable.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self, Error> {
        let dir = match dir {
            Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
            None => cache_dir(),
        };
        let prepare = || {
            for part in ["tools", "runtime", "models", "locks"] {
                fs::create_dir_all(dir.join(part))?;
            }
            tempfile::tempfile_in(dir.join("models")).map(drop)
        };
        match prepare() {
            Ok(()) => Ok(Self { dir }),
            Err(source) => Err(Error::CacheUnwritable { path: dir, source }),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.dir.join(kind).join(name)
    }

    /// A scratch directory on the same file system as the entries, removed when dropped.
    pub(crate) fn scratch(&self, kind: &str) -> Result<TempDir, Error> {
        let parent = self.dir.join(kind);
        tempfile::Builder::new().prefix(".tmp-").tempdir_in(&parent).map_err(io(parent))
    }

    /// Locks one entry against other threads and processes; `wait` is called if that takes waiting.
    /// Lock files are shared by entries with the same first two digits, and never removed.
    pub(crate) fn lock(&self, kind: &str, key: &str, wait: impl FnOnce()) -> Result<File, Error> {
        let file = self.open_lock(kind, key)?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => wait(),
            Err(TryLockError::Error(_)) => {}
        }
        file.lock().map_err(io(&self.dir))?;
        Ok(file)
    }

    fn open_lock(&self, kind: &str, key: &str) -> Result<File, Error> {
        let path = self.path("locks", &format!("{kind}-{}", key.get(..2).unwrap_or(key)));
        File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))
    }

    /// Moves a finished scratch directory to its final name, in place of what may be there.
    pub(crate) fn publish(scratch: TempDir, target: &Path) -> Result<(), Error> {
        if target.exists() {
            fs::remove_dir_all(target).map_err(io(target))?;
        }
        fs::rename(scratch.path(), target).map_err(io(target))?;
        let _moved = scratch.keep();
        Ok(())
    }

    /// Removes leftovers and the least recently used models beyond the limits. Best effort.
    pub(crate) fn prune(&self, keep: &str) {
        let mut models = Vec::new();
        for entry in fs::read_dir(self.dir.join("models")).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let used = fs::metadata(path.join(CHECKSUM)).or_else(|_| entry.metadata());
            let Ok(used) = used.and_then(|meta| meta.modified()) else {
                continue;
            };
            if name.as_encoded_bytes().starts_with(b".tmp-") {
                if SystemTime::now().duration_since(used).is_ok_and(|age| age > STALE) {
                    let _ = fs::remove_dir_all(&path);
                }
            } else if name != OsStr::new(keep) {
                let size = fs::metadata(path.join(LIBRARY)).map_or(0, |meta| meta.len());
                models.push((used, size, path));
            }
        }
        models.sort();
        let (mut count, mut bytes) = (models.len(), models.iter().map(|model| model.1).sum::<u64>());
        for (_, size, path) in models {
            if count < MAX_MODELS && bytes < MAX_BYTES {
                break;
            }
            let key = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if self
                .open_lock("models", key)
                .is_ok_and(|file| file.try_lock().is_ok() && fs::remove_dir_all(&path).is_ok())
            {
                count -= 1;
                bytes -= size;
            }
        }
    }
}

/// The shared library inside a model's entry.
pub(crate) const LIBRARY: &str = "model.so";
/// Its SHA-256, in hexadecimal; the time stamp is that of the last use.
const CHECKSUM: &str = "model.sha256";

/// Writes the checksum of the library in `entry`.
pub(crate) fn seal(entry: &Path) -> Result<(), Error> {
    let library = entry.join(LIBRARY);
    let sum = hash(&[&fs::read(&library).map_err(io(&library))?]);
    fs::write(entry.join(CHECKSUM), sum).map_err(io(entry.join(CHECKSUM)))
}

/// Whether `entry` holds a library that matches its checksum; if so, notes the use.
pub(crate) fn intact(entry: &Path) -> bool {
    let good = match (fs::read(entry.join(LIBRARY)), fs::read_to_string(entry.join(CHECKSUM))) {
        (Ok(library), Ok(sum)) => hash(&[&library]) == sum,
        _ => false,
    };
    if good && let Ok(file) = File::options().write(true).open(entry.join(CHECKSUM)) {
        let _ = file.set_modified(SystemTime::now());
    }
    good
}

/// SHA-256 in hexadecimal of parts that cannot run into each other.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
