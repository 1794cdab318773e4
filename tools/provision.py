"""What the Python scripts of this workspace share: the cache folder, pinned packages in it, and the files of the unit."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pip_install

RTL = Path(__file__).resolve().parent.parent / "rtl"


class Missing(Exception):
    """A tool cannot be had: exit code 4."""


def cache():
    """$TMV_CACHE_DIR, else `tmv` in the user's cache directory: as sim/toolchain/src/cache.rs has it."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TMV_CACHE_DIR") or Path(user) / "tmv").resolve()


def environment(name, requirements, what):
    """Installs the packages of `requirements` at first use, by version and hash. Returns their virtual environment.

    `name`: its folder in the cache. `what`: the packages, for the message.
    """
    home = cache() / name / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    installed = home / "installed"
    if installed.exists():
        return home
    print(f"installing {what} into {home}", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    try:
        pip_install.install(pip_install.venv(home), requirements)
    except (subprocess.CalledProcessError, OSError) as error:
        raise Missing(error) from error
    installed.touch()
    return home


def clean():
    """The environment for the programs of `environment`: without the user's settings for Python."""
    return pip_install.clean()


def compiled_yosys():
    """Where Yosys, which comes as WebAssembly, keeps itself compiled for this machine: one place for all who run it."""
    return cache() / "yowasp"


def rtl_files(of="ternary/tmv_files.f"):
    """The files of a list, by default the unit's, relative to rtl/, in the order of compilation."""
    names = [line.strip() for line in (RTL / of).read_text().splitlines()]
    return [name for name in names if name and not name.startswith("//")]


def sources(top):
    """The files that the module `top` needs, in the order of compilation: the ternary unit's, the vector unit's, the
    sequencer's with its core, or all of them for the whole system."""
    unit, vector, sequencer = rtl_files(), rtl_files("vector/tmv_vec_files.f"), rtl_files("system/tmv_seq_files.f")
    system = rtl_files("system/tmv_system_files.f")
    if top in (Path(name).stem for name in system):
        sequencer = list(dict.fromkeys([*unit, *vector, *sequencer, *system]))
        unit = vector = []
    if top in (Path(name).stem for name in vector) and top not in (Path(name).stem for name in unit):
        return [RTL / name for name in vector]
    if top not in (Path(name).stem for name in sequencer) or top in (Path(name).stem for name in unit):
        return [RTL / name for name in unit]
    core = environment("vexriscv", RTL / "system" / "vexriscv" / "requirements.txt", "the RTL of VexRiscv")
    (verilog,) = core.glob("lib/python3*/site-packages/pythondata_cpu_vexriscv/verilog/VexRiscv_Full.v")
    return [*(RTL / name for name in sequencer), verilog]


def copy_rtl(folder, top=None):
    """Copies the files that `top` needs, by default the unit's, and the headers that they include, into one folder.

    Returns the files' names, in order.
    """
    files = sources(top)
    for source in [*files, *RTL.glob("*/*.svh")]:
        shutil.copy(source, folder)
    return [source.name for source in files]
