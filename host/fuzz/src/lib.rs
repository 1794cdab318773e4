//! The readers of `host` as functions of some bytes. The fuzz targets call them, and so does `host/tests/fuzz.rs`, with
//! the seeds only and on a stable compiler.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use host::checkpoint::Checkpoint;
use host::config::{Linear, ModelConfig, WeightForm};
use host::export::export;
use host::profile::CpuProfile;
use host::synthetic::Synthetic;
use host::weight_cache::{Event, WeightCache, hex};
use host::weights::WeightSource;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What stands where [`weight_cache`] puts a checksum or a fingerprint, which no fuzzer can guess.
pub const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The file that an index of [`checkpoint`] can name.
pub const SHARD: &str = "a.safetensors";

/// Opens a checkpoint and reads all of it. The input is `config.json`, a zero byte, the index or nothing, a zero byte,
/// and the one file of weights.
///
/// # Errors
/// What the reader says, which has to blame an input file.
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

/// Reads a layer of [`tiny`] from its weight cache, which holds the input with each [`BLANK`] filled in.
///
/// # Errors
/// Why the file is not used.
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

/// Reads a CPU profile, and asks it everything.
///
/// # Errors
/// As [`checkpoint`].
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

/// About the smallest model there is, as an input of [`checkpoint`].
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

/// The three parts of an input of [`checkpoint`]; missing ones are empty.
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

/// Puts fingerprint and checksums where they are left blank, as far as the header can be read at all.
fn sign(bytes: &mut [u8], fingerprint: &str) {
    let Ok((len, header)) = SafeTensors::read_metadata(bytes) else { return };
    let (head, data) = bytes.split_at_mut(8 + len);
    fill(head, "fingerprint", fingerprint);
    for (name, info) in header.tensors() {
        let sum = hex(Sha256::new_with_prefix(&data[info.data_offsets.0..info.data_offsets.1]));
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

fn blamed(error: host::Error) -> String {
    assert!(error.is_input_file(), "blames no file: {error}");
    error.to_string()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(folder).and_then(|()| fs::write(folder.join(name), bytes)).expect("a temporary file");
}
