//! Output files of a command.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use tempfile::TempPath;

use crate::Error;
use crate::temporary;

type Result<T> = std::result::Result<T, Error>;

/// Symbolic links that are followed one after the other, as many as Linux follows.
const MAX_LINKS: usize = 40;

/// The output files of a command. Each is checked before the run, so that a typing error does not cost hours of work, and
/// no two may be the same.
///
/// ```
/// # use program::target::Targets;
/// # let folder = tempfile::tempdir()?;
/// let mut targets = Targets::default();
/// let report = targets.file("--json", &folder.path().join("a"))?;
/// assert!(targets.file("--html", &folder.path().join("./a")).is_err());
/// report.write(b"{}")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Targets {
    claimed: Vec<(&'static str, PathBuf)>,
}

impl Targets {
    /// The file `path`, which the option `flag` names.
    ///
    /// # Errors
    /// [`Error::Refused`] if it cannot be written, or is another output already.
    pub fn file(&mut self, flag: &'static str, path: &Path) -> Result<Target> {
        let target = Target::new(flag, path)?;
        if !is_special(path) {
            self.claim(flag, path)?;
        }
        Ok(target)
    }

    /// Takes note of the file `path`, which another part of the program writes.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is another output already.
    pub fn claim(&mut self, flag: &'static str, path: &Path) -> Result<()> {
        let resolved = resolve(path).unwrap_or_else(|_| path.into());
        if let Some((other, _)) = self.claimed.iter().find(|(_, claimed)| *claimed == resolved) {
            let (what, why) = (format!("{flag} {}", path.display()), format!("{other} names the same file"));
            return Err(Error::Refused { what, why: why + "; name another" });
        }
        self.claimed.push((flag, resolved));
        Ok(())
    }
}

/// A file that a command writes: completely, or not at all.
///
/// The file is written under a temporary name in the same folder, and renamed when it is complete. Files that cannot
/// be replaced are filled with a copy instead: devices, pipes, mounts of a single file (as containers have them), and
/// files in a folder that is not writable. Symbolic links stay, and the file they point to is written.
#[derive(Clone, Debug)]
pub struct Target {
    /// The option and its file, as given.
    what: String,
    path: PathBuf,
    /// Whether a complete file is copied into the existing one.
    in_place: bool,
}

impl Target {
    fn new(flag: &'static str, path: &Path) -> Result<Self> {
        let what = format!("{flag} {}", path.display());
        let mut target = Self { what: what.clone(), path: path.into(), in_place: is_special(path) };
        let refuse = |error: io::Error| {
            Err(Error::Refused { what: what.clone(), why: format!("cannot write: {}", error.kind()) })
        };
        if !target.in_place {
            match resolve(path) {
                Ok(resolved) => target.path = resolved,
                Err(error) => return refuse(error),
            }
        }
        if target.path.is_dir() {
            return refuse(io::ErrorKind::IsADirectory.into());
        }
        // An existing file may have to be filled in place, so it must be writable, although a rename would replace it.
        let exists = target.path.exists();
        if exists && let Err(error) = access(&target.path, Access::WRITE_OK) {
            return refuse(error.into());
        }
        let first = target.create();
        if first.is_err() && exists {
            target.in_place = true;
        }
        match first.or_else(|error| if target.in_place { target.create() } else { Err(error) }) {
            Ok(_) => Ok(target),
            Err(error) => refuse(error),
        }
    }

    /// Creates an empty temporary file, which is removed when dropped. [`Target::publish`] completes it.
    ///
    /// # Errors
    /// [`Error::Write`] if the temporary file cannot be created.
    pub fn temporary(&self) -> Result<TempPath> {
        self.create().map_err(|e| self.failure(&e))
    }

