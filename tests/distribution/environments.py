"""Environments that hold nothing, and what is installed into them."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

LIMIT_S = 240
OURS = ("latency_lab", "latlab", "__editable__", "__pycache__")


def empty_environment(folder: Path) -> Path:
    """The Python of a new environment without any package, pip included."""
    # This environment's pip installs into the new one, which takes seconds less than giving the
    # new one a pip of its own.
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, timeout=LIMIT_S)
    return folder / "bin/python"


def install(python: Path, *requirements: str | Path) -> None:
    _pip("--python", str(python), "install", *map(str, requirements))


def install_for(version: str, folder: Path, *requirements: str | Path) -> None:
    """Install for another version of CPython, on x86-64 Linux, into a folder."""
    abis = (f"cp{version.replace('.', '')}", "abi3", "none")
    platforms = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
    _pip(
        *("install", f"--target={folder}", "--only-binary=:all:", "--implementation=cp"),
        *(f"--python-version={version}", *(f"--abi={abi}" for abi in abis)),
        *(*(f"--platform={platform}" for platform in platforms), *map(str, requirements)),
    )


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-compile"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr


def with_packages_of_others(python: Path) -> None:
    """Link all packages of this environment but ours into another one of the same Python.

    They are what pip would install, which takes a gigabyte and minutes.
    """
    [target] = python.parents[1].glob("lib/python*/site-packages")
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith(OURS) and package.suffix != ".pth":
            (target / package.name).symlink_to(package)
