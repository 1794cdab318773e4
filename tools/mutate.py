#!/usr/bin/env python3
"""Puts small bugs into the RTL, one at a time, and counts the bugs that the tests notice.

    ./mutate.py                     a sample of 200 mutants; a table in Markdown
    ./mutate.py --all               every mutant
    ./mutate.py --sample 50 --seed 7 --file tmv_writer.sv
    ./mutate.py --only 234,300      two mutants, by their numbers
    ./mutate.py --list              the mutants, without running anything
    ./mutate.py --semantic          bugs that a person could make; all of them, or those of --only and --file
    ./mutate.py --unit vector       the vector unit and the float cells, in place of the ternary unit
    ./mutate.py --unit system       the sequencer around the core, and the switch of a system
    ./mutate.py --check             whether the RTL of all units elaborates with all mutants inside; runs no test

A mutant is one change of one expression or statement: an operand left out of a condition, a comparison off by one, plus
for minus, an assignment left out. One copy of the RTL holds all mutants, and a number in the environment selects one
when a model starts, so each model is built once. A mutant is killed when a test fails or does not end.
mutation.toml in the unit's folder lists the tests, and a reason for each mutant that survives. A survivor without a reason
is an error, and so is a reason for a mutant that is killed or does not exist.

With --semantic, the mutants are those of semantic.toml in the unit's folder: texts of the RTL and the texts instead, with
the reasons beside them. All else is the same.

Exit codes: 0 enough mutants were killed and each survivor has its reason, 1 otherwise, 2 usage or a semantic.toml that
does not fit the RTL, 4 tool missing.
Needs cargo and what `cargo test -p sim` needs. pip installs the parser, pinned in mutate.txt, into $TMV_CACHE_DIR, else
`tmv` in the user's cache directory.
"""

import argparse
import collections
import concurrent.futures
import functools
import itertools
import json
import os
import random
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
import elaborate  # noqa: E402
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
RTL = provision.RTL
# Units, and their tops.
UNITS = {"ternary": "tmv_unit", "vector": "tmv_vec_unit", "system": "tmv_system"}
BAR = 0.95
PATIENCE = 5  # a test hangs if it takes this many times its usual time, and a minute
SWAPS = {
    "EqualityExpression": "!=", "InequalityExpression": "==",
    "LessThanExpression": "<=", "LessThanEqualExpression": "<",
    "GreaterThanExpression": ">=", "GreaterThanEqualExpression": ">",
    "AddExpression": "-", "SubtractExpression": "+",
    "BinaryAndExpression": "|", "BinaryOrExpression": "&",
}  # fmt: skip
# Expressions that must stay constant: sizes, types, selects, loops that are unrolled.
CONSTANT = {"SimpleRangeSelect", "AscendingRangeSelect", "DescendingRangeSelect", "ReplicationExpression"}


class Failed(Exception):
    """The tests do not pass on the RTL as it is."""


class BadPlan(Exception):
    """semantic.toml does not fit the RTL: exit code 2."""


Test = collections.namedtuple("Test", "target names seed", defaults=((), None))


class Unit:
    """A unit whose RTL is changed, and how its tests are run."""

    def __init__(self, name):
        self.semantic = RTL / name / "semantic.toml"
        with open(RTL / name / "mutation.toml", "rb") as file:
            plan = tomllib.load(file)
        self.tests = [Test(**test) for test in plan["test"]]
        self.untested, self.survivors = plan.get("untested", []), plan.get("survivor", [])
        lists = [plan["list"]] if isinstance(plan["list"], str) else plan["list"]
        self.files = [file for name in lists for file in provision.rtl_files(name)]
        self.changed = [name for name in self.files if Path(name).name not in plan["skipped"]]
        # The package that has the number of the mutant.
        self.package = plan["package"]
        self.number = f"{Path(self.package).stem}::mutant"


