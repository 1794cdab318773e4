//! Checkpoints: the three forms of the tiny model, and faulty files of all kinds.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bitnet::checkpoint::{Access, Checkpoint};
use bitnet::config::{Linear, Norm};
use bitnet::inspect::Inspected;
use bitnet::weights::WeightSource;
use bitnet::{Error, ErrorKind};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

const EMBEDDING: &str = "model.embed_tokens.weight";
const Q0: &str = "model.layers.0.self_attn.q_proj.weight";
const NORM1: &str = "model.layers.1.mlp.ffn_sub_norm.weight";

fn testdata(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../..", "testdata", name].iter().collect()
}

/// A copy of a checkpoint, which a test may damage.
struct Copy(TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let dir = TempDir::new().unwrap();
        for entry in fs::read_dir(testdata(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
        Self(dir)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Replaces the first occurrence of `old` in a text file.
    fn replace(self, file: &str, old: &str, new: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(old), "{file} contains {old}");
        fs::write(self.path(file), text.replacen(old, new, 1)).unwrap();
        self
    }

    /// Writes a safetensors file again, after `edit` has changed its tensors.
    fn tensors(self, file: &str, edit: impl FnOnce(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>)) -> Self {
        let bytes = fs::read(self.path(file)).unwrap();
        let mut tensors: BTreeMap<_, _> = SafeTensors::deserialize(&bytes)
            .unwrap()
            .tensors()
            .into_iter()
            .map(|(name, t)| (name, (t.dtype(), t.shape().to_vec(), t.data().to_vec())))
            .collect();
        edit(&mut tensors);
        let views = tensors.iter().map(|(name, (d, s, b))| (name, TensorView::new(*d, s.clone(), b).unwrap()));
        fs::write(self.path(file), safetensors::serialize(views, None).unwrap()).unwrap();
        self
    }

    /// Opens the checkpoint and reads everything, once with mapped files and once with files read into memory. Both
    /// must give the same result.
    fn load(&self) -> Result<(), Error> {
        let results = [Access::Map, Access::Read].map(|access| load_all(self.0.path(), access));
        let messages = results.each_ref().map(|r| r.as_ref().err().map(Error::to_string));
        assert_eq!(messages[0], messages[1]);
        results.into_iter().next().unwrap()
    }

    /// Checks that loading fails, that the error blames an input file and that its message contains all `parts`.
    /// Returns the error.
    fn refused(&self, parts: &[&str]) -> Error {
        let error = self.load().expect_err("the checkpoint is damaged");
        assert!(error.is_input_file() && error.kind() == ErrorKind::InputFile, "{error}");
        let message = error.to_string();
        for part in parts {
            assert!(message.contains(part), "\"{message}\" says {part}");
        }
        error
    }
}

fn load_all(folder: &Path, access: Access) -> Result<(), Error> {
    let c = Checkpoint::open_with(folder, access)?;
    for l in 0..c.config().num_hidden_layers {
        c.layer(l)?;
    }
    c.final_norm()?;
    c.embed(&[0, 1, 319])?;
    c.head(0..c.config().vocab_size)?;
    Ok(())
}

#[test]
fn the_three_forms_hold_the_same_model() {
    let [online, packed, sharded] =
        ["tiny-online", "tiny-packed", "tiny-packed-sharded"].map(|f| Checkpoint::open(testdata(f)).unwrap());
    for l in 0..2 {
        let layers = [&online, &packed, &sharded].map(|c| c.layer(l).unwrap());
        assert_eq!(layers[1], layers[2], "sharded is packed");
        for op in Linear::ALL {
            let [online, packed, _] = layers.each_ref().map(|w| w.linear(op));
            assert_eq!(online.ternary, packed.ternary, "{l} {op}");
            assert!((online.factor / packed.factor - 1.0).abs() < 1.0 / 256.0, "the packed factor is a bf16");
            assert_eq!(online.ternary.rows(), op.out_features(sharded.config()));
        }
        for norm in Norm::ALL {
            assert_eq!(layers[0].norm(norm), layers[1].norm(norm));
        }
    }
    let ids = [318, 2, 282, 0, 1, 7];
    assert_eq!(online.embed(&ids).unwrap(), sharded.embed(&ids).unwrap());
    assert_eq!(online.head(2..3).unwrap().to_f32(), packed.embed(&[2]).unwrap().into_raw_vec_and_offset().0);
    assert_eq!(online.final_norm().unwrap(), sharded.final_norm().unwrap());
    assert!(sharded.describe().contains("packed 2-bit weights, 3 file(s)"), "{}", sharded.describe());
    assert!(online.describe().contains("float masters"));
    let e = packed.layer(2).unwrap_err();
    assert_eq!((e.kind(), e.is_input_file()), (ErrorKind::Usage, false));
}

#[test]
fn an_undamaged_copy_loads() {
    for name in ["tiny-online", "tiny-packed", "tiny-packed-sharded"] {
        Copy::of(name).load().unwrap();
        Copy::of(name).replace("config.json", "\"torch_dtype\"", "\"dtype\"").load().unwrap();
    }
    Copy::of("tiny-packed").tensors("model.safetensors", |_| ()).load().unwrap();
}

#[test]
fn float_tensors_may_have_other_float_dtypes() {
    let f32s = |(dtype, _, bytes): &mut (Dtype, Vec<usize>, Vec<u8>)| {
        if *dtype == Dtype::BF16 {
            let wide = bytes.chunks_exact(2).flat_map(|b| [0, 0, b[0], b[1]]).collect();
            (*dtype, *bytes) = (Dtype::F32, wide);
        }
    };
    for name in ["tiny-online", "tiny-packed"] {
        let wide = Copy::of(name).tensors("model.safetensors", |t| t.values_mut().for_each(f32s));
        let [wide, plain] = [wide.0.path(), &testdata(name)].map(|p| Checkpoint::open(p).unwrap());
        for l in 0..2 {
            assert_eq!(wide.layer(l).unwrap(), plain.layer(l).unwrap());
        }
        assert_eq!(wide.head(0..320).unwrap().to_f32(), plain.head(0..320).unwrap().to_f32());
    }
    let half = Copy::of("tiny-packed").tensors("model.safetensors", |t| {
        let (dtype, _, bytes) = t.get_mut("model.norm.weight").unwrap();
        *dtype = Dtype::F16;
        bytes.chunks_exact_mut(2).for_each(|b| b.copy_from_slice(&half::f16::from_f32(0.5).to_le_bytes()));
    });
    assert_eq!(Checkpoint::open(half.0.path()).unwrap().final_norm().unwrap(), [0.5; 256]);
}

#[test]
fn an_untied_head_is_read_from_the_checkpoint() {
    let untied =
        |name| Copy::of(name).replace("config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    untied("tiny-packed").refused(&["model.safetensors: tensor \"lm_head.weight\" is missing"]);
    untied("tiny-packed-sharded").refused(&["index.json: tensor \"lm_head.weight\" is missing"]);
    let with_head = untied("tiny-packed").tensors("model.safetensors", |t| {
        t.insert("lm_head.weight".into(), (Dtype::BF16, vec![320, 256], vec![0; 320 * 256 * 2]));
    });
    let c = Checkpoint::open(with_head.0.path()).unwrap();
    assert_eq!(c.head(7..9).unwrap().to_f32(), [0.0; 512]);
    assert!(c.embed(&[7]).unwrap().iter().any(|x| *x != 0.0));
}

