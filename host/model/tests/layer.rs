//! The forward pass, compared with tensors recorded from the reference implementation.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bitnet::checkpoint::Checkpoint;
use bitnet::config::{Linear, ModelConfig, Norm};
use bitnet::generate::{Last, Limits, Pass, generate};
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache, MatvecRequest, Observer, TernaryBackend, Values};
use bitnet::model::{Head, Model, hidden_entering_layer, screened_head};
use bitnet::resident::Resident;
use bitnet::sampler::Sampler;
use bitnet::synthetic::Synthetic;
use bitnet::weights::{LayerWeights, WeightSource};
use bitnet::{BackendError, Error, ErrorKind};
use golden::{Dtype, linear, quantise};
use half::bf16;
use ndarray::Array2;
use safetensors::{Dtype as Stored, SafeTensors};

/// The prompt of the tiny checkpoints.
const PROMPT: [u32; 6] = [318, 2, 282, 0, 1, 7];

#[derive(Clone, Debug, PartialEq)]
enum Data {
    F32(Vec<f32>),
    I8(Vec<i8>),
    I32(Vec<i32>),
}

/// Tensors by name, with their shapes.
type Tensors = BTreeMap<String, (Vec<usize>, Data)>;

#[derive(Default)]
struct Recorder(Tensors);

impl Observer for Recorder {
    fn tensor(&mut self, name: &str, shape: &[usize], values: Values<'_>) {
        let data = match values {
            Values::F32(x) => Data::F32(x.to_vec()),
            Values::I8(x) => Data::I8(x.to_vec()),
            Values::I32(x) => Data::I32(x.to_vec()),
        };
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}");
        assert!(self.0.insert(name.into(), (shape.to_vec(), data)).is_none(), "{name} shown twice");
    }
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::I8(x) => x.len(),
            Self::I32(x) => x.len(),
        }
    }

    fn f32(&self) -> &[f32] {
        let Self::F32(x) = self else { panic!("not a float tensor") };
        x
    }
}

fn testdata(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../..", "testdata", name].iter().collect()
}

