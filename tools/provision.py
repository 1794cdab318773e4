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


def rtl_files():
    """The unit's files, relative to rtl/, in the order of compilation."""
    names = [line.strip() for line in (RTL / "ternary" / "tmv_files.f").read_text().splitlines()]
    return [name for name in names if name and not name.startswith("//")]


def copy_rtl(folder):
    """Copies the unit's files, and the headers they include, into one folder. Returns the files' names, in order."""
    files = rtl_files()
    for source in [*(RTL / name for name in files), *RTL.glob("*/*.svh")]:
        shutil.copy(source, folder)
    return [Path(name).name for name in files]
