//! Hugging Face checkpoints: a folder with `config.json` and one or more safetensors files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use golden::{packed, quantise};
use half::{bf16, f16};
use ndarray::Array2;
use rayon::prelude::*;
use safetensors::tensor::{Dtype as Stored, Metadata};
use safetensors::{SafeTensorError, SafeTensors};

use crate::config::{Linear, ModelConfig, Norm, WeightForm};
use crate::config_keys;
use crate::files::{self, present};
use crate::folder;
use crate::json::Object;
use crate::map::Bytes;
use crate::names::{CONFIG, EMBEDDING, FINAL_NORM, HEAD, INDEX, SINGLE, linear_name, norm_name, scale_name};
use crate::surplus::{self, counted};
use crate::weights::{BitLinearWeights, HeadRows, WeightSource};
use crate::{Error, Result};

pub use crate::map::Access;

/// Bytes that [`Checkpoint::identify`] reads at each of three places of a tensor.
const SAMPLE: usize = 4096;

/// Dtypes that a float tensor may have.
const FLOATS: &[Stored] = &[Stored::BF16, Stored::F32, Stored::F16];
/// Dtypes that a packed tensor may have.
const PACKED: &[Stored] = &[Stored::U8];

/// An open checkpoint. Opening a checkpoint reads the headers and checks that every tensor of the model exists with
/// the required dtype and shape. The data of a tensor are read when they are requested.
///
/// ```
/// use bitnet::{checkpoint::Checkpoint, config::Linear, weights::WeightSource};
/// let model = Checkpoint::open("../../testdata/tiny-packed")?;
/// let layer = model.layer(1)?;
/// assert_eq!(layer.linear(Linear::Down).ternary.cols(), model.config().intermediate_size);
/// # Ok::<(), bitnet::Error>(())
/// ```
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    config: ModelConfig,
    shards: Vec<Shard>,
    remarks: Vec<String>,
    /// Index into `shards` of the file that holds a tensor; empty if the checkpoint is a single `model.safetensors`.
    index: BTreeMap<String, usize>,
}

/// One safetensors file.
#[derive(Debug)]
struct Shard {
    path: PathBuf,
    /// Time of the last change of the file; `None` if the file system does not record it.
    modified: Option<SystemTime>,
    bytes: Bytes,
    header: Metadata,
    /// Position of the tensor data in the file, in bytes.
    data: usize,
}

/// A tensor, and the file that holds it.
struct Tensor<'a> {
    path: &'a Path,
    name: String,
    dtype: Stored,
    shape: &'a [usize],
    data: &'a [u8],
}

