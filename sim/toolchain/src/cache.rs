//! The cache directory for tools and built models: locks, atomic entries, checksums, pruning.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::error::{Error, io};

/// Number of built models that are kept; beyond it, the least recently used one is removed.
const MAX_MODELS: usize = 64;
/// Size of all built models that are kept, in bytes.
const MAX_BYTES: u64 = 1 << 30;
/// Age at which leftovers of interrupted builds are removed.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Age at which the products of builds that nothing uses are removed.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// An open cache directory.
pub struct Cache {
    dir: PathBuf,
}

/// The default cache directory: `$TMV_CACHE_DIR`, otherwise `tmv` in the user's cache directory. It need not exist.
pub fn cache_dir() -> PathBuf {
    let dir = match std::env::var_os("TMV_CACHE_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => dir.into(),
        None => dirs::cache_dir().map_or_else(|| ".tmv-cache".into(), |dir| dir.join("tmv")),
    };
    std::path::absolute(&dir).unwrap_or(dir)
}

impl Cache {
    /// Opens the cache in `dir`, otherwise in [`cache_dir`]. Creates the directory. A cache that cannot be written is
    /// fine as long as everything needed is in it: [`Cache::scratch`] fails if not.
    ///
    /// # Errors
    /// [`Error::CacheUnwritable`] if there is no such directory and it cannot be created; [`Error::CacheNoExec`].
    pub fn open(dir: Option<&Path>) -> Result<Self, Error> {
        let dir = match dir {
            Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
            None => cache_dir(),
        };
        for part in ["tools", "runtime", "models", "firmware", "locks"] {
            match fs::create_dir_all(dir.join(part)) {
                Err(source) if !dir.is_dir() => return Err(Error::CacheUnwritable { path: dir, source }),
                _ => {}
            }
        }
        #[cfg(target_os = "linux")]
        if rustix::fs::statvfs(&dir).is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC)) {
            return Err(Error::CacheNoExec { path: dir });
        }
        Ok(Self { dir })
    }

    /// Path of the cache directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of the entry `name` of this kind, whether or not it exists.
    pub fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.dir.join(kind).join(name)
    }

    /// Creates a scratch directory on the same file system as the entries. It is removed when dropped. Like every
    /// entry it is open to other users as far as the umask allows, because a cache can be shared.
    ///
    /// # Errors
    /// [`Error::CacheUnwritable`].
    pub fn scratch(&self, kind: &str) -> Result<TempDir, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmp-").permissions(Permissions::from_mode(0o777));
        let unwritable = |source| Error::CacheUnwritable { path: self.dir.clone(), source };
        let scratch = builder.tempdir_in(self.dir.join(kind)).map_err(unwritable)?;
        program::temporary::note(scratch.path());
        Ok(scratch)
    }

    /// Locks one entry against other threads and processes until the returned file is dropped. `wait` is called if
    /// another one holds the lock. Entries with the same first two digits share a lock file. Lock files are never
    /// removed.
    ///
    /// A user who may not write the lock file locks it for reading all the same. Without a lock file there is no lock:
    /// nobody has built anything here that this user could wait for, and this user cannot build either.
    ///
    /// # Errors
    /// [`Error::Io`] if the lock file can be written but not locked.
    pub fn lock(&self, kind: &str, key: &str, wait: impl FnOnce()) -> Result<Option<File>, Error> {
        let Some(file) = self.open_lock(kind, key) else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => wait(),
            Err(TryLockError::Error(_)) => {}
        }
        file.lock().map_err(io(&self.dir))?;
        Ok(Some(file))
    }

    fn open_lock(&self, kind: &str, key: &str) -> Option<File> {
        let path = self.path("locks", &format!("{kind}-{}", key.get(..2).unwrap_or(key)));
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        file.or_else(|_| File::open(&path)).ok()
    }

    /// Moves a finished scratch directory to its final name and replaces an existing entry.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn publish(scratch: TempDir, target: &Path) -> Result<(), Error> {
        if target.exists() {
            fs::remove_dir_all(target).map_err(io(target))?;
        }
        fs::rename(scratch.path(), target).map_err(io(target))?;
        let _moved = scratch.keep();
        Ok(())
    }

    /// Removes leftovers of interrupted builds, and the least recently used models beyond the limits. The model
    /// `keep` stays. Failures are ignored.
    pub fn prune(&self, keep: &str) {
        let mut models = Vec::new();
        for kind in ["tools", "runtime"] {
            for entry in fs::read_dir(self.dir.join(kind)).into_iter().flatten().flatten() {
                let old = || SystemTime::now().duration_since(entry.metadata().ok()?.modified().ok()?).ok();
                if entry.file_name().as_encoded_bytes().starts_with(b".tmp-") && old().is_some_and(|age| age > STALE) {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
        }
        for entry in fs::read_dir(self.dir.join("models")).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let used = fs::metadata(checksum(&path.join(LIBRARY))).or_else(|_| entry.metadata());
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
                .is_some_and(|file| file.try_lock().is_ok() && fs::remove_dir_all(&path).is_ok())
            {
                count -= 1;
                bytes -= size;
            }
        }
    }

    /// Removes folders of this kind whose names begin with `prefix`, except for `keep`, that nothing was built in for a month.
    /// The caller has the lock of their builds. Failures are ignored.
    pub fn prune_products(&self, kind: &str, prefix: &str, keep: &Path) {
        for entry in fs::read_dir(self.dir.join(kind)).into_iter().flatten().flatten() {
            let path = entry.path();
            // What cargo writes in each build.
            let used = fs::metadata(path.join(".rustc_info.json")).or_else(|_| entry.metadata());
            let age = used.and_then(|used| used.modified()).ok().and_then(|used| used.elapsed().ok());
            let of_kind = entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
            if of_kind && path != keep && age.is_some_and(|age| age > UNUSED) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// File name of the shared library in the entry of a model.
pub const LIBRARY: &str = "model.so";
/// The file with the SHA-256 of a product, in hexadecimal. Its time stamp is the time of the last use.
fn checksum(product: &Path) -> PathBuf {
    product.with_extension("sha256")
}

/// Writes the checksum of a product beside it.
///
/// # Errors
/// [`Error::Io`].
pub fn seal(product: &Path) -> Result<(), Error> {
    let sum = hash(&[&fs::read(product).map_err(io(product))?]);
    fs::write(checksum(product), sum).map_err(io(checksum(product)))
}

/// Whether a product is there and matches its checksum. If so, the current time is stored as time of the last use.
pub fn intact(product: &Path) -> bool {
    let checksum = checksum(product);
    let good = match (fs::read(product), fs::read_to_string(&checksum)) {
        (Ok(bytes), Ok(sum)) => hash(&[&bytes]) == sum,
        _ => false,
    };
    if good && let Ok(file) = File::options().write(true).open(checksum) {
        let _ = file.set_modified(SystemTime::now());
    }
    good
}

/// SHA-256 of `parts` in hexadecimal. The length of each part is hashed too, so that the same bytes split into other
/// parts give another hash.
pub fn hash(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    hex::encode(sha.finalize())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Users can share a cache, so the umask decides who may read its entries.
    #[test]
    fn entries_follow_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(&dir.path().join("cache"))).unwrap();
        let plain = dir.path().join("plain");
        fs::create_dir(&plain).unwrap();
        let entry = cache.path("models", "entry");
        Cache::publish(cache.scratch("models").unwrap(), &entry).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&entry), mode(&plain));
    }

    #[test]
    fn old_products_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(dir.path())).unwrap();
        let names = ["target-old", "target-new", "target-kept", "other-old"];
        for name in names {
            let folder = cache.path("firmware", name);
            fs::create_dir_all(&folder).unwrap();
            let used = if name.ends_with("new") { SystemTime::now() } else { SystemTime::UNIX_EPOCH };
            let file = File::create(folder.join(".rustc_info.json")).unwrap();
            file.set_modified(used).unwrap();
        }
        cache.prune_products("firmware", "target", &cache.path("firmware", "target-kept"));
        let left = names.map(|name| cache.path("firmware", name).exists());
        assert_eq!(left, [false, true, true, true]);
    }

    #[test]
    fn damaged_products_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        for name in [LIBRARY, "firmware"] {
            let product = dir.path().join(name);
            fs::write(&product, "product").unwrap();
            assert!(!intact(&product), "without a checksum");
            seal(&product).unwrap();
            assert!(intact(&product));
            for damaged in ["productt", "produc", "Product", ""] {
                fs::write(&product, damaged).unwrap();
                assert!(!intact(&product), "{damaged}");
            }
            fs::remove_file(&product).unwrap();
            assert!(!intact(&product), "missing");
        }
    }

    #[test]
    fn a_lock_file_that_cannot_be_written_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(dir.path())).unwrap();
        let locks = dir.path().join("locks");
        let held = cache.lock("models", "ab", || ()).unwrap().unwrap();
        let reader = File::open(locks.join("models-ab")).unwrap();
        assert!(matches!(reader.try_lock(), Err(TryLockError::WouldBlock)), "a lock for reading excludes too");
        drop(held);
        // Neither there nor possible.
        fs::remove_dir_all(&locks).unwrap();
        fs::write(&locks, "").unwrap();
        assert!(cache.lock("models", "ab", || ()).unwrap().is_none());
    }
}
