"""Hash what is installed, to notice that it has changed since a process was started."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SYSTEM_FOLDERS = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64")
_TRACE_TIMEOUT_S = 30
_CHUNK_BYTES = 1 << 16


def content_sha256(files: Mapping[str, Path]) -> str:
    """Return the SHA-256 of the files' names and bytes. Raises OSError."""
    lines = sorted(f"{name} {_sha256(path)}\n" for name, path in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def runner_files(runner: Path) -> dict[str, Path]:
    """Return the runner's files, by their paths relative to its folder.

    They are the runner and the libraries that come with it. The operating system's own libraries
    do not count, because a target names the OS build.

    Raises:
        OSError: The runner cannot be read or started.
        subprocess.SubprocessError: The dynamic loader does not end.
    """
    files = {runner.name: runner}
    if not _is_script(runner):
        return files | _libraries(runner)
    program = runner.parent / "bin" / runner.name
    if program.is_file():  # a bundle's, which has all it loads in the bundle
        parts = [program, *(path for path in runner.parent.glob("lib/*") if path.is_file())]
        files |= {path.relative_to(runner.parent).as_posix(): path for path in parts}
    return files


def runner_build(runner: Path) -> str:
    """Return the hash that tells builds of the runner apart. Raises as `runner_files` does."""
    files = runner_files(runner)
    # A bundle's script holds the hash of all else.
    if _is_script(runner) or len(files) == 1:
        return _sha256(runner)[:16]
    return content_sha256(files)[:16]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):  # an agent would keep the memory of a whole library
            digest.update(chunk)
    return digest.hexdigest()


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _libraries(program: Path) -> dict[str, Path]:
    """Return the libraries that a program loads from outside the system's folders, by name."""
    # The dynamic loader lists them instead of starting the program, as ldd makes it do.
    traced = subprocess.run(
        [program],
        env={"LD_TRACE_LOADED_OBJECTS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TRACE_TIMEOUT_S,
    )
    found = {}
    for line in traced.stdout.splitlines():
        name, arrow, place = line.strip().partition(" => ")
        path = Path(place.rpartition(" (")[0]).resolve()
        if arrow and path.is_file() and not path.as_posix().startswith(_SYSTEM_FOLDERS):
            found[name] = path
    return found