fn expected(folder: &str, file: &str) -> Tensors {
    let bytes = fs::read(testdata(folder).join(file)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut out = Tensors::new();
    for (name, view) in file.tensors() {
        let bytes = view.data();
        let data = match view.dtype() {
            Stored::F32 => Data::F32(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Stored::BF16 => Data::F32(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()),
            Stored::I8 => Data::I8(bytes.iter().map(|b| *b as i8).collect()),
            Stored::I32 => Data::I32(bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect()),
            Stored::I64 => continue,
            other => panic!("{name}: {other:?}"),
        };
        out.insert(name, (view.shape().to_vec(), data));
    }
    out
}

/// The recorded prompt of a folder, and the tokens that the reference generated after it.
fn tokens(folder: &str) -> (Vec<u32>, Vec<u32>) {
    let bytes = fs::read(testdata(folder).join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ids = |name| -> Vec<u32> {
        let bytes = file.tensor(name).unwrap().data();
        bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b).try_into().unwrap()).collect()
    };
    let (prompt, mut all) = (ids("input_ids"), ids("generated_ids"));
    let continuation = all.split_off(prompt.len());
    assert_eq!(prompt, all, "{folder}");
    (prompt, continuation)
}

/// Errors relative to the rms of the expected row: the largest error, and the rms of all errors. Any difference in an
/// expected row of zeros is an infinite error.
fn row_errors(got: &[f32], want: &[f32], width: usize) -> (f64, f64) {
    let (mut max, mut sum) = (0f64, 0f64);
    for (got, want) in got.chunks(width).zip(want.chunks(width)) {
        let rms = (want.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / width as f64).sqrt();
        for (g, w) in got.iter().zip(want) {
            let diff = (f64::from(*g) - f64::from(*w)).abs();
            let e = if diff == 0.0 { 0.0 } else { diff / rms };
            max = max.max(e);
            sum += e * e;
        }
    }
    (max, (sum / got.len() as f64).sqrt())
}

/// The allowed error of a whole pass in fp32, in which errors add up. A single operator is within 1e-5 of the row,
/// and `relu2(gate) * up` multiplies three such values.
const FREE_RUNNING: f64 = 5e-5;

/// Lists the tensors in `got` that disagree with `want`. Integers must be equal; the error of floats relative to the
/// rms of the row may be at most `tolerance`.
fn mismatches(got: &Tensors, want: &Tensors, tolerance: f64) -> Vec<String> {
    let mut out = Vec::new();
    for (name, (shape, data)) in got {
        match want.get(name) {
            None => out.push(format!("{name}: not in the reference")),
            Some((s, _)) if s != shape => out.push(format!("{name}: shape {shape:?}, expected {s:?}")),
            Some((_, Data::F32(want))) => {
                let (max, _) = row_errors(data.f32(), want, *shape.last().unwrap());
                if max.is_nan() || max > tolerance {
                    out.push(format!("{name}: off by {max:.1e} of the row"));
                }
            }
            Some((_, want)) if want != data => out.push(format!("{name}: integers differ")),
            Some(_) => {}
        }
    }
    out
}

fn run(
    source: &dyn WeightSource,
    ids: &[u32],
    dtype: Dtype,
    backend: &mut dyn TernaryBackend,
) -> (Tensors, Array2<f32>) {
    let mut recorder = Recorder::default();
    let logits = Model::new(source, dtype).forward(ids, backend, &mut recorder).unwrap();
    (recorder.0, logits)
}

/// The largest difference between `got` and the logits `want` of the reference, relative to the rms of `want`.
fn logit_error(got: impl IntoIterator<Item = f32>, want: &[f32]) -> f64 {
    row_errors(&got.into_iter().collect::<Vec<_>>(), want, want.len()).0
}

/// The checkpoints with recorded values of their own: both forms of each model shape.
const FOLDERS: [&str; 4] = ["tiny-online", "tiny-packed", "gqa-online", "gqa-packed"];

/// Whether a key of the reference is not a tensor of a forward pass.
fn outside_of_a_pass(name: &str) -> bool {
    ["alt.", "cache.", "rope.", "step_logits"].iter().any(|p| name.starts_with(p))
}

#[test]
fn fp32_free_running_agrees_with_the_reference() {
    for folder in FOLDERS.into_iter().chain(["tiny-packed-sharded"]) {
        let source = Checkpoint::open(testdata(folder)).unwrap();
        let reference = folder.trim_end_matches("-sharded");
        let (got, logits) = run(&source, &tokens(reference).0, Dtype::Fp32, &mut CpuBackend);
        let want = expected(reference, "expected-fp32.safetensors");
        assert_eq!(mismatches(&got, &want, FREE_RUNNING), [""; 0], "{folder}");
        let missing: Vec<_> = want.keys().filter(|k| !got.contains_key(*k) && !outside_of_a_pass(k)).collect();
        assert_eq!(missing, [""; 0], "{folder}: everything the reference records is shown");

        let max = logit_error(logits, want["logits"].1.f32());
        assert!(max <= 1e-4, "{folder}: logits off by {max:.1e} of their rms");
    }
}

#[test]
fn the_comparison_notices_one_wrong_weight_accumulator_or_norm() {
    /// Adds one to one accumulator of one operator.
    struct Off(Linear);
    impl TernaryBackend for Off {
        fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
            let mut out = CpuBackend.matvec(request)?;
            if let Some(i) = request.operators.iter().position(|(l, _)| *l == self.0) {
                out[i][5] += 1;
            }
            Ok(out)
        }
    }
    let source = Checkpoint::open(testdata("tiny-packed")).unwrap();
    let want = expected("tiny-packed", "expected-fp32.safetensors");
    for operator in Linear::ALL {
        let bad = mismatches(&run(&source, &PROMPT, Dtype::Fp32, &mut Off(operator)).0, &want, FREE_RUNNING);
        assert!(bad.iter().any(|m| m.contains(&format!("{operator}.acc"))), "{operator}: {bad:?}");
    }

    let (config, good) = (source.config(), source.layer(0).unwrap());
    let hidden = tensor(&want, "model.layers.0.in");
    let check = |linears, norms| {
        let weights = Arc::new(LayerWeights::new(config, linears, norms).unwrap());
        let mut seen = Recorder::default();
        let layer = DecoderLayer::new(config, 0, &weights);
        layer.forward(&hidden, &mut KvCache::new(), Dtype::Fp32, &mut CpuBackend, &mut seen).unwrap();
        mismatches(&seen.0, &want, FREE_RUNNING)
    };
    let (linears, norms) = (Linear::ALL.map(|l| good.linear(l).clone()), Norm::ALL.map(|n| good.norm(n).to_vec()));
    assert_eq!(check(linears.clone(), norms.clone()), [""; 0]);
    for l in Linear::ALL {
        let mut linears = linears.clone();
        let mut w = linears[l.index()].ternary.planes().into_owned();
        // A weight with a visible effect: it is not zero, and its activation is large.
        let Data::I8(x_q) = &want[&format!("model.layers.0.{l}.x_q")].1 else { panic!("int8") };
        let c = (0..w.cols()).find(|&c| x_q.iter().skip(c).step_by(w.cols()).any(|q| q.unsigned_abs() > 20)).unwrap();
        let r = (0..w.rows()).find(|&r| w.get(r, c) != 0).unwrap();
        w.set(r, c, -w.get(r, c));
        linears[l.index()].ternary = w.into();
        assert_ne!(check(linears, norms.clone()), [""; 0], "{l}");
    }
    for n in Norm::ALL {
        let mut norms = norms.clone();
        // The channel with the largest output.
        let x = tensor(&want, &format!("model.layers.0.{}.out", n.name()));
        let size = |c: usize| x.column(c).iter().fold(0.0, |m: f32, x| m.max(x.abs()));
        let i = (0..x.ncols()).max_by(|a, b| size(*a).total_cmp(&size(*b))).unwrap();
        norms[n as usize][i] *= 1.1;
        assert_ne!(check(linears.clone(), norms), [""; 0], "{}", n.name());
    }
}

