//! Runs every operator on the inputs that `transformers` recorded, and compares with the recorded outputs.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{Accept, Deviation, Tensors, mismatches, ulps};
use golden::attention::{Heads, attention, attention_with_probs};
use golden::rope::RopeTables;
use golden::{Dtype, TernaryMatrix, activation, linear, matvec, norm, packed, quantise, residual};
use safetensors::tensor::Dtype as Stored;

const LINEARS: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];
const NORMS: [&str; 4] = ["input_layernorm", "self_attn.attn_sub_norm", "post_attention_layernorm", "mlp.ffn_sub_norm"];
const EPS: f32 = 1e-5;
const THETA: f32 = 500_000.0;

/// One checkpoint run in one compute type.
struct Run {
    name: String,
    model: Tensors,
    expected: Tensors,
    dtype: Dtype,
    heads: Heads,
    /// Tokens of the prompt.
    tokens: usize,
    /// Width of the residual stream.
    hidden: usize,
}

fn runs() -> impl Iterator<Item = Run> {
    ["tiny-online", "tiny-packed", "gqa-online", "gqa-packed"].into_iter().flat_map(|folder| {
        [("expected.safetensors", Dtype::Bf16), ("expected-fp32.safetensors", Dtype::Fp32)].map(|(file, dtype)| {
            let expected = Tensors::read(&format!("{folder}/{file}"));
            let rotated = |c: &str| &expected.get(&format!("model.layers.0.self_attn.{c}_rope")).shape;
            let (&[_, query, tokens, dim], kv) = (&rotated("q")[..], rotated("k")[1]) else { panic!("no heads") };
            Run {
                name: format!("{folder}/{file}"),
                model: Tensors::read(&format!("{folder}/model.safetensors")),
                dtype,
                heads: Heads { query, kv, dim },
                tokens,
                hidden: expected.get("model.embed_tokens.out").width(),
                expected,
            }
        })
    })
}

impl Run {
    /// Names of all linears of both layers.
    fn linears(&self) -> impl Iterator<Item = String> {
        (0..2).flat_map(|l| LINEARS.map(|n| format!("model.layers.{l}.{n}")))
    }

    /// The ternary weights of a linear, its absmean or `weight_scale`, and its factor.
    fn weights(&self, linear: &str) -> (TernaryMatrix, f32, f32) {
        let w = self.model.get(&format!("{linear}.weight"));
        let (rows, cols) = (w.shape[0], w.shape[1]);
        if w.stored == Stored::U8 {
            let scale = self.model.f32(&format!("{linear}.weight_scale"))[0];
            (packed::unpack(w.u8(), 4 * rows, cols).unwrap(), scale, scale)
        } else {
            let w = quantise::weights(&w.bf16(), rows, cols).unwrap();
            (w.matrix, w.absmean, w.factor)
        }
    }

    /// A recorded tensor `[1, heads, tokens, dim]`, converted to `[tokens, heads, dim]`.
    fn by_token(&self, name: &str) -> Vec<f32> {
        let tensor = self.expected.get(name);
        let [heads, tokens, dim] = tensor.shape[1..] else { panic!("{name} has no heads") };
        swap_axes(&tensor.f32(), heads, tokens, dim)
    }

    /// A RoPE table of this library in the form of the reference, which repeats the half row.
    fn twice(&self, table: &[f32]) -> Vec<f32> {
        table.chunks(self.heads.dim / 2).flat_map(|row| [row, row].concat()).collect()
    }
}

/// Converts `[a, b, dim]` to `[b, a, dim]`.
fn swap_axes(x: &[f32], a: usize, b: usize, dim: usize) -> Vec<f32> {
    (0..a * b).flat_map(|i| x[(i % a * b + i / a) * dim..][..dim].to_vec()).collect()
}

/// The two shapes have the properties they were chosen for: query heads in groups of two and of four, and a K that no
/// beat divides.
#[test]
fn shapes() {
    for run in runs() {
        let gqa = run.name.starts_with("gqa");
        assert_eq!(run.heads.query / run.heads.kv, if gqa { 4 } else { 2 });
        for name in run.linears() {
            let cols = run.expected.get(&format!("{name}.x_q")).width();
            assert!(!gqa || [32, 40, 64, 80].iter().all(|lanes| cols % lanes != 0), "{name} of {}", run.name);
        }
    }
}

