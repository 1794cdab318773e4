//! The cache of ternary weights: the second start reads no masters, and damaged or foreign files are not used.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bitnet::checkpoint::Checkpoint;
use bitnet::config::{ModelConfig, WeightForm};
use bitnet::export::export;
use bitnet::synthetic::Synthetic;
use bitnet::weight_cache::{Event, WeightCache};
use bitnet::weights::{LayerWeights, WeightSource};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const Q0: &str = "model.layers.0.self_attn.q_proj.weight";

fn testdata(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../..", "testdata", name].iter().collect()
}

/// A checkpoint and a cache for it, both removed when dropped.
struct Setup {
    model: TempDir,
    cache: TempDir,
}

type Layers = Vec<Arc<LayerWeights>>;

impl Setup {
    /// A copy of a recorded checkpoint.
    fn of(name: &str) -> Self {
        let setup = Self { model: TempDir::new().unwrap(), cache: TempDir::new().unwrap() };
        for entry in fs::read_dir(testdata(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), setup.model.path().join(entry.file_name())).unwrap();
        }
        setup
    }

    /// A tiny checkpoint of two layers, which is quick to make. Its 60 intermediate features leave bits of a word
    /// unused.
    fn minute(seed: u64) -> Self {
        let mut config = ModelConfig::bitnet_2b_4t();
        (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (64, 60, 2);
        (config.num_attention_heads, config.num_key_value_heads, config.vocab_size) = (2, 1, 16);
        let setup = Self { model: TempDir::new().unwrap(), cache: TempDir::new().unwrap() };
        export(&Synthetic::new(config, seed), WeightForm::Online, setup.model.path(), &mut |_, _| ()).unwrap();
        setup
    }

    fn open(&self) -> Checkpoint {
        Checkpoint::open(self.model.path()).unwrap()
    }

    /// Opens a cache below `dir` and loads all layers through it. Returns the events and the layers.
    fn start_in(&self, dir: &Path) -> (Vec<String>, Layers) {
        let log = Mutex::new(Vec::new());
        let cache = WeightCache::new(self.open(), dir, |event| log.lock().unwrap().push(short(event))).unwrap();
        let layers = (0..cache.config().num_hidden_layers).map(|l| cache.layer(l).unwrap()).collect();
        drop(cache);
        (log.into_inner().unwrap(), layers)
    }

    /// Loads all layers through the cache and compares them with those of the checkpoint. Returns the events.
    fn start(&self) -> Vec<String> {
        let (events, layers) = self.start_in(self.cache.path());
        let checkpoint = self.open();
        for (l, layer) in layers.iter().enumerate() {
            assert_eq!(*layer, checkpoint.layer(l).unwrap(), "layer {l}, {events:?}");
        }
        events
    }

    /// The folder of this checkpoint in the cache.
    fn folder(&self) -> PathBuf {
        WeightCache::new(self.open(), self.cache.path(), |_| ()).unwrap().folder().into()
    }

    fn file(&self, layer: usize) -> PathBuf {
        self.folder().join(format!("layer-{layer}.safetensors"))
    }

    /// Replaces the cached file of layer 0 by `bytes`. The next start must reject it for this reason and write it
    /// again, and the start after that must find it intact. The cache must be filled before.
    fn rejects(&self, bytes: &[u8], reason: &str) {
        fs::write(self.file(0), bytes).unwrap();
        let events = self.start();
        assert!(events[0].starts_with("rejected ") && events[0].contains(reason), "{reason}: {events:?}");
        assert_eq!(events[1..], ["hit 1"]);
        assert_eq!(self.start(), ["hit 0", "hit 1"], "{reason}");
    }
}

fn short(event: &Event) -> String {
    match event {
        Event::Hit { layer } => format!("hit {layer}"),
        Event::Miss { layer } => format!("miss {layer}"),
        Event::Rejected { reason, .. } => format!("rejected {reason}"),
        Event::NotWritten { .. } => format!("not written {event}"),
        _ => unreachable!("{event}"),
    }
}