impl Checkpoint {
    /// Opens the checkpoint in `folder`, or the snapshot in the cache folder of a hub
    /// ([`resolve`](crate::folder::resolve)). Its files are memory-mapped.
    ///
    /// # Errors
    /// A file cannot be read, is damaged or belongs to another model; or a tensor is missing or has another dtype or
    /// shape than the model needs. The error names the file.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(folder, Access::Map)
    }

    /// Opens the checkpoint in `folder`, whose files are mapped or read according to `access`.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open).
    pub fn open_with(folder: impl AsRef<Path>, access: Access) -> Result<Self> {
        let folder = &folder::resolve(folder.as_ref())?;
        let keys = Object::read(&folder.join(CONFIG))?;
        let config = ModelConfig::from_object(&keys)?;
        let (single, index_file) = (folder.join(SINGLE), folder.join(INDEX));
        let (files, index) = if present(&single) {
            (vec![single], BTreeMap::new())
        } else if present(&index_file) {
            read_index(folder, &index_file)?
        } else {
            return Err(Error::NoWeights { folder: folder.clone() });
        };
        let shards = files.into_iter().map(|path| Shard::open(path, access)).collect::<Result<_>>()?;
        let mut checkpoint = Self { folder: folder.clone(), config, shards, remarks: vec![], index };
        checkpoint.check()?;
        checkpoint.remarks = checkpoint.surplus(&config_keys::unknown(&keys)?)?;
        Ok(checkpoint)
    }

    /// The folder of the checkpoint.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Checks the headers of all tensors that the model needs, and that all tensors in the index exist.
    fn check(&self) -> Result<()> {
        let c = &self.config;
        for name in self.index.keys() {
            self.tensor(name.clone())?;
        }
        self.tensor(EMBEDDING.into())?.expect(FLOATS, &[c.vocab_size, c.hidden_size])?;
        self.tensor(FINAL_NORM.into())?.expect(FLOATS, &[c.hidden_size])?;
        if !c.tie_word_embeddings {
            self.tensor(HEAD.into())?.expect(FLOATS, &[c.vocab_size, c.hidden_size])?;
        }
        for layer in 0..c.num_hidden_layers {
            for norm in Norm::ALL {
                self.norm_tensor(layer, norm)?;
            }
            for linear in Linear::ALL {
                self.linear_tensor(layer, linear)?;
                if c.weights == WeightForm::Offline {
                    self.scale_tensor(layer, linear)?;
                }
            }
        }
        Ok(())
    }

    /// What the folder has beside the model that is read from it: keys, tensors and files that are not used. A
    /// sentence each.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Refuses files and tensors that would change the arithmetic, and makes a remark on all others that are not
    /// used. `keys` are the unknown keys of the configuration.
    fn surplus(&self, keys: &[String]) -> Result<Vec<String>> {
        let mut remarks = vec![];
        if !keys.is_empty() {
            let keys = counted("key", keys);
            remarks.push(format!("{CONFIG}: {keys}; this program does not know them"));
        }
        let names: Vec<_> = self.shards.iter().filter_map(|shard| shard.path.file_name()).collect();
        remarks.extend(surplus::files(&self.folder, &names)?);
        let needed = surplus::needed(&self.config);
        let mut unused = vec![];
        for (at, shard) in self.shards.iter().enumerate() {
            let here = |name: &String| self.index.get(name).is_none_or(|other| *other == at);
            for (name, _) in shard.header.tensors() {
                let surplus = !needed.contains(&name) || !here(&name);
                if surplus && !self.is_the_tied_head(shard, &name)? {
                    if let Some(reason) = surplus::changes_arithmetic(&name, &self.config) {
                        return Err(shard.tensor(name)?.bad(reason.into()));
                    }
                    unused.push(name);
                }
            }
        }
        unused.sort();
        if !unused.is_empty() {
            remarks.push(counted("tensor", &unused));
        }
        Ok(remarks)
    }

    /// Whether a tensor is a second copy of the embedding, as the output head of a model that ties them. A head with
    /// other values is refused.
    fn is_the_tied_head(&self, shard: &Shard, name: &str) -> Result<bool> {
        if name != HEAD || !self.config.tie_word_embeddings {
            return Ok(false);
        }
        let (head, embedding) = (shard.tensor(name.into())?, self.tensor(EMBEDDING.into())?);
        let row = |tensor: &Tensor<'_>, row| self.rows(tensor, std::iter::once(row));
        let equal = if head.dtype == embedding.dtype {
            (head.shape, head.data) == (embedding.shape, embedding.data)
        } else {
            let mut rows = 0..self.config.vocab_size;
            head.shape == embedding.shape
                && FLOATS.contains(&head.dtype)
                && rows.try_fold(true, |all, r| Ok::<_, Error>(all && row(&head, r)? == row(&embedding, r)?))?
        };
        if equal {
            return Ok(true);
        }
        let reason = format!(
            "differs from {EMBEDDING}, although tie_word_embeddings is true in {CONFIG}; set that to false to use \
             this head"
        );
        Err(head.bad(reason))
    }

    fn tensor(&self, name: String) -> Result<Tensor<'_>> {
        let shard = match self.index.get(&name) {
            Some(&shard) => &self.shards[shard],
            None if self.index.is_empty() => &self.shards[0],
            None => return Err(Error::MissingTensor { path: self.folder.join(INDEX), tensor: name }),
        };
        shard.tensor(name)
    }

    fn norm_tensor(&self, layer: usize, norm: Norm) -> Result<Tensor<'_>> {
        self.tensor(norm_name(layer, norm))?.expect(FLOATS, &[norm.width(&self.config)])
    }

    fn linear_tensor(&self, layer: usize, linear: Linear) -> Result<Tensor<'_>> {
        let (rows, cols) = (linear.out_features(&self.config), linear.in_features(&self.config));
        let tensor = self.tensor(linear_name(layer, linear))?;
        match self.config.weights {
            WeightForm::Online => tensor.expect(FLOATS, &[rows, cols]),
            WeightForm::Offline => tensor.expect(PACKED, &[rows / 4, cols]),
        }
    }

    fn scale_tensor(&self, layer: usize, linear: Linear) -> Result<Tensor<'_>> {
        self.tensor(scale_name(layer, linear))?.expect(FLOATS, &[1])
    }

    /// Calls `part` with data that identify the weights of the layers, without reading all weights: the bytes of the
    /// configuration; the name, the size, the time of the last change and the header of each file; the bytes at the
    /// beginning, in the middle and at the end of each tensor of a layer.
    ///
    /// # Errors
    /// The configuration can no longer be read.
    pub(crate) fn identify(&self, mut part: impl FnMut(&[u8])) -> Result<()> {
        let config = self.folder.join(CONFIG);
        part(&fs::read(&config).map_err(Error::io(&config))?);
        for Shard { path, modified, bytes, data, .. } in &self.shards {
            part(path.file_name().unwrap_or_default().as_encoded_bytes());
            part(&bytes.len().to_le_bytes());
            part(&modified.map_or(0, nanoseconds).to_le_bytes());
            part(&bytes[..*data]);
        }
        let mut sample = |data: &[u8]| {
            let size = data.len().min(SAMPLE);
            for start in [0, (data.len() - size) / 2, data.len() - size] {
                part(&data[start..start + size]);
            }
        };
        for layer in 0..self.config.num_hidden_layers {
            for norm in Norm::ALL {
                sample(self.norm_tensor(layer, norm)?.data);
            }
            for linear in Linear::ALL {
                sample(self.linear_tensor(layer, linear)?.data);
                if self.config.weights == WeightForm::Offline {
                    sample(self.scale_tensor(layer, linear)?.data);
                }
            }
        }
        Ok(())
    }

    /// Reads the given rows of a float tensor that is `hidden_size` wide.
    fn rows(&self, tensor: &Tensor, rows: impl ExactSizeIterator<Item = usize>) -> Result<Array2<f32>> {
        let (count, width) = (rows.len(), self.config.hidden_size);
        let mut data = Vec::with_capacity(count * width);
        for row in rows {
            tensor.floats(row * width..(row + 1) * width, &mut data)?;
        }
        Ok(Array2::from_shape_vec((count, width), data).expect("each row has hidden_size values"))
    }
}

