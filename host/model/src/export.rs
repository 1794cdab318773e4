//! Writes the weights of any source as the folder of a Hugging Face checkpoint: `config.json`,
//! `generation_config.json` and one `model.safetensors`. Its tensors have the names, the order and the dtypes of the
//! published checkpoints of BitNet b1.58-2B-4T.
//!
//! All floats are stored as bf16: exactly if the weights come from bf16, rounded otherwise. Ternary weights are read
//! back exactly in both forms.
//!
//! - [`WeightForm::Offline`]: two bits per weight, and the factor of each linear as a `weight_scale`.
//! - [`WeightForm::Online`]: masters `t * a`, with the ternary weight `t` and one magnitude `a` per linear. The
//!   quantiser takes the mean magnitude of the masters as factor, so `a` is chosen to bring this mean as near to the
//!   factor of the source as bf16 allows: within 2^-8 of it. A factor below 1e-5, the floor of the quantiser, is not
//!   possible and is refused. If all weights of a linear are zero, its factor has no effect, and it is read back as
//!   the floor.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use golden::{Dtype, TernaryMatrix, packed};
use half::bf16;
use rayon::prelude::*;
use safetensors::tensor::{Dtype as Stored, Metadata, TensorInfo};
use serde_json::{Value, json};

use crate::config::{Linear, ModelConfig, Norm, WeightForm};
use crate::names::{CONFIG, EMBEDDING, FINAL_NORM, HEAD, SINGLE, linear_name, norm_name, scale_name};
use crate::weights::{BitLinearWeights, HeadRows, WeightSource};
use crate::{Error, Result};

/// Rows of the embedding or the head that are loaded at a time.
const ROWS: usize = 1024;
/// The smallest factor that the quantiser of masters gives.
const FLOOR: f32 = 1e-5;

/// Writes the weights of `source` in the given form into `folder`, which is new or empty. A caller whose folder must be
/// complete at all times gives a temporary one. One layer is loaded at a time. `progress` is called with the bytes of
/// `model.safetensors` that are written so far, and with the size of this file in bytes.
///
/// # Errors
/// The folder exists and is not empty, or cannot be written; the form cannot hold a value; or the source fails.
pub fn export(
    source: &dyn WeightSource,
    form: WeightForm,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let config = source.config();
    let free = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !folder.exists(),
    };
    if !free {
        return Err(Error::Occupied { path: folder.into() });
    }
    if form == WeightForm::Offline
        && let Some(linear) = Linear::ALL.into_iter().find(|l| !l.out_features(config).is_multiple_of(4))
    {
        let reason = format!("{} rows, and packing takes a multiple of 4", linear.out_features(config));
        return Err(Error::NotExportable { tensor: linear_name(0, linear), reason });
    }

    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let json = |name: &str, value: Value| {
        fs::write(folder.join(name), format!("{value:#}\n")).map_err(Error::write(&folder.join(name)))
    };
    json(CONFIG, config_json(config, form))?;
    json("generation_config.json", generation_json(config))?;
    let path = folder.join(SINGLE);
    let file = File::create(&path).map_err(Error::write(&path))?;
    Weights::create(file, config, form, &path, progress)?.write(source)
}

/// Size of the `model.safetensors` that [`export`] writes, in bytes.
pub fn export_bytes(config: &ModelConfig, form: WeightForm) -> u64 {
    let (header, bytes) = header(config, form);
    (bytes.len() + header.data_len()) as u64
}

fn config_json(c: &ModelConfig, form: WeightForm) -> Value {
    let mode = match form {
        WeightForm::Online => "online",
        WeightForm::Offline => "offline",
    };
    json!({
        "architectures": ["BitNetForCausalLM"],
        "bos_token_id": c.bos_token_id,
        "eos_token_id": eos(c),
        "hidden_act": "relu2",
        "hidden_size": c.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": c.intermediate_size,
        "max_position_embeddings": c.max_position_embeddings,
        "model_type": "bitnet",
        "num_attention_heads": c.num_attention_heads,
        "num_hidden_layers": c.num_hidden_layers,
        "num_key_value_heads": c.num_key_value_heads,
        "quantization_config": {
            "quant_method": "bitnet",
            "linear_class": "autobitlinear",
            "quantization_mode": mode,
        },
        "rms_norm_eps": decimal(c.rms_norm_eps),
        "rope_theta": decimal(c.rope_theta),
        "tie_word_embeddings": c.tie_word_embeddings,
        "torch_dtype": "bfloat16",
        "use_cache": true,
        "vocab_size": c.vocab_size,
    })
}