#[test]
fn integers_are_exact() {
    for run in runs() {
        for name in run.linears() {
            let e = |suffix: &str| run.expected.get(&format!("{name}.{suffix}"));
            let (w, scale, _) = run.weights(&name);
            let x = quantise::activations(&e("in").f32(), w.cols());
            let at = format!("{name} of {}", run.name);
            assert_eq!(mismatches(&x.q, &e("x_q").i8()), 0, "x_q, {at}");
            assert_eq!(mismatches(&x.scale, &e("x_scale").f32()), 0, "x_scale, {at}");
            assert_eq!(mismatches(&matvec::matvec(&w, &x.q), &e("acc").i32()), 0, "acc, {at}");
            assert_eq!(matvec::reference(&w, &x.q), e("acc").i32(), "reference acc, {at}");
            let want = e("w_scale").f32()[0];
            assert!(ulps(scale, want) <= 2, "w_scale {scale:e} and {want:e}, {at}");
        }
    }
}

#[test]
fn online_and_packed_ternaries_are_the_same() {
    let runs: Vec<_> = runs().filter(|run| run.dtype == Dtype::Bf16).collect();
    for [online, stored] in runs.as_chunks().0 {
        for name in online.linears() {
            let (w, ..) = online.weights(&name);
            assert_eq!(packed::pack(&w).unwrap(), stored.model.get(&format!("{name}.weight")).u8(), "{name}");
            assert_eq!(w, stored.weights(&name).0, "{name}");
        }
    }
}

/// The deviation of each float operator over a whole model, with its tolerance.
fn float_operators(run: &Run) -> BTreeMap<&'static str, (Deviation, Accept)> {
    let (e, dtype) = (|name: &str| run.expected.f32(name), run.dtype);
    let (fair, exact) = (Accept::of(dtype), Accept::Exact);
    let mut found: BTreeMap<&'static str, (Deviation, Accept)> = BTreeMap::new();
    let mut add = |operator, got: &[f32], want: &str, accept| {
        let deviation = &mut found.entry(operator).or_insert_with(|| (Deviation::default(), accept)).0;
        deviation.add(got, &e(want), run.expected.get(want).width());
    };

    for name in run.linears() {
        let (w, _, factor) = run.weights(&name);
        let y = linear::bit_linear(&e(&format!("{name}.in")), &w, factor, dtype);
        add("BitLinear", &y, &format!("{name}.out"), Accept::of_bit_linear(dtype));
    }

    let norms = (0..2).flat_map(|l| NORMS.map(|n| format!("model.layers.{l}.{n}")));
    for name in norms.chain(["model.norm".to_string()]) {
        let weight = run.model.f32(&format!("{name}.weight"));
        let y = norm::rms_norm(&e(&format!("{name}.in")), &weight, EPS, dtype);
        add("RMSNorm", &y, &format!("{name}.out"), fair);
    }

    let (heads, tokens) = (run.heads, run.tokens);
    let tables = RopeTables::new(0..tokens, heads.dim, THETA, dtype);
    add("RoPE tables", &run.twice(&tables.cos), "rope.cos", fair);
    add("RoPE tables", &run.twice(&tables.sin), "rope.sin", fair);
    // Given the recorded tables, the rotation itself must be exact.
    let half =
        |name: &str| -> Vec<f32> { e(name).chunks(heads.dim).flat_map(|row| row[..heads.dim / 2].to_vec()).collect() };
    let mut recorded = tables;
    (recorded.cos, recorded.sin) = (half("rope.cos"), half("rope.sin"));

    for l in 0..2 {
        let name = |suffix: &str| format!("model.layers.{l}.{suffix}");
        let layer = |suffix: &str| e(&name(suffix));
        for (c, n) in [("q", heads.query), ("k", heads.kv)] {
            let mut x = layer(&format!("self_attn.{c}_proj.out"));
            recorded.rotate(&mut x, n, 0);
            let by_head = swap_axes(&x, tokens, n, heads.dim);
            add("rotation", &by_head, &name(&format!("self_attn.{c}_rope")), exact);
            if c == "k" {
                add("key cache", &by_head, &format!("cache.{l}.key"), exact);
            }
        }
        let by_head = swap_axes(&layer("self_attn.v_proj.out"), tokens, heads.kv, heads.dim);
        add("value cache", &by_head, &format!("cache.{l}.value"), exact);
        let q = run.by_token(&name("self_attn.q_rope"));
        let (k, v) = (run.by_token(&name("self_attn.k_rope")), layer("self_attn.v_proj.out"));
        let (out, probs) = attention_with_probs(heads, &q, &k, &v, dtype);
        add("attention probabilities", &probs, &name("self_attn.attn_probs"), fair);
        add("attention", &out, &name("self_attn.attn_sub_norm.in"), fair);

        let mut gate = layer("mlp.gate_proj.out");
        activation::relu2(&mut gate, dtype);
        add("relu2", &gate, &name("mlp.act_fn.out"), exact);
        activation::product(&mut gate, &layer("mlp.up_proj.out"), dtype);
        add("relu2 * up", &gate, &name("mlp.ffn_sub_norm.in"), exact);

        let mut h = layer("in");
        residual::add(&mut h, &layer("self_attn.o_proj.out"), dtype);
        add("residual", &h, &name("post_attention_layernorm.in"), exact);
        residual::add(&mut h, &layer("mlp.down_proj.out"), dtype);
        add("residual", &h, &name("out"), exact);
    }

    let embed = run.model.get("model.embed_tokens.weight");
    let head = linear::dense(&e("lm_head.in"), &embed.bf16(), embed.width(), dtype);
    add("lm_head", &head, "logits", fair);
    found
}

