//! A cache on disk for the ternary weights of a checkpoint, so that its float masters are quantised once and not at
//! every start.
//!
//! A checkpoint has a new state whenever one of its files changes. The cache has one folder for each state, with one
//! safetensors file per layer. A file is written when its layer is first requested. The cache checks every file
//! completely before it uses it. If anything in a file is wrong, the layer is computed again from the checkpoint and
//! the file is replaced. `docs/weight-cache.md` describes the format, and which changes of a checkpoint are noticed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use golden::TernaryMatrix;
use ndarray::Array2;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, Metadata, View};
use safetensors::{SafeTensors, serialize};
use sha2::{Digest, Sha256};

use crate::Result;
use crate::checkpoint::{Access, Checkpoint};
use crate::config::{Linear, ModelConfig, Norm};
use crate::map::Bytes;
use crate::weights::{BitLinearWeights, HeadRows, LayerWeights, WeightSource};

/// The value of `format` in `__metadata__`.
pub const FORMAT: &str = "bitnet-ternary-layer";
/// Version of the file format. A file of another version is replaced.
pub const VERSION: u32 = 1;
/// Version of the quantiser. It must be increased when the quantiser gives another result for the same masters.
const QUANTISER: u32 = 1;

/// Number of checkpoint states that are kept, including the one in use.
const MAX_STATES: usize = 4;
/// Age at which leftovers of interrupted writes are removed.
const STALE: Duration = Duration::from_secs(24 * 3600);
const TEMPORARY: &str = ".tmp-";

/// What happened to a layer in the cache. `Display` gives a message of one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The layer was loaded from the cache.
    Hit {
        /// The decoder layer.
        layer: usize,
    },
    /// The cache does not have the layer yet.
    Miss {
        /// The decoder layer.
        layer: usize,
    },
    /// A file was not used; its layer is computed again from the checkpoint.
    Rejected {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// A file could not be written. The cache then writes no other file, so this event occurs at most once.
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit { layer } => write!(f, "layer {layer}: from the cache"),
            Self::Miss { layer } => write!(f, "layer {layer}: not in the cache yet"),
            Self::Rejected { path, reason } => write!(f, "{}: not used and made anew: {reason}", path.display()),
            Self::NotWritten { path, error } => {
                write!(f, "{}: cannot write, nothing is kept for the next start: {error}", path.display())
            }
        }
    }
}

/// A checkpoint with a cache of its layers on disk.
///
/// Only [`layer`](WeightSource::layer) uses the cache. Single linears and norms, the embedding and the head are read
/// from the checkpoint. The cache is useful for float masters; packed weights load as fast as cached ones.
///
/// ```
/// use bitnet::{checkpoint::Checkpoint, weight_cache::WeightCache, weights::WeightSource};
/// # let dir = tempfile::tempdir()?;
/// let model = || Checkpoint::open("../../testdata/tiny-online");
/// let first = WeightCache::new(model()?, dir.path(), |event| eprintln!("{event}"))?.layer(1)?;
/// let second = WeightCache::new(model()?, dir.path(), |event| eprintln!("{event}"))?.layer(1)?;
/// assert_eq!(first, second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WeightCache<'a> {
    checkpoint: Checkpoint,
    fingerprint: String,
    folder: PathBuf,
    /// False after a write has failed.
    writable: AtomicBool,
    report: Box<dyn Fn(&Event) + Send + Sync + 'a>,
}