/// Nanoseconds since 1970; negative for an earlier time.
fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

/// Reads an index: the shard files that it names, and the shard of each tensor.
fn read_index(folder: &Path, path: &Path) -> Result<(Vec<PathBuf>, BTreeMap<String, usize>)> {
    let file = Object::read(path)?;
    let map = file.object("weight_map")?.ok_or_else(|| file.missing("weight_map"))?;
    let mut names: Vec<String> = Vec::new();
    let mut index = BTreeMap::new();
    for tensor in map.keys() {
        let name: String = map.required(tensor)?;
        if Path::new(&name).file_name().is_none_or(|n| n != name.as_str()) {
            return Err(map.bad(tensor, "the name of a file in the same folder"));
        }
        let shard = names.iter().position(|n| *n == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        index.insert(tensor.to_owned(), shard);
    }
    if index.is_empty() {
        return Err(file.bad("weight_map", "at least one tensor"));
    }
    Ok((names.iter().map(|n| folder.join(n)).collect(), index))
}

impl Shard {
    fn open(path: PathBuf, access: Access) -> Result<Self> {
        // The time is read before the bytes. If the file changes in between, the time is too old, and the weight
        // cache notices the change at the next start.
        let modified = fs::metadata(&path).and_then(|file| file.modified()).ok();
        let bytes = Bytes::open(&path, access).map_err(Error::io(&path))?;
        match SafeTensors::read_metadata(&bytes) {
            Ok((header_len, header)) => Ok(Self { path, modified, header, data: 8 + header_len, bytes }),
            Err(e) => Err(files::other_kind(&path, &bytes).unwrap_or_else(|| {
                let reason = reason(&e) + &beginning(&bytes);
                Error::NotSafetensors { path, bytes: bytes.len(), reason }
            })),
        }
    }

    fn tensor(&self, name: String) -> Result<Tensor<'_>> {
        let path = &self.path;
        let Some(info) = self.header.info(&name) else {
            return Err(Error::MissingTensor { path: path.clone(), tensor: name });
        };
        let (start, end) = info.data_offsets;
        // `SafeTensors::read_metadata` has compared the offsets with the length of the file.
        let data = &self.bytes[self.data + start..self.data + end];
        Ok(Tensor { path, name, dtype: info.dtype, shape: &info.shape, data })
    }
}

