//! Every operator on what `transformers` recorded: its input in, its output out.
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
const HEADS: Heads = Heads { query: 4, kv: 2, dim: 64 };
const EPS: f32 = 1e-5;
const THETA: f32 = 500_000.0;

/// One checkpoint run in one dtype.
struct Run {
    name: String,
    model: Tensors,
    expected: Tensors,
    dtype: Dtype,
}

fn runs() -> impl Iterator<Item = Run> {
    ["tiny-online", "tiny-packed"].into_iter().flat_map(|folder| {
        [("expected.safetensors", Dtype::Bf16), ("expected-fp32.safetensors", Dtype::Fp32)].map(|(file, dtype)| Run {
            name: format!("{folder}/{file}"),
            model: Tensors::read(&format!("{folder}/model.safetensors")),
            expected: Tensors::read(&format!("{folder}/{file}")),
            dtype,
        })
    })
}

impl Run {
    /// Names of all linears of both layers.
    fn linears(&self) -> impl Iterator<Item = String> {
        (0..2).flat_map(|l| LINEARS.map(|n| format!("model.layers.{l}.{n}")))
    }

    /// Ternaries, absmean or `weight_scale`, factor.
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

    /// A recorded `[1, heads, tokens, dim]` as `[tokens, heads, dim]`.
    fn by_token(&self, name: &str) -> Vec<f32> {
        let tensor = self.expected.get(name);
        let [heads, tokens, dim] = tensor.shape[1..] else { panic!("{name} has no heads") };
        let x = tensor.f32();
        (0..tokens * heads).flat_map(|i| x[(i % heads * tokens + i / heads) * dim..][..dim].to_vec()).collect()
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
    let mut runs = runs().filter(|run| run.dtype == Dtype::Bf16);
    let (online, stored) = (runs.next().unwrap(), runs.next().unwrap());
    for name in online.linears() {
        let (w, ..) = online.weights(&name);
        assert_eq!(packed::pack(&w).unwrap(), stored.model.get(&format!("{name}.weight")).u8(), "{name}");
        assert_eq!(w, stored.weights(&name).0, "{name}");
    }
}

/// Deviation of each float operator over a whole model, with what is accepted.
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

    let tables = RopeTables::new(0..6, HEADS.dim, THETA, dtype);
    let twice = |table: &[f32]| -> Vec<f32> { table.chunks(32).flat_map(|row| [row, row].concat()).collect() };
    add("RoPE tables", &twice(&tables.cos), "rope.cos", fair);
    add("RoPE tables", &twice(&tables.sin), "rope.sin", fair);
    // The rotation itself is exact, given the recorded tables.
    let half = |name: &str| -> Vec<f32> { e(name).chunks(64).flat_map(|row| row[..32].to_vec()).collect() };
    let mut recorded = tables;
    (recorded.cos, recorded.sin) = (half("rope.cos"), half("rope.sin"));

    for l in 0..2 {
        let name = |suffix: &str| format!("model.layers.{l}.{suffix}");
        let layer = |suffix: &str| e(&name(suffix));
        for (c, heads) in [("q", HEADS.query), ("k", HEADS.kv)] {
            let mut x = layer(&format!("self_attn.{c}_proj.out"));
            recorded.rotate(&mut x, heads, 0);
            let by_head: Vec<f32> =
                (0..heads * 6).flat_map(|i| x[(i % 6 * heads + i / 6) * 64..][..64].to_vec()).collect();
            add("rotation", &by_head, &name(&format!("self_attn.{c}_rope")), exact);
        }
        let q = run.by_token(&name("self_attn.q_rope"));
        let (k, v) = (run.by_token(&name("self_attn.k_rope")), layer("self_attn.v_proj.out"));
        let (out, probs) = attention_with_probs(HEADS, &q, &k, &v, dtype);
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
        assert_eq!(found.len(), 10);
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
        let all = attention(HEADS, &q, &k, &v, run.dtype);
        let (also, _) = attention_with_probs(HEADS, &q, &k, &v, run.dtype);
        assert_eq!(all, also);
        let last = attention(HEADS, &q[5 * 256..], &k, &v, run.dtype);
        assert_eq!(last, all[5 * 256..]);

        let (whole, tail) = (RopeTables::new(0..6, 64, THETA, run.dtype), RopeTables::new(5..6, 64, THETA, run.dtype));
        let (mut a, mut b) = (q[5 * 256..].to_vec(), q[5 * 256..].to_vec());
        whole.rotate(&mut a, HEADS.query, 5);
        tail.rotate(&mut b, HEADS.query, 0);
        assert_eq!(a, b);
    }
}

