#!/usr/bin/env python3
"""Reads the RTL with slang, a SystemVerilog front end that shares nothing with Verilator, and elaborates its tops.

    tools/elaborate.py

slang refuses what Verilator takes and other tools do not: names that are used before their declaration, parameters
without parentheses, names that a package only imports.

Exit codes: 0 no complaint, 1 complaints, 4 tool missing.
pip installs slang (`pyslang`), pinned in mutate.txt, into $TMV_CACHE_DIR, else `tmv` in the user's cache directory.
"""

import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
# Tops, and their parameters on the two families.
TOPS = [
    ("tmv_unit", {"Ports": 4, "PortBits": 128, "Vectors": 4, "Groups": 2, "Codec": 1, "UltraRam": 1}),
    ("tmv_unit", {"Ports": 4, "PortBits": 64, "Vectors": 2, "Groups": 4, "Codec": 0}),
    ("tmv_vec_unit", {"Lanes": 32, "Ports": 2, "PortBits": 128}),
    ("tmv_vec_unit", {"Lanes": 8, "Ports": 1, "PortBits": 64, "Words": 2048}),
    ("tmv_system", {"Ports": 4, "PortBits": 128, "Vectors": 1, "UltraRam": 1, "Lanes": 32, "VectorPorts": 2}),
    ("tmv_system", {"Ports": 4, "PortBits": 64, "Vectors": 1, "Columns": 0, "Lanes": 8, "VectorPorts": 1, "Words": 2048}),
]


def elaborate(words):
    """Elaborates a top, as slang's options say; runs in the environment of mutate.txt. Returns whether nothing is wrong."""
    import pyslang

    driver = pyslang.driver.Driver()
    driver.addStandardArgs()
    line = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in ["slang", *words])
    if not (driver.parseCommandLine(line) and driver.processOptions() and driver.parseAllSources()):
        return False
    compilation = driver.createCompilation()
    driver.reportCompilation(compilation, True)
    return driver.reportDiagnostics(True)


def check(top, parameters, folder=provision.RTL, define="SYNTHESIS"):
    """Elaborates a top of the RTL in a folder, and says so. Returns whether nothing is wrong."""
    home = provision.environment("mutation", HERE / "mutate.txt", "pyslang")
    words = ["--top", top, "-I", folder / "prim", "--timescale", "1ns/1ps", "-D", define]
    words += [f"-G{name}={value}" for name, value in parameters.items()]
    inside = provision.sources(top)
    files = [folder / file.relative_to(provision.RTL) if file.is_relative_to(provision.RTL) else file for file in inside]
    command = [home / "bin/python3", "-I", __file__, "--one", *map(str, words), *map(str, files)]
    run = subprocess.run(command, env=provision.clean(), capture_output=True, text=True)
    print(f"{top} {parameters}: {'ok' if run.returncode == 0 else 'refused'}", flush=True)
    if run.returncode != 0:
        print(run.stdout + run.stderr, file=sys.stderr, flush=True)
    return run.returncode == 0


def main():
    return 0 if all([check(top, parameters) for top, parameters in TOPS]) else 1


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["--one", *words]:
                sys.exit(0 if elaborate(words) else 1)
            case []:
                sys.exit(main())
            case _:
                print(__doc__, file=sys.stderr)
                sys.exit(2)
    except provision.Missing as error:
        print(f"slang cannot be had: {error}", file=sys.stderr)
        sys.exit(4)
