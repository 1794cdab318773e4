#!/usr/bin/env python3
"""CPU profile of BitNet b1.58 in PyTorch: times the modules of transformers one by one.

    ./run.py                               one decoder layer of 2B-4T at its true size, synthetic weights, 3 tokens
    ./run.py --model DIR --prompt Hello    a checkpoint: Tokenization, Prefill, Decode, Detokenization, every layer

Each combination of dtype and mode runs in its own process. It writes a folder, OUT/DTYPE-MODE, with the files that
`host profile` writes: inference_profile_report.json and four CSV files. To compare the results side by side:

    cargo run -p host -- profile --layer 14 --out target/cpu-profile/rust
    cargo run -p host -- profile compare target/cpu-profile/{rust,*-o*}/inference_profile_report.json

    --mode     online: weights are made ternary again at every call, as the bf16 repository is run;
               offline: weights are made ternary once, when the model is loaded.
               Checkpoints of both forms run in both modes
    --dtype    type of weights and arithmetic; PyTorch has no ternary product

The time of an operator is the time of its module's forward. The operator `rest` is the part of a layer that is in no
timed module: rotary embedding, attention, product of gate and up, sums. One MB is 1,000,000 bytes.
Exit codes: 0 measured, 2 usage, 3 checkpoint missing or damaged, 4 tool missing.
pip installs PyTorch, pinned in requirements.txt, into $TMV_CACHE_DIR or, if that is not set, into `tmv` in the user's
cache directory. The quantisers use torch.compile, which needs a C++ compiler. `--eager` works without a compiler, but
is several times slower.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
REFERENCE_MHZ = 3000
OTHERS = "cpu_taken_by_others_percent"
STAGES = ["Tokenization", "Prefill", "Decode", "Detokenization"]
LINEARS = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
NORMS = ["input_layernorm", "self_attn.attn_sub_norm", "post_attention_layernorm", "mlp.ffn_sub_norm"]
OPERATORS = [*LINEARS, *NORMS, "mlp.act_fn"]
# Dimensions of 2B-4T. rope_parameters has the form that transformers 5 expects.
DIMENSIONS = {
    "vocab_size": 128256, "hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 30,
    "num_attention_heads": 20, "num_key_value_heads": 5, "hidden_act": "relu2", "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    "tie_word_embeddings": True, "bos_token_id": 128000,
}  # fmt: skip


def say(text):
    print(text, file=sys.stderr, flush=True)


# Facts that the system reports. A fact that the system does not report is None.


def field(path, name):
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return []
    return [line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == name]


def status_mb(name):
    found = field("/proc/self/status", name)
    return int(found[0].split()[0]) * 1024 / 1e6 if found else None


def resident_mb():
    return status_mb("VmRSS")


def reset_peak():
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return True
    except OSError:
        return False


def current_mhz():
    return max((float(mhz) for mhz in field("/proc/cpuinfo", "cpu MHz")), default=None)


def base_mhz():
    for name, unit in ("cpufreq/base_frequency", 1e-3), ("acpi_cppc/nominal_freq", 1):
        try:
            return float(Path("/sys/devices/system/cpu/cpu0", name).read_text()) * unit
        except (OSError, ValueError):
            pass
    brand = brand_name()
    return float(brand.rsplit("@", 1)[1].strip()[:-3]) * 1e3 if "@" in brand and brand.endswith("GHz") else None


def brand_name():
    return next(iter(field("/proc/cpuinfo", "model name")), "unknown")


def cpu_ticks():
    """Busy ticks of the machine, total ticks of the machine, and busy ticks of this process."""
    try:
        whole = [int(x) for x in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        own = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    except OSError:
        return None
    return sum(whole) - whole[3] - whole[4], sum(whole), sum(map(int, own))


def others_percent(before, after):
    """Share of the machine's CPU time that other processes used, in percent."""
    if not before or not after or before[1] == after[1]:
        return None
    busy, whole, own = (b - a for a, b in zip(before, after))
    return round(max(0.0, 100 * (busy - own) / whole), 1)