/// The whole model from token ids: prefill, then tokens one by one, as a host would drive the unit.
#[test]
fn greedy_tokens_are_those_of_the_reference() {
    let ids = |t: &common::Tensor| t.i64().iter().map(|id| *id as usize).collect::<Vec<_>>();
    for run in runs() {
        let dtype = run.dtype;
        let (embed, want) = (run.model.get("model.embed_tokens.weight").bf16(), ids(run.expected.get("generated_ids")));
        let weights: BTreeMap<_, _> = run.linears().map(|n| (n.clone(), run.weights(&n))).collect();
        let norm = |name: &str, x: &[f32]| norm::rms_norm(x, &run.model.f32(&format!("{name}.weight")), EPS, dtype);
        let bit_linear = |name: &str, x: &[f32]| {
            let (w, _, factor) = &weights[name];
            linear::bit_linear(x, w, *factor, dtype)
        };
        let tables = RopeTables::new(0..want.len(), 64, THETA, dtype);
        let mut cache = [const { (Vec::new(), Vec::new()) }; 2];
        let mut seen = 0;
        let mut tokens = ids(run.expected.get("input_ids"));
        while tokens.len() < want.len() {
            let mut h: Vec<f32> =
                tokens[seen..].iter().flat_map(|id| &embed[id * 256..][..256]).map(|x| x.to_f32()).collect();
            for (l, (keys, values)) in cache.iter_mut().enumerate() {
                let name = |suffix: &str| format!("model.layers.{l}.{suffix}");
                let x = norm(&name("input_layernorm"), &h);
                let [mut q, mut k, v] = ["q", "k", "v"].map(|c| bit_linear(&name(&format!("self_attn.{c}_proj")), &x));
                tables.rotate(&mut q, HEADS.query, seen);
                tables.rotate(&mut k, HEADS.kv, seen);
                keys.extend(k);
                values.extend(v);
                let a = norm(&name("self_attn.attn_sub_norm"), &attention(HEADS, &q, keys, values, dtype));
                residual::add(&mut h, &bit_linear(&name("self_attn.o_proj"), &a), dtype);
                let x = norm(&name("post_attention_layernorm"), &h);
                let mut m = bit_linear(&name("mlp.gate_proj"), &x);
                activation::relu2(&mut m, dtype);
                activation::product(&mut m, &bit_linear(&name("mlp.up_proj"), &x), dtype);
                let m = norm(&name("mlp.ffn_sub_norm"), &m);
                residual::add(&mut h, &bit_linear(&name("mlp.down_proj"), &m), dtype);
            }
            let logits = linear::dense(&norm("model.norm", &h), &embed, 256, dtype);
            if seen == 0 && dtype == Dtype::Fp32 {
                let mut deviation = Deviation::default();
                let verdict = deviation.add(&logits, &run.expected.f32("logits"), 320);
                verdict.judge(Accept::Relative { max: 1e-4, rms: 1e-4 }).unwrap();
            }
            seen = tokens.len();
            let last = &logits[logits.len() - 320..];
            // The first of equals, as argmax has it.
            tokens.push((0..320).rev().max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap());
        }
        assert_eq!(tokens, want, "{}", run.name);
    }
}

/// Comparisons that cannot fail prove nothing: wrong arithmetic must be seen.
#[test]
fn wrong_operators_are_caught() {
    for run in runs() {
        let (e, dtype) = (|name: &str| run.expected.f32(name), run.dtype);
        let caught = |got: &[f32], want: &str, accept| {
            let verdict = Deviation::default().add(got, &e(want), run.expected.get(want).width()).judge(accept);
            assert!(verdict.is_err(), "{want} of {}", run.name);
        };
        // One bit of one value, where the result is owed exactly.
        let mut h = e("model.layers.0.in");
        residual::add(&mut h, &e("model.layers.0.self_attn.o_proj.out"), dtype);
        let at = h.iter().position(|x| *x != 0.0).unwrap();
        h[at] = f32::from_bits(h[at].to_bits() ^ if dtype == Dtype::Bf16 { 1 << 16 } else { 1 });
        caught(&h, "model.layers.0.post_attention_layernorm.in", Accept::Exact);

        // Another epsilon; positions off by one; interleaved pairs instead of halves.
        let name = "model.layers.0.input_layernorm";
        let y = norm::rms_norm(&e(&format!("{name}.in")), &run.model.f32(&format!("{name}.weight")), 1e-6, dtype);
        caught(&y, &format!("{name}.out"), Accept::of(dtype));
        let shifted = RopeTables::new(1..7, 64, THETA, dtype);
        let cos: Vec<f32> = shifted.cos.chunks(32).flat_map(|row| [row, row].concat()).collect();
        caught(&cos, "rope.cos", Accept::of(dtype));

        // Key/value heads tiled over the query heads instead of repeated.
        let q = run.by_token("model.layers.0.self_attn.q_rope");
        let k = run.by_token("model.layers.0.self_attn.k_rope");
        let v = e("model.layers.0.self_attn.v_proj.out");
        let swap = |x: &[f32]| -> Vec<f32> {
            x.chunks(256).flat_map(|t| [0, 2, 1, 3].map(|h| t[h * 64..][..64].to_vec()).concat()).collect()
        };
        let tiled = swap(&attention(HEADS, &swap(&q), &k, &v, dtype));
        caught(&tiled, "model.layers.0.self_attn.attn_sub_norm.in", Accept::of(dtype));

        // A factor that is 6 % off and accumulators that miss their last column.
        let name = "model.layers.0.mlp.down_proj";
        let (mut w, _, factor) = run.weights(name);
        let accept = Accept::of_bit_linear(dtype);
        let x = e(&format!("{name}.in"));
        caught(&linear::bit_linear(&x, &w, factor * 1.06, dtype), &format!("{name}.out"), accept);
        for r in 0..w.rows() {
            for c in 512..576 {
                w.set(r, c, 0);
            }
        }
        caught(&linear::bit_linear(&x, &w, factor, dtype), &format!("{name}.out"), accept);
        if dtype == Dtype::Bf16 {
            // Roundings in the wrong number or of the wrong kind.
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