fn tensor(from: &Tensors, name: &str) -> Array2<f32> {
    let (shape, data) = &from[name];
    Array2::from_shape_vec((shape[1], shape[2]), data.f32().to_vec()).unwrap()
}

/// Every linear on the recorded input of the reference. The int8 activations and the accumulators must be equal;
/// outputs must be within the tolerance of the dtype.
#[test]
fn operators_on_the_references_inputs_are_exact() {
    for folder in FOLDERS {
        let source = Checkpoint::open(testdata(folder)).unwrap();
        for (dtype, file, max, rms) in
            [(Dtype::Fp32, "expected-fp32.safetensors", 1e-5, 1e-6), (Dtype::Bf16, "expected.safetensors", 5e-2, 5e-3)]
        {
            let want = expected(folder, file);
            for (l, op) in (0..2).flat_map(|l| Linear::ALL.map(|op| (l, op))) {
                let get = |what: &str| &want[&format!("model.layers.{l}.{op}.{what}")].1;
                let weights = source.linear(l, op).unwrap();
                let x = quantise::activations(get("in").f32(), weights.ternary.cols());
                assert_eq!(*get("x_scale"), Data::F32(x.scale.clone()), "{folder} {dtype:?} {l} {op}");
                assert_eq!(*get("x_q"), Data::I8(x.q.clone()), "{folder} {dtype:?} {l} {op}");
                let (operators, all) = ([(op, &weights)], &source.layer(l).unwrap());
                let request =
                    MatvecRequest { layer: l, weights: all, operators: &operators, x_q: &x.q, tokens: x.scale.len() };
                let acc = CpuBackend.matvec(&request).unwrap().remove(0);
                assert_eq!(*get("acc"), Data::I32(acc.clone()), "{folder} {dtype:?} {l} {op}");
                let rows = weights.ternary.rows();
                let out: Vec<f32> = acc
                    .chunks(rows)
                    .zip(&x.scale)
                    .flat_map(|(acc, s)| linear::rescale(acc, *s, weights.factor, dtype))
                    .collect();
                let (m, r) = row_errors(&out, get("out").f32(), rows);
                assert!(m <= max && r <= rms, "{folder} {dtype:?} {l} {op}: max {m:.1e}, rms {r:.1e}");
            }
        }
    }
}