#[test]
fn missing_files() {
    let e = Checkpoint::open("/nonexistent/model").unwrap_err();
    assert!(
        e.is_input_file() && e.to_string().starts_with("/nonexistent/model: no such folder; give the folder"),
        "{e}"
    );
    let c = Copy::of("tiny-packed");
    fs::remove_file(c.path("config.json")).unwrap();
    assert!(matches!(c.refused(&["config.json: cannot read"]), Error::Io { .. }));
    let c = Copy::of("tiny-packed");
    fs::remove_file(c.path("model.safetensors")).unwrap();
    assert!(matches!(c.refused(&["no model.safetensors"]), Error::NoWeights { .. }));
    let c = Copy::of("tiny-packed-sharded");
    fs::remove_file(c.path("model-00002-of-00003.safetensors")).unwrap();
    c.refused(&["model-00002-of-00003.safetensors: cannot read"]);
}

#[test]
fn files_of_another_kind() {
    let put = |file: &str, bytes: &[u8]| {
        let c = Copy::of("tiny-packed");
        fs::write(c.path(file), bytes).unwrap();
        c
    };
    put("model.safetensors", b"").refused(&["model.safetensors", "(0 bytes)"]);
    put("model.safetensors", b"PK\x03\x04 a zip file, not tensors").refused(&["a ZIP archive", "unpack it"]);
    put("model.safetensors", &[0x1f, 0x8b, 8, 0]).refused(&["a gzip archive; unpack it"]);
    put("model.safetensors", b"GGUF\x03\0\0\0").refused(&["a GGUF file, which llama.cpp and bitnet.cpp read; give"]);
    put("model.safetensors", b"Entry not found")
        .refused(&["is it a safetensors file?; it is text: \"Entry not found\""]);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4825679400\n";
    let page = b"\n<!DOCTYPE HTML><title>config.json</title>";
    for file in ["config.json", "model.safetensors"] {
        let e = put(file, pointer).refused(&[
            file,
            "a Git LFS pointer, not the file of 4825679400 bytes itself; run `git lfs pull` in its folder",
        ]);
        assert!(matches!(e, Error::OtherContent { .. }));
        put(file, page).refused(&[file, "a web page (HTML), not the file itself; download the file itself"]);
    }
    put("config.json", b"\xef\xbb\xbf{}").refused(&["config.json: the text begins with a byte-order mark; save it as"]);
    put("config.json", b"{\0}\0").refused(&["config.json: not valid JSON"]);
    put("config.json", b"\xff\xfe{\0}\0").refused(&["config.json: the text is UTF-16; save it as UTF-8"]);
    put("config.json", b"{\"a\": \"\xff\"}").refused(&["config.json: cannot read: invalid utf-8"]);
    put("model.safetensors", &[0xff; 64]).refused(&["is it a safetensors file?"]);
    put("config.json", b"").refused(&["config.json: the file is empty; is the download complete?"]);
    put("config.json", b"[1, 2]").refused(&["config.json", "expected an object, found [1,2]"]);
    let c = Copy::of("tiny-packed");
    fs::remove_file(c.path("model.safetensors")).unwrap();
    fs::create_dir(c.path("model.safetensors")).unwrap();
    c.refused(&["model.safetensors: cannot read: not a regular file"]);
}