def parser():
    """Installs pyslang at first use, and restarts this program in the Python that has it."""
    home = provision.environment("mutation", HERE / "mutate.txt", "pyslang")
    if Path(sys.prefix) != home:
        os.execv(home / "bin" / "python", [str(home / "bin" / "python"), __file__, *sys.argv[1:]])


Mutant = collections.namedtuple("Mutant", "number file line change source")


class Mutator:
    """Rewrites one file. Every place gets its mutants; the number `selected` selects one."""

    def __init__(self, path, mutants, selected):
        self.path, self.mutants, self.selected = path, mutants, selected
        self.text = path.read_text()
        assert self.text.isascii()
        self.clocked = self.continuous = False

    def plain(self, node):
        return self.text[node.sourceRange.start.offset : node.sourceRange.end.offset]

    def new(self, node, change):
        start = node.sourceRange.start.offset
        line = self.text.count("\n", 0, start) + 1
        source = self.text.splitlines()[line - 1].strip()
        change = " ".join(change.split())
        self.mutants.append(Mutant(len(self.mutants) + 1, self.path.name, line, change, source))
        return f"{self.selected} == {len(self.mutants)}"

    def children(self, node):
        return [child for child in node if hasattr(child, "sourceRange")]

    def render(self, node):
        """The text of a node with all mutants inside."""
        kind = node.kind.name
        if kind in CONSTANT:
            return self.plain(node)
        children = self.children(node)
        fixed = set()
        if kind == "ForLoopStatement":
            fixed = set(range(len(children) - 1))
        elif kind == "AssignmentExpression" and self.continuous:
            fixed = {0}  # what a net is must be constant
        elif kind in ("CastExpression", "SignedCastExpression", "TimingControlStatement"):
            fixed = {0}
        start, text = node.sourceRange.start.offset, ""
        for index, child in enumerate(children):
            span = child.sourceRange
            if span.end.offset <= span.start.offset:
                continue
            text += self.text[start : span.start.offset]
            text += self.plain(child) if index in fixed else self.render(child)
            start = span.end.offset
        text += self.text[start : node.sourceRange.end.offset]
        return self.mutate(node, kind, children, text)

    def mutate(self, node, kind, children, text):
        def choose(change, instead):
            return f"({self.new(node, change)} ? ({instead}) : ({text}))"

        if kind in ("LogicalAndExpression", "LogicalOrExpression"):
            left, right = self.plain(children[0]), self.plain(children[-1])
            text = choose(f"`{right}` left out", f"|({left})")
            return choose(f"`{left}` left out", f"|({right})")
        if kind in SWAPS:
            left, right = self.plain(children[0]), self.plain(children[-1])
            between = self.text[children[0].sourceRange.end.offset : children[-1].sourceRange.start.offset].strip()
            return choose(f"`{left} {between} {right}` with `{SWAPS[kind]}`", f"{left} {SWAPS[kind]} {right}")
        if kind == "UnaryLogicalNotExpression":
            return choose("`!` left out", f"|({self.plain(children[-1])})")
        if kind == "UnaryBitwiseNotExpression":
            return choose("`~` left out", self.plain(children[-1]))
        if kind == "ConditionalPattern" and children[0].kind.name == "IdentifierName":
            return choose("condition inverted", f"!({self.plain(children[0])})")
        if kind == "ExpressionStatement" and self.clocked:
            return f"begin if (!({self.new(node, 'assignment left out')})) {text} end"
        return text

    def file(self, tree):
        """The file's text with all its mutants."""
        edits = []

        def visit(node):
            kind = node.kind.name
            if kind in ("AlwaysFFBlock", "AlwaysCombBlock", "ContinuousAssign", "FunctionDeclaration"):
                self.clocked, self.continuous = kind == "AlwaysFFBlock", kind == "ContinuousAssign"
                edits.append((node.sourceRange.start.offset, node.sourceRange.end.offset, self.render(node)))
                return
            if kind != "AlwaysBlock":
                for child in self.children(node):
                    if hasattr(child, "kind") and hasattr(child, "__iter__"):
                        visit(child)

        visit(tree.root)
        text = self.text
        for start, end, instead in reversed(edits):
            text = text[:start] + instead + text[end:]
        return text