/// A layer on the recorded residual stream of the reference. In bf16, values up to the first rescale must be equal.
/// After the rescale, the integer form rounds at other places than the reference, so values must only be close.
#[test]
fn bf16_layers_on_the_references_inputs_stay_close() {
    for folder in FOLDERS {
        let source = Checkpoint::open(testdata(folder)).unwrap();
        let want = expected(folder, "expected.safetensors");
        for l in 0..2 {
            let mut seen = Recorder::default();
            let weights = source.layer(l).unwrap();
            let hidden = tensor(&want, &format!("model.layers.{l}.in"));
            let layer = DecoderLayer::new(source.config(), l, &weights);
            layer.forward(&hidden, &mut KvCache::new(), Dtype::Bf16, &mut CpuBackend, &mut seen).unwrap();
            let exact = ["in", "input_layernorm.in", "input_layernorm.out"].map(String::from).into_iter().chain(
                ["q", "k", "v"]
                    .into_iter()
                    .flat_map(|p| ["in", "x_q", "x_scale", "acc"].map(|what| format!("self_attn.{p}_proj.{what}"))),
            );
            for name in exact.map(|name| format!("model.layers.{l}.{name}")) {
                assert_eq!(seen.0[&name], want[&name], "{folder} {name}");
            }
            for (name, (shape, data)) in &seen.0 {
                let Data::F32(got) = data else { continue };
                let (_, rms) = row_errors(got, want[name].1.f32(), *shape.last().unwrap());
                assert!(rms <= 5e-2, "{folder} {name}: rms {rms:.1e}");
                assert!(got.iter().all(|x| Dtype::Bf16.round(*x) == *x) || name.ends_with("scale"), "{name} is bf16");
            }
        }
    }
}

/// Converts `[tokens, heads, dim]` to the layout of the reference, `[heads, tokens, dim]`.
fn by_head(x: &[f32], heads: usize, dim: usize) -> Vec<f32> {
    (0..heads).flat_map(|h| x.chunks_exact(dim).skip(h).step_by(heads)).flatten().copied().collect()
}