#[test]
fn float_operators_are_within_tolerance() {
    for run in runs() {
        let found = float_operators(&run);
        assert_eq!(found.len(), 12);
        for (operator, (deviation, accept)) in found {
            deviation.judge(accept).unwrap_or_else(|e| panic!("{operator} of {}: {e}", run.name));
        }
    }
}

#[test]
fn one_token_after_a_cache_is_the_last_of_many() {
    for run in runs() {
        let name = |suffix: &str| format!("model.layers.1.self_attn.{suffix}");
        let (q, k, v) =
            (run.by_token(&name("q_rope")), run.by_token(&name("k_rope")), run.expected.f32(&name("v_proj.out")));
        let all = attention(run.heads, &q, &k, &v, run.dtype);
        let (also, _) = attention_with_probs(run.heads, &q, &k, &v, run.dtype);
        assert_eq!(all, also);
        let (past, width) = (run.tokens - 1, run.heads.query * run.heads.dim);
        let last = attention(run.heads, &q[past * width..], &k, &v, run.dtype);
        assert_eq!(last, all[past * width..]);

        let table = |positions| RopeTables::new(positions, run.heads.dim, THETA, run.dtype);
        let (mut a, mut b) = (q[past * width..].to_vec(), q[past * width..].to_vec());
        table(0..run.tokens).rotate(&mut a, run.heads.query, past);
        table(past..run.tokens).rotate(&mut b, run.heads.query, 0);
        assert_eq!(a, b);
    }
}

/// Runs the whole model from token ids: prefill, then one token at a time, as a host would drive the unit.
#[test]
fn greedy_tokens_are_those_of_the_reference() {
    let ids = |t: &common::Tensor| t.i64().iter().map(|id| *id as usize).collect::<Vec<_>>();
    for run in runs() {
        let (dtype, heads, hidden) = (run.dtype, run.heads, run.hidden);
        let (embed, want) = (run.model.get("model.embed_tokens.weight").bf16(), ids(run.expected.get("generated_ids")));
        let weights: BTreeMap<_, _> = run.linears().map(|n| (n.clone(), run.weights(&n))).collect();
        let norm = |name: &str, x: &[f32]| norm::rms_norm(x, &run.model.f32(&format!("{name}.weight")), EPS, dtype);
        let bit_linear = |name: &str, x: &[f32]| {
            let (w, _, factor) = &weights[name];
            linear::bit_linear(x, w, *factor, dtype)
        };
        let tables = RopeTables::new(0..want.len(), heads.dim, THETA, dtype);
        let mut cache = [const { (Vec::new(), Vec::new()) }; 2];
        let mut seen = 0;
        let mut tokens = ids(run.expected.get("input_ids"));
        while tokens.len() < want.len() {
            let mut h: Vec<f32> =
                tokens[seen..].iter().flat_map(|id| &embed[id * hidden..][..hidden]).map(|x| x.to_f32()).collect();
            for (l, (keys, values)) in cache.iter_mut().enumerate() {
                let name = |suffix: &str| format!("model.layers.{l}.{suffix}");
                let x = norm(&name("input_layernorm"), &h);
                let [mut q, mut k, v] = ["q", "k", "v"].map(|c| bit_linear(&name(&format!("self_attn.{c}_proj")), &x));
                tables.rotate(&mut q, heads.query, seen);
                tables.rotate(&mut k, heads.kv, seen);
                keys.extend(k);
                values.extend(v);
                let a = norm(&name("self_attn.attn_sub_norm"), &attention(heads, &q, keys, values, dtype));
                residual::add(&mut h, &bit_linear(&name("self_attn.o_proj"), &a), dtype);
                let x = norm(&name("post_attention_layernorm"), &h);
                let mut m = bit_linear(&name("mlp.gate_proj"), &x);
                activation::relu2(&mut m, dtype);
                activation::product(&mut m, &bit_linear(&name("mlp.up_proj"), &x), dtype);
                let m = norm(&name("mlp.ffn_sub_norm"), &m);
                residual::add(&mut h, &bit_linear(&name("mlp.down_proj"), &m), dtype);
            }
            let logits = linear::dense(&norm("model.norm", &h), &embed, hidden, dtype);
            if seen == 0 && dtype == Dtype::Fp32 {
                let mut deviation = Deviation::default();
                let verdict = deviation.add(&logits, &run.expected.f32("logits"), 320);
                verdict.judge(Accept::Relative { max: 1e-4, rms: 1e-4 }).unwrap();
            }
            let last = &logits[logits.len() - 320..];
            if dtype == Dtype::Fp32 {
                let step = &run.expected.f32("step_logits")[(tokens.len() - run.tokens) * 320..][..320];
                let verdict =
                    Deviation::default().add(last, step, 320).judge(Accept::Relative { max: 1e-4, rms: 1e-4 });
                verdict.unwrap_or_else(|e| panic!("logits after {} tokens of {}: {e}", tokens.len(), run.name));
            }
            seen = tokens.len();
            // Of equal logits the first one wins, as in argmax of the reference.
            tokens.push((0..320).rev().max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap());
        }
        assert_eq!(tokens, want, "{}", run.name);
    }
}

