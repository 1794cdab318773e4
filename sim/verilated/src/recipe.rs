//! What a simulator does to make a library, and the cache of the libraries.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use toolchain::cache::{self, Cache, hash};
use toolchain::io;
use toolchain::progress::Progress;

use crate::error::Error;
use crate::files::files_below;
use crate::model::ModelLibrary;
use crate::spec::ModelSpec;

/// What a simulator does to make the library of a model.
pub(crate) trait Recipe {
    /// The hash of everything that the library depends on, and the files that were hashed.
    fn key(&self) -> Result<(String, BTreeSet<PathBuf>), Error>;

    /// Makes the library. Returns a scratch directory that contains the linked library and its checksum, and nothing
    /// else.
    fn make(
        &self,
        inputs: &BTreeSet<PathBuf>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<tempfile::TempDir, Error>;
}

/// Loads the model from the cache. If it is not in the cache, `recipe` makes it first.
pub(crate) fn cached(
    recipe: &dyn Recipe,
    cache: &Cache,
    spec: &ModelSpec,
    start: Instant,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<ModelLibrary, Error> {
    loop {
        let (key, inputs) = recipe.key()?;
        let entry = cache.path("models", &key);
        let _lock = cache.lock("models", &key, || progress(Progress::Waiting))?;
        let was_cached = cache::intact(&entry.join(cache::LIBRARY));
        if !was_cached {
            let built = recipe.make(&inputs, progress);
            // If a file changed during the build, the library must not be cached under the key of the old text.
            if recipe.key()?.0 != key {
                continue;
            }
            Cache::publish(built?, &entry)?;
            cache.prune(&key);
        }
        let library = entry.join(cache::LIBRARY);
        let seconds = start.elapsed().as_secs_f64();
        return ModelLibrary::load(&library, &spec.top, &key, was_cached, seconds);
    }
}

/// The hash of `parts`, `files` and all RTL and data files below `include_dirs`; and the set of the hashed files.
pub(crate) fn key(
    mut parts: Vec<Vec<u8>>,
    files: impl Iterator<Item = PathBuf>,
    include_dirs: &[PathBuf],
) -> Result<(String, BTreeSet<PathBuf>), Error> {
    let mut inputs: BTreeSet<PathBuf> = files.collect();
    for dir in include_dirs {
        inputs.extend(files_below(dir, &["sv", "svh", "v", "vh", "h", "inc", "vlt", "mem", "hex"])?);
    }
    for path in &inputs {
        parts.push(path.as_os_str().as_encoded_bytes().to_vec());
        parts.push(fs::read(path).map_err(io(path))?);
    }
    Ok((hash(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()), inputs))
}