/// A file that is cut at any length is refused. A file with a changed header byte is refused or loads. Neither panics.
#[test]
fn truncated_and_corrupt_files_never_panic() {
    let c = Copy::of("tiny-packed");
    let path = c.path("model.safetensors");
    let good = fs::read(&path).unwrap();
    for len in (0..5000).step_by(61).chain((5000..good.len()).step_by(40_961)).chain([good.len() - 1]) {
        fs::write(&path, &good[..len]).unwrap();
        assert!(matches!(c.load(), Err(Error::NotSafetensors { bytes, .. }) if bytes == len), "{len} bytes");
    }
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let (mut refused, mut bad) = (0, good.clone());
    for i in (0..header).step_by(7) {
        for flip in [0x01, 0x80] {
            bad[i] ^= flip;
            fs::write(&path, &bad).unwrap();
            if let Err(e) = load_all(c.0.path(), Access::Read) {
                assert!(e.is_input_file() && e.to_string().contains("model.safetensors"), "{e}");
                refused += 1;
            }
            bad[i] = good[i];
        }
    }
    assert!(refused > header / 7, "most changes are noticed: {refused}");
}

/// Invalid headers: longer than the file or than the longest allowed header; with tensors that overlap, leave a gap
/// or do not end at the end of the file.
#[test]
fn headers_that_cannot_be() {
    let c = Copy::of("tiny-packed");
    let path = c.path("model.safetensors");
    let good = fs::read(&path).unwrap();
    for length in [good.len() as u64 - 7, 100_000_001, 1 << 32, 1 << 63, u64::MAX] {
        let bad = [&length.to_le_bytes(), &good[8..]].concat();
        fs::write(&path, bad).unwrap();
        assert!(matches!(c.refused(&["is it a safetensors file?"]), Error::NotSafetensors { .. }), "{length}");
    }
    let file = |b: [usize; 2], data: usize| {
        let header = format!(
            r#"{{"a":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},"b":{{"dtype":"U8","shape":[{}],"data_offsets":{b:?}}}}}"#,
            b[1].wrapping_sub(b[0])
        );
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
    };
    for (what, bytes) in [
        ("overlap", file([2, 6], 6)),
        ("gap", file([6, 10], 10)),
        ("beyond the end", file([4, 12], 8)),
        ("rest", file([4, 8], 12)),
    ] {
        println!("{what}");
        fs::write(&path, bytes).unwrap();
        c.refused(&["model.safetensors", "safetensors file"]);
    }
    // The same header without a fault is accepted, but the tensors of the model are missing.
    fs::write(&path, file([4, 8], 8)).unwrap();
    c.refused(&["missing"]);
}