class Stage:
    """Measures the time and the memory of a stage."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before, self.reset, self.start = resident_mb(), reset_peak(), time.perf_counter_ns()
        return self

    def __exit__(self, *_):
        self.ms = (time.perf_counter_ns() - self.start) / 1e6
        self.after = resident_mb()
        self.peak = status_mb("VmHWM") if self.reset else None

    def report(self, **more):
        known = self.before is not None and self.after is not None
        report = {
            "name": self.name, "duration_ms": self.ms, "duration_normalized_ms": None,
            "memory_before_mb": self.before, "memory_after_mb": self.after,
            "memory_delta_mb": self.after - self.before if known else None,
        }  # fmt: skip
        return report | ({"peak_memory_mb": self.peak} if self.peak else {}) | more


def not_measured(name, why):
    keys = "duration_ms", "duration_normalized_ms", "memory_before_mb", "memory_after_mb", "memory_delta_mb"
    return {"name": name, **dict.fromkeys(keys), "note": f"not measured: {why}"}


def spread(times):
    return {
        "samples": len(times), "median_ms": statistics.median(times), "mean_ms": statistics.fmean(times),
        "min_ms": min(times), "max_ms": max(times),
    }  # fmt: skip


class Calls:
    """Records every call of every timed module with forward hooks."""

    def __init__(self, layers):
        self.layers, self.rows, self.begun, self.handles, self.whole = layers, [], {}, [], {}
        self.repeat, self.memory = 0, resident_mb()

    def hook(self):
        for number, layer in self.layers:
            for name in OPERATORS:
                self.watch(layer.get_submodule(name), number, name)
            self.watch(layer, number, "")

    def watch(self, module, number, name):
        def begin(module, arguments):
            self.begun[number, name] = time.perf_counter_ns()

        def end(module, arguments, output):
            ms = (time.perf_counter_ns() - self.begun[number, name]) / 1e6
            if not name:
                return self.whole.setdefault((number, self.repeat), ms) and None
            now = resident_mb()
            delta = now - self.memory if now is not None else None
            self.memory = now
            self.rows.append({
                "layer": number, "name": name, "type": type(module).__name__, "repeat": self.repeat, "time_ms": ms,
                "input_shape": list(arguments[0].shape), "output_shape": list(output.shape),
                "memory_delta_mb": delta, "memory_mb": now,
            })  # fmt: skip

        self.handles += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]

    def finish(self, rest):
        """Removes the hooks. Adds an operator `rest` for the time of each layer that is in no timed module."""
        for handle in self.handles:
            handle.remove()
        shape = self.rows[0]["input_shape"]
        for (number, repeat), ms in self.whole.items():
            timed = sum(r["time_ms"] for r in self.rows if (r["layer"], r["repeat"]) == (number, repeat))
            self.rows.append({
                "layer": number, "name": rest, "type": "RotaryEmbedding, attention, product, sums", "repeat": repeat,
                "time_ms": max(0.0, ms - timed), "input_shape": shape, "output_shape": shape,
                "memory_delta_mb": None, "memory_mb": None,
            })  # fmt: skip


def operations(row):
    """Operations of a call, by the rules of the source report.

    Two per multiply-accumulate, three per element of a norm, two per element of squared ReLU.
    """
    elements = 1
    for n in row["input_shape"]:
        elements *= n
    if row["name"] in LINEARS:
        return 2 * elements * row["output_shape"][-1]
    return {**dict.fromkeys(NORMS, 3 * elements), "mlp.act_fn": 2 * elements}.get(row["name"])


def operators(calls):
    """Returns one row per operator, over all layers and repetitions, and sums over groups of operators."""
    rows = []
    layers = sorted({call["layer"] for call in calls})
    for name in dict.fromkeys(call["name"] for call in calls):
        mine = [call for call in calls if call["name"] == name]
        times = spread([call["time_ms"] for call in mine])
        growth = [call["memory_delta_mb"] for call in mine if call["memory_delta_mb"] is not None]
        rows.append({
            "name": name, "layer": f"layers {layers[0]}-{layers[-1]}, all repeats", "type": mine[0]["type"],
            "input_shape": mine[0]["input_shape"], "output_shape": mine[0]["output_shape"],
            **{key: times[key] for key in ("mean_ms", "median_ms", "min_ms", "max_ms")},
            "memory_delta_mb": statistics.fmean(growth) if growth else None,
        })  # fmt: skip
    total, ops = sum(row["median_ms"] for row in rows), sum(operations(row) or 0 for row in rows)
    for row in rows:
        counted = operations(row)
        row |= {"share_percent": 100 * row["median_ms"] / total, "ops": counted}
        row["ops_share_percent"] = 100 * counted / ops if counted else None
        row["gops"] = counted / row["median_ms"] / 1e6 if counted else None

    def block(name, *members):
        ms = sum(row["median_ms"] for row in rows if row["name"] in members)
        return {"name": name, "members": list(members), "mean_ms": ms, "share_percent": 100 * ms / total}

    names = [row["name"] for row in rows]
    blocks = [
        block("mlp_linear", *LINEARS[4:]),
        block("attention_linear", *LINEARS[:4]),
        block("normalization", *NORMS),
        block("activation", "mlp.act_fn"),
        block("other", *(set(names) - set(OPERATORS))),
        block("linear", *LINEARS),
        block("nonlinear", *(name for name in names if name not in LINEARS)),
        block("decoder_layer", *names) | {"ops": ops},
    ]
    return rows, blocks


def write(folder, report, calls):
    """Writes the report and the CSV files. Each file is written completely or not at all."""
    raw = [["Layer Name", "Type", "Input Shape", "Time (ms)", "Mem Delta (MB)", "Abs Mem (MB)", "Repeat"]]
    for c in calls:
        name, memory = f"layers.{c['layer']}.{c['name']}", [c["memory_delta_mb"], c["memory_mb"]]
        raw.append([name, c["type"], c["input_shape"], c["time_ms"], *memory, c["repeat"]])
    header = ["Submodule", "Type", "Time (ms)", "Time Share (%)", "OPs", "OPs Share (%)", "GOPS", "Memory Delta (MB)"]
    keys = ["name", "type", "median_ms", "share_percent", "ops", "ops_share_percent", "gops", "memory_delta_mb"]
    header, keys = [*header, "Mean (ms)", "Fastest (ms)", "Slowest (ms)"], [*keys, "mean_ms", "min_ms", "max_ms"]

    def statistics_of(wanted):
        return [header, *([row[key] for key in keys] for row in report["operators"] if wanted(row["name"]))]

    files = {
        "raw_layer_data.csv": raw,
        "final_operator_benchmark.csv": statistics_of(lambda name: True),
        "linear_operator_stats.csv": statistics_of(lambda name: name in LINEARS),
        "nonlinear_operator_stats.csv": statistics_of(lambda name: name not in LINEARS),
        "inference_profile_report.json": None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".profile-", delete=False, newline="") as file:
            if rows is None:
                file.write(json.dumps(report, indent=1) + "\n")
            else:
                csv.writer(file, lineterminator="\n").writerows(rows)
        os.chmod(file.name, 0o644)
        os.replace(file.name, folder / name)


def set_mode(module, mode):
    """Makes every AutoBitLinear run in `mode`, for both forms of checkpoints."""
    import torch
    from transformers.integrations.bitnet import AutoBitLinear, WeightQuant

    for linear in (m for m in module.modules() if isinstance(m, AutoBitLinear)):
        if mode == "offline" and linear.online_quant:
            # Ternary and scaled, as the online forward computes it at every call.
            linear.weight = torch.nn.Parameter(WeightQuant.apply(linear.weight), requires_grad=False)
            linear.weight_scale = torch.nn.Buffer(torch.ones(1, dtype=linear.weight.dtype))
        if mode == "online" and not linear.online_quant:
            # The forward scales by the mean magnitude of the masters. Here that is made equal to the stored scale.
            ones = linear.weight.float().abs().mean()
            linear.weight = torch.nn.Parameter(linear.weight * (linear.weight_scale / ones), requires_grad=False)
        linear.online_quant = mode == "online"


def random_layer(dtype):
    """Returns a decoder layer of 2B-4T with synthetic weights, and its configuration."""
    import torch
    from transformers import BitNetConfig
    from transformers.integrations.bitnet import AutoBitLinear
    from transformers.models.bitnet.modeling_bitnet import BitNetDecoderLayer

    config = BitNetConfig(**DIMENSIONS, attn_implementation="sdpa")
    torch.manual_seed(1)
    layer = BitNetDecoderLayer(config, 0).to(dtype)
    for name, linear in list(layer.named_modules()):
        if type(linear) is torch.nn.Linear:
            new = AutoBitLinear(linear.in_features, linear.out_features, bias=False, dtype=dtype, online_quant=True)
            new.weight = linear.weight
            layer.set_submodule(name, new)
    return layer.eval().requires_grad_(False), config


def profile_layer(options, dtype):
    """Measures one layer, without stages.

    Returns the load stage, the other stages, the calls, the times of the layer, facts for the report, and samples of
    the clock frequency.
    """
    import torch
    from transformers.models.bitnet.modeling_bitnet import BitNetRotaryEmbedding

    with Stage("Model load") as load:
        layer, config = random_layer(dtype)
        set_mode(layer, options.mode)
    tokens = len(options.prompt_ids) or 3
    position = torch.arange(tokens)[None]
    x = torch.randn(1, tokens, config.hidden_size, dtype=dtype)
    rotary = BitNetRotaryEmbedding(config)(x, position)

    def run():
        layer(x, attention_mask=None, position_ids=position, position_embeddings=rotary)

    calls, walls, others = measure_operators(options, [(0, layer)], run)
    stages = [not_measured(name, "one layer alone was measured") for name in STAGES]
    name = "one decoder layer with the dimensions of BitNet b1.58-2B-4T, synthetic weights"
    return load, stages, calls, walls, {"model_name": name, "tokens": tokens, OTHERS: others}, []


def profile_model(options, dtype):
    """Measures all stages and all layers of a checkpoint. Returns the same values as profile_layer."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BitNetForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        with Stage("Model load") as load:
            # Without the conversion, norms and embeddings of a packed checkpoint would stay in bf16.
            model = BitNetForCausalLM.from_pretrained(options.model, dtype=dtype, local_files_only=True).to(dtype)
            set_mode(model.eval().requires_grad_(False), options.mode)
        file = options.model / "tokenizer.json"
        tokenizer = Tokenizer.from_file(str(file)) if file.exists() else None
    except (OSError, ValueError) as error:
        say(f"error: {options.model}: transformers cannot load this checkpoint: {error}")
        sys.exit(3)
    if options.prompt is not None and tokenizer is None:
        say("error: --prompt: the checkpoint has no tokenizer.json; give token ids with --prompt-ids")
        sys.exit(2)
    config, stages = model.config, []
    if options.prompt is None:
        why = "the prompt was given as token ids" if tokenizer else "there is no tokenizer.json"
        ids = options.prompt_ids or [(config.bos_token_id + 997 * i) % config.vocab_size for i in range(3)]
        stages.append(not_measured(STAGES[0], why))
    else:
        encode = lambda: tokenizer.encode(options.prompt, add_special_tokens=False).ids
        for _ in range(options.warm_up):
            encode()
        with Stage(STAGES[0]) as stage:
            ids = encode()
        ids = [config.bos_token_id, *ids]
        stages.append(stage.report(tokens=len(ids)))
    prompt = torch.tensor([ids])
    if prompt.min() < 0 or prompt.max() >= config.vocab_size:
        say(f"error: token ids: expected 0 to {config.vocab_size - 1}, found {ids}")
        sys.exit(2)

    def prefill():
        return model(input_ids=prompt, use_cache=True, logits_to_keep=1)

    for i in range(options.warm_up):
        say(f"warm-up pass {i + 1} of {options.warm_up}")
        out = prefill()
        model(input_ids=prompt[:, :1], past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
    say(f"generating {options.tokens} tokens after a prompt of {len(ids)} tokens")
    clocks, times, generated = [], [], []
    with Stage(STAGES[1]) as stage:
        out = prefill()
        generated.append(int(out.logits[0, -1].argmax()))
    stages.append(stage.report(tokens=len(ids)))
    with Stage(STAGES[2]) as stage:
        while len(generated) < options.tokens:
            start = time.perf_counter_ns()
            last = torch.tensor([[generated[-1]]])
            out = model(input_ids=last, past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
            generated.append(int(out.logits[0, -1].argmax()))
            times.append((time.perf_counter_ns() - start) / 1e6)
            clocks.append(current_mhz())
    if times:
        stages.append(stage.report(tokens=len(times), a_token=spread(times)))
    else:
        stages.append(not_measured(STAGES[2], "only one token was requested, and the prefill computes it"))
    if options.prompt is None:
        stages.append(not_measured(STAGES[3], why))
    else:
        for _ in range(options.warm_up):
            tokenizer.decode(generated)
        with Stage(STAGES[3]) as stage:
            tokenizer.decode(generated)
        stages.append(stage.report(tokens=len(generated)))
    layers = list(enumerate(model.model.layers))
    calls, walls, others = measure_operators(options, layers, prefill)
    dimensions = "{num_hidden_layers} layers, hidden {hidden_size}, intermediate {intermediate_size}, "
    dimensions = (dimensions + "vocabulary {vocab_size}").format(**config.to_dict())
    about = {"model_name": str(options.model), "dimensions": dimensions, "tokens": len(ids), OTHERS: others}
    about["generated_ids"] = generated
    return load, stages, calls, walls, about, clocks


def measure_operators(options, layers, run):
    """Times modules with hooks, and then whole layers without hooks on their modules.

    Returns the calls, the times of the layers, and the share of CPU time that other processes used meanwhile.
    """
    for i in range(options.warm_up):
        say(f"operators, warm-up pass {i + 1} of {options.warm_up}")
        run()
    before, calls = cpu_ticks(), Calls(layers)
    calls.hook()
    for calls.repeat in range(options.layer_repeats):
        run()
    calls.finish("rest")
    walls, handles, begun = [], [], []

    def begin(*_):
        begun.append(time.perf_counter_ns())

    def end(*_):
        walls.append((time.perf_counter_ns() - begun.pop()) / 1e6)

    for _, layer in layers:
        handles += [layer.register_forward_pre_hook(begin), layer.register_forward_hook(end)]
    for _ in range(options.layer_repeats):
        run()
    for handle in handles:
        handle.remove()
    return calls.rows, walls, others_percent(before, cpu_ticks())


def profile(options):
    """Measures and writes one combination of mode and dtype."""
    import torch
    import transformers

    torch.set_num_threads(options.threads or os.cpu_count())
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    with torch.no_grad():
        measured = (profile_model if options.model else profile_layer)(options, dtype)
    how = "made ternary at every call" if options.mode == "online" else "made ternary once"
    framework = f"PyTorch {torch.__version__} {options.dtype} {options.mode}, transformers {transformers.__version__}, CPU only, "
    framework += f"weights {how}, quantisers {'eager' if options.eager else 'torch.compile'}"
    publish(options, framework, torch.get_num_threads(), *measured)


def publish(options, framework, threads, load, stages, calls, walls, about, clocks):
    """Writes the measurements to files and prints a summary."""
    clocks = [mhz for mhz in [*clocks, current_mhz()] if mhz]
    current = statistics.median(clocks) if clocks else None
    if options.freq_mhz:
        mhz, source = options.freq_mhz, "the frequency that the command was given"
    elif current:
        mhz, source = current, "the fastest core's frequency, the median of samples between passes"
    else:
        mhz, source = base_mhz(), "the base frequency, because the system does not report the current one"
    for stage in stages:
        if mhz and stage["duration_ms"] is not None:
            stage["duration_normalized_ms"] = stage["duration_ms"] * mhz / REFERENCE_MHZ
    formula = f"duration_normalized_ms = duration_ms x {mhz} MHz / {REFERENCE_MHZ} MHz; {mhz} MHz is {source}"
    rows, blocks = operators(calls)
    peaks = [load.peak, status_mb("VmHWM"), *(stage.get("peak_memory_mb") for stage in stages)]
    numbers = sorted({call["layer"] for call in calls})
    by_layer = []
    for number in numbers:
        for row in rows:
            mine = [c for c in calls if (c["layer"], c["name"]) == (number, row["name"])]
            by_layer.append({
                "layer": number, "name": row["name"], "type": row["type"], "input_shape": row["input_shape"],
                "time_ms": statistics.median(c["time_ms"] for c in mine),
                "memory_delta_mb": mine[-1]["memory_delta_mb"], "memory_mb": mine[-1]["memory_mb"],
            })  # fmt: skip
    report = {
        "meta": {
            **about, "timestamp": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "reference_freq_mhz": REFERENCE_MHZ,
            **({"member": options.member} if options.member else {}),
            "framework": f"{framework}, {threads} threads",
            "batch": 1, "mode": options.mode, "dtype": options.dtype, "threads": threads,
            "stable_layers": [numbers[0], numbers[-1]], "warm_up": options.warm_up, "repeats": options.layer_repeats,
        },
        "cpu_info": {"brand": brand_name(), "freq_base_mhz": base_mhz(), "freq_current_mhz": current},
        "freq_normalization": {
            "scale_factor": mhz / REFERENCE_MHZ if mhz else None,
            "explanation": formula if mhz else "not normalised: no CPU frequency was reported or given",
        },
        "model_load": load.report(),
        "stage_profiles": stages,
        "summary": {
            "total_time_ms": sum(stage["duration_ms"] or 0 for stage in stages),
            "peak_memory_mb": max((peak for peak in peaks if peak), default=None),
        },
        "layer_wall": spread(walls), "operators": rows, "blocks": blocks, "layers": by_layer,
    }  # fmt: skip
    write(options.out, report, calls)
    print(f"{report['meta']['framework']}; other processes used {about[OTHERS]} % of the CPU")
    for row in [*rows, {"name": "layer, wall", **report["layer_wall"]}]:
        print("{name:26}{median_ms:10.3f} ms  ({min_ms:.3f} to {max_ms:.3f})".format(**row))
    for stage in stages:
        told = f"{stage['duration_ms']:.3f} ms" if stage["duration_ms"] is not None else stage["note"]
        a_token = stage.get("a_token")
        print(f"{stage['name']:26}{told}" + (f", {a_token['median_ms']:.3f} ms a token" if a_token else ""))
    print(f"written to {options.out}")


def ids(text):
    return [int(x) for x in text.split(",")]


def count(text):
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {text}")
    return int(text)


def some(*known):
    def listed(text):
        if not set(text.split(",")) <= set(known):
            raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}, found {text}")
        return list(dict.fromkeys(text.split(",")))

    return listed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="DIR", type=Path, help="checkpoint folder [default: one synthetic layer]")
    parser.add_argument("--prompt", metavar="TEXT", help="text of the prompt, for checkpoints with a tokenizer.json")
    parser.add_argument("--prompt-ids", metavar="IDS", type=ids, default=[], help="token ids, separated by commas")
    parser.add_argument("--tokens", metavar="N", type=count, default=9, help="number of tokens to generate")
    parser.add_argument("--mode", metavar="LIST", type=some("online", "offline"), default=["online", "offline"])
    parser.add_argument("--dtype", metavar="LIST", type=some("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--layer-repeats", metavar="N", type=count, default=10, help="measurements of each operator")
    parser.add_argument("--warm-up", metavar="N", type=int, default=3, help="passes before, which are not counted")
    parser.add_argument("--threads", metavar="N", type=count, help="number of threads [default: one per core]")
    parser.add_argument("--eager", action="store_true", help="run the quantisers without torch.compile")
    parser.add_argument("--freq-mhz", metavar="MHZ", type=float, help="CPU frequency [default: as the system reports]")
    parser.add_argument("--member", metavar="NAME", help="name of the person who measures, for `host profile merge`")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("target/cpu-profile"), help="folder to write")
    parser.add_argument("--in-venv", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prompt is not None and (options.model is None or options.prompt_ids):
        parser.error("--prompt needs --model, and cannot be combined with --prompt-ids")
    if options.in_venv:
        [options.mode], [options.dtype] = options.mode, options.dtype
        profile(options)
        return 0
    try:
        what = "PyTorch, a download of about 3 GB,"
        home = provision.environment("pytorch", HERE / "requirements.txt", what)
    except provision.Missing as error:
        print(error, file=sys.stderr)
        return 4
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(home / "inductor"), "HF_HUB_OFFLINE": "1"}
    if options.eager:
        environment["TORCHDYNAMO_DISABLE"] = "1"
    elif not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        say("error: torch.compile needs a C++ compiler, and none was found; --eager works without a compiler")
        return 4
    for dtype in options.dtype:
        for mode in options.mode:
            folder = options.out / f"{dtype}-{mode}"
            command = [home / "bin" / "python", __file__, *sys.argv[1:], "--in-venv", "--dtype", dtype, "--mode", mode, "--out", folder]
            code = subprocess.run(command, env=environment).returncode
            if code < 0:
                say(f"error: {folder.name}: killed by signal {-code}; is there enough memory?")
                return 128 - code
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
