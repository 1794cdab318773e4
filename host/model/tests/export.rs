//! Export of weight sources as folders: the published file sizes, and the values that are read back.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use bitnet::checkpoint::Checkpoint;
use bitnet::config::{Linear, ModelConfig, Norm, WeightForm};
use bitnet::export::{export, export_bytes};
use bitnet::layer::CpuBackend;
use bitnet::model::Model;
use bitnet::synthetic::Synthetic;
use bitnet::weights::{BitLinearWeights, HeadRows, WeightSource};
use bitnet::{Error, ErrorKind, Result};
use golden::{Dtype, TernaryMatrix};
use ndarray::Array2;
use safetensors::SafeTensors;
use tempfile::TempDir;

const FORMS: [WeightForm; 2] = [WeightForm::Online, WeightForm::Offline];

fn testdata(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../..", "testdata", name].iter().collect()
}

/// A small model with these hidden and intermediate sizes.
fn config(hidden: usize, intermediate: usize, tied: bool) -> ModelConfig {
    let mut config = ModelConfig::bitnet_2b_4t();
    (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (hidden, intermediate, 3);
    (config.num_attention_heads, config.num_key_value_heads, config.vocab_size) = (6, 3, 1100);
    (config.bos_token_id, config.eos_token_ids, config.tie_word_embeddings) = (Some(7), vec![9], tied);
    config
}

/// Exports `source` and opens the result. Returns the folder and the checkpoint in it.
fn round_trip(source: &dyn WeightSource, form: WeightForm) -> (TempDir, Checkpoint) {
    let dir = TempDir::new().unwrap();
    export(source, form, &dir.path().join("model"), &mut |_, _| ()).unwrap();
    let checkpoint = Checkpoint::open(dir.path().join("model")).unwrap();
    (dir, checkpoint)
}

/// A synthetic model; the closure edits its linears.
struct Edited<F>(Synthetic, F);

impl<F: Fn(usize, Linear, &mut BitLinearWeights) -> Result<()> + Sync> WeightSource for Edited<F> {
    fn config(&self) -> &ModelConfig {
        self.0.config()
    }

    fn linear(&self, layer: usize, linear: Linear) -> Result<BitLinearWeights> {
        let mut weights = self.0.linear(layer, linear)?;
        self.1(layer, linear, &mut weights)?;
        Ok(weights)
    }

    fn norm(&self, layer: usize, norm: Norm) -> Result<Vec<f32>> {
        self.0.norm(layer, norm)
    }

    fn embed(&self, ids: &[u32]) -> Result<Array2<f32>> {
        self.0.embed(ids)
    }

    fn head(&self, vocab: Range<usize>) -> Result<HeadRows<'_>> {
        self.0.head(vocab)
    }

    fn final_norm(&self) -> Result<Vec<f32>> {
        self.0.final_norm()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Checks that the copy equals the source. Factors need only be as near as the form allows.
fn compare(source: &dyn WeightSource, copy: &Checkpoint, form: WeightForm) {
    let mut expected = source.config().clone();
    expected.weights = form;
    assert_eq!(*copy.config(), expected);
    for l in 0..expected.num_hidden_layers {
        let (want, got) = (source.layer(l).unwrap(), copy.layer(l).unwrap());
        for linear in Linear::ALL {
            let [want, got] = [&want, &got].map(|layer| layer.linear(linear));
            assert_eq!(want.ternary, got.ternary, "{l} {linear}");
            match form {
                WeightForm::Offline => assert_eq!(want.factor, got.factor, "{l} {linear}"),
                WeightForm::Online if want.ternary.planes().count_nonzero() == 0 => {
                    assert!((got.factor / 1e-5 - 1.0).abs() < 1e-6)
                }
                WeightForm::Online => {
                    let off = (got.factor / want.factor - 1.0).abs();
                    assert!(off <= 1.0 / 256.0, "{l} {linear}: {} became {}", want.factor, got.factor);
                }
            }
        }
        for norm in Norm::ALL {
            assert_eq!(want.norm(norm), got.norm(norm), "{l} {}", norm.name());
        }
    }
    let vocab = expected.vocab_size;
    let ids: Vec<u32> = (0..vocab as u32).collect();
    assert_eq!(source.embed(&ids).unwrap(), copy.embed(&ids).unwrap());
    assert_eq!(source.head(0..vocab).unwrap().to_f32(), copy.head(0..vocab).unwrap().to_f32());
    assert_eq!(source.final_norm().unwrap(), copy.final_norm().unwrap());
}

#[test]
fn the_published_sizes() {
    let config = ModelConfig::bitnet_2b_4t();
    assert_eq!(export_bytes(&config, WeightForm::Online), 4_825_679_400);
    assert_eq!(export_bytes(&config, WeightForm::Offline), 1_178_623_988);
}

#[test]
fn the_tensors_of_the_model_and_no_others() {
    let mut config = config(48, 60, true);
    config.num_hidden_layers = 30;
    for (form, count) in FORMS.into_iter().zip([332, 332 + 210]) {
        let (dir, _) = round_trip(&Synthetic::new(config.clone(), 1), form);
        let bytes = fs::read(dir.path().join("model/model.safetensors")).unwrap();
        assert_eq!(bytes.len() as u64, export_bytes(&config, form));
        let (header_len, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert!(header_len.is_multiple_of(8) && bytes[8..].starts_with(br#"{"__metadata__":{"format":"pt"},"model."#));
        let names = header.offset_keys();
        assert_eq!(names.len(), count);
        // The file is what the safetensors library itself would write, byte for byte.
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let notes = header.metadata().clone();
        assert!(safetensors::serialize(tensors.tensors(), notes).unwrap() == bytes, "{form:?}");
    }
    let mut files: Vec<_> = vec![];
    let (dir, _) = round_trip(&Synthetic::new(config, 1), WeightForm::Online);
    files.extend(fs::read_dir(dir.path().join("model")).unwrap().map(|e| e.unwrap().file_name()));
    files.sort();
    assert_eq!(files, ["config.json", "generation_config.json", "model.safetensors"]);
}

#[test]
fn everything_comes_back() {
    for (hidden, intermediate) in [(192, 420), (72, 60), (384, 128)] {
        for tied in [true, false] {
            for form in FORMS {
                let source = Synthetic::new(config(hidden, intermediate, tied), 7);
                let (_dir, copy) = round_trip(&source, form);
                compare(&source, &copy, form);
            }
        }
    }
}

/// The recorded checkpoints are exported again. The packed one gives the same bytes.
#[test]
fn checkpoints_come_back() {
    let packed = Checkpoint::open(testdata("tiny-packed")).unwrap();
    let (dir, copy) = round_trip(&packed, WeightForm::Offline);
    compare(&packed, &copy, WeightForm::Offline);
    let [old, new] = [testdata("tiny-packed"), dir.path().join("model")].map(|f| f.join("model.safetensors"));
    assert!(fs::read(old).unwrap() == fs::read(new).unwrap());
    let online = Checkpoint::open(testdata("tiny-online")).unwrap();
    let (_dir, copy) = round_trip(&online, WeightForm::Online);
    compare(&online, &copy, WeightForm::Online);
    let (_dir, copy) = round_trip(&online, WeightForm::Offline);
    for linear in Linear::ALL {
        let [a, b] = [&online, &copy].map(|c| c.linear(1, linear).unwrap());
        assert_eq!((a.ternary, Dtype::Bf16.round(a.factor)), (b.ternary, b.factor), "{linear}");
    }
}

#[test]
fn zeros_and_extremes() {
    let source = Edited(Synthetic::new(config(72, 60, true), 7), |_, linear, w: &mut BitLinearWeights| {
        let (rows, cols) = (w.ternary.rows(), w.ternary.cols());
        let mut few = TernaryMatrix::zeros(rows, cols);
        match linear {
            Linear::Q => w.ternary = few.into(),
            Linear::K => {
                few.set(rows - 1, cols - 1, -1);
                w.ternary = few.into();
            }
            Linear::V => w.factor = Dtype::Bf16.round(1e-5),
            Linear::O => w.factor = 1e30,
            Linear::Gate => {
                (0..cols).for_each(|c| few.set(3, c, if c % 2 == 0 { 1 } else { -1 }));
                (w.ternary, w.factor) = (few.into(), 3e-5);
            }
            Linear::Up => w.ternary = TernaryMatrix::from_rows(rows, cols, &vec![-1; rows * cols]).unwrap().into(),
            Linear::Down => {
                let mut half = w.ternary.planes().into_owned();
                (0..rows).step_by(2).for_each(|r| (0..cols).for_each(|c| half.set(r, c, 0)));
                w.ternary = half.into();
            }
        }
        w.factor = Dtype::Bf16.round(w.factor);
        Ok(())
    });
    for form in FORMS {
        let (_dir, copy) = round_trip(&source, form);
        compare(&source, &copy, form);
    }
}

#[test]
fn factors_a_form_cannot_hold() {
    for (factor, form, fine) in [
        (0.0, WeightForm::Online, false),
        (-1.0, WeightForm::Online, false),
        (9e-6, WeightForm::Online, false),
        (f32::NAN, WeightForm::Online, false),
        (f32::MAX, WeightForm::Online, false),
        (f32::MAX, WeightForm::Offline, false),
        (-1.0, WeightForm::Offline, true),
        (1e-20, WeightForm::Offline, true),
    ] {
        let source = Edited(Synthetic::new(config(72, 60, true), 7), |layer, linear, w: &mut BitLinearWeights| {
            if (layer, linear) == (1, Linear::Up) {
                w.factor = factor;
            }
            Ok(())
        });
        let dir = TempDir::new().unwrap();
        let result = export(&source, form, &dir.path().join("model"), &mut |_, _| ());
        assert_eq!(result.is_ok(), fine, "{factor} {form:?}");
        if let Err(e) = result {
            let text = e.to_string();
            assert!(text.contains("\"model.layers.1.mlp.up_proj.weight") && e.kind() == ErrorKind::Usage, "{text}");
        }
    }
}

#[test]
fn rows_that_do_not_pack() {
    let source = Synthetic::new(config(72, 62, true), 7);
    let dir = TempDir::new().unwrap();
    let e = export(&source, WeightForm::Offline, &dir.path().join("model"), &mut |_, _| ()).unwrap_err();
    assert!(matches!(&e, Error::NotExportable { tensor, .. } if tensor.contains("gate_proj")), "{e}");
    compare(&source, &round_trip(&source, WeightForm::Online).1, WeightForm::Online);
}

/// A forward pass with the exported weights gives the same logits as a pass with the source, if the source takes over
/// the factors of the masters.
#[test]
fn logits() {
    for tied in [true, false] {
        let source = Synthetic::new(config(192, 420, tied), 7);
        for form in FORMS {
            let (_dir, copy) = round_trip(&source, form);
            let source = Edited(source.clone(), |layer, linear, w: &mut BitLinearWeights| {
                if form == WeightForm::Online {
                    w.factor = copy.linear(layer, linear)?.factor;
                }
                Ok(())
            });
            for dtype in [Dtype::Fp32, Dtype::Bf16] {
                let [want, got] = [&source as &dyn WeightSource, &copy].map(|source| {
                    Model::new(source, dtype).forward(&[7, 1, 300, 42, 1099], &mut CpuBackend, &mut ()).unwrap()
                });
                assert_eq!(want, got, "{form:?} {dtype:?}");
            }
        }
    }
}

#[test]
fn the_configuration() {
    let base = config(72, 60, true);
    for (bos, eos, theta) in [(None, vec![], 1e4), (Some(0), vec![3], 12345.678), (Some(1), vec![3, 5], 5e5)] {
        let mut config = base.clone();
        (config.bos_token_id, config.eos_token_ids, config.rope_theta) = (bos, eos, theta);
        for form in FORMS {
            let (dir, copy) = round_trip(&Synthetic::new(config.clone(), 1), form);
            config.weights = form;
            assert_eq!(*copy.config(), config);
            let text = fs::read_to_string(dir.path().join("model/config.json")).unwrap();
            assert!(text.contains("\"rms_norm_eps\": 0.00001,"), "{text}");
        }
    }
    // The exported configuration has the same keys and values as one that `transformers` has read, except for
    // `auto_map`, which names the code of the model.
    let source = Checkpoint::open(testdata("tiny-packed")).unwrap();
    let (dir, _) = round_trip(&source, WeightForm::Offline);
    let read = |path: PathBuf| -> serde_json::Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let mut want = read(testdata("tiny-packed").join("config.json"));
    want.as_object_mut().unwrap().remove("auto_map");
    assert_eq!(read(dir.path().join("model/config.json")), want);
    let generation = read(dir.path().join("model/generation_config.json"));
    assert_eq!(generation, serde_json::json!({"bos_token_id": 318, "eos_token_id": 319}));
}

#[test]
fn folders() {
    let source = Synthetic::new(config(72, 60, true), 7);
    let dir = TempDir::new().unwrap();
    let run = |name: &str| export(&source, WeightForm::Offline, &dir.path().join(name), &mut |_, _| ());
    let refused = |name: &str| {
        let e = run(name).unwrap_err();
        assert!(matches!(e, Error::Occupied { .. }) && e.kind() == ErrorKind::Usage, "{e}");
        assert!(e.to_string().contains(name), "{e}");
    };
    fs::create_dir(dir.path().join("empty")).unwrap();
    run("empty").unwrap();
    refused("empty");
    run("not/yet/there").unwrap();
    fs::write(dir.path().join("file"), "mine").unwrap();
    refused("file");
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"mine");
    let e = run("file/below").unwrap_err();
    assert!(matches!(e, Error::Write { .. }) && e.kind() == ErrorKind::Usage, "{e}");
}

#[test]
fn progress_ends_at_the_size_of_the_file() {
    for form in FORMS {
        let source = Synthetic::new(config(72, 60, false), 7);
        let (dir, mut seen) = (TempDir::new().unwrap(), vec![]);
        export(&source, form, &dir.path().join("model"), &mut |done, total| seen.push((done, total))).unwrap();
        let size = export_bytes(source.config(), form);
        assert_eq!(fs::metadata(dir.path().join("model/model.safetensors")).unwrap().len(), size);
        assert!(seen.is_sorted() && seen.iter().all(|(_, total)| *total == size));
        assert_eq!(seen.last(), Some(&(size, size)));
    }
}
