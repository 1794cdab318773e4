//! The folder of a checkpoint, found from what the user names.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::files::{self, CHECKPOINTS, present};
use crate::names::CONFIG;
use crate::{Error, Result};

/// The folder that holds the files of the checkpoint: `named` itself, or a snapshot if `named` is the cache folder of a
/// model from the Hugging Face hub (`models--ORGANISATION--NAME`). The snapshot is that of the branch `main`, or the
/// only one.
///
/// # Errors
/// [`Error::OtherContent`] if `named` is no folder, or if its subfolders hold checkpoints. The error names what to
/// give.
pub fn resolve(named: &Path) -> Result<PathBuf> {
    let error = |found: String, advice: String| Err(Error::OtherContent { path: named.into(), found, advice });
    if present(&named.join(CONFIG)) {
        return Ok(named.into());
    }
    if !present(named) {
        return error("no such folder".into(), CHECKPOINTS.into());
    }
    if fs::metadata(named).map_err(Error::io(named))?.is_file() {
        let mut start = [0; 64];
        let read = File::open(named).and_then(|mut file| file.read(&mut start)).map_err(Error::io(named))?;
        let advice = named.parent().filter(|folder| present(&folder.join(CONFIG)));
        let advice = advice.map_or(CHECKPOINTS.into(), |folder| format!("give its folder, {}", folder.display()));
        let other = files::other_kind(named, &start[..read]);
        return other.map_or_else(|| error("a file, not a folder".into(), advice), Err);
    }
    let snapshots = named.join("snapshots");
    if snapshots.is_dir() {
        let main = fs::read_to_string(named.join("refs/main")).unwrap_or_default();
        let main = snapshots.join(main.trim());
        let all = checkpoints(&snapshots)?;
        return match &all[..] {
            all if all.contains(&main) => Ok(main),
            [one] => Ok(one.clone()),
            [] => error("a cache folder without a snapshot that has a config.json".into(), "download the model".into()),
            all => error(format!("a cache folder with {} snapshots", all.len()), format!("give one: {}", list(all))),
        };
    }
    let below = checkpoints(named)?;
    if !below.is_empty() {
        return error(format!("no {CONFIG}"), format!("folders with one are: {}", list(&below)));
    }
    let gguf: Vec<PathBuf> =
        entries(named)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "gguf")).collect();
    if !gguf.is_empty() {
        return error(format!("no {CONFIG}, only GGUF: {}", list(&gguf)), CHECKPOINTS.into());
    }
    Ok(named.into())
}

/// The folders in `folder` that have a configuration, or the snapshots of a model.
fn checkpoints(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_one = |path: &PathBuf| present(&path.join(CONFIG)) || path.join("snapshots").is_dir();
    Ok(entries(folder)?.into_iter().filter(is_one).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
