//! The readers of `bitnet` and `cpu_profile` as functions of bytes. The fuzz targets call them. `host/tests/fuzz.rs`
//! also calls them, but only with the seeds and on a stable compiler.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use bitnet::checkpoint::Checkpoint;
use bitnet::config::{Linear, ModelConfig, WeightForm};
use bitnet::export::export;
use bitnet::synthetic::Synthetic;
use bitnet::weight_cache::{Event, WeightCache};
use bitnet::weights::WeightSource;
use cpu_profile::report::CpuProfile;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Placeholder in an input of [`weight_cache`] for a checksum or the fingerprint, which no fuzzer can guess.
pub const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Name of the only weight file that an index in an input of [`checkpoint`] can name.
pub const SHARD: &str = "a.safetensors";

/// Opens a checkpoint and reads all of it. The input consists of `config.json`, a zero byte, the index (which may be
/// empty), a zero byte, and one weight file.
///
/// # Errors
/// The message of the reader, which must blame an input file.
pub fn checkpoint(input: &[u8]) -> Result<(), String> {
    let folder = folder();
    unpack(input, folder.path());
    let read = || {
        let model = Checkpoint::open(folder.path())?;
        let config = model.config();
        for layer in 0..config.num_hidden_layers {
            model.layer(layer)?;
        }
        model.embed(&[0, (config.vocab_size - 1) as u32][..config.max_position_embeddings.min(2)])?;
        model.head(0..config.vocab_size)?;
        model.final_norm()
    };
    read().map(drop).map_err(blamed)
}

/// Reads a layer of [`tiny`] from its weight cache. The cache file is the input, with every [`BLANK`] filled in.
///
/// # Errors
/// The reason why the cache file is not used.
pub fn weight_cache(input: &[u8]) -> Result<(), String> {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    let folder = folder();
    unpack(MODEL.get_or_init(|| tiny(WeightForm::Online)), folder.path());
    let refused = Mutex::new(None);
    let model = Checkpoint::open(folder.path()).expect("the tiny model is valid");
    let model = WeightCache::new(model, folder.path(), |event| match event {
        Event::Hit { .. } => {}
        other => *refused.lock().expect("nothing panics with it") = Some(other.to_string()),
    });
    let model = model.expect("the configuration can be read");
    let state = model.folder().file_name().and_then(|name| name.to_str()).expect("a fingerprint");
    let mut bytes = input.to_vec();
    sign(&mut bytes, state);
    write(model.folder(), "layer-0.safetensors", &bytes);
    model.layer(0).expect("what cannot be read is made anew");
    drop(model);
    refused.into_inner().expect("nothing panicked with it").map_or(Ok(()), Err)
}

/// Reads a CPU profile and calls its query functions.
///
/// # Errors
/// The message of the reader, which must blame an input file.
pub fn cpu_profile(input: &[u8]) -> Result<(), String> {
    let folder = folder();
    write(folder.path(), "profile.json", input);
    let cpu = CpuProfile::load(&folder.path().join("profile.json")).map_err(blamed)?;
    for layer in [0, 14] {
        let _ = cpu.linear_ms(layer);
        let _ = Linear::ALL.map(|linear| cpu.measured_ms(linear, layer));
    }
    let _ = (cpu.nonlinear_ms(), cpu.provenance(), cpu.block("decoder_layer"));
    Ok(())
}

/// A very small model, as an input of [`checkpoint`].
pub fn tiny(form: WeightForm) -> Vec<u8> {
    let mut config = ModelConfig::bitnet_2b_4t();
    (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (4, 4, 1);
    (config.num_attention_heads, config.num_key_value_heads, config.vocab_size) = (2, 2, 2);
    (config.bos_token_id, config.eos_token_ids) = (Some(0), vec![1]);
    let folder = folder();
    let model = folder.path().join("model");
    export(&Synthetic::new(config, 1), form, &model, &mut |_, _| ()).expect("an empty folder is there");
    let part = |name| fs::read(model.join(name)).expect("just written");
    [part("config.json"), part("model.safetensors")].join(&b"\0\0"[..])
}

/// The three parts of an input of [`checkpoint`]. Missing parts are empty.
pub fn parts(input: &[u8]) -> [&[u8]; 3] {
    let mut parts = input.splitn(3, |byte| *byte == 0);
    [(); 3].map(|()| parts.next().unwrap_or_default())
}

fn unpack(input: &[u8], folder: &Path) {
    let [config, index, weights] = parts(input);
    write(folder, "config.json", config);
    if index.is_empty() {
        write(folder, "model.safetensors", weights);
    } else {
        write(folder, "model.safetensors.index.json", index);
        write(folder, SHARD, weights);
    }
}

/// Replaces the placeholders of the fingerprint and the checksums, if the header can be read.
fn sign(bytes: &mut [u8], fingerprint: &str) {
    let Ok((len, header)) = SafeTensors::read_metadata(bytes) else { return };
    let (head, data) = bytes.split_at_mut(8 + len);
    fill(head, "fingerprint", fingerprint);
    for (name, info) in header.tensors() {
        let sum = hex::encode(Sha256::digest(&data[info.data_offsets.0..info.data_offsets.1]));
        fill(head, &format!("sha256.{name}"), &sum);
    }
}

fn fill(header: &mut [u8], key: &str, value: &str) {
    let blank = format!("\"{key}\":\"{BLANK}\"");
    if let Some(at) = header.windows(blank.len()).position(|window| window == blank.as_bytes()) {
        let start = at + blank.len() - 1 - BLANK.len();
        header[start..start + BLANK.len()].copy_from_slice(value.as_bytes());
    }
}

fn blamed(error: bitnet::Error) -> String {
    assert!(error.is_input_file(), "blames no file: {error}");
    error.to_string()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(folder).and_then(|()| fs::write(folder.join(name), bytes)).expect("a temporary file");
}
