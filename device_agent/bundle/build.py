"""Build a bundle. The same inputs give the same bytes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from device_agent.bundle.downloads import fetch, read_pins
from device_agent.bundle.toolchain import REPOSITORY, check_tools, compile_runner, triplet
from latlab.common.agent_sources import agent_sources
from latlab.common.installed_files import content_sha256

# The C library's loader, which starts every program of the machine.
LOADERS = {"aarch64": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}

_PYTHON = "python3.11"
_PYTHON_LIBRARIES = ("libexpat.so.1", "libffi.so.8", "libz.so.1")
# Some are empty since glibc 2.34 took them in, and are still asked for.
_C_LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1")
_CXX_LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1")
_EXECUTORCH_LIBRARIES = tuple(
    f"libexecutorch{part}.so"
    for part in (
        *("", "_threadpool", "_backend_xnnpack"),
        *("_kernels_optimized", "_kernels_quantized"),
    )
)

# Of Python's library: what no agent uses, and modules of libraries that are not here.
_UNUSED = (
    *("test", "unittest", "pydoc_data", "distutils", "venv", "curses", "dbm", "sqlite3"),
    *("wsgiref", "xmlrpc", "turtle.py", "_test*", "_ctypes_test*", "xx*", "_codecs_*"),
    *("_bz2.*", "_crypt.*", "_curses*", "_dbm.*", "_hashlib.*", "_lzma.*", "_sqlite3.*"),
    *("_ssl.*", "_uuid.*", "nis.*", "ossaudiodev.*", "readline.*"),
)

_EPOCH_S = 315_532_800  # 1980-01-01: of every file, and no older than any archive can tell

_AGENT_SCRIPT = """\
#!/bin/sh
# Starts the agent, with its own arguments, on the bundle's Python and C library.
here=$(cd "$(dirname "$0")" && pwd) || exit
export PYTHONHOME="$here" PYTHONPATH="$here/site"
exec "$here/lib/{loader}" --library-path "$here/lib" "$here/bin/{python}" -P -s -m device_agent "$@"
"""

_RUNNER_SCRIPT = """\
#!/bin/sh
# Starts the runner on the bundle's C library. The agent tells runner builds apart by the hash
# of this file, so it holds that of the runner and of every library that the runner loads:
# {sha256}
here=${{0%/*}}
exec "$here/lib/{loader}" --library-path "$here/lib" "$here/bin/latlab-runner" "$@"
"""


def build(machine: str, bundles: Path) -> tuple[Path, Path]:
    """Build the directory `bundles`/MACHINE and return it.

    It replaces an older one. A compressed archive of it is written beside it. Downloads are kept in
    `bundles`/downloads. Raises BundleError.
    """
    check_tools(machine)
    bundles.mkdir(parents=True, exist_ok=True)
    pins = read_pins(Path(__file__).with_name(f"{machine}.sha256"))
    packages = fetch(pins, bundles / "downloads")
    with tempfile.TemporaryDirectory(dir=bundles, prefix=f".{machine}-") as name:
        scratch = Path(name)
        system, wheels, bundle = (scratch / part for part in ("system", "wheels", "bundle"))
        for package in packages:
            if package.suffix == ".deb":
                subprocess.run(["dpkg-deb", "--extract", package, system], check=True)
            else:
                is_runtime = package.name.startswith("executorch-")
                with zipfile.ZipFile(package) as wheel:
                    wheel.extractall(wheels if is_runtime else bundle / "site")
        executorch = wheels / "executorch"
        runner = compile_runner(machine, system, executorch, scratch / "compiled")
        _copy_python(system, bundle)
        _copy_licenses(system, bundle)
        _copy_agent(bundle / "site")
        _copy_programs(machine, system, executorch, runner, bundle)
        _seal(machine, bundle)
        archive = scratch / f"latlab-agent-{machine}.tar.gz"
        _write_archive(bundle, archive)
        return _replace(bundle, bundles / machine), _replace(archive, bundles / archive.name)


def _copy_python(system: Path, bundle: Path) -> None:
    def unused(folder: str, names: list[str]) -> set[str]:
        links = {name for name in names if Path(folder, name).is_symlink()}  # to /etc
        return links | shutil.ignore_patterns(*_UNUSED)(folder, names)

    shutil.copytree(system / "usr/lib" / _PYTHON, bundle / "lib" / _PYTHON, ignore=unused)
    (bundle / "bin").mkdir()
    shutil.copy(system / "usr/bin" / _PYTHON, bundle / "bin")


def _copy_licenses(system: Path, bundle: Path) -> None:
    """Copy the licenses of the Debian packages; those of the wheels lie beside their modules."""
    (bundle / "licenses").mkdir()
    for file in system.glob("usr/share/doc/*/copyright"):
        package = file.parent
        if not package.is_symlink() and not package.name.endswith("-dev"):
            shutil.copy(file, bundle / "licenses" / package.name)


def _copy_agent(site: Path) -> None:
    """Copy the agent and the packages that it shares with the host."""
    for name, source in agent_sources(REPOSITORY).items():
        target = site / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _copy_programs(
    machine: str, system: Path, executorch: Path, runner: Path, bundle: Path
) -> None:
    """Copy the runner, all libraries, and the scripts that start runner and agent."""
    loader = LOADERS[machine]
    folders = [system / "lib" / triplet(machine), system / "usr/lib" / triplet(machine)]
    folders.append(executorch / "lib")
    loaded = [loader, *_C_LIBRARIES, *_CXX_LIBRARIES, *_EXECUTORCH_LIBRARIES]
    for name in (*loaded, *_PYTHON_LIBRARIES):
        found = next(folder / name for folder in folders if (folder / name).exists())
        shutil.copy(found, bundle / "lib" / name)
    shutil.copy(runner, bundle / "bin")
    parts = [bundle / "bin/latlab-runner", *(bundle / "lib" / name for name in loaded)]
    sha256 = _content_sha256(bundle, parts)
    runner_script = _RUNNER_SCRIPT.format(loader=loader, sha256=sha256)
    (bundle / "latlab-runner").write_text(runner_script)
    agent_script = _AGENT_SCRIPT.format(loader=loader, python=_PYTHON)
    (bundle / "latlab-agent").write_text(agent_script)
    for program in ("latlab-agent", "latlab-runner", "bin/latlab-runner", f"lib/{loader}"):
        (bundle / program).chmod(0o755)


def _seal(machine: str, bundle: Path) -> None:
    """Write bundle.json, and remove all traces of when and where the bundle was built."""
    sha256 = _content_sha256(bundle, _files(bundle))
    (bundle / "bundle.json").write_text(json.dumps({"machine": machine, "sha256": sha256}))
    for path in (*bundle.rglob("*"), bundle):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (_EPOCH_S, _EPOCH_S))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _content_sha256(bundle: Path, files: Iterable[Path]) -> str:
    return content_sha256({path.relative_to(bundle).as_posix(): path for path in files})


def _write_archive(bundle: Path, archive: Path) -> None:
    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    top = archive.name.removesuffix(".tar.gz")
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, _EPOCH_S) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        tar.add(bundle, top, filter=anonymous)  # in the order of names


def _replace(new: Path, target: Path) -> Path:
    if target.is_dir():
        target.rename(new.with_name("old"))
    return new.rename(target)