/// A comparison that cannot fail proves nothing, so wrong arithmetic must be detected.
#[test]
fn wrong_operators_are_caught() {
    for run in runs() {
        let (e, dtype) = (|name: &str| run.expected.f32(name), run.dtype);
        let caught = |got: &[f32], want: &str, accept| {
            let verdict = Deviation::default().add(got, &e(want), run.expected.get(want).width()).judge(accept);
            assert!(verdict.is_err(), "{want} of {}", run.name);
        };
        // One flipped bit of one value, where the result must be exact.
        let mut h = e("model.layers.0.in");
        residual::add(&mut h, &e("model.layers.0.self_attn.o_proj.out"), dtype);
        let at = h.iter().position(|x| *x != 0.0).unwrap();
        h[at] = f32::from_bits(h[at].to_bits() ^ if dtype == Dtype::Bf16 { 1 << 16 } else { 1 });
        caught(&h, "model.layers.0.post_attention_layernorm.in", Accept::Exact);

        // Another epsilon, then positions that are off by one.
        let name = "model.layers.0.input_layernorm";
        let y = norm::rms_norm(&e(&format!("{name}.in")), &run.model.f32(&format!("{name}.weight")), 1e-6, dtype);
        caught(&y, &format!("{name}.out"), Accept::of(dtype));
        let (heads, kv) = (run.heads, run.heads.kv);
        let shifted = RopeTables::new(1..run.tokens + 1, heads.dim, THETA, dtype);
        caught(&run.twice(&shifted.cos), "rope.cos", Accept::of(dtype));

        // Key/value heads tiled over the query heads instead of repeated.
        let q = run.by_token("model.layers.0.self_attn.q_rope");
        let k = run.by_token("model.layers.0.self_attn.k_rope");
        let v = e("model.layers.0.self_attn.v_proj.out");
        // Regroups the heads within a token: from kv heads of query heads to query heads of kv heads, and back.
        let regroup = |x: &[f32], a: usize| -> Vec<f32> {
            x.chunks(heads.query * heads.dim).flat_map(|t| swap_axes(t, a, heads.query / a, heads.dim)).collect()
        };
        let tiled = attention(heads, &regroup(&q, heads.query / kv), &k, &v, dtype);
        let tiled = regroup(&tiled, kv);
        caught(&tiled, "model.layers.0.self_attn.attn_sub_norm.in", Accept::of(dtype));

        // A factor that is 6 % off, then accumulators that miss the last columns.
        let name = "model.layers.0.mlp.down_proj";
        let (mut w, _, factor) = run.weights(name);
        let accept = Accept::of_bit_linear(dtype);
        let x = e(&format!("{name}.in"));
        caught(&linear::bit_linear(&x, &w, factor * 1.06, dtype), &format!("{name}.out"), accept);
        for r in 0..w.rows() {
            for c in (w.cols() - 1) / 64 * 64..w.cols() {
                w.set(r, c, 0);
            }
        }
        caught(&linear::bit_linear(&x, &w, factor, dtype), &format!("{name}.out"), accept);
        if dtype == Dtype::Bf16 {
            // A wrong number of roundings, then a wrong kind of rounding.
            let name = "model.layers.0.self_attn.attn_sub_norm";
            let weight = run.model.f32(&format!("{name}.weight"));
            let mut once = norm::rms_norm(&e(&format!("{name}.in")), &weight, EPS, Dtype::Fp32);
            dtype.round_slice(&mut once);
            caught(&once, &format!("{name}.out"), Accept::Bf16);
            let gate = e("model.layers.0.mlp.gate_proj.out");
            let cut = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
            let truncated: Vec<f32> = gate.iter().map(|x| cut(x.max(0.0).powi(2))).collect();
            caught(&truncated, "model.layers.0.mlp.act_fn.out", Accept::Exact);
        }
    }
}