fn generation_json(c: &ModelConfig) -> Value {
    json!({ "bos_token_id": c.bos_token_id, "eos_token_id": eos(c) })
}

/// `null`, one id, or a list of ids.
fn eos(c: &ModelConfig) -> Value {
    match c.eos_token_ids[..] {
        [] => Value::Null,
        [one] => one.into(),
        ref all => all.into(),
    }
}

/// The shortest decimal number for `x`: 1e-5, not 9.99999974738e-6.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().expect("a float prints as a number")
}

/// The header of `model.safetensors`, and its bytes with the length before them. The order of the tensors is that of
/// the safetensors library: larger dtypes first, then by name.
fn header(c: &ModelConfig, form: WeightForm) -> (Metadata, Vec<u8>) {
    let mut tensors = vec![
        (EMBEDDING.to_owned(), Stored::BF16, vec![c.vocab_size, c.hidden_size]),
        (FINAL_NORM.to_owned(), Stored::BF16, vec![c.hidden_size]),
    ];
    if !c.tie_word_embeddings {
        tensors.push((HEAD.to_owned(), Stored::BF16, vec![c.vocab_size, c.hidden_size]));
    }
    for layer in 0..c.num_hidden_layers {
        tensors.extend(Norm::ALL.map(|n| (norm_name(layer, n), Stored::BF16, vec![n.width(c)])));
        for linear in Linear::ALL {
            let (rows, cols) = (linear.out_features(c), linear.in_features(c));
            match form {
                WeightForm::Online => tensors.push((linear_name(layer, linear), Stored::BF16, vec![rows, cols])),
                WeightForm::Offline => {
                    tensors.push((linear_name(layer, linear), Stored::U8, vec![rows / 4, cols]));
                    tensors.push((scale_name(layer, linear), Stored::BF16, vec![1]));
                }
            }
        }
    }
    tensors.sort_by(|(a, x, _), (b, y, _)| y.cmp(x).then(a.cmp(b)));
    let mut end = 0;
    let place = |(name, dtype, shape): (String, Stored, Vec<usize>)| {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name, TensorInfo { dtype, shape, data_offsets: (start, end) })
    };
    let tensors = tensors.into_iter().map(place).collect();
    let format = [("format".to_owned(), "pt".to_owned())];
    let header = Metadata::new(Some(format.into()), tensors).expect("the tensors follow each other");
    let mut json = serde_json::to_vec(&header).expect("names, numbers and strings");
    json.resize(json.len().next_multiple_of(8), b' ');
    let bytes = [&(json.len() as u64).to_le_bytes()[..], &json].concat();
    (header, bytes)
}

