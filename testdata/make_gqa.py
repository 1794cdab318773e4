#!/usr/bin/env python3
"""Makes gqa-online/ and gqa-packed/: results of transformers for dimensions that no beat divides.

    python -m venv /tmp/gqa && /tmp/gqa/bin/pip install -r requirements.txt
    /tmp/gqa/bin/python make_gqa.py .

Draws random weights and writes them as two checkpoints. Then loads both with `BitNetForCausalLM`, runs them in bf16
and in fp32, and records every tensor on the way. README.md lists the keys. Wherever transformers has a function for a
computation, the script uses that function.
"""

import contextlib
import json
import math
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

# Turns off the compilation of the quantisers, which needs a C++ compiler and changes no value.
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
from safetensors.torch import load_file, save_file
from transformers import BitNetForCausalLM
from transformers.integrations.bitnet import ActQuant, AutoBitLinear, BitLinear, WeightQuant, pack_weights
from transformers.models.bitnet import modeling_bitnet

SEED = 106
LAYERS, VOCAB, THETA, EPS = 2, 320, 500000.0, 1e-5
HIDDEN, INTER, HEADS, KV_HEADS = 208, 500, 8, 2
HEAD_DIM = HIDDEN // HEADS
KV = KV_HEADS * HEAD_DIM
PROMPT = [318, 2, 77, 0, 1, 205, 14]
NEW_TOKENS = 8

# For each linear: outputs, inputs, mean magnitude of the master weights.
LINEARS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN, 0.9),
    "self_attn.k_proj": (KV, HIDDEN, 1.1),
    "self_attn.v_proj": (KV, HIDDEN, 1.6),
    "self_attn.o_proj": (HIDDEN, HIDDEN, 1.2),
    "mlp.gate_proj": (INTER, HIDDEN, 1.4),
    "mlp.up_proj": (INTER, HIDDEN, 1.0),
    "mlp.down_proj": (HIDDEN, INTER, 1.9),
}
# For each norm: the linear after it, and the approximate size that the outputs of this linear should have.
NORMS = {
    "input_layernorm": ("self_attn.q_proj", 1.4),
    "self_attn.attn_sub_norm": ("self_attn.o_proj", 2.0),
    "post_attention_layernorm": ("mlp.gate_proj", 20.0),
    "mlp.ffn_sub_norm": ("mlp.down_proj", 3.0),
}