impl<'a> WeightCache<'a> {
    /// Wraps `checkpoint` in the cache below the folder `dir`, which need not exist. `report` is called with an
    /// [`Event`] for each requested layer. All but the most recently used checkpoint states are removed from the cache.
    ///
    /// # Errors
    /// The configuration of the checkpoint can no longer be read. A cache that cannot be used is not an error; it is
    /// only reported as an [`Event`].
    pub fn new(checkpoint: Checkpoint, dir: &Path, report: impl Fn(&Event) + Send + Sync + 'a) -> Result<Self> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // The length of each part is hashed too, so that the same bytes split into other parts give another hash.
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(&VERSION.to_le_bytes());
        part(&QUANTISER.to_le_bytes());
        checkpoint.identify(part)?;
        let fingerprint = hex::encode(hash.finalize());
        let states = dir.join("weights");
        let folder = states.join(&fingerprint);
        tidy(&states, &folder);
        Ok(Self { checkpoint, fingerprint, folder, writable: AtomicBool::new(true), report: Box::new(report) })
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The cache folder of this checkpoint. It exists after the first layer has been written.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The entries of `__metadata__` in the file of `layer`, without the checksums.
    fn identity(&self, layer: usize) -> [(&'static str, String); 4] {
        [
            ("format", FORMAT.into()),
            ("version", VERSION.to_string()),
            ("fingerprint", self.fingerprint.clone()),
            ("layer", layer.to_string()),
        ]
    }

    /// Reads and checks the file of a layer. Returns `None` if there is no such file; the error says what is wrong
    /// with it.
    fn read(&self, layer: usize, path: &Path) -> Result<Option<LayerWeights>, String> {
        let bytes = match Bytes::open(path, Access::Map) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            other => other.map_err(|e| e.to_string())?,
        };
        let (header_len, header) = SafeTensors::read_metadata(&bytes).map_err(|e| e.to_string())?;
        let file = Contents { data: &bytes[8 + header_len..], header: &header };
        for (key, expected) in self.identity(layer) {
            let found = file.note(key)?;
            if found != expected {
                return Err(format!("{key}: expected {expected}, found {found}"));
            }
        }
        let config = self.config();
        let linears = Linear::ALL.into_par_iter().map(|l| file.linear(config, l)).collect::<Result<Vec<_>, _>>()?;
        let norms = Norm::ALL.iter().map(|n| file.floats(&norm_name(*n), n.width(config)));
        let norms = norms.collect::<Result<Vec<_>, _>>()?;
        let (linears, norms) = (linears.try_into().expect("one each"), norms.try_into().expect("one each"));
        LayerWeights::new(config, linears, norms).map(Some).map_err(|e| e.to_string())
    }

    /// Writes the file of a layer under a temporary name and renames it, so that it is complete or does not exist.
    fn write(&self, layer: usize, path: &Path, weights: &LayerWeights) -> io::Result<()> {
        let mut tensors = Vec::new();
        for linear in Linear::ALL {
            let BitLinearWeights { ternary, factor } = weights.linear(linear);
            let matrix = ternary.planes();
            let shape = vec![matrix.rows(), matrix.words_per_row()];
            let (nz, neg) = matrix.planes();
            tensors.push((format!("{linear}.nz"), Tensor::words(shape.clone(), nz)));
            tensors.push((format!("{linear}.neg"), Tensor::words(shape, neg)));
            tensors.push((format!("{linear}.factor"), Tensor::floats(&[*factor])));
        }
        for norm in Norm::ALL {
            tensors.push((norm_name(norm), Tensor::floats(weights.norm(norm))));
        }
        let checksums = tensors.par_iter().map(|(name, tensor)| (checksum_key(name), checksum(&tensor.data)));
        let mut notes: HashMap<String, String> = checksums.collect();
        notes.extend(self.identity(layer).map(|(key, value)| (key.into(), value)));
        let bytes = serialize(tensors, Some(notes)).map_err(io::Error::other)?;

        fs::create_dir_all(&self.folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY);
        // The umask decides who may read the file, because users can share a cache.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(&self.folder)?;
        file.write_all(&bytes)?;
        file.persist(path)?;
        Ok(())
    }
}

impl WeightSource for WeightCache<'_> {
    fn config(&self) -> &ModelConfig {
        self.checkpoint.config()
    }

    fn linear(&self, layer: usize, linear: Linear) -> Result<BitLinearWeights> {
        self.checkpoint.linear(layer, linear)
    }

    fn norm(&self, layer: usize, norm: Norm) -> Result<Vec<f32>> {
        self.checkpoint.norm(layer, norm)
    }

    fn embed(&self, ids: &[u32]) -> Result<Array2<f32>> {
        self.checkpoint.embed(ids)
    }

    fn head(&self, vocab: Range<usize>) -> Result<HeadRows<'_>> {
        self.checkpoint.head(vocab)
    }

    fn final_norm(&self) -> Result<Vec<f32>> {
        self.checkpoint.final_norm()
    }

    fn describe(&self) -> String {
        self.checkpoint.describe()
    }

    fn layer(&self, layer: usize) -> Result<Arc<LayerWeights>> {
        self.config().check_layer(layer)?;
        let path = self.folder.join(format!("layer-{layer}.safetensors"));
        match self.read(layer, &path) {
            Ok(Some(weights)) => {
                (self.report)(&Event::Hit { layer });
                return Ok(Arc::new(weights));
            }
            Ok(None) => (self.report)(&Event::Miss { layer }),
            Err(reason) => (self.report)(&Event::Rejected { path: path.clone(), reason }),
        }
        let weights = self.checkpoint.layer(layer)?;
        if self.writable.load(Ordering::Relaxed)
            && let Err(error) = self.write(layer, &path, &weights)
            // If the writes of several layers fail at the same time, only one is reported.
            && self.writable.swap(false, Ordering::Relaxed)
        {
            (self.report)(&Event::NotWritten { path, error });
        }
        Ok(weights)
    }
}

