//! Temporary files and folders of outputs that are not complete. Their owners remove them; this list is for a program
//! that ends before they do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Every temporary path of this process. Their names are random and never used again.
static PATHS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Takes note of a new temporary file or folder.
pub fn note(path: &Path) {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    PATHS.lock().unwrap_or_else(PoisonError::into_inner).push(path);
}

/// Removes all temporary files and folders that are still there.
pub(crate) fn remove() {
    for path in PATHS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
}