#[test]
fn missing_tensors_and_wrong_dtypes_and_shapes() {
    type Edit = fn(&mut (Dtype, Vec<usize>, Vec<u8>));
    let packed = |name: &'static str, edit: Edit| {
        Copy::of("tiny-packed").tensors("model.safetensors", |t| edit(t.get_mut(name).unwrap()))
    };
    let c = Copy::of("tiny-packed").tensors("model.safetensors", |t| drop(t.remove(NORM1)));
    assert!(matches!(c.refused(&["model.safetensors", NORM1, "missing"]), Error::MissingTensor { .. }));
    packed(Q0, |t| t.0 = Dtype::I8).refused(&[Q0, "expected U8 [64, 256], found I8 [64, 256]"]);
    packed(Q0, |t| t.1 = vec![128, 128]).refused(&[Q0, "expected U8 [64, 256], found U8 [128, 128]"]);
    packed(Q0, |t| t.1 = vec![64, 256, 1]).refused(&[Q0, "found U8 [64, 256, 1]"]);
    packed(EMBEDDING, |t| t.1.reverse()).refused(&[EMBEDDING, "[320, 256], found BF16 [256, 320]"]);
    packed("model.layers.0.mlp.up_proj.weight_scale", |t| (t.1, t.2) = (vec![2], vec![0; 4]))
        .refused(&["up_proj.weight_scale", "[1], found BF16 [2]"]);
    // The form of the weights does not match the configuration.
    Copy::of("tiny-packed").replace("config.json", "offline", "online").refused(&[Q0, "found U8 [64, 256]"]);
    Copy::of("tiny-online")
        .replace("config.json", "online", "offline")
        .refused(&[Q0, "expected U8 [64, 256], found BF16"]);
    // The configuration belongs to another model.
    Copy::of("tiny-packed").replace("config.json", ": 576", ": 580").refused(&["mlp.", "580", "576"]);
    Copy::of("tiny-packed")
        .replace("config.json", "num_hidden_layers\": 2", "num_hidden_layers\": 3")
        .refused(&["model.layers.2.input_layernorm.weight", "missing"]);
}