/// The first words of a file that is text, such as the message of a server.
fn beginning(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(40)];
    let is_text = start.len() >= 8 && start.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    if is_text { format!("; it is text: {:?}", String::from_utf8_lossy(start)) } else { String::new() }
}

/// The error of the header check, or its usual cause.
fn reason(error: &SafeTensorError) -> String {
    let cause = match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            "the header does not describe this many bytes; is the download complete?"
        }
        SafeTensorError::HeaderTooSmall => "shorter than the length of a header",
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            "the length of the header makes no sense; is it a safetensors file?"
        }
        _ => return error.to_string(),
    };
    cause.into()
}

impl<'a> Tensor<'a> {
    /// Returns the tensor if it has one of these dtypes and this shape.
    fn expect(self, dtypes: &[Stored], shape: &[usize]) -> Result<Self> {
        if dtypes.contains(&self.dtype) && self.shape == shape {
            return Ok(self);
        }
        let dtypes: Vec<String> = dtypes.iter().map(|d| format!("{d:?}")).collect();
        Err(Error::TensorMismatch {
            path: self.path.into(),
            expected: format!("{} {shape:?}", dtypes.join(" or ")),
            found: format!("{:?} {:?}", self.dtype, self.shape),
            tensor: self.name,
        })
    }

    /// Appends the elements in `range` of a float tensor to `out`. Each element must be finite.
    fn floats(&self, range: Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        let start = out.len();
        let bytes = |size: usize| &self.data[range.start * size..range.end * size];
        let pairs = || bytes(2).as_chunks::<2>().0.iter();
        match self.dtype {
            Stored::BF16 => out.extend(pairs().map(|&b| bf16::from_le_bytes(b).to_f32())),
            Stored::F16 => out.extend(pairs().map(|&b| f16::from_le_bytes(b).to_f32())),
            _ => out.extend(bytes(4).as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b))),
        }
        match out[start..].iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(i) => Err(self.bad(format!("element {} is {}, not a finite number", range.start + i, out[start + i]))),
        }
    }

    /// The elements in `range` of a bf16 tensor, without a copy if they are aligned in the file. Each element must be
    /// finite.
    fn bf16s(&self, range: Range<usize>) -> Result<Cow<'a, [bf16]>> {
        let data: &'a [u8] = &self.data[range.start * 2..range.end * 2];
        let in_place = if cfg!(target_endian = "little") { bytemuck::try_cast_slice(data).ok() } else { None };
        let all = || data.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b)).collect::<Vec<_>>();
        let values = in_place.map_or_else(|| Cow::Owned(all()), Cow::Borrowed);
        // This check has no branch per value and runs on chunks in parallel, because a head has hundreds of millions
        // of values.
        let largest = |chunk: &[bf16]| chunk.iter().fold(0, |max, x| max.max(x.to_bits() & 0x7fff));
        let chunks = values.par_chunks(1 << 16);
        if chunks.any(|chunk| largest(chunk) >= bf16::INFINITY.to_bits())
            && let Some(i) = values.iter().position(|x| !x.is_finite())
        {
            return Err(self.bad(format!("element {} is {}, not a finite number", range.start + i, values[i])));
        }
        Ok(values)
    }

    fn all_floats(&self) -> Result<Vec<f32>> {
        let count = self.shape.iter().product();
        let mut out = Vec::with_capacity(count);
        self.floats(0..count, &mut out)?;
        Ok(out)
    }

    fn bad(&self, reason: String) -> Error {
        Error::BadTensor { path: self.path.into(), tensor: self.name.clone(), reason }
    }
}

