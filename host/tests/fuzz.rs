//! The seeds of the fuzz targets. The test generates each seed, compares it with the stored file, and checks the
//! answer of its reader. `TMV_UPDATE_SEEDS=1 cargo test -p host --test fuzz` writes the files again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bitnet::checkpoint::Checkpoint;
use bitnet::config::WeightForm;
use bitnet::weight_cache::WeightCache;
use bitnet::weights::WeightSource;
use serde_json::{Value, json};

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub)]
mod readers;

use readers::{BLANK, SHARD, parts, tiny};

const Q: &str = "model.layers.0.self_attn.q_proj.weight";
const NORM: &str = "model.norm.weight";
const PROFILE: &str = include_str!("../profile/data/ryzen-9700x-pytorch.json");

/// Name, bytes, and a part of the expected error message. An empty part means that there is no error.
type Seed = (&'static str, Vec<u8>, &'static str);
type Reader = fn(&[u8]) -> Result<(), String>;

#[test]
fn every_seed_is_current_and_answered_as_it_should() {
    let targets: [(&str, Reader, Vec<Seed>); 3] = [
        ("checkpoint", readers::checkpoint, checkpoints()),
        ("weight_cache", readers::weight_cache, caches()),
        ("cpu_profile", readers::cpu_profile, profiles()),
    ];
    let mut wrong = Vec::new();
    for (target, read, seeds) in targets {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "fuzz", "seeds", target].iter().collect();
        let update = std::env::var_os("TMV_UPDATE_SEEDS").is_some();
        if update {
            fs::remove_dir_all(&folder).ok();
            fs::create_dir_all(&folder).unwrap();
        }
        for (name, bytes, complaint) in &seeds {
            if update {
                fs::write(folder.join(name), bytes).unwrap();
            }
            let kept = fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{target}/{name}: {e}"));
            assert!(kept == *bytes, "{target}/{name} is stale: TMV_UPDATE_SEEDS=1 writes it anew");
            match (read(bytes), *complaint) {
                (Ok(()), "") => {}
                (Err(e), part) if !part.is_empty() && e.contains(part) => {}
                (found, expected) => wrong.push(format!("{target}/{name}: expected \"{expected}\", found {found:?}")),
            }
        }
        let found = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let made = seeds.iter().map(|(name, ..)| name.to_string());
        assert_eq!(found.collect::<BTreeSet<_>>(), made.collect(), "files in {}", folder.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn checkpoints() -> Vec<Seed> {
    let (online, packed) = (tiny(WeightForm::Online), tiny(WeightForm::Offline));
    let of = |config: &[u8], index: &[u8], weights: &[u8]| [config, index, weights].join(&0);
    let [config, _, weights] = parts(&packed);
    let with = |edit: &dyn Fn(&mut Value)| of(config, b"", &header(weights, edit));
    let all: Value = tensors(weights).into_iter().map(|name| (name, json!(SHARD))).collect();
    let index = |map: &Value| json!({ "weight_map": map }).to_string().into_bytes();
    let mut outside = all.clone();
    outside[Q] = json!("../a.safetensors");
    let [online_config, _, masters] = parts(&online);
    let start = 8 + u64::from_le_bytes(*masters.first_chunk().unwrap()) as usize;
    let mut not_finite = masters.to_vec();
    not_finite[start..].as_chunks_mut().0.fill(half::bf16::NAN.to_le_bytes());
    vec![
        ("packed", packed.clone(), ""),
        ("online", online.clone(), ""),
        ("sharded", of(config, &index(&all), weights), ""),
        ("index-outside", of(config, &index(&outside), weights), "the name of a file in the same folder"),
        ("index-empty", of(config, &index(&json!({})), weights), "at least one tensor"),
        ("header-too-long", of(config, b"", &[&[0xff; 8], &weights[8..]].concat()), "the length of the header"),
        ("header-deep", of(config, b"", &file(nested().as_bytes(), b"")), "not a complete safetensors file"),
        ("truncated", packed[..packed.len() - 1].to_vec(), "is the download complete?"),
        ("overlap", with(&|h| move_start(h, -1)), "not a complete safetensors file"),
        ("gap", with(&|h| move_start(h, 1)), "not a complete safetensors file"),
        ("backwards", with(&|h| h[NORM]["data_offsets"] = json!([8, 0])), "not a complete safetensors file"),
        (
            "shape-overflow",
            with(&|h| h[NORM]["shape"] = json!([u64::MAX, u64::MAX])),
            "not a complete safetensors file",
        ),
        ("wrong-dtype", with(&|h| h[Q]["dtype"] = json!("I8")), Q),
        ("config-deep", of(nested().as_bytes(), b"", weights), "recursion limit"),
        ("config-large", of(&with_size(config, "hidden_size", 1 << 24), b"", weights), "16777216"),
        ("config-one-more-token", of(&with_size(config, "vocab_size", 3), b"", weights), "[3, 4]"),
        ("masters-not-finite", of(online_config, b"", &not_finite), "expected a finite value, got NaN"),
    ]
}

fn caches() -> Vec<Seed> {
    let model = tiny(WeightForm::Online);
    let [config, _, weights] = parts(&model);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("config.json", config), ("model.safetensors", weights)] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let cache = WeightCache::new(Checkpoint::open(folder.path()).unwrap(), folder.path(), |_| ()).unwrap();
    cache.layer(0).unwrap();
    let layer = fs::read(cache.folder().join("layer-0.safetensors")).unwrap();
    let note = |header: &mut Value, key: &str, value: &str| header["__metadata__"][key] = json!(value);
    let layer = header(&layer, &|h| {
        note(h, "fingerprint", BLANK);
        for name in tensors(&layer) {
            note(h, &format!("sha256.{name}"), BLANK);
        }
    });
    let with = |edit: &dyn Fn(&mut Value)| header(&layer, edit);
    let (factor, mut not_finite) = (offsets(&layer, "mlp.up_proj.factor"), layer.clone());
    not_finite[factor..factor + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let (nz, mut bits) = (offsets(&layer, "mlp.up_proj.nz"), layer.clone());
    bits[nz + 7] = 0x80;
    vec![
        ("layer", layer.clone(), ""),
        ("truncated", layer[..layer.len() - 1].to_vec(), "not used"),
        ("header-too-long", [&[0xff; 8], &layer[8..]].concat(), "not used"),
        ("other-layer", with(&|h| note(h, "layer", "1")), "layer: expected 0, found 1"),
        ("other-version", with(&|h| note(h, "version", "2")), "version: expected 1, found 2"),
        ("no-notes", with(&|h| h["__metadata__"] = json!({})), "format: missing"),
        ("wrong-sum", with(&|h| note(h, "sha256.mlp.up_proj.nz", &BLANK.replace('0', "f"))), "do not match"),
        ("wrong-dtype", with(&|h| h["mlp.up_proj.nz"]["dtype"] = json!("I64")), "found I64"),
        ("wrong-shape", with(&|h| h["mlp.up_proj.nz"]["shape"] = json!([2, 2])), "found U64 [2, 2]"),
        ("unused-bits", bits, "hold bits that are no weights"),
        ("factor-not-finite", not_finite, "a value is not finite"),
    ]
}

fn profiles() -> Vec<Seed> {
    // The built-in profile with one entry in each list.
    let mut whole: Value = serde_json::from_str(PROFILE).unwrap();
    for (_, list) in whole.as_object_mut().unwrap() {
        if let Some(list) = list.as_array_mut() {
            list.truncate(1);
        }
    }
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut profile = whole.clone();
        edit(&mut profile);
        profile.to_string().into_bytes()
    };
    vec![
        ("report", with(&|_| ()), ""),
        ("truncated", whole.to_string().into_bytes()[..1000].to_vec(), "EOF"),
        ("deep", nested().into_bytes(), "recursion limit"),
        ("no-list", with(&|p| p["operators"] = json!({})), "operators"),
        ("negative-time", with(&|p| p["operators"][0]["mean_ms"] = json!(-1)), "times of zero or more"),
        ("places", with(&|p| p["contradictions"][0]["where"] = json!([])), "as many entries"),
        (
            "out-of-range",
            whole.to_string().replacen("\"mean_ms\":", "\"mean_ms\":1e999,\"x\":", 1).into(),
            "out of range",
        ),
    ]
}

fn nested() -> String {
    "[".repeat(1000)
}

/// The configuration with a size that differs from the size of the weights.
fn with_size(config: &[u8], key: &str, size: usize) -> Vec<u8> {
    let mut config: Value = serde_json::from_slice(config).unwrap();
    config[key] = json!(size);
    config.to_string().into_bytes()
}

/// Moves the beginning of a tensor's data, but not the end of the preceding data.
fn move_start(header: &mut Value, by: i64) {
    let start = &mut header[NORM]["data_offsets"][0];
    *start = json!(start.as_i64().unwrap() + by);
}

fn split(bytes: &[u8]) -> (Value, &[u8]) {
    let (head, data) = bytes[8..].split_at(u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize);
    (serde_json::from_slice(head).unwrap(), data)
}

/// Builds a safetensors file.
fn file(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// Rebuilds a safetensors file with an edited header. The order of its keys is always the same.
fn header(bytes: &[u8], edit: &dyn Fn(&mut Value)) -> Vec<u8> {
    let (mut header, data) = split(bytes);
    edit(&mut header);
    file(header.to_string().as_bytes(), data)
}

fn tensors(bytes: &[u8]) -> Vec<String> {
    split(bytes).0.as_object().unwrap().keys().filter(|name| *name != "__metadata__").cloned().collect()
}

/// Offset in the file at which the data of a tensor begins.
fn offsets(bytes: &[u8], name: &str) -> usize {
    let (header, data) = split(bytes);
    bytes.len() - data.len() + header[name]["data_offsets"][0].as_u64().unwrap() as usize
}
