#!/usr/bin/env python3
"""Compares golden on this CPU with llama.cpp, in turns, on a random model of the dimensions of BitNet b1.58-2B-4T.

    tools/llama.py                                     a token after 64, prompts of 64 and 512, f16 head
    tools/llama.py --head q8_0 --golden-head screened  smaller heads: int8 rows, and the token of the whole head
    tools/llama.py --prompts 1024 --threads 1

Each round runs llama.cpp and `sim generate --device golden` for each prompt; the table has medians, and the median of
the ratios of each round. Above 1: golden is faster. Ternary weights are in llama.cpp's TQ2_0.

What to know before reading the ratios: llama.cpp computes this architecture with SiLU in place of squared ReLU, and
quantises activations in blocks of 256, so its results differ; its times hardly do. Its cache is f16, golden's fp32.
Its threads wait by spinning, so other work on the machine hurts it more: the table has the share of CPU time that others
took. Let nothing else run.

Exit codes: 0 done, 1 a program failed, 2 usage, 4 tool missing.
Builds llama.cpp with pip, from the source package pinned in llama.txt, into $TMV_CACHE_DIR, else `tmv` in the user's
cache directory; it takes about ten minutes on two cores, and a model about 1.2 GB there. Needs a C++ compiler.
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
HIDDEN, INTERMEDIATE, LAYERS, VOCABULARY, HEADS, KV_HEADS = 2560, 6912, 30, 128256, 20, 5
KV_WIDTH = HIDDEN // HEADS * KV_HEADS
LINEARS = {
    "attn_q": (HIDDEN, HIDDEN), "attn_k": (KV_WIDTH, HIDDEN), "attn_v": (KV_WIDTH, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN), "ffn_gate": (INTERMEDIATE, HIDDEN), "ffn_up": (INTERMEDIATE, HIDDEN),
    "ffn_down": (HIDDEN, INTERMEDIATE),
}
NORMS = {"attn_norm": HIDDEN, "attn_sub_norm": HIDDEN, "ffn_norm": HIDDEN, "ffn_sub_norm": INTERMEDIATE}


def write_model(path, head):
    """Writes a random model. Runs in the environment of llama.txt."""
    import gguf
    import numpy

    random = numpy.random.default_rng(1)
    # The bytes whose four codes are weights: 0, 1 and 2.
    codes = numpy.array([sum(i // 3**p % 3 << 2 * p for p in range(4)) for i in range(81)], numpy.uint8)

    def ternary(rows, cols):
        blocks = numpy.empty((rows * cols // 256, 66), numpy.uint8)
        blocks[:, :64] = codes[random.integers(0, 81, (len(blocks), 64), dtype=numpy.uint8)]
        blocks[:, 64:] = numpy.frombuffer(numpy.float16(0.02).tobytes(), numpy.uint8)
        return blocks.reshape(rows, -1)

    writer = gguf.GGUFWriter(path, "bitnet")
    writer.add_context_length(4096)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    embedding = random.standard_normal((VOCABULARY, HIDDEN), dtype=numpy.float32) * 0.02
    kind = gguf.GGMLQuantizationType[head.upper()]
    writer.add_tensor("token_embd.weight", gguf.quants.quantize(embedding, kind), raw_dtype=kind)
    writer.add_tensor("output_norm.weight", numpy.ones(HIDDEN, numpy.float32))
    for layer in range(LAYERS):
        for name, width in NORMS.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", numpy.ones(width, numpy.float32))
        for name, (rows, cols) in LINEARS.items():
            kind = gguf.GGMLQuantizationType.TQ2_0
            writer.add_tensor(f"blk.{layer}.{name}.weight", ternary(rows, cols), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def time_llama(path, threads, prompt, tokens):
    """Prints the seconds of a prompt, and the median of the tokens after it. Runs in the environment of llama.txt."""
    import llama_cpp

    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = prompt + tokens + 8, max(prompt, 8), 512
    settings.n_threads = settings.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, settings)

    def run(ids):
        array = (llama_cpp.llama_token * len(ids))(*ids)
        start = time.perf_counter()
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(ids))) != 0:
            sys.exit("llama_decode failed")
        llama_cpp.llama_get_logits(context)
        return time.perf_counter() - start

    # The first pass reads the file.
    run([1, 2, 3])
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    prefill = run(ids_of(prompt))
    decode = statistics.median(run([11 * i % VOCABULARY]) for i in range(tokens))
    print(json.dumps([prefill, decode]))


def ids_of(count):
    return [7 * i % 120_000 for i in range(count)]


def llama(home, path, args, prompt):
    command = [home / "bin/python3", "-I", __file__, "--time", path, str(args.threads), str(prompt), str(args.tokens)]
    return json.loads(subprocess.run(command, env=provision.clean(), check=True, capture_output=True, text=True).stdout)


def golden(sim, args, prompt):
    ids = ",".join(map(str, ids_of(prompt)))
    command = [sim, "generate", "--device", "golden", "--head", args.golden_head, "--prompt-ids", ids, "--json", "-"]
    command += ["--tokens", str(args.tokens + 1)]
    env = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    cpu = json.loads(out)["cpu"]
    return [cpu["prefill_s"], cpu["decode_s_a_token"]]


def build_sim():
    """Builds the command `sim`. Returns its path."""
    command = ["cargo", "build", "-p", "sim", "--message-format=json-render-diagnostics"]
    out = subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, out.splitlines())
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "sim")


def busy():
    """Seconds of CPU time: of all processes, and of the children of this one that ended."""
    fields = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
    # user, nice, system, irq, softirq, steal
    everybody = sum(fields[i] for i in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")
    times = os.times()
    return everybody, times.children_user + times.children_system + times.user + times.system


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=lambda text: [int(n) for n in text.split(",")], default=[64, 512], metavar="N,N")
    parser.add_argument("--tokens", type=int, default=12, help="tokens after each prompt (default 12)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one per core")
    parser.add_argument("--head", choices=["f16", "bf16", "q8_0"], default="f16", help="llama.cpp's output head")
    parser.add_argument("--golden-head", choices=["float", "screened", "int8"], default="float", help="golden's")
    args = parser.parse_args()
    if min(args.prompts + [args.tokens, args.rounds, args.threads]) < 1:
        parser.error("numbers are 1 or more")
    os.environ.setdefault("CMAKE_ARGS", "-DGGML_NATIVE=ON -DLLAMA_CURL=OFF")
    home = provision.environment("llama", HERE / "llama.txt", "llama.cpp, ten minutes or so,")
    path = home / f"2b-4t-{args.head}.gguf"
    if not path.exists():
        print(f"writing {path}", file=sys.stderr, flush=True)
        temporary = path.with_suffix(".tmp")
        command = [home / "bin/python3", "-I", __file__, "--write", temporary, args.head]
        subprocess.run(command, env=provision.clean(), check=True)
        temporary.rename(path)
    sim = build_sim()
    runs = {(prompt, step): [] for prompt in args.prompts for step in ("prompt", "token")}
    before = busy()
    for number in range(args.rounds):
        for prompt in args.prompts:
            print(f"round {number + 1} of {args.rounds}, prompt of {prompt}", file=sys.stderr, flush=True)
            theirs, ours = llama(home, path, args, prompt), golden(sim, args, prompt)
            for step, pair in zip(("prompt", "token"), zip(theirs, ours)):
                runs[prompt, step].append(pair)
    everybody, own = (after - since for after, since in zip(busy(), before))
    print(f"{args.threads} threads, {args.rounds} rounds, heads {args.head} and {args.golden_head}; others took "
          f"{max(0, 100 * (1 - own / everybody)):.1f} % of the CPU time\n")
    print("| | llama.cpp, tokens/s | golden, tokens/s | golden is faster by |\n|---|---|---|---|")
    for (prompt, step), pairs in runs.items():
        count = prompt if step == "prompt" else 1
        what = f"prompt of {prompt}" if step == "prompt" else f"a token after {prompt}"
        theirs, ours = (count / statistics.median(times) for times in zip(*pairs))
        print(f"| {what} | {theirs:.1f} | {ours:.1f} | {statistics.median(a / b for a, b in pairs):.2f} |")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["--write", path, head]:
                write_model(path, head)
            case ["--time", path, *numbers]:
                time_llama(path, *map(int, numbers))
            case _:
                main()
    except provision.Missing as error:
        sys.exit(print(f"error: {error}", file=sys.stderr) or 4)
    except subprocess.CalledProcessError as error:
        print(error.stderr or "", file=sys.stderr)
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