def operators(folder, unit):
    """Writes all changes of single operators into the copy of the RTL in `folder`. Returns the mutants."""
    from pyslang import syntax

    mutants = []
    for name in unit.changed:
        tree = syntax.SyntaxTree.fromFile(str(RTL / name))
        (folder / name).write_text(Mutator(RTL / name, mutants, unit.number).file(tree))
    return mutants


def place(entry, text, name):
    """Where the source of an entry of a list of mutants is in the text of its file: start and end."""
    source, count = entry["source"], text.count(entry["source"])
    if count != 1 or not source:
        found = f"its source occurs {count} times in {entry['file']}, not once: {source}"
        raise BadPlan(f"{name}: {entry['name']}: {found}")
    return text.index(source), text.index(source) + len(source)


def semantic(folder, unit):
    """Writes the mutants of semantic.toml into the copy of the RTL in `folder`. Returns them and their reasons."""
    listed = unit.semantic.name
    with open(unit.semantic, "rb") as file:
        entries = tomllib.load(file)["mutant"]
    files = {Path(name).name: name for name in unit.files}
    mutants, known, edits = [], {}, collections.defaultdict(list)
    for number, entry in enumerate(entries, 1):
        if missing := {"name", "file", "kind", "source", "mutant", "bug"} - entry.keys():
            raise BadPlan(f"{listed}: mutant {number}: without {', '.join(sorted(missing))}")
        name, kind, source = entry["name"], entry["kind"], entry["source"]
        if name in (mutant.change for mutant in mutants):
            raise BadPlan(f"{listed}: {name}: two mutants have this name")
        if entry["file"] not in files:
            raise BadPlan(f"{listed}: {name}: there is no file {entry['file']}")
        text = (RTL / files[entry["file"]]).read_text()
        start, end = place(entry, text, listed)
        chosen = f"{unit.number} == {number}"
        if kind == "expression":
            instead = f"(({chosen}) ? ({entry['mutant']}) : ({source}))"
        elif kind == "statement":
            instead = f"begin if ({chosen}) begin {entry['mutant']} end else begin {source} end end"
        else:
            raise BadPlan(f"{listed}: {name}: kind is {kind}, not expression or statement")
        edits[entry["file"]].append((start, end, instead, name))
        mutants.append(Mutant(number, entry["file"], text.count("\n", 0, start) + 1, name, entry["bug"]))
        if "reason" in entry:
            known[key(mutants[-1])] = entry["reason"]
    for file, changes in edits.items():
        changes.sort()
        for (_, end, _, before), (start, _, _, behind) in zip(changes, changes[1:]):
            if start < end:
                raise BadPlan(f"{listed}: {before} and {behind} change the same text of {file}")
        text = (RTL / files[file]).read_text()
        for start, end, instead, _ in reversed(changes):
            text = text[:start] + instead + text[end:]
        (folder / files[file]).write_text(text)
    return mutants, known


# The number of the mutant at work, in Verilator's language.
SELECTED = '$c32("(std::getenv(\\"TMV_MUTANT\\") ? std::atoi(std::getenv(\\"TMV_MUTANT\\")) : 0)")'


def mutate(folder, unit, by_hand, selected=SELECTED):
    """Writes a mutated copy of the RTL to `folder`. Returns its mutants, and the reasons why some survive."""
    shutil.copytree(RTL, folder, ignore=shutil.ignore_patterns("formal"))
    mutants, known = semantic(folder, unit) if by_hand else (operators(folder, unit), reasons(unit))
    package = (folder / unit.package).read_text()
    package = re.sub(r"^(package \w+;\n)", lambda found: f"{found[1]}  int mutant = {selected};\n", package, flags=re.M)
    (folder / unit.package).write_text(package)
    # Mutants cause warnings: no lint.
    for waiver in (folder / "lint").glob("*_waiver.vlt"):
        waiver.write_text("`verilator_config\nlint_off\nlint_off -rule UNOPTFLAT\n")
    return mutants, known


