"""Installs pinned packages with pip, whatever the user's settings for Python and pip are.

Settings for the user's own packages do not reach pip here: PYTHONPATH, PYTHONHOME, PIP_USER, PIP_TARGET,
PIP_REQUIRE_VIRTUALENV and so on, and their forms in pip.conf. Settings of the way to the package index do: INDEX.

The crate `toolchain` has the text of this file in it, and runs it as `python3 -I -c TEXT FOLDER REQUIREMENTS`.
"""

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Options of pip that say how it reaches packages, and how it is sure of them.
INDEX = (
    "index-url extra-index-url no-index find-links proxy cert client-cert trusted-host timeout default-timeout retries"
    " cache-dir no-cache-dir keyring-provider use-feature"
).split()


def clean():
    """The environment of this process without settings for Python and pip."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    kept.pop("__PYVENV_LAUNCHER__", None)
    return kept


def environment(python):
    """The environment in which the pip of `python` installs: `clean`, with the user's settings of INDEX."""
    user = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # These are also options of `pip config`, which would list one file only.
    user |= {"PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0"}
    command = [python, "-I", "-m", "pip", "config", "list"]
    listed = subprocess.run(command, env=user, capture_output=True, text=True, check=False).stdout
    found = {}
    for line in listed.splitlines():
        key, separator, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if separator and option in INDEX:
            found[section, option] = str(ast.literal_eval(value))
    kept = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    for section in ("global", "install", ":env:"):  # later sections have precedence
        for option in INDEX:
            if (section, option) in found:
                kept["PIP_" + option.upper().replace("-", "_")] = found[section, option]
    return {**clean(), **kept}


def install(python, requirements, *more):
    """Installs wheels of these versions and hashes, and nothing else, with the pip of `python`."""
    command = [python, "-I", "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--require-hashes"]
    subprocess.run([*command, *more, "--requirement", requirements], env=environment(python), check=True)


def venv(folder):
    """Makes a virtual environment. Returns its Python."""
    subprocess.run([sys.executable, "-I", "-m", "venv", folder], env=clean(), check=True)
    return Path(folder) / "bin" / "python3"


def has_pip(python):
    return subprocess.run([python, "-I", "-m", "pip", "--version"], env=clean(), capture_output=True).returncode == 0


def main(folder, requirements):
    """Installs into `folder` with the pip of this Python, else with that of a temporary virtual environment."""
    with tempfile.TemporaryDirectory() as scratch:
        python = sys.executable
        if not has_pip(python):
            try:
                python = venv(scratch)
            except (subprocess.CalledProcessError, OSError) as error:
                debian = "on Debian and Ubuntu: apt install python3-venv"
                sys.exit(f"python3 has neither pip nor a working venv ({debian}): {error}")
        try:
            install(python, requirements, "--no-deps", "--target", folder)
        except (subprocess.CalledProcessError, OSError) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