/// A copy of a file with edited tensors and metadata, and with matching checksums.
fn forged(good: &[u8], edit: impl FnOnce(&mut HashMap<String, Vec<u8>>, &mut HashMap<String, String>)) -> Vec<u8> {
    let mut notes = SafeTensors::read_metadata(good).unwrap().1.metadata().clone().unwrap();
    let file = SafeTensors::deserialize(good).unwrap();
    let mut data: HashMap<_, _> = file.tensors().into_iter().map(|(n, t)| (n, t.data().to_vec())).collect();
    edit(&mut data, &mut notes);
    for (name, data) in &data {
        let sum = Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect();
        notes.insert(format!("sha256.{name}"), sum);
    }
    let view = |(name, data): (&String, _)| {
        let old = file.tensor(name).unwrap();
        (name.clone(), TensorView::new(old.dtype(), old.shape().to_vec(), data).unwrap())
    };
    safetensors::serialize(data.iter().map(|(n, d)| view((n, d))), Some(notes)).unwrap()
}

fn set_time(path: &Path, time: SystemTime) {
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn ago(hours: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(3600 * hours)
}

#[test]
fn the_second_start_reads_no_masters() {
    for name in ["tiny-online", "tiny-packed", "tiny-packed-sharded"] {
        let setup = Setup::of(name);
        assert_eq!(setup.start(), ["miss 0", "miss 1"], "{name}");
        assert_eq!(setup.start(), ["hit 0", "hit 1"], "{name}");
        let mut files: Vec<_> = fs::read_dir(setup.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["layer-0.safetensors", "layer-1.safetensors"]);
    }
}

#[test]
fn everything_but_layers_is_the_checkpoints() {
    let setup = Setup::minute(1);
    let (checkpoint, cache) = (setup.open(), WeightCache::new(setup.open(), setup.cache.path(), |_| ()).unwrap());
    assert_eq!(cache.config(), checkpoint.config());
    assert_eq!(cache.describe(), checkpoint.describe());
    let (linear, norm) = (bitnet::config::Linear::Down, bitnet::config::Norm::FfnSub);
    assert_eq!(cache.linear(1, linear).unwrap(), checkpoint.linear(1, linear).unwrap());
    assert_eq!(cache.norm(1, norm).unwrap(), checkpoint.norm(1, norm).unwrap());
    assert_eq!(cache.embed(&[3, 1]).unwrap(), checkpoint.embed(&[3, 1]).unwrap());
    assert_eq!(cache.head(2..5).unwrap(), checkpoint.head(2..5).unwrap());
    assert_eq!(cache.final_norm().unwrap(), checkpoint.final_norm().unwrap());
    assert!(matches!(cache.layer(2), Err(bitnet::Error::LayerOutOfRange { .. })));
    assert!(!cache.folder().exists(), "no layer was asked for");
}

#[test]
fn truncated_files() {
    let setup = Setup::minute(1);
    setup.start();
    let good = fs::read(setup.file(0)).unwrap();
    for len in [0, 1, 7, 8, 100, 3000, good.len() / 2, good.len() - 1] {
        setup.rejects(&good[..len], "");
    }
    setup.rejects(&[&good[..], b"x"].concat(), "");
    setup.rejects(b"PK\x03\x04 a zip file, not tensors", "");
}

/// Wherever a bit is flipped, the file is not used and the loaded layer is correct.
#[test]
fn flipped_bits() {
    let setup = Setup::minute(1);
    setup.start();
    let (path, good) = (setup.file(0), fs::read(setup.file(0)).unwrap());
    let log = Mutex::new(Vec::new());
    let cache = WeightCache::new(setup.open(), setup.cache.path(), |e| log.lock().unwrap().push(short(e))).unwrap();
    let want = setup.open().layer(0).unwrap();
    let header = 8 + SafeTensors::read_metadata(&good).unwrap().0;
    let everywhere = (0..header).step_by(3).map(|i| (i, i % 8));
    let length_and_padding = (0..8).chain(header - 8..header).flat_map(|i| (0..8).map(move |bit| (i, bit)));
    let data = (header..good.len()).step_by(11).map(|i| (i, i % 8));
    let mut bad = good.clone();
    for (i, bit) in everywhere.chain(length_and_padding).chain(data) {
        bad[i] ^= 1 << bit;
        fs::write(&path, &bad).unwrap();
        bad[i] = good[i];
        assert_eq!(cache.layer(0).unwrap(), want, "bit {bit} of byte {i}");
        let events = std::mem::take(&mut *log.lock().unwrap());
        assert!(events.len() == 1 && events[0].starts_with("rejected "), "bit {bit} of byte {i}: {events:?}");
    }
    assert_eq!(setup.start(), ["hit 0", "hit 1"]);
}

/// Complete files that belong to another layer, checkpoint or version.
#[test]
fn files_from_elsewhere() {
    let [setup, other] = [1, 2].map(Setup::minute);
    setup.start();
    other.start();
    let [good, layer1, foreign] = [setup.file(0), setup.file(1), other.file(0)].map(|p| fs::read(p).unwrap());
    setup.rejects(&foreign, "fingerprint: expected ");
    setup.rejects(&layer1, "layer: expected 0, found 1");
    for (key, value) in [("version", "0"), ("version", "2"), ("format", "gguf"), ("layer", "00")] {
        let note = forged(&good, |_, notes| drop(notes.insert(key.into(), value.into())));
        setup.rejects(&note, &format!("{key}: expected "));
        let none = forged(&good, |_, notes| drop(notes.remove(key)));
        setup.rejects(&none, &format!("{key}: missing"));
    }
    let plain = SafeTensors::deserialize(&good).unwrap();
    setup.rejects(&safetensors::serialize(plain.tensors(), None).unwrap(), "format: missing");
    setup.rejects(&fs::read(setup.model.path().join("model.safetensors")).unwrap(), "format: ");
}

/// Files with valid metadata and checksums, but invalid contents.
#[test]
fn contents_that_are_no_weights() {
    let setup = Setup::minute(1);
    setup.start();
    let good = fs::read(setup.file(0)).unwrap();
    setup.rejects(&forged(&good, |t, _| drop(t.remove("mlp.up_proj.neg"))), "tensor mlp.up_proj.neg: missing");
    for plane in ["nz", "neg"] {
        // Bit 60 of a row of 60 weights, in one of the planes.
        let past = forged(&good, |t, _| t.get_mut(&format!("mlp.down_proj.{plane}")).unwrap()[7] |= 0x10);
        setup.rejects(&past, "mlp.down_proj: the planes hold bits that are no weights");
    }
    let negative_zero = forged(&good, |t, _| {
        let nz = t["self_attn.k_proj.nz"].clone();
        t.insert("self_attn.k_proj.neg".into(), nz.iter().map(|byte| !byte).collect());
    });
    setup.rejects(&negative_zero, "self_attn.k_proj: the planes hold bits that are no weights");
    for name in ["mlp.gate_proj.factor", "self_attn.attn_sub_norm.weight"] {
        let nan = forged(&good, |t, _| t.get_mut(name).unwrap()[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
        setup.rejects(&nan, &format!("tensor {name}: a value is not finite"));
    }
    let file = SafeTensors::deserialize(&good).unwrap();
    let reshaped = |name: &str, dtype, shape: &[usize]| {
        let tensors = file.tensors().into_iter().map(|(n, t)| {
            let view = TensorView::new(dtype, shape.to_vec(), t.data());
            if n == name { (n, view.unwrap()) } else { (n, t) }
        });
        let notes = SafeTensors::read_metadata(&good).unwrap().1.metadata().clone();
        safetensors::serialize(tensors, notes).unwrap()
    };
    let (name, u64, i64) = ("self_attn.q_proj.nz", safetensors::Dtype::U64, safetensors::Dtype::I64);
    setup.rejects(&reshaped(name, u64, &[32, 2]), "expected U64 [64, 1], found U64 [32, 2]");
    setup.rejects(&reshaped(name, i64, &[64, 1]), "expected U64 [64, 1], found I64 [64, 1]");
}

#[test]
fn a_changed_checkpoint() {
    let setup = Setup::of("tiny-online");
    let path = setup.model.path().join("model.safetensors");
    let time = ago(5);
    set_time(&path, time);
    let before = setup.folder();
    assert_eq!(setup.start(), ["miss 0", "miss 1"]);

    let good = fs::read(&path).unwrap();
    let (header_len, header) = SafeTensors::read_metadata(&good).unwrap();
    let q0 = 8 + header_len + header.info(Q0).unwrap().data_offsets.0;
    // Flips the sign of a master: the first one is at `q0 + 1`, one between the samples at `q0 + 10_001`.
    let changed = |at: usize, time| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x80;
        fs::write(&path, bytes).unwrap();
        set_time(&path, time);
    };
    changed(q0 + 10_001, time + Duration::from_nanos(100));
    assert_eq!(setup.start(), ["miss 0", "miss 1"], "another time");
    changed(q0 + 1, time);
    assert_eq!(setup.start(), ["miss 0", "miss 1"], "the same time, other samples");
    changed(q0 + 10_001, time);
    assert_eq!(setup.start_in(setup.cache.path()).0, ["hit 0", "hit 1"], "the change that is not noticed");

    fs::write(&path, &good).unwrap();
    set_time(&path, time);
    assert_eq!(setup.start(), ["hit 0", "hit 1"], "as before");
    assert_eq!(setup.folder(), before);
    let config = setup.model.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "\n").unwrap();
    assert_eq!(setup.start(), ["miss 0", "miss 1"], "another configuration");
    let open = setup.open();
    fs::remove_file(&config).unwrap();
    let error = WeightCache::new(open, setup.cache.path(), |_| ()).err().unwrap();
    assert!(error.is_input_file() && error.to_string().contains("config.json: cannot read"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written() {
    let setup = Setup::minute(1);
    let file = setup.cache.path().join("file");
    fs::write(&file, "").unwrap();
    let (events, layers) = setup.start_in(&file);
    assert_eq!(events.len(), 3, "one remark is enough: {events:?}");
    assert_eq!((&events[0][..], &events[2][..]), ("miss 0", "miss 1"));
    assert!(events[1].contains("layer-0.safetensors: cannot write"), "{events:?}");
    assert_eq!(layers[1], setup.open().layer(1).unwrap());
    // A folder stands in the place of a file.
    setup.start();
    fs::remove_file(setup.file(1)).unwrap();
    fs::create_dir(setup.file(1)).unwrap();
    let events = setup.start();
    assert_eq!(events[..2], ["hit 0", "rejected not a regular file"]);
    assert!(events[2].starts_with("not written "), "{events:?}");
    assert_eq!(fs::read_dir(setup.folder()).unwrap().count(), 2, "nothing half-written");
}

#[test]
fn many_at_once() {
    let setup = Setup::minute(1);
    let want: Layers = (0..2).map(|l| setup.open().layer(l).unwrap()).collect();
    for _ in 0..10 {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let (events, layers) = setup.start_in(setup.cache.path());
                    assert_eq!(layers, want);
                    assert!(events.iter().all(|e| e.starts_with("hit") || e.starts_with("miss")), "{events:?}");
                });
            }
        });
        assert_eq!(setup.start(), ["hit 0", "hit 1"]);
        assert_eq!(fs::read_dir(setup.folder()).unwrap().count(), 2, "no temporary files");
        fs::remove_dir_all(setup.folder()).unwrap();
    }
}

