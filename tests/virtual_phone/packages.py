"""The Debian packages that the virtual phone is made of, each pinned by its SHA-256.

python -m tests.virtual_phone.packages     pins what the mirror has now: a point release of
                                           Debian drops the versions before it
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from device_agent.bundle.downloads import fetch, mirror, read_pins, run

PINS = Path(__file__).with_name("packages.txt")  # lines of "SHA-256  path on a mirror"
SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NAMES = [
    "adbd",
    "android-libbase",
    "android-libboringssl",
    "android-libcutils",
    "android-liblog",
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
    "mksh",
    "toybox",
    "zlib1g",
]


def system_image() -> Path:
    """A folder with all of them unpacked, kept for the next time. Raises BundleError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latlab"
    image = cache / f"virtual-phone-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]}"
    if not image.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            unpacked = Path(folder) / "image"
            for package in fetch(read_pins(PINS), Path(folder)):
                run("dpkg-deb", "--extract", str(package), str(unpacked))
            with contextlib.suppress(OSError):  # another process was faster
                unpacked.rename(image)
    return image


def _pin() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "lists/partial").mkdir(parents=True)
        source = f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n"
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
        run(*apt_get, "update")
        lines = run(*apt_get, "download", "--print-uris", *NAMES).splitlines()
    pins = []
    for line in lines:
        uri, _, _, digest = line.split()
        pins.append(
            f"{digest.removeprefix('SHA256:')}  pool/{uri.strip(chr(39)).split('/pool/')[1]}"
        )
    PINS.write_text("\n".join(sorted(pins, key=lambda pin: pin.split("/")[-1])) + "\n")


if __name__ == "__main__":
    _pin()