impl WeightSource for Checkpoint {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn linear(&self, layer: usize, linear: Linear) -> Result<BitLinearWeights> {
        self.config.check_layer(layer)?;
        let tensor = self.linear_tensor(layer, linear)?;
        let (rows, cols) = (linear.out_features(&self.config), linear.in_features(&self.config));
        if self.config.weights == WeightForm::Offline {
            let factor = self.scale_tensor(layer, linear)?.all_floats()?[0];
            let ternary = packed::unpack(tensor.data, rows, cols).map_err(|e| tensor.bad(e.to_string()))?;
            return Ok(BitLinearWeights { ternary: ternary.into(), factor });
        }
        let masters = match tensor.dtype {
            Stored::BF16 => {
                let masters: Vec<_> = tensor.data.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b)).collect();
                quantise::weights(&masters, rows, cols)
            }
            _ => quantise::weights(&tensor.all_floats()?, rows, cols),
        };
        let quantise::Weights { matrix, factor, .. } = masters.map_err(|e| tensor.bad(e.to_string()))?;
        Ok(BitLinearWeights { ternary: matrix.into(), factor })
    }

    fn norm(&self, layer: usize, norm: Norm) -> Result<Vec<f32>> {
        self.config.check_layer(layer)?;
        self.norm_tensor(layer, norm)?.all_floats()
    }

    fn embed(&self, ids: &[u32]) -> Result<Array2<f32>> {
        self.config.check_tokens(ids)?;
        self.rows(&self.tensor(EMBEDDING.into())?, ids.iter().map(|&id| id as usize))
    }

    fn head(&self, vocab: Range<usize>) -> Result<HeadRows<'_>> {
        let name = if self.config.tie_word_embeddings { EMBEDDING } else { HEAD };
        let (tensor, width) = (self.tensor(name.into())?, self.config.hidden_size);
        let range = vocab.start * width..vocab.end * width;
        if tensor.dtype == Stored::BF16 {
            return tensor.bf16s(range).map(HeadRows::Bf16);
        }
        let mut rows = Vec::with_capacity(range.len());
        tensor.floats(range, &mut rows)?;
        Ok(HeadRows::F32(rows.into()))
    }

    fn final_norm(&self) -> Result<Vec<f32>> {
        self.tensor(FINAL_NORM.into())?.all_floats()
    }

    fn describe(&self) -> String {
        let form = match self.config.weights {
            WeightForm::Online => "float masters, made ternary at load",
            WeightForm::Offline => "packed 2-bit weights",
        };
        format!("{}: {form}, {} file(s)", self.folder.display(), self.shards.len())
    }
}
