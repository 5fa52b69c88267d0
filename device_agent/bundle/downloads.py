"""Download the pinned files of a bundle, each of them once.

They come from the mirrors that apt and pip are configured to use. Ubuntu's archive lacks Debian's
packages, so there somebody names a mirror of Debian.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_agent.bundle import BundleError

_APT_HELPER = "/usr/lib/apt/apt-helper"  # downloads as apt does, and checks hashes
# An environment variable with the URL of a mirror of Debian, for systems whose apt knows none. It
# needs no TLS and no signed list: the pinned SHA-256 of each package is compared.
MIRROR_VARIABLE = "LATLAB_DEBIAN_MIRROR"
_PYTHON_VERSION = "3.11"
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Pin:
    """A pinned file; `path` is a Debian package on its mirror, or the name of a wheel."""

    sha256: str
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_wheel(self) -> bool:
        return self.path.endswith(".whl")


def read_pins(path: Path) -> list[Pin]:
    """Return the pinned files that lines like "SHA256  PATH" name; # begins a comment."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [Pin(*line.split()) for line in lines]


def fetch(pins: Sequence[Pin], folder: Path) -> list[Path]:
    """Return the files of `pins` in their order; download those that `folder` lacks.

    Raises BundleError if one cannot be downloaded, or is not the pinned file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [pin for pin in pins if not _is_there(pin, folder)]
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        if packages := [pin for pin in missing if not pin.is_wheel]:
            _download_packages(packages, scratch)
        if wheels := [pin for pin in missing if pin.is_wheel]:
            _download_wheels(wheels, scratch)
        for pin in missing:
            if not _is_there(pin, scratch):
                raise BundleError(f"{pin.name} is not what was pinned, or was not downloaded")
            (scratch / pin.name).replace(folder / pin.name)
    return [folder / pin.name for pin in pins]


def _is_there(pin: Pin, folder: Path) -> bool:
    path = folder / pin.name
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == pin.sha256


def mirror() -> str:
    """Return the URL of a mirror of Debian, ending in a slash: MIRROR_VARIABLE's, or else apt's.

    Raises BundleError if neither names one.
    """
    if named := os.environ.get(MIRROR_VARIABLE):
        return named.rstrip("/") + "/"
    told = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian").split()
    if not told:
        raise BundleError(
            "apt knows no mirror of Debian, of whose packages a bundle is made: set"
            f" {MIRROR_VARIABLE} to the URL of one, which ends in /debian/"
        )
    return told[0]


def _download_packages(pins: Sequence[Pin], folder: Path) -> None:
    base, words = mirror(), list[str]()
    for pin in pins:
        words += [f"{base}{pin.path}", str(folder / pin.name), f"SHA256:{pin.sha256}"]
    run(_APT_HELPER, "download-file", *words)


def _download_wheels(pins: Sequence[Pin], folder: Path) -> None:
    """Download wheels for the machine and Python that the tags in their names give."""
    requirements, abis, platforms = folder / "requirements.txt", set(), set()
    lines = []
    for pin in pins:
        name, version, _, abi, platform = pin.name.removesuffix(".whl").split("-")
        lines.append(f"{name}=={version} --hash=sha256:{pin.sha256}\n")
        abis.add(abi)
        platforms.update(platform.split("."))
    requirements.write_text("".join(lines))
    tags = [f"--abi={abi}" for abi in sorted(abis)]
    tags += [f"--platform={platform}" for platform in sorted(platforms)]
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={_PYTHON_VERSION}"),
        *(*tags, f"--dest={folder}", f"--requirement={requirements}"),
    )


def run(*command: str) -> str:
    """Run a command and return its output. If it fails, raise BundleError with its error output."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except FileNotFoundError as error:
        raise BundleError(f"{command[0]} is missing: build bundles on Debian or Ubuntu") from error
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{command[0]} took longer than {_TIMEOUT_S:g} s") from error
    except subprocess.CalledProcessError as error:
        words = " ".join(error.stderr.split())[-1_000:]
        raise BundleError(
            f"{words} (a package that is gone was replaced by a newer one: pin that)"
        ) from error
    return done.stdout
