"""Debian packages that tests unpack beside this machine's own, each pinned by its SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_agent.bundle.downloads import fetch, mirror, read_pins, run

SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class PackageSet:
    """Packages of amd64 that are unpacked into one folder.

    Attributes:
        name: What the folder is called.
        pins: A file with lines of "SHA-256  path on a mirror".
        packages: The packages' names.
    """

    name: str
    pins: Path
    packages: Sequence[str]

    def image(self) -> Path:
        """A folder with all of them unpacked, kept for the next time. Raises BundleError."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latlab"
        image = cache / f"{self.name}-{hashlib.sha256(self.pins.read_bytes()).hexdigest()[:16]}"
        if not image.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                unpacked = Path(folder) / "image"
                for package in fetch(read_pins(self.pins), Path(folder)):
                    run("dpkg-deb", "--extract", str(package), str(unpacked))
                with contextlib.suppress(OSError):  # another process was faster
                    unpacked.rename(image)
        return image

    def pin(self) -> None:
        """Pin what the mirror has now: a point release of Debian drops the versions before it."""
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
            lines = run(*apt_get, "download", "--print-uris", *self.packages).splitlines()
        pins = []
        for line in lines:
            uri, _, _, digest = line.split()
            path = f"pool/{uri.strip(chr(39)).split('/pool/')[1]}"
            pins.append(f"{digest.removeprefix('SHA256:')}  {path}")
        self.pins.write_text("\n".join(sorted(pins, key=lambda pin: pin.split("/")[-1])) + "\n")