def check():
    """Elaborates the RTL of each unit with its mutants inside. Returns whether nothing is wrong."""
    good = []
    for name, by_hand in itertools.product(UNITS, (False, True)):
        with tempfile.TemporaryDirectory(prefix="tmv-mutants-") as temporary:
            folder = Path(temporary) / "rtl"
            mutate(folder, Unit(name), by_hand, "0")
            tops = [(top, parameters) for top, parameters in elaborate.TOPS if top == UNITS[name]]
            if not tops:
                raise BadPlan(f"elaborate.py has no top {UNITS[name]}")
            print(f"{name}, mutants {'made by hand' if by_hand else 'of operators'}:", flush=True)
            # A define that means nothing: simulators see the RTL without any.
            good += [elaborate.check(top, parameters, folder, "TMV_MUTANTS") for top, parameters in tops]
    return all(good)


@functools.cache
def binaries():
    """Builds the tests. Returns their programs, by target."""
    command = ["cargo", "test", "-p", "sim", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=RTL.parent, text=True, stdout=subprocess.PIPE)
    if built.returncode:
        raise provision.Missing("the tests could not be built")
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    programs = [message for message in messages if message.get("executable")]
    return {message["target"]["name"]: message["executable"] for message in programs}


def run(folder, unit, number, test, seconds=None):
    """Runs a test on a mutant. Returns the name of the test that failed, or None."""
    environment = {**os.environ, "TMV_RTL_DIR": str(folder), "TMV_MUTANT": str(number)}
    environment |= {"TMV_SEED": str(test.seed)} if test.seed is not None else {}
    skip = [word for name in unit.untested for word in ("--skip", name)]
    command = [binaries()[test.target], "--test-threads", "1", *skip, *test.names]
    try:
        done = subprocess.run(
            command, cwd=RTL.parent / "sim", env=environment, text=True, timeout=seconds,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{test.target}, which did not end"
    if done.returncode == 0:
        return None
    failed = re.search(r"^failures:\n    (\S+)$", done.stdout, re.M)
    return f"{test.target}::{failed[1]}" if failed else f"{test.target}, which ended with {done.returncode}"


def killer(folder, unit, number, patience):
    """Returns the test that notices a mutant, or None."""
    return next(filter(None, (run(folder, unit, number, *each) for each in zip(unit.tests, patience))), None)


def baseline(folder, unit):
    """Runs the tests without a mutant: once to build the models, once for time. Returns a time limit for each."""
    patience = []
    for test in unit.tests:
        print(f"without a mutant: {test.target}", file=sys.stderr)
        run(folder, unit, 0, test)
        start = time.monotonic()
        if failed := run(folder, unit, 0, test):
            raise Failed(f"the tests fail without a mutant: {failed}")
        patience.append(60 + PATIENCE * (time.monotonic() - start))
    return patience


def key(mutant):
    """What a reason is kept under: file, source line and change. A mutant's number changes with the RTL."""
    return (mutant.file, mutant.source, mutant.change)


def reasons(unit):
    """Reasons of mutation.toml why mutants survive, by `key`."""
    return {(r["file"], r["source"], r["change"]): r["reason"] for r in unit.survivors}


def report(mutants, killers, known):
    """Prints the table and the survivors. Returns whether the result is good enough."""
    print("| file | mutants | killed | of |\n|---|---|---|---|")
    for file in dict.fromkeys(mutant.file for mutant in mutants):
        of_file = [mutant for mutant in mutants if mutant.file == file]
        killed = sum(killers[mutant.number] is not None for mutant in of_file)
        print(f"| `{file}` | {len(of_file)} | {killed} | {killed / len(of_file):.0%} |")
    killed = sum(killers[mutant.number] is not None for mutant in mutants)
    print(f"| all | {len(mutants)} | {killed} | {killed / len(mutants):.1%} |")
    by = collections.Counter(name.split("::")[0].split(",")[0] for name in killers.values() if name)
    print("\nkilled by: " + ", ".join(f"{name} {count}" for name, count in by.most_common()))
    good = killed >= BAR * len(mutants)
    if not good:
        print(f"fewer than {BAR:.0%} were killed")
    for mutant in mutants:
        reason = known.get(key(mutant))
        if killers[mutant.number] is None:
            print(f"survivor: {mutant.file}:{mutant.line}: {mutant.change}: {reason or 'NO REASON IS GIVEN'}")
            print(f"    {mutant.source}")
            good = good and reason is not None
        elif reason:
            print(f"{mutant.file}:{mutant.line}: {mutant.change}: has a reason to survive, and was killed")
            good = False
    return good


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--all", action="store_true", help="every mutant, not a sample")
    arguments.add_argument("--sample", type=int, default=200, metavar="N", help="so many mutants (default 200)")
    arguments.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    arguments.add_argument("--semantic", action="store_true", help="the mutants of semantic.toml")
    arguments.add_argument("--unit", choices=UNITS, default="ternary", help="whose RTL (default ternary)")
    arguments.add_argument("--only", metavar="N,N", help="these mutants, by their numbers; or names, with --semantic")
    arguments.add_argument("--file", metavar="NAME", help="mutants of this file only")
    arguments.add_argument("--jobs", type=int, default=2, help="mutants at a time (default 2)")
    arguments.add_argument("--check", action="store_true", help="elaborate the RTL with all mutants inside, and end")
    arguments.add_argument("--list", action="store_true", help="print the mutants and end")
    options = arguments.parse_args()
    try:
        if options.check or not options.semantic:
            parser()
        if options.check:
            return 0 if check() else 1
        with tempfile.TemporaryDirectory(prefix="tmv-mutants-") as temporary:
            # The cache finds models by the text of the RTL, so the folder may have any name.
            folder = Path(temporary) / "rtl"
            unit = Unit(options.unit)
            every, known = mutate(folder, unit, options.semantic)
            chosen = [mutant for mutant in every if options.file in (None, mutant.file)]
            if options.only:
                only = options.only.split(",")
                chosen = [mutant for mutant in chosen if str(mutant.number) in only or mutant.change in only]
            elif not (options.all or options.semantic) and len(chosen) > options.sample:
                chosen = sorted(random.Random(options.seed).sample(chosen, options.sample))
            if options.list:
                for mutant in chosen:
                    print(f"{mutant.number} {mutant.file}:{mutant.line}: {mutant.change}")
                return 0
            keys = {key(mutant) for mutant in every}
            for stale in known.keys() - keys:
                print(f"a reason without its mutant: {stale}", file=sys.stderr)
            print(f"{len(chosen)} of {len(every)} mutants; building models first", file=sys.stderr)
            patience = baseline(folder, unit)
            killers, start = {}, time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
                runs = {pool.submit(killer, folder, unit, mutant.number, patience): mutant for mutant in chosen}
                for run in concurrent.futures.as_completed(runs):
                    mutant = runs[run]
                    killers[mutant.number] = run.result()
                    said = f"{len(killers)}/{len(chosen)} {mutant.file}:{mutant.line}: {mutant.change}: "
                    print(said + (killers[mutant.number] or "SURVIVED"), file=sys.stderr, flush=True)
            good = report(chosen, killers, known) and known.keys() <= keys
            print(f"\n{len(chosen)} of {len(every)} mutants in {time.monotonic() - start:.0f} s")
            return 0 if good else 1
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    except BadPlan as error:
        print(error, file=sys.stderr)
        return 2
    except (provision.Missing, OSError) as error:
        print(error, file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(main())