#[test]
fn bad_elements() {
    let packed = |name: &'static str, at: usize, value: &'static [u8]| {
        Copy::of("tiny-packed").tensors("model.safetensors", |t| {
            t.get_mut(name).unwrap().2[at..at + value.len()].copy_from_slice(value);
        })
    };
    let (nan, inf) = (&[0xc0, 0x7f], &[0x80, 0x7f]);
    let e = packed(Q0, 3 * 256 + 9, &[0b01_11_01_01]).refused(&[Q0, "column 9"]);
    assert!(matches!(e, Error::BadTensor { .. }));
    packed(NORM1, 10, nan).refused(&[NORM1, "element 5 is NaN"]);
    packed(EMBEDDING, 2 * 257, inf).refused(&[EMBEDDING, "element 257 is inf"]);
    packed("model.layers.1.self_attn.o_proj.weight_scale", 0, nan).refused(&["o_proj.weight_scale", "NaN"]);
    let c = Copy::of("tiny-online").tensors("model.safetensors", |t| {
        t.get_mut(Q0).unwrap().2[2 * 300..2 * 301].copy_from_slice(inf);
    });
    c.refused(&[Q0, "row 1, column 44", "inf"]);
}

#[test]
fn the_index_of_a_sharded_checkpoint() {
    let index = "model.safetensors.index.json";
    let sharded = |old: &str, new: &str| Copy::of("tiny-packed-sharded").replace(index, old, new);
    // The index names a shard that does not hold the tensor.
    sharded(
        "\"model.layers.0.input_layernorm.weight\": \"model-00002",
        "\"model.layers.0.input_layernorm.weight\": \"model-00003",
    )
    .refused(&["model-00003-of-00003.safetensors", "input_layernorm.weight", "missing"]);
    sharded("\"model.layers.0.input_layernorm.weight\"", "\"of.another.model\"")
        .refused(&["of.another.model", "missing"]);
    sharded("weight_map", "weights").refused(&[index, "\"weight_map\" is missing"]);
    sharded("\"model-00001-of-00003.safetensors\"", "7").refused(&[index, EMBEDDING, "expected a string"]);
    sharded("\"model-00001-of-00003.safetensors\"", "\"../model-00001-of-00003.safetensors\"").refused(&[
        index,
        EMBEDDING,
        "a file in the same folder",
    ]);
    sharded("{", "{{").refused(&[index, "not valid JSON"]);
    let c = Copy::of("tiny-packed-sharded");
    fs::write(c.path(index), r#"{"weight_map": {}}"#).unwrap();
    c.refused(&[index, "at least one tensor"]);
    // A tensor of the model is in a shard, but not in the index.
    let c = Copy::of("tiny-packed-sharded");
    let text = fs::read_to_string(c.path(index)).unwrap();
    let text: Vec<_> = text.lines().filter(|l| !l.contains(Q0)).collect();
    fs::write(
        c.path(index),
        text.join("\n").replace("weight_scale\": \"model-00002-of-00003.safetensors\",\n  }", "x\": 1 }"),
    )
    .unwrap();
    c.refused(&[Q0, "missing"]);
}

#[test]
fn every_required_key_of_the_configuration_is_named() {
    for key in [
        "model_type",
        "hidden_act",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
        "max_position_embeddings",
        "rope_theta",
        "rms_norm_eps",
    ] {
        let c = Copy::of("tiny-packed").replace("config.json", &format!("\"{key}\""), "\"unused\"");
        c.refused(&["config.json", &format!("key \"{key}\" is missing")]);
        let c = Copy::of("tiny-packed").replace(
            "config.json",
            &format!("\"{key}\": "),
            &format!("\"{key}\": [1], \"unused\": "),
        );
        c.refused(&["config.json", &format!("key \"{key}\": invalid type: sequence")]);
    }
    for key in ["linear_class", "quantization_mode"] {
        Copy::of("tiny-packed")
            .replace("config.json", &format!("\"{key}\""), "\"unused\"")
            .refused(&["config.json", &format!("key \"quantization_config.{key}\" is missing")]);
    }
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The remarks on a copy of the packed checkpoint with other tensors.
fn remarks(edit: impl FnOnce(&mut Tensors)) -> Vec<String> {
    let copy = Copy::of("tiny-packed").tensors("model.safetensors", edit);
    Checkpoint::open(copy.0.path()).unwrap().remarks().to_vec()
}

fn bf16s(shape: &[usize]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::BF16, shape.to_vec(), vec![0; 2 * shape.iter().product::<usize>()])
}

#[test]
fn tensors_that_are_not_used_are_listed() {
    for name in ["tiny-online", "tiny-packed", "tiny-packed-sharded", "gqa-online", "gqa-packed"] {
        assert_eq!(Checkpoint::open(testdata(name)).unwrap().remarks(), [""; 0], "{name}");
    }
    let found = remarks(|t| {
        t.insert("model.rotary_emb.inv_freq".into(), bf16s(&[32]));
        t.insert("model.layers.2.mlp.up_proj.bias".into(), bf16s(&[4]));
        // The head of a model that ties it to the embedding is a second copy.
        t.insert("lm_head.weight".into(), t[EMBEDDING].clone());
    });
    let names = "model.layers.2.mlp.up_proj.bias, model.rotary_emb.inv_freq";
    assert_eq!(found, [format!("2 tensors not used: {names}")]);
    let found = remarks(|t| t.extend((0..30).map(|i| (format!("extra.{i:02}"), bf16s(&[1])))));
    assert!(found[0].starts_with("30 tensors not used: extra.00, ") && found[0].ends_with(", extra.19 and 10 more"));
    let online = Copy::of("tiny-online").tensors("model.safetensors", |t| {
        t.insert("model.layers.0.self_attn.q_proj.weight_scale".into(), bf16s(&[1]));
    });
    let found = Checkpoint::open(online.0.path()).unwrap().remarks().to_vec();
    assert_eq!(found, ["1 tensor not used: model.layers.0.self_attn.q_proj.weight_scale"]);
    // A copy of a tensor in a shard that the index does not name for it.
    let shard = "model-00003-of-00003.safetensors";
    let sharded = Copy::of("tiny-packed-sharded").tensors(shard, |t| drop(t.insert(EMBEDDING.into(), bf16s(&[1]))));
    let found = Checkpoint::open(sharded.0.path()).unwrap().remarks().to_vec();
    assert_eq!(found, [format!("1 tensor not used: {EMBEDDING}")]);
}

#[test]
fn tensors_that_would_change_the_arithmetic_are_refused() {
    for (name, reason) in [
        ("model.layers.1.self_attn.q_proj.bias", "biases are not supported"),
        ("model.layers.0.mlp.down_proj.bias", "biases are not supported"),
        ("model.norm.bias", "biases are not supported"),
        ("lm_head.bias", "biases are not supported"),
        ("model.layers.1.self_attn.q_norm.weight", "BitNet b1.58 has no such norm"),
        ("model.layers.1.mlp.up_proj.rms_norm.weight", "BitNet b1.58 has no such norm"),
    ] {
        let copy = Copy::of("tiny-packed").tensors("model.safetensors", |t| drop(t.insert(name.into(), bf16s(&[4]))));
        copy.refused(&[&format!("model.safetensors: tensor \"{name}\": {reason}")]);
    }
    let other =
        "tensor \"lm_head.weight\": differs from model.embed_tokens.weight, although tie_word_embeddings is true";
    for head in [bf16s(&[320, 256]), bf16s(&[1]), (Dtype::F32, vec![320, 256], vec![0; 4 * 320 * 256])] {
        let copy =
            Copy::of("tiny-packed").tensors("model.safetensors", |t| drop(t.insert("lm_head.weight".into(), head)));
        copy.refused(&[other]);
    }
    // Another dtype with equal values is no other head.
    let wide = |bytes: &[u8]| bytes.chunks_exact(2).flat_map(|b| [0, 0, b[0], b[1]]).collect();
    let found =
        remarks(|t| drop(t.insert("lm_head.weight".into(), (Dtype::F32, vec![320, 256], wide(&t[EMBEDDING].2)))));
    assert_eq!(found, [""; 0]);
}

#[test]
fn files_that_are_not_used_are_listed() {
    let copy = Copy::of("tiny-packed");
    for name in ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "notes.txt"] {
        fs::write(copy.path(name), "anything").unwrap();
    }
    let found = Checkpoint::open(copy.0.path()).unwrap().remarks().to_vec();
    let names = "model-00001-of-00002.safetensors, model.safetensors.index.json";
    assert_eq!(found, [format!("2 files not used: {names}; model.safetensors decides which weights are read")]);
    let sharded = Copy::of("tiny-packed-sharded");
    fs::write(sharded.path("model-00004-of-00004.safetensors"), "anything").unwrap();
    let found = Checkpoint::open(sharded.0.path()).unwrap().remarks().to_vec();
    assert!(found[0].starts_with("1 file not used: model-00004-of-00004.safetensors; model.safetensors.index.json"));
    fs::write(copy.path("adapter_config.json"), "{}").unwrap();
    let e = copy.refused(&["adapter_config.json: an adapter is not supported; merge it into the weights"]);
    assert!(matches!(e, Error::Adapter { .. }));
}