/// Keys and values after the prompt. The fp32 pass starts from token ids; in bf16 each layer starts from the recorded
/// residual stream of the reference.
#[test]
fn the_cache_is_that_of_the_reference() {
    for (folder, (dtype, file)) in FOLDERS.into_iter().flat_map(|folder| {
        [(Dtype::Fp32, "expected-fp32.safetensors"), (Dtype::Bf16, "expected.safetensors")].map(|run| (folder, run))
    }) {
        let source = Checkpoint::open(testdata(folder)).unwrap();
        let (config, want) = (source.config(), expected(folder, file));
        let mut hidden = source.embed(&tokens(folder).0).unwrap();
        for l in 0..2 {
            if dtype == Dtype::Bf16 {
                hidden = tensor(&want, &format!("model.layers.{l}.in"));
            }
            let weights = source.layer(l).unwrap();
            let layer = DecoderLayer::new(config, l, &weights);
            let mut cache = KvCache::new();
            let out = layer.forward(&hidden, &mut cache, dtype, &mut CpuBackend, &mut ()).unwrap();
            assert_eq!(cache.tokens(), hidden.nrows());

            let (heads, dim) = (config.num_key_value_heads, config.head_dim());
            for (what, got) in [("key", cache.keys()), ("value", cache.values())] {
                let (shape, data) = &want[&format!("cache.{l}.{what}")];
                assert_eq!(*shape, [1, heads, cache.tokens(), dim]);
                let (max, rms) = row_errors(&by_head(got, heads, dim), data.f32(), dim);
                let good = if dtype == Dtype::Fp32 { max <= FREE_RUNNING } else { max <= 5e-2 && rms <= 5e-3 };
                assert!(good, "{folder} {dtype:?} layer {l} {what}: max {max:.1e}, rms {rms:.1e}");
            }

            // The same tokens, one by one, give the same cache.
            let mut grown = KvCache::new();
            for (t, token) in hidden.rows().into_iter().enumerate() {
                let token = token.to_owned().insert_axis(ndarray::Axis(0));
                let one = layer.forward(&token, &mut grown, dtype, &mut CpuBackend, &mut ()).unwrap();
                assert_eq!(one.row(0), out.row(t), "{folder} {dtype:?} layer {l} token {t}");
            }
            assert!(grown == cache, "{folder} {dtype:?} layer {l}");
            hidden = out;
        }
    }
}

#[test]
fn greedy_tokens_are_those_of_the_reference() {
    let argmax = |logits: &Array2<f32>| {
        let row = logits.row(logits.nrows() - 1);
        row.iter().enumerate().fold(0, |best, (i, x)| if *x > row[best] { i } else { best }) as u32
    };
    for folder in FOLDERS {
        let source = Checkpoint::open(testdata(folder)).unwrap();
        let (prompt, continuation) = tokens(folder);
        let want = expected(folder, "expected-fp32.safetensors");
        for dtype in [Dtype::Fp32, Dtype::Bf16] {
            let mut model = Model::new(&source, dtype);
            let mut logits = model.forward(&prompt, &mut CpuBackend, &mut ()).unwrap();
            let mut ids = vec![];
            for step in want["step_logits"].1.f32().chunks(source.config().vocab_size) {
                if dtype == Dtype::Fp32 {
                    let max = logit_error(logits.row(logits.nrows() - 1).to_vec(), step);
                    assert!(max <= 1e-4, "{folder} token {}: logits off by {max:.1e} of their rms", ids.len());
                }
                ids.push(argmax(&logits));
                logits = model.forward(&ids[ids.len() - 1..], &mut CpuBackend, &mut ()).unwrap();
            }
            assert_eq!(ids, continuation, "{folder} {dtype:?}");
        }
    }
}