def masters():
    """bf16 master weights that contain difficult cases for quantisers and norms."""
    rng = torch.Generator().manual_seed(SEED)
    normal = lambda *shape: torch.randn(*shape, generator=rng)
    some = lambda n, of: torch.randperm(of, generator=rng)[:n]
    weights = {}

    hot = some(2, HIDDEN)
    embed = 0.3 * normal(VOCAB, HIDDEN)
    embed[0] = 0.0
    embed[1] *= 1e-7  # below the quantiser's floor of 1e-5
    embed[2, hot] += torch.tensor([30.0, -18.0])
    weights["model.embed_tokens.weight"] = embed

    def gains(width, gain):
        gains = gain * torch.exp(0.2 * normal(width))
        gains[some(2, width)] = 1e-32  # decayed
        return gains

    for layer in range(LAYERS):
        shrink = 50.0 if layer else 1.0
        for name, (rows, cols, magnitude) in LINEARS.items():
            w = normal(rows, cols) * magnitude / shrink * math.sqrt(math.pi / 2)
            w[some(3, rows)] = 0.0
            dead = some(3, cols)
            w[:, dead] *= 1e-34
            w[:, dead[0]] *= 1e-5  # subnormal
            w.view(-1)[some(rows * cols // 400, rows * cols)] *= 7.0
            weights[f"model.layers.{layer}.{name}.weight"] = w
        for name, (linear, size) in NORMS.items():
            _, cols, magnitude = LINEARS[linear]
            gain = size / (math.sqrt(0.7 * cols) * magnitude / shrink)
            weights[f"model.layers.{layer}.{name}.weight"] = gains(cols, gain)
    final = gains(HIDDEN, 1.0)
    final[hot] *= 0.03  # otherwise the outliers alone would decide the logits
    weights["model.norm.weight"] = final
    return {name: w.to(torch.bfloat16) for name, w in weights.items()}


def packed(weights):
    """The master weights as ternary weights, four per byte, with the value of one ternary unit per linear."""
    out = {}
    for name, w in weights.items():
        if name.endswith("_proj.weight"):
            out[name] = pack_weights(WeightQuant.apply(w.float()).sign())
            scale = w.float().abs().mean().clamp(min=1e-5)
            out[name.replace(".weight", ".weight_scale")] = scale.to(torch.bfloat16).reshape(1)
        else:
            out[name] = w.clone()
    return out


def save_checkpoint(folder, weights, mode, dtype="bfloat16"):
    config = {
        "architectures": ["BitNetForCausalLM"],
        "model_type": "bitnet",
        "torch_dtype": dtype,
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": INTER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "hidden_act": "relu2",
        "max_position_embeddings": 4096,
        "rms_norm_eps": EPS,
        "rope_theta": THETA,
        "tie_word_embeddings": True,
        "bos_token_id": VOCAB - 2,
        "eos_token_id": VOCAB - 1,
        "quantization_config": {
            "quant_method": "bitnet",
            "linear_class": "autobitlinear",
            "quantization_mode": mode,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder, mode, dtype, attention="eager"):
    with tempfile.TemporaryDirectory() as copy:
        if dtype == torch.float32:
            # transformers 5.23 keeps norms and embedding of a packed checkpoint in the dtype of the file.
            wide = load_file(folder / "model.safetensors")
            wide = {name: w.float() if w.is_floating_point() else w for name, w in wide.items()}
            folder = Path(copy)
            save_checkpoint(folder, wide, mode, "float32")
        model = BitNetForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention).eval()
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert sum(isinstance(m, AutoBitLinear) for m in model.modules()) == 7 * LAYERS
    model.generation_config.eos_token_id = None  # never stop early
    model.generation_config.pad_token_id = 0
    return model


def integers(linear, x):
    """Operands and result of the ternary product of `linear` with `x`."""
    # With an fp32 input the quantiser computes in fp32, as it does in AutoBitLinear.
    q, scale = BitLinear(linear.in_features, linear.out_features, False).activation_quant(x.float())
    assert torch.equal((q.float() / scale).to(x.dtype), ActQuant.apply(x))
    if linear.online_quant:
        w = linear.weight.float()
        ternary, w_scale = WeightQuant.apply(w).sign(), w.abs().mean().clamp(min=1e-5)
    else:
        ternary, w_scale = linear.weight, linear.weight_scale
    acc = q.double() @ ternary.double().T
    return {"x_q": q, "x_scale": scale, "acc": acc.to(torch.int32), "w_scale": w_scale.float().reshape(1)}


@torch.no_grad()
def record(model, ids):
    """Records the tensors of one forward pass."""
    seen = {}

    def keep(name, tensor):
        seen[name] = tensor.detach().clone().contiguous()

    def hook(name):
        def after(module, args, kwargs, out):
            x = args[0] if args else kwargs["hidden_states"]
            if x.is_floating_point():
                keep(f"{name}.in", x)
            keep(f"{name}.out", out[0] if isinstance(out, tuple) else out)
            if isinstance(module, AutoBitLinear):
                for what, tensor in integers(module, x).items():
                    keep(f"{name}.{what}", tensor)

        return after

    # These are functions, not modules, so hooks do not see them. Each is called once per layer, in order.
    rotated, attended = [], []

    def spy(function, calls):
        def call(*args, **kwargs):
            calls.append((args, function(*args, **kwargs)))
            return calls[-1][1]

        return mock.patch.object(modeling_bitnet, function.__name__, call)

    with contextlib.ExitStack() as stack:
        stack.enter_context(spy(modeling_bitnet.apply_rotary_pos_emb, rotated))
        stack.enter_context(spy(modeling_bitnet.eager_attention_forward, attended))
        for name, module in model.named_modules():
            if name not in ("", "model", "model.layers") and not name.endswith((".self_attn", ".mlp", "rotary_emb")):
                stack.callback(module.register_forward_hook(hook(name), with_kwargs=True).remove)
        out = model(input_ids=ids, use_cache=True)

    assert len(rotated) == len(attended) == LAYERS
    _, _, cos, sin = rotated[0][0][:4]
    keep("rope.cos", cos)
    keep("rope.sin", sin)
    for layer, ((_, (q, k)), (_, (_, probs)), cache) in enumerate(zip(rotated, attended, out.past_key_values.layers)):
        keep(f"model.layers.{layer}.self_attn.q_rope", q)
        keep(f"model.layers.{layer}.self_attn.k_rope", k)
        keep(f"model.layers.{layer}.self_attn.attn_probs", probs)
        keep(f"cache.{layer}.key", cache.keys)
        keep(f"cache.{layer}.value", cache.values)
    keep("input_ids", ids)
    keep("logits", out.logits)
    return seen


@torch.no_grad()
def generate(model, ids):
    """Returns the prompt with eight greedy tokens after it, and the logits from which each token was taken."""
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        return_dict_in_generate=True,
        output_logits=True,
    )
    return out.sequences.clone(), torch.cat(out.logits).clone()


def margin(logits):
    """Smallest distance of all steps between the logits of the best and the second token.

    The unit is the standard deviation of the logits.
    """
    best, second = logits.float().topk(2).values.unbind(-1)
    return ((best - second) / logits.float().std(-1)).min().item()


def main(root):
    torch.set_num_threads(1)  # fixes the order of sums
    weights, ids = masters(), torch.tensor([PROMPT])
    for name, mode, stored in [("gqa-online", "online", weights), ("gqa-packed", "offline", packed(weights))]:
        folder = root / name
        save_checkpoint(folder, stored, mode)
        for file, dtype in [("expected", torch.bfloat16), ("expected-fp32", torch.float32)]:
            model = load(folder, mode, dtype)
            seen = record(model, ids)
            seen["generated_ids"], seen["step_logits"] = generate(model, ids)
            with torch.no_grad():
                seen["alt.sdpa.logits"] = load(folder, mode, dtype, "sdpa")(input_ids=ids).logits
            save_file(seen, folder / f"{file}.safetensors")
            new = seen["generated_ids"][0, len(PROMPT) :].tolist()
            print(f"{name}, {file}: {new}, margin {margin(seen['step_logits']):.2f}")
    for path in root.glob("gqa-*/*"):
        path.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