#[test]
fn unknown_keys_of_the_configuration_are_listed() {
    let with = |keys: &str| {
        let copy = Copy::of("tiny-packed").replace("config.json", "{", &format!("{{{keys},"));
        Checkpoint::open(copy.0.path()).unwrap().remarks().to_vec()
    };
    assert_eq!(
        with("\"pad_token_id\": 0, \"mlp_bias\": false, \"sliding_window\": 4096, \"pretraining_tp\": 1"),
        [""; 0]
    );
    let found = with("\"zeta\": 1, \"absent\": null, \"alpha\": {}");
    assert_eq!(found, ["config.json: 2 keys not used: alpha, zeta; this program does not know them"]);
    let copy =
        Copy::of("tiny-packed").replace("config.json", "\"quant_method\"", "\"group_size\": 64, \"quant_method\"");
    let found = Checkpoint::open(copy.0.path()).unwrap().remarks().to_vec();
    assert_eq!(found, ["config.json: 1 key not used: quantization_config.group_size; this program does not know them"]);
}

/// What is found in a copy of a checkpoint with other tensors, after all of it was loaded.
fn finding(name: &str, edit: impl FnOnce(&mut Tensors)) -> Option<String> {
    let copy = Copy::of(name).tensors("model.safetensors", edit);
    let model = Inspected::new(Box::new(Checkpoint::open(copy.0.path()).unwrap()));
    (0..2).for_each(|layer| drop(model.layer(layer).unwrap()));
    model.final_norm().unwrap();
    model.head(0..100).unwrap();
    model.head(100..320).unwrap();
    model.finding()
}