/// More tokens than go through a layer at a time, and weights in the order for the CPU, give the same logits, bit for
/// bit, as all tokens at a time and bit planes.
#[test]
fn blocks_and_interleaved_weights_change_nothing() {
    /// Takes all tokens at a time.
    struct Whole;
    impl TernaryBackend for Whole {
        fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
            CpuBackend.matvec(request)
        }
    }
    let mut config = ModelConfig::bitnet_2b_4t();
    (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (192, 420, 2);
    (config.num_attention_heads, config.num_key_value_heads, config.vocab_size) = (6, 3, 700);
    let source = Synthetic::new(config, 3);
    let resident = Resident::for_cpu(&source);
    let block = CpuBackend.block().unwrap();
    let ids: Vec<u32> = (0..2 * block as u32 + 7).map(|i| i * 31 % 700).collect();
    let bits = |logits: Array2<f32>| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for dtype in [Dtype::Fp32, Dtype::Bf16] {
        let want = bits(Model::new(&source, dtype).forward(&ids, &mut Whole, &mut ()).unwrap());
        assert!(bits(Model::new(&source, dtype).forward(&ids, &mut CpuBackend, &mut ()).unwrap()) == want);
        assert!(bits(Model::new(&resident, dtype).forward(&ids, &mut CpuBackend, &mut ()).unwrap()) == want);
    }
    let [planes, interleaved] = [source.layer(1), resident.layer(1)].map(Result::unwrap);
    for linear in Linear::ALL {
        let [planes, interleaved] = [&planes, &interleaved].map(|layer| &layer.linear(linear).ternary);
        assert_eq!(planes.planes(), interleaved.planes(), "{linear}");
        assert_eq!((planes.rows(), planes.cols()), (interleaved.rows(), interleaved.cols()), "{linear}");
    }
    // A packed checkpoint can have any scale.
    let mut linears = Linear::ALL.map(|linear| planes.linear(linear).clone());
    linears.iter_mut().zip([-2.0, 0.0, 3.0]).for_each(|(linear, factor)| linear.factor = factor);
    let odd = LayerWeights::new(source.config(), linears, Norm::ALL.map(|norm| planes.norm(norm).to_vec())).unwrap();
    let factors = |weights: &LayerWeights| Linear::ALL.map(|linear| weights.linear(linear).factor);
    assert_eq!(factors(&odd.interleaved()), factors(&odd));
}

/// The token with the largest logit is that of the whole head, from a screened head too.
#[test]
fn a_screened_head_gives_the_token_of_the_whole_head() {
    for (folder, dtype) in FOLDERS.into_iter().flat_map(|f| [(f, Dtype::Fp32), (f, Dtype::Bf16)]) {
        let source = Checkpoint::open(testdata(folder)).unwrap();
        let limits = Limits { tokens: 12, stop: vec![] };
        let generated = |head: Head| {
            let (mut model, mut ids) = (Model::new(&source, dtype), vec![]);
            model.set_head(head);
            let each = &mut |pass: &Pass, last: Last<'_>| {
                ids.push((pass.next, last.logits[pass.next as usize].to_bits()));
                Ok(())
            };
            generate(&mut model, &tokens(folder).0, &limits, &mut Sampler::greedy(), &mut CpuBackend, each).unwrap();
            ids
        };
        let screened = screened_head(&source, dtype).unwrap();
        assert_eq!(generated(screened), generated(Head::Source), "{folder} {dtype:?}");
    }
}

/// A sequence in one pass, in two passes with a cut at any token, and token by token gives the same logits, bit for
/// bit.
#[test]
fn prefill_and_decode_are_the_same() {
    for (folder, dtype) in FOLDERS.into_iter().flat_map(|f| [(f, Dtype::Fp32), (f, Dtype::Bf16)]) {
        let source = Checkpoint::open(testdata(folder)).unwrap();
        let (prompt, continuation) = tokens(folder);
        let ids = [prompt, continuation].concat();
        let forward = |model: &mut Model<'_>, ids: &[u32]| -> Vec<u32> {
            let logits = model.forward(ids, &mut CpuBackend, &mut ()).unwrap();
            logits.iter().map(|x| x.to_bits()).collect()
        };
        let whole = forward(&mut Model::new(&source, dtype), &ids);
        for cut in 1..ids.len() {
            let mut model = Model::new(&source, dtype);
            let parts = [forward(&mut model, &ids[..cut]), forward(&mut model, &ids[cut..])].concat();
            assert!(parts == whole, "{folder} {dtype:?}: {cut} tokens, then the rest");
        }
        let mut model = Model::new(&source, dtype);
        let decoded: Vec<u32> = ids.iter().flat_map(|id| forward(&mut model, &[*id])).collect();
        assert!(decoded == whole, "{folder} {dtype:?}: token by token");
        assert_eq!((model.past(0), model.past(1)), (ids.len(), ids.len()));
    }
}

