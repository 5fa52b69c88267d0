"""The python3.13 of Debian 13, unpacked beside this machine's own and run on its own C library.

python -m tests.distribution.debian13     pins what the mirror has now
"""

from __future__ import annotations

from pathlib import Path

from tests.debian_packages import PackageSet

LIBRARIES = "usr/lib/x86_64-linux-gnu"

PACKAGES = PackageSet(
    "debian13-python",
    Path(__file__).with_name("debian13.txt"),
    (
        "libbz2-1.0",
        "libc6",
        "libexpat1",
        "libffi8",
        "libgcc-s1",
        "liblzma5",
        "libpython3.13-minimal",
        "libpython3.13-stdlib",
        "libssl3t64",
        "libstdc++6",
        "libuuid1",
        "libzstd1",
        "python3.13-minimal",
        "zlib1g",
    ),
)


def python_command(image: Path) -> list[str]:
    """The command that starts it, where `python_environment` is set."""
    libraries = image / LIBRARIES
    loader = libraries / "ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(libraries), str(image / "usr/bin/python3.13")]


def python_environment(image: Path, packages: Path) -> dict[str, str]:
    """Started by its loader, it cannot find its own library, nor any packages."""
    return {"PYTHONHOME": str(image / "usr"), "PYTHONPATH": str(packages)}


if __name__ == "__main__":
    PACKAGES.pin()
