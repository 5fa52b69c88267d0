"""The Debian packages that the virtual phone is made of, each pinned by its SHA-256.

python -m tests.virtual_phone.packages     pins what the mirror has now: a point release of
                                           Debian drops the versions before it
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PINS = Path(__file__).with_name("packages.txt")  # lines of "SHA-256  path on a mirror"
SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NAMES = [
    "adbd",
    "android-libbase",
    "android-libboringssl",
    "android-libcutils",
    "android-liblog",
    "busybox-static",
    "libbrotli1",
    "libc6",
    "libcap2",
    "libgcc-s1",
    "libgcrypt20",
    "libgpg-error0",
    "liblz4-1",
    "liblzma5",
    "libpcre2-8-0",
    "libprotobuf32t64",
    "libselinux1",
    "libstdc++6",
    "libsystemd0",
    "libzstd1",
    "zlib1g",
]
APT_HELPER = "/usr/lib/apt/apt-helper"  # downloads the way apt is set up to, and checks hashes
TIMEOUT_S = 120.0


class NoPackages(Exception):
    """Says what is missing."""


def system_image() -> Path:
    """A folder with all of them unpacked, kept for the next time. Raises NoPackages."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latlab"
    image = cache / f"virtual-phone-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]}"
    if not image.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            unpacked = Path(folder) / "image"
            for package in _download(Path(folder)):
                _run("dpkg-deb", "--extract", str(package), str(unpacked))
            with contextlib.suppress(OSError):  # another process was faster
                unpacked.rename(image)
    return image


def _download(folder: Path) -> list[Path]:
    mirror, words, packages = _mirror(), [], []
    for pin in PINS.read_text().splitlines():
        sha256, path = pin.split()
        packages.append(folder / Path(path).name)
        words += [f"{mirror}{path}", str(packages[-1]), f"SHA256:{sha256}"]
    _run(APT_HELPER, "download-file", *words)
    return packages


def _mirror() -> str:
    """That of Debian which apt is set up with, ending in a slash."""
    told = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian")
    if not told:
        raise NoPackages("apt knows no Debian mirror (or needs its apt-get update)")
    return told.split()[0]


def _pin() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "lists/partial").mkdir(parents=True)
        source = f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n"
        (root / "sources.list").write_text(source)
        options = [
            f"Dir::Etc::SourceList={root}/sources.list",
            "Dir::Etc::SourceParts=/dev/null",
            f"Dir::State::Lists={root}/lists",
            "Dir::State::Status=/dev/null",
            f"Dir::Cache::PkgCache={root}/packages.bin",
            f"Dir::Cache::SrcPkgCache={root}/sources.bin",
            "Acquire::Languages=none",
            "APT::Architecture=amd64",
            "APT::Sandbox::User=root",
        ]
        apt_get = ["apt-get", *(f"--option={option}" for option in options)]
        _run(*apt_get, "update")
        lines = _run(*apt_get, "download", "--print-uris", *NAMES).splitlines()
    pins = []
    for line in lines:
        uri, _, _, digest = line.split()
        pins.append(
            f"{digest.removeprefix('SHA256:')}  pool/{uri.strip(chr(39)).split('/pool/')[1]}"
        )
    PINS.write_text("\n".join(sorted(pins, key=lambda pin: pin.split("/")[-1])) + "\n")


def _run(command: str, *arguments: str) -> str:
    if shutil.which(command) is None:
        raise NoPackages(f"{command} is missing: the virtual phone needs a Debian to run on")
    try:
        done = subprocess.run(
            [command, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise NoPackages(f"{command} was not done in {TIMEOUT_S:g} s") from error
    except subprocess.CalledProcessError as error:
        words = " ".join(error.stderr.split())[-300:]
        raise NoPackages(
            f"{command}: {words} (a package that is gone was replaced by a newer one: "
            "python -m tests.virtual_phone.packages pins that)"
        ) from error
    return done.stdout


if __name__ == "__main__":
    _pin()