#[test]
fn the_hidden_state_entering_a_layer() {
    let source = Checkpoint::open(testdata("tiny-packed")).unwrap();
    let (seen, _) = run(&source, &PROMPT, Dtype::Fp32, &mut CpuBackend);
    for l in 0..2 {
        let h = hidden_entering_layer(l, &PROMPT, Dtype::Fp32, &source, &mut CpuBackend).unwrap();
        assert_eq!(h, tensor(&seen, &format!("model.layers.{l}.in")));
    }
    let e = hidden_entering_layer(2, &PROMPT, Dtype::Fp32, &source, &mut CpuBackend).unwrap_err();
    assert_eq!(e.to_string(), "layer 2 is out of range: the model has layers 0 to 1");
    let e = hidden_entering_layer(1, &[5, 320], Dtype::Fp32, &source, &mut CpuBackend).unwrap_err();
    assert_eq!(e.to_string(), "token 320 at position 1 is out of range: the vocabulary has ids 0 to 319");
    let e = hidden_entering_layer(1, &[], Dtype::Fp32, &source, &mut CpuBackend).unwrap_err();
    assert!(matches!(e, Error::SequenceLength { tokens: 0, .. }) && e.kind() == ErrorKind::Usage);
}

/// A layer with all-zero weights, which has been seen in real checkpoints, adds nothing.
#[test]
fn a_layer_of_zeros_passes_the_residual_stream_through() {
    let source = Checkpoint::open(testdata("tiny-packed")).unwrap();
    let weights = source.layer(0).unwrap();
    let linears = Linear::ALL.map(|l| {
        let mut w = weights.linear(l).clone();
        w.ternary = golden::TernaryMatrix::zeros(w.ternary.rows(), w.ternary.cols()).into();
        w
    });
    let norms = Norm::ALL.map(|n| weights.norm(n).to_vec());
    let weights = Arc::new(LayerWeights::new(source.config(), linears, norms).unwrap());
    let hidden = source.embed(&PROMPT).unwrap();
    let layer = DecoderLayer::new(source.config(), 0, &weights);
    let out = layer.forward(&hidden, &mut KvCache::new(), Dtype::Fp32, &mut CpuBackend, &mut ()).unwrap();
    assert_eq!(out, hidden);
}

#[test]
fn a_failing_back_end_is_named_and_leaves_the_cache_alone() {
    /// Serves the given number of requests. Then it fails if the flag is true, and returns a result of the wrong size
    /// otherwise.
    struct Fails(usize, bool);
    impl TernaryBackend for Fails {
        fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
            match (self.0, self.1) {
                (0, true) => Err("the bus hangs".into()),
                (0, false) => Ok(vec![vec![0; 3]]),
                _ => {
                    self.0 -= 1;
                    CpuBackend.matvec(request)
                }
            }
        }
    }
    let source = Synthetic::new(small(), 3);
    let (weights, hidden) = (source.layer(1).unwrap(), source.hidden(1, 2).unwrap());
    let layer = DecoderLayer::new(source.config(), 1, &weights);
    let mut cache = KvCache::new();
    layer.forward(&hidden, &mut cache, Dtype::Fp32, &mut CpuBackend, &mut ()).unwrap();
    let before = cache.clone();
    for (requests, names) in
        ["self_attn.q_proj, self_attn.k_proj", "self_attn.o_proj", "mlp.gate", "mlp.down"].iter().enumerate()
    {
        for (loud, what) in [(true, "the bus hangs"), (false, "the back end returned [3] values")] {
            let mut backend = Fails(requests, loud);
            let e = layer.forward(&hidden, &mut cache, Dtype::Fp32, &mut backend, &mut ()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Backend);
            let message = e.to_string();
            assert!(message.starts_with(&format!("layer 1, {names}")) && message.contains(what), "{message}");
            assert_eq!(cache, before);
        }
    }
    let e = layer.forward(&Array2::zeros((2, 5)), &mut cache, Dtype::Fp32, &mut CpuBackend, &mut ()).unwrap_err();
    assert_eq!(e.to_string(), "hidden state: expected shape [2, 64], found [2, 5]");
    let infinite = Array2::from_elem((1, 64), f32::INFINITY);
    let e = layer.forward(&infinite, &mut cache, Dtype::Fp32, &mut CpuBackend, &mut ()).unwrap_err();
    assert!(matches!(e, Error::NotFinite { layer: 1, operator: "self_attn.q_proj" }), "{e}");
    assert_eq!(cache, before);
}