/// A file of the cache. Only the consistency of its header has been checked.
struct Contents<'a> {
    header: &'a Metadata,
    data: &'a [u8],
}

impl<'a> Contents<'a> {
    /// An entry of `__metadata__`.
    fn note(&self, key: &str) -> Result<&'a str, String> {
        let notes = self.header.metadata().as_ref();
        notes.and_then(|notes| notes.get(key)).map(String::as_str).ok_or_else(|| format!("{key}: missing"))
    }

    /// The data of a tensor, after a check of its dtype, shape and checksum.
    fn tensor(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8], String> {
        let info = self.header.info(name).ok_or_else(|| format!("tensor {name}: missing"))?;
        if info.dtype != dtype || info.shape != shape {
            let (d, s) = (info.dtype, &info.shape);
            return Err(format!("tensor {name}: expected {dtype:?} {shape:?}, found {d:?} {s:?}"));
        }
        // `SafeTensors::read_metadata` has compared the offsets with the length of the file.
        let data = &self.data[info.data_offsets.0..info.data_offsets.1];
        if checksum(data) == self.note(&checksum_key(name))? {
            Ok(data)
        } else {
            Err(format!("tensor {name}: the data do not match their checksum"))
        }
    }

    fn linear(&self, config: &ModelConfig, linear: Linear) -> Result<BitLinearWeights, String> {
        let (rows, cols) = (linear.out_features(config), linear.in_features(config));
        let shape = [rows, cols.div_ceil(golden::ternary::WORD)];
        let plane = |plane: &str| self.tensor(&format!("{linear}.{plane}"), Dtype::U64, &shape);
        let (nz, neg) = rayon::join(|| plane("nz"), || plane("neg"));
        let (nz, neg) = (nz?.as_chunks().0, neg?.as_chunks().0);
        let words = |data: &[[u8; 8]]| data.iter().map(|&word| u64::from_le_bytes(word)).collect();
        let ternary = TernaryMatrix::from_planes(rows, cols, words(nz), words(neg)).expect("the shapes were checked");
        let kept = |plane: &[u64], data: &[[u8; 8]]| plane.iter().zip(data).all(|(w, d)| w.to_le_bytes() == *d);
        if !kept(ternary.planes().0, nz) || !kept(ternary.planes().1, neg) {
            return Err(format!("{linear}: the planes hold bits that are no weights"));
        }
        let factor = self.floats(&format!("{linear}.factor"), 1)?[0];
        Ok(BitLinearWeights { ternary: ternary.into(), factor })
    }

    fn floats(&self, name: &str, len: usize) -> Result<Vec<f32>, String> {
        let data = self.tensor(name, Dtype::F32, &[len])?.as_chunks().0;
        let values: Vec<_> = data.iter().map(|&x| f32::from_le_bytes(x)).collect();
        let finite = values.iter().all(|x| x.is_finite());
        if finite { Ok(values) } else { Err(format!("tensor {name}: a value is not finite")) }
    }
}

/// A tensor that is to be written.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Tensor {
    fn words(shape: Vec<usize>, words: &[u64]) -> Self {
        Self { dtype: Dtype::U64, shape, data: words.iter().flat_map(|x| x.to_le_bytes()).collect() }
    }

    fn floats(values: &[f32]) -> Self {
        let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: vec![values.len()], data }
    }
}

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn norm_name(norm: Norm) -> String {
    format!("{}.weight", norm.name())
}

fn checksum_key(tensor: &str) -> String {
    format!("sha256.{tensor}")
}

fn checksum(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

/// Marks the folder `used` as used now, removes old temporary files from it, and removes the other states below
/// `states` that are beyond the limit. Failures are ignored.
fn tidy(states: &Path, used: &Path) {
    // This fails if the folder does not exist yet. A new folder gets the current time when it is created.
    let _ = File::open(used).and_then(|folder| folder.set_modified(SystemTime::now()));
    for (path, modified) in entries(used, |name| name.starts_with(TEMPORARY)) {
        if SystemTime::now().duration_since(modified).is_ok_and(|age| age > STALE) {
            let _ = fs::remove_file(path);
        }
    }
    let is_state = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let mut others = entries(states, is_state);
    others.retain(|(path, _)| path != used);
    others.sort_by_key(|(_, modified)| std::cmp::Reverse(*modified));
    for (path, _) in others.iter().skip(MAX_STATES - 1) {
        let _ = fs::remove_dir_all(path);
    }
}

/// The entries of a folder whose names satisfy `wanted`, with the times of their last changes.
fn entries(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<(PathBuf, SystemTime)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = entries.filter(|entry| entry.file_name().to_str().is_some_and(&wanted));
    wanted.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?))).collect()
}