#[test]
fn old_states_go_and_the_one_in_use_stays() {
    let setup = Setup::minute(1);
    setup.start();
    let (own, states) = (setup.folder(), setup.cache.path().join("weights"));
    let state = |i: usize| states.join(format!("{i:064x}"));
    for i in 1..=6 {
        fs::create_dir(state(i)).unwrap();
        fs::write(state(i).join("layer-0.safetensors"), "").unwrap();
        set_time(&state(i), ago(100 - i as u64));
    }
    let unrelated = states.join("notes");
    fs::create_dir(&unrelated).unwrap();
    let (leftover, recent) = (own.join(".tmp-a"), own.join(".tmp-b"));
    fs::write(&leftover, "").unwrap();
    fs::write(&recent, "").unwrap();
    set_time(&leftover, ago(25));
    set_time(&unrelated, ago(1000));
    set_time(&own, ago(1000));
    assert_eq!(setup.start(), ["hit 0", "hit 1"], "the oldest, but in use");
    let kept: Vec<_> = (1..=6).filter(|i| state(*i).exists()).collect();
    assert_eq!(kept, [4, 5, 6]);
    assert!(unrelated.exists() && recent.exists() && !leftover.exists());
    assert!(fs::metadata(&own).unwrap().modified().unwrap() > ago(1), "used just now");
}

/// Users can share a cache, so the umask decides who may read its files.
#[test]
#[cfg(unix)]
fn files_follow_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::minute(11);
    let plain = setup.model.path().join("plain");
    fs::write(&plain, "").unwrap();
    let cache = WeightCache::new(setup.open(), setup.cache.path(), |_| ()).unwrap();
    cache.layer(0).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&cache.folder().join("layer-0.safetensors")), mode(&plain));
}