    fn create(&self) -> io::Result<TempPath> {
        let folder = if self.in_place { std::env::temp_dir() } else { folder_of(&self.path).into() };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmv-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder)?.into_temp_path();
        temporary::note(&file);
        Ok(file)
    }

    /// Gives the name of the target to a complete temporary file, or copies its content there.
    ///
    /// # Errors
    /// [`Error::Write`] if the file system refuses.
    pub fn publish(&self, file: TempPath) -> Result<()> {
        if self.in_place {
            return self.fill(&file);
        }
        if let Ok(existing) = fs::metadata(&self.path) {
            // Not every file system has permissions, and the file is complete without those of the old one.
            let _ = fs::set_permissions(&file, existing.permissions());
        }
        match file.persist(&self.path) {
            Ok(()) => Ok(()),
            // A mount cannot be replaced (EBUSY, EXDEV), nor a file of another user in a shared folder (EPERM).
            Err(refused) if self.path.is_file() => self.fill(&refused.path),
            Err(refused) => Err(self.failure(&refused.error)),
        }
    }

    /// Copies `file` into the existing file, device or pipe.
    fn fill(&self, file: &Path) -> Result<()> {
        let copy = || {
            let mut from = File::open(file)?;
            // Standard output can be a file, which is named below /dev. What it has already stays.
            let keep = is_special(&self.path);
            let mut to = File::options().write(true).append(keep).truncate(!keep).open(&self.path)?;
            io::copy(&mut from, &mut to).map(drop)
        };
        copy().map_err(|e| self.failure(&e))
    }

    /// Writes `bytes` as the whole content of the file.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        let file = self.temporary()?;
        fs::write(&file, bytes).map_err(|e| self.failure(&e))?;
        self.publish(file)
    }

    /// The error for an output that could not be completed.
    pub fn failure(&self, error: &io::Error) -> Error {
        Error::Write { what: self.what.clone(), reason: error.kind() }
    }
}

/// Whether `path` is a device or a pipe, or names an open file of a process.
fn is_special(path: &Path) -> bool {
    let other = fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
    other || (path.exists() && ["/dev/fd", "/dev/std", "/proc"].iter().any(|p| path.to_string_lossy().starts_with(p)))
}

/// The absolute path of the file that `path` means, which need not exist. All symbolic links are followed.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(to) => path = folder_of(&path).join(to),
            Err(_) => {
                let Some(name) = path.file_name() else { return fs::canonicalize(path) };
                return Ok(fs::canonicalize(folder_of(&path))?.join(name));
            }
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// The folder of `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn put(path: &Path, bytes: &[u8]) -> Result<()> {
        Targets::default().file("--json", path)?.write(bytes)
    }

    #[test]
    fn links_stay_and_their_files_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("deep")).unwrap();
        fs::write(path("deep/old"), "old").unwrap();
        symlink("deep/old", path("link")).unwrap();
        symlink("link", path("to-link")).unwrap();
        symlink("deep/new", path("dangling")).unwrap();
        symlink("loop", path("loop")).unwrap();
        put(&path("to-link"), b"1").unwrap();
        put(&path("dangling"), b"2").unwrap();
        assert_eq!(
            (fs::read(path("deep/old")).unwrap(), fs::read(path("deep/new")).unwrap()),
            (b"1".into(), b"2".into())
        );
        assert!(["link", "to-link", "dangling"].iter().all(|name| path(name).is_symlink()));
        assert!(matches!(put(&path("loop"), b""), Err(Error::Refused { .. })));
        assert!(matches!(put(&path("deep"), b""), Err(Error::Refused { .. })));
        assert!(matches!(put(&path("not/there"), b""), Err(Error::Refused { .. })));
        assert_eq!(fs::read_dir(path("deep")).unwrap().count(), 2, "temporary files are left");
    }

    #[test]
    fn one_file_is_one_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("a", path("link")).unwrap();
        let mut targets = Targets::default();
        targets.file("--json", &path("a")).unwrap();
        for again in ["a", "./a", "link", "../X/a"] {
            let again = again.replace('X', folder.path().file_name().unwrap().to_str().unwrap());
            let error = targets.file("--html", &path(&again)).unwrap_err().to_string();
            assert!(error.contains("--html") && error.contains("--json names the same file"), "{error}");
            assert!(targets.claim("--journal", &path(&again)).is_err());
        }
        targets.file("--html", &path("b")).unwrap();
        for flag in ["--json", "--html"] {
            targets.file(flag, Path::new("/dev/null")).unwrap().write(b"gone").unwrap();
        }
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("private");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        put(&file, b"new").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    /// A file that cannot be replaced gets a copy, for instance one in a folder of another user.
    #[test]
    fn a_file_that_cannot_be_replaced_is_filled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mounted");
        fs::write(&file, "something longer").unwrap();
        let target = Target { what: "--json x".into(), path: file.clone(), in_place: true };
        target.write(b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
