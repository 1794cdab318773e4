//! The ternary weights of a checkpoint kept on disk, so that its masters are quantised once and not at every start.
//!
//! One folder for every state of a checkpoint, in it one safetensors file a layer, written when the layer is first
//! asked for. Nothing found in the cache is trusted: a file that deviates in anything is made anew from the
//! checkpoint. The format, and which changes of a checkpoint are noticed: `docs/weight-cache.md`.

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

/// What `__metadata__` calls the format.
pub const FORMAT: &str = "bitnet-ternary-layer";
/// Version of the format. A file of another version is made anew.
pub const VERSION: u32 = 1;
/// Version of the arithmetic behind the files: goes up when the quantiser gives anything else for the same masters.
const QUANTISER: u32 = 1;

/// States of checkpoints kept, the one in use included.
const MAX_STATES: usize = 4;
/// Leftovers of interrupted writes are removed at this age.
const STALE: Duration = Duration::from_secs(24 * 3600);
const TEMPORARY: &str = ".tmp-";

/// What became of a layer in the cache. Displayed, it is a line for people.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The layer came from the cache.
    Hit {
        /// The decoder layer.
        layer: usize,
    },
    /// The cache does not have the layer yet.
    Miss {
        /// The decoder layer.
        layer: usize,
    },
    /// A file was not used, and the layer was made anew.
    Rejected {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be written. No other is tried, so this comes once at most.
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The reason of the operating system.
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

/// A checkpoint whose layers come from a cache where that has them.
///
/// Only [`layer`](WeightSource::layer) goes through the cache; single linears and norms, the embedding and the head are
/// the checkpoint's own. Worth it for float masters: packed weights load as fast as cached ones.
///
/// ```
/// use host::{checkpoint::Checkpoint, weight_cache::WeightCache, weights::WeightSource};
/// # let dir = tempfile::tempdir()?;
/// let model = || Checkpoint::open("../testdata/tiny-online");
/// let first = WeightCache::new(model()?, dir.path(), |event| eprintln!("{event}"))?.layer(1)?;
/// let second = WeightCache::new(model()?, dir.path(), |event| eprintln!("{event}"))?.layer(1)?;
/// assert_eq!(first, second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WeightCache<'a> {
    checkpoint: Checkpoint,
    fingerprint: String,
    folder: PathBuf,
    /// False once a write has failed.
    writable: AtomicBool,
    report: Box<dyn Fn(&Event) + Send + Sync + 'a>,
}

impl<'a> WeightCache<'a> {
    /// Puts the cache below `dir`, which need not exist, before `checkpoint`. `report` is told what becomes of each
    /// layer. Removes all but the newest states of checkpoints from the cache.
    ///
    /// # Errors
    /// A checkpoint whose configuration cannot be read any more. A cache that cannot be used is no error, only an
    /// [`Event`].
    pub fn new(checkpoint: Checkpoint, dir: &Path, report: impl Fn(&Event) + Send + Sync + 'a) -> Result<Self> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // With their lengths, so that parts cannot run into each other.
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(&VERSION.to_le_bytes());
        part(&QUANTISER.to_le_bytes());
        checkpoint.identify(part)?;
        let fingerprint = hex(hash);
        let states = dir.join("weights");
        let folder = states.join(&fingerprint);
        tidy(&states, &folder);
        Ok(Self { checkpoint, fingerprint, folder, writable: AtomicBool::new(true), report: Box::new(report) })
    }

    /// The folder of this checkpoint, which exists once a layer has been written.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What `__metadata__` of a layer holds besides the checksums.
    fn identity(&self, layer: usize) -> [(&'static str, String); 4] {
        [
            ("format", FORMAT.into()),
            ("version", VERSION.to_string()),
            ("fingerprint", self.fingerprint.clone()),
            ("layer", layer.to_string()),
        ]
    }

    /// The layer a file holds, `None` if there is no such file, or what is wrong with it.
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

    /// Writes the file of a layer, whole or not at all.
    fn write(&self, layer: usize, path: &Path, weights: &LayerWeights) -> io::Result<()> {
        let mut tensors = Vec::new();
        for linear in Linear::ALL {
            let BitLinearWeights { ternary, factor } = weights.linear(linear);
            let shape = vec![ternary.rows(), ternary.words_per_row()];
            let (nz, neg) = ternary.planes();
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
        let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.folder)?;
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
            // Of layers written at once, one reports.
            && self.writable.swap(false, Ordering::Relaxed)
        {
            (self.report)(&Event::NotWritten { path, error });
        }
        Ok(weights)
    }
}

/// A file of the cache, its header checked for consistency and nothing else.
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

    /// The data of a tensor of this dtype and shape that matches its checksum.
    fn tensor(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8], String> {
        let info = self.header.info(name).ok_or_else(|| format!("tensor {name}: missing"))?;
        if info.dtype != dtype || info.shape != shape {
            let (d, s) = (info.dtype, &info.shape);
            return Err(format!("tensor {name}: expected {dtype:?} {shape:?}, found {d:?} {s:?}"));
        }
        // The header check has compared the offsets with the length of the file.
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
        Ok(BitLinearWeights { ternary, factor })
    }

    fn floats(&self, name: &str, len: usize) -> Result<Vec<f32>, String> {
        let data = self.tensor(name, Dtype::F32, &[len])?.as_chunks().0;
        let values: Vec<_> = data.iter().map(|&x| f32::from_le_bytes(x)).collect();
        let finite = values.iter().all(|x| x.is_finite());
        if finite { Ok(values) } else { Err(format!("tensor {name}: a value is not finite")) }
    }
}

/// A tensor to be written.
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
    hex(Sha256::new_with_prefix(data))
}

/// The digest in lower-case hexadecimal.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Marks `used` as just used and removes what is too old: leftovers in it, and other states. Best effort.
fn tidy(states: &Path, used: &Path) {
    // Fails if there is no such folder yet, which is then made with this time.
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

/// Entries of a folder with such a name, and when they were last changed.
fn entries(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<(PathBuf, SystemTime)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = entries.filter(|entry| entry.file_name().to_str().is_some_and(&wanted));
    wanted.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?))).collect()
}