#[test]
fn weights_that_no_trained_model_has() {
    let zero = |t: &mut Tensors, part: &str| {
        let tensors = t.iter_mut().filter(|(name, _)| name.contains(part));
        tensors.for_each(|(_, (dtype, _, bytes))| bytes.fill(if *dtype == Dtype::U8 { 0b01_01_01_01 } else { 0 }));
    };
    let all = |faults: &str| Some(format!("weights that no trained model has: {faults}; are the files intact?"));
    for name in ["tiny-online", "tiny-packed", "gqa-online", "gqa-packed"] {
        assert_eq!(finding(name, |_| ()), None, "{name}");
    }
    for name in ["tiny-online", "tiny-packed"] {
        let mlp = "all values are zero: mlp.gate_proj, mlp.up_proj, mlp.down_proj, mlp.ffn_sub_norm of layer 1";
        assert_eq!(finding(name, |t| zero(t, "layers.1.mlp.")), all(mlp), "{name}");
        let down = "all values are zero: mlp.down_proj of layers 0 to 1";
        assert_eq!(finding(name, |t| zero(t, "down_proj.weight")), all(down), "{name}");
        let outside = "all values are zero: model.norm.weight; model.embed_tokens.weight";
        assert_eq!(
            finding(name, |t| {
                zero(t, "model.norm");
                zero(t, "embed")
            }),
            all(outside),
            "{name}"
        );
    }
    let scale = "the scale is zero: self_attn.q_proj of layer 0";
    assert_eq!(finding("tiny-packed", |t| zero(t, "layers.0.self_attn.q_proj.weight_scale")), all(scale));
    // Each byte holds one column of four rows.
    let constant = |t: &mut Tensors| t.get_mut(Q0).unwrap().2.fill(0b10_01_00_10);
    assert_eq!(finding("tiny-packed", constant), all("every row repeats one value: self_attn.q_proj of layer 0"));
}