fn small() -> ModelConfig {
    let mut config = ModelConfig::bitnet_2b_4t();
    (config.hidden_size, config.intermediate_size, config.num_hidden_layers) = (64, 100, 4);
    (config.num_attention_heads, config.num_key_value_heads, config.vocab_size) = (4, 2, 50);
    config
}

/// A layer makes one request for each group of linears that read the same input.
#[test]
fn operators_that_share_an_input_share_a_request() {
    struct Log(Vec<Vec<Linear>>);
    impl TernaryBackend for Log {
        fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
            self.0.push(request.operators.iter().map(|(l, _)| *l).collect());
            assert_eq!(request.x_q.len(), request.tokens * request.operators[0].1.ternary.cols());
            CpuBackend.matvec(request)
        }
    }
    let source = Synthetic::new(small(), 1);
    let mut log = Log(vec![]);
    hidden_entering_layer(1, &[1, 2, 3], Dtype::Fp32, &source, &mut log).unwrap();
    assert_eq!(log.0, Linear::GROUPS);
}

/// Activations neither vanish nor saturate in thirty synthetic layers: every linear gets varied int8 activations, and
/// every layer still changes the residual stream.
#[test]
fn synthetic_activations_stay_alive_through_all_layers() {
    #[derive(Default)]
    struct Alive {
        ins: BTreeMap<String, Vec<f32>>,
        moved: Vec<f32>,
        zeros: Vec<f32>,
        extremes: Vec<f32>,
    }
    impl Observer for Alive {
        fn tensor(&mut self, name: &str, _: &[usize], values: Values<'_>) {
            match values {
                Values::I8(q) => {
                    let share = |f: fn(&i8) -> bool| q.iter().filter(|q| f(q)).count() as f32 / q.len() as f32;
                    if !name.contains("down_proj") {
                        self.zeros.push(share(|q| *q == 0));
                        self.extremes.push(share(|q| q.unsigned_abs() == 127));
                    }
                    assert!(share(|q| *q == 0) < 0.98, "{name}: all but dead");
                }
                Values::F32(x) if name.ends_with(".in") && name.matches('.').count() == 3 => {
                    self.ins.insert(name.into(), x.to_vec());
                }
                Values::F32(x) if name.ends_with(".out") && name.matches('.').count() == 3 => {
                    let before = &self.ins[&name.replace(".out", ".in")];
                    let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
                    let moved = norm(&mut x.iter().zip(before).map(|(a, b)| a - b));
                    self.moved.push(moved / norm(&mut x.iter().copied()));
                }
                _ => {}
            }
        }
    }
    let source = Synthetic::new(ModelConfig::bitnet_2b_4t(), 1);
    let mut alive = Alive::default();
    let mut model = Model::new(&source, Dtype::Fp32);
    let hidden = model.embed(&[128_000, 42], &mut ()).unwrap();
    model.layers(0..30, hidden, &mut CpuBackend, &mut alive).unwrap();
    let worst = |x: &[f32]| x.iter().copied().fold(0.0, f32::max);
    assert!(worst(&alive.zeros) < 0.25, "int8 zeros {}", worst(&alive.zeros));
    assert!(worst(&alive.extremes) < 0.01, "int8 at the end of the range {}", worst(&alive.extremes));
    assert!(alive.moved.iter().all(|m| (0.2..1.5).contains(m)), "{:?}", alive.moved);
}