/// A `model.safetensors` that is being written. Its tensors can be written in any order.
struct Weights<'a> {
    file: File,
    /// The path for error messages.
    path: &'a Path,
    config: &'a ModelConfig,
    form: WeightForm,
    header: Metadata,
    /// Position of the tensor data in the file, in bytes.
    data: u64,
    done: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Weights<'a> {
    /// Starts a file by writing its header.
    fn create(
        mut file: File,
        config: &'a ModelConfig,
        form: WeightForm,
        path: &'a Path,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let (header, bytes) = header(config, form);
        file.write_all(&bytes).map_err(Error::write(path))?;
        let data = bytes.len() as u64;
        Ok(Self { file, path, config, form, header, data, done: data, progress })
    }

    fn write(mut self, source: &dyn WeightSource) -> Result<()> {
        for layer in 0..self.config.num_hidden_layers {
            let weights = source.layer(layer)?;
            for norm in Norm::ALL {
                let name = norm_name(layer, norm);
                let values = rounded(&name, weights.norm(norm))?;
                self.put(&name, 0, &values)?;
            }
            for linear in Linear::ALL {
                self.linear(layer, linear, weights.linear(linear))?;
            }
        }
        self.put(FINAL_NORM, 0, &rounded(FINAL_NORM, &source.final_norm()?)?)?;
        let (vocab, width) = (self.config.vocab_size, self.config.hidden_size);
        // A source accepts at most as many tokens at once as the longest sequence has.
        let step = ROWS.min(self.config.max_position_embeddings);
        for start in (0..vocab).step_by(step) {
            let rows = start..vocab.min(start + step);
            let ids: Vec<u32> = rows.clone().map(|id| id as u32).collect();
            let embedding = source.embed(&ids)?.into_iter().collect::<Vec<_>>();
            self.put(EMBEDDING, start * width, &rounded(EMBEDDING, &embedding)?)?;
            if !self.config.tie_word_embeddings {
                match source.head(rows)? {
                    HeadRows::Bf16(head) => self.put(HEAD, start * width, &bits(&head))?,
                    HeadRows::F32(head) => self.put(HEAD, start * width, &rounded(HEAD, &head)?)?,
                }
            }
        }
        debug_assert_eq!(self.done, export_bytes(self.config, self.form), "every tensor was written once");
        Ok(())
    }

    fn linear(&mut self, layer: usize, linear: Linear, weights: &BitLinearWeights) -> Result<()> {
        let name = linear_name(layer, linear);
        let bad = |reason: String| Error::NotExportable { tensor: name.clone(), reason };
        let BitLinearWeights { ternary, factor } = weights;
        match self.form {
            WeightForm::Online => {
                let masters = masters(&ternary.planes(), *factor).map_err(bad)?;
                self.put(&name, 0, &masters)
            }
            WeightForm::Offline => {
                let packed = packed::pack(&ternary.planes()).map_err(|e| bad(e.to_string()))?;
                self.put(&name, 0, &packed)?;
                let name = scale_name(layer, linear);
                self.put(&name, 0, &rounded(&name, &[*factor])?)
            }
        }
    }

    /// Writes elements of a tensor, from element `start` on. The elements must already be little-endian in memory.
    fn put<T: bytemuck::Pod>(&mut self, name: &str, start: usize, elements: &[T]) -> Result<()> {
        let tensor = self.header.info(name).expect("the header has every tensor of the model").data_offsets;
        let bytes: &[u8] = bytemuck::cast_slice(elements);
        let start = tensor.0 + start * size_of::<T>();
        assert!(start + bytes.len() <= tensor.1, "{name}: more data than the header announces");
        let seek = self.file.seek(SeekFrom::Start(self.data + start as u64));
        seek.and_then(|_| self.file.write_all(bytes)).map_err(Error::write(self.path))?;
        self.done += bytes.len() as u64;
        (self.progress)(self.done, self.data + self.header.data_len() as u64);
        Ok(())
    }
}

/// The bit patterns of bf16 values, little-endian.
fn bits(values: &[bf16]) -> Vec<u16> {
    values.iter().map(|x| x.to_bits().to_le()).collect()
}

/// The bit patterns of values rounded to bf16, little-endian like those of [`bits`].
fn rounded(name: &str, values: &[f32]) -> Result<Vec<u16>> {
    let round = |x: &f32| Dtype::Bf16.round(*x);
    if let Some(i) = values.iter().position(|x| !round(x).is_finite()) {
        let reason = format!("element {i} is {}, which is no finite bf16", values[i]);
        return Err(Error::NotExportable { tensor: name.into(), reason });
    }
    Ok(values.iter().map(|x| ((round(x).to_bits() >> 16) as u16).to_le()).collect())
}

/// Masters, `[rows, cols]`, that the quantiser converts to `ternary` with approximately this factor. They are bf16
/// bit patterns like those of [`bits`].
fn masters(ternary: &TernaryMatrix, factor: f32) -> Result<Vec<u16>, String> {
    let (rows, cols, nonzero) = (ternary.rows(), ternary.cols(), ternary.count_nonzero());
    let magnitude = match nonzero {
        0 => 0.0,
        _ => Dtype::Bf16.round((f64::from(factor) * (rows * cols) as f64 / nonzero as f64) as f32),
    };
    // A factor up to half a unit of bf16 below the floor is accepted, because it is still read back within the
    // tolerance.
    if nonzero > 0 && (factor < FLOOR * (1.0 - 1.0 / 512.0) || !magnitude.is_finite()) {
        return Err(format!("a factor of {factor}, where masters can express one of {FLOOR} or more"));
    }
    let magnitude = (magnitude.to_bits() >> 16) as u16;
    let mut masters = vec![0; rows * cols];
    masters.par_chunks_mut(cols).with_min_len(16).enumerate().for_each(|(r, row)| {
        let (nz, neg) = ternary.row(r);
        for ((out, nz), neg) in row.chunks_mut(golden::ternary::WORD).zip(nz).zip(neg) {
            for (c, out) in out.iter_mut().enumerate() {
                let bit = |plane: &u64| (plane >> c & 1) as u16;
                *out = (magnitude * bit(nz) + (bit(neg) << 15)).to_le();
            }
        }
    });
    Ok(masters)
}
