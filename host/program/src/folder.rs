//! Output folders of a command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Error;
use crate::target::{folder_of, resolve};
use crate::temporary;

/// A folder that a command fills: completely, or not at all.
///
/// The files are written to a temporary folder. A folder that does not exist yet is a rename of it. An existing
/// folder, which can be a mount or the current folder, cannot be replaced: the temporary folder is then inside it,
/// and its entries move up when all are complete.
#[derive(Debug)]
pub struct NewFolder {
    what: String,
    path: PathBuf,
    scratch: TempDir,
}

impl NewFolder {
    /// The folder `path`, which the option `flag` names, and which is new or empty. Missing folders above it are
    /// created.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not empty, or cannot be written.
    pub fn new(flag: &'static str, path: &Path) -> Result<Self, Error> {
        let what = format!("{flag} {}", path.display());
        let refuse = |why: String| Error::Refused { what: what.clone(), why };
        let cannot = |error: io::Error| refuse(format!("cannot write: {}", error.kind()));
        let place = || {
            fs::create_dir_all(folder_of(path))?;
            let path = resolve(path)?;
            fs::create_dir_all(folder_of(&path))?;
            Ok(path)
        };
        let path: PathBuf = place().map_err(cannot)?;
        let parent = match fs::read_dir(&path) {
            Ok(mut entries) => match entries.next() {
                None => &path,
                Some(_) => {
                    return Err(refuse("the folder is not empty; name one that is, or that is not there".into()));
                }
            },
            Err(_) if path.is_file() => return Err(refuse("that is not a folder".into())),
            Err(error) if path.exists() => return Err(cannot(error)),
            Err(_) => folder_of(&path),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmv-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let scratch = builder.tempdir_in(parent).map_err(cannot)?;
        temporary::note(scratch.path());
        Ok(Self { what, path, scratch })
    }

    /// The temporary folder, in which the files are written. It is removed when this value is dropped.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Moves everything from the temporary folder to its place.
    ///
    /// # Errors
    /// [`Error::Write`] if the file system refuses. Nothing is then left in the folder.
    pub fn publish(self) -> Result<(), Error> {
        if self.path.exists() {
            return self.fill().map_err(|error| self.failure(&error));
        }
        fs::rename(self.scratch.path(), &self.path).map_err(|error| self.failure(&error))?;
        let _moved = self.scratch.keep();
        Ok(())
    }

    fn fill(&self) -> io::Result<()> {
        let mut moved = Vec::new();
        let result = fs::read_dir(self.scratch.path())?.try_for_each(|entry| {
            let entry = entry?;
            let to = self.path.join(entry.file_name());
            fs::rename(entry.path(), &to)?;
            moved.push(to);
            Ok(())
        });
        if result.is_err() {
            for path in moved {
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
        }
        result
    }

    /// The error for a folder that could not be completed.
    pub fn failure(&self, error: &io::Error) -> Error {
        Error::Write { what: self.what.clone(), reason: error.kind() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn make(path: &Path) -> Result<(), Error> {
        let folder = NewFolder::new("--out", path)?;
        fs::create_dir(folder.scratch().join("sub")).unwrap();
        fs::write(folder.scratch().join("sub/file"), "text").unwrap();
        fs::write(folder.scratch().join("other"), "text").unwrap();
        folder.publish()
    }

    #[test]
    fn new_empty_and_linked_folders_are_filled() {
        let parent = tempfile::tempdir().unwrap();
        let path = |name: &str| parent.path().join(name);
        fs::create_dir(path("empty")).unwrap();
        fs::create_dir(path("aim")).unwrap();
        let mut names = vec!["new", "empty", "deep/er", "slash/"];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("aim", path("link")).unwrap();
            std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
            names.extend(["link", "dangling"]);
        }
        for name in names {
            make(&path(name)).unwrap();
            assert_eq!(fs::read(path(name).join("sub/file")).unwrap(), b"text", "{name}");
            assert_eq!(fs::read_dir(path(name)).unwrap().count(), 2, "{name}: a temporary folder is left");
            let error = make(&path(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("not empty"), "{error}");
        }
        let error = make(&path("new/other")).unwrap_err().to_string();
        assert!(error.contains("not a folder"), "{error}");
        assert!(matches!(make(&path("new/other/below")), Err(Error::Refused { .. })));
    }

    #[test]
    fn an_unfinished_folder_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let empty = parent.path().join("empty");
        fs::create_dir(&empty).unwrap();
        for path in [&empty, &parent.path().join("new")] {
            let folder = NewFolder::new("--out", path).unwrap();
            fs::write(folder.scratch().join("file"), "half").unwrap();
        }
        assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