/// The message of the error with which `path` is refused.
fn refusal(path: &Path) -> String {
    let error = Checkpoint::open(path).expect_err("not a checkpoint");
    assert!(error.is_input_file(), "{error}");
    error.to_string()
}

#[test]
fn something_else_than_the_folder() {
    let packed = Copy::of("tiny-packed");
    let found = refusal(&packed.path("model.safetensors"));
    assert!(
        found.ends_with(&format!("a file, not a folder; give its folder, {}", packed.0.path().display())),
        "{found}"
    );
    let dir = TempDir::new().unwrap();
    let gguf = dir.path().join("model.gguf");
    fs::write(&gguf, "GGUF....").unwrap();
    assert!(
        refusal(&gguf).contains("model.gguf: a GGUF file, which llama.cpp and bitnet.cpp read; give the folder of")
    );
    assert!(
        refusal(dir.path()).contains("no config.json, only GGUF: ") && refusal(dir.path()).contains("model.gguf; give")
    );
    // The folder above the folder.
    fs::rename(packed.0.path(), dir.path().join("inner")).unwrap();
    let inner = dir.path().join("inner").display().to_string();
    assert!(refusal(dir.path()).ends_with(&format!("no config.json; folders with one are: {inner}")));
}

#[test]
fn the_cache_folder_of_a_hub() {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("models--microsoft--bitnet");
    let snapshot = |name: &str| {
        let folder = model.join("snapshots").join(name);
        fs::create_dir_all(&folder).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(testdata("tiny-packed").join(file), folder.join(file)).unwrap();
        }
        folder
    };
    fs::create_dir_all(model.join("snapshots")).unwrap();
    assert!(refusal(&model).contains("a cache folder without a snapshot that has a config.json; download the model"));
    let first = snapshot("0a1b");
    assert_eq!(Checkpoint::open(&model).unwrap().folder(), first);
    let second = snapshot("9f8e");
    let both = format!("{}, {}", first.display(), second.display());
    assert!(refusal(&model).ends_with(&format!("a cache folder with 2 snapshots; give one: {both}")));
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), "9f8e\n").unwrap();
    let found = Checkpoint::open(&model).unwrap();
    assert!(found.folder() == second && found.describe().contains("9f8e"));
    assert!(refusal(dir.path()).ends_with(&format!("folders with one are: {}", model.display())));
}

#[test]
#[cfg(unix)]
fn links_without_a_target() {
    for file in ["config.json", "model.safetensors", "model.safetensors.index.json"] {
        let copy = Copy::of("tiny-packed");
        if file == "model.safetensors.index.json" {
            fs::remove_file(copy.path("model.safetensors")).unwrap();
        } else {
            fs::remove_file(copy.path(file)).unwrap();
        }
        std::os::unix::fs::symlink("../../blobs/4d7a", copy.path(file)).unwrap();
        let e =
            copy.refused(&[file, ": a link to ", "../../blobs/4d7a, which does not exist; is the download complete?"]);
        assert!(matches!(e, Error::DanglingLink { .. }), "{e}");
    }
}
