"""Keep a copy of the runner, so that a rebuild of the original changes no running agent."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from latlab.common.files import storing
from latlab.common.installed_files import content_sha256, runner_files
from latlab.domain.errors import StorageError


def copy_runner(runner: Path, folder: Path) -> Path:
    """Return a copy of the runner and its libraries, in a subfolder named by their hash.

    It replaces the copy of any other build. Raises StorageError, and as `runner_files` does.
    """
    files = runner_files(runner)
    copy = folder / content_sha256(files)
    with storing(folder):
        if not _is_whole(copy, files):
            shutil.rmtree(folder, ignore_errors=True)
            _copy(files, copy)
            if not _is_whole(copy, files):
                raise StorageError(f"{runner} changed while it was copied: try again")
    return copy / runner.name


def _is_whole(copy: Path, names: Iterable[str]) -> bool:
    try:
        return content_sha256({name: copy / name for name in names}) == copy.name
    except FileNotFoundError:
        return False


def _copy(files: Mapping[str, Path], copy: Path) -> None:
    for name, source in files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy / name)  # with its mode
