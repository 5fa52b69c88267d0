"""Keep exported programs on disk, so that nothing is exported twice."""

from __future__ import annotations

import atexit
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from latlab.common.files import OLD_PART_S, remove_parts, replacing, spare_bytes, storing
from latlab.common.lru_files import least_recently_used
from latlab.domain.kernel import Kernel
from latlab.domain.program import KernelSource, Program, ProgramFile, TensorSpec, from_json
from latlab.export.exporter import EXPORTER

DEFAULT_MAX_BYTES = 4 << 30

_SOURCES = "sources"


class ProgramCache:
    """Stores programs by what they were exported from.

    A program is found by a key, which names network, weights and input, and by the exporter's
    version. One that an older version of the lab stored without the sources of its kernels is not
    found, so that it is exported again with them.

    Processes may share a directory. Above `max_bytes`, or where the disk's reserve is touched, the
    least recently used programs are removed. So a program's file may go once others have been
    added.
    """

    def __init__(self, directory: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """Open the cache in a directory.

        If the directory cannot be written, a warning says so, and a temporary directory is used,
        which is removed when this process ends.
        """
        self.directory = _writable(directory)
        self.max_bytes = max_bytes
        remove_parts(self.directory, OLD_PART_S)

    def get(self, key: str) -> ProgramFile | None:
        """Return a program, or None if it is not in the cache, and mark it as used."""
        description, data = self._paths(key)
        try:
            written = json.loads(description.read_text())
            sources = _sources_from_json(written.pop(_SOURCES))
            program = _program_from_json(written)
            if data.stat().st_size != program.size_bytes:
                return None
            os.utime(data)  # pruning goes by this time
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # it is missing, half pruned, or written by another version
        return ProgramFile(program, data, sources)

    def put(
        self,
        key: str,
        program: Program,
        data: bytes,
        sources: tuple[KernelSource | None, ...] = (),
    ) -> ProgramFile:
        """Store a program with the sources of its kernels, and return its file.

        Raises:
            StorageError: It cannot be stored, for example because the disk is full.
        """
        description_path, data_path = self._paths(key)
        with replacing(data_path) as draft:
            draft.write_bytes(data)
        with replacing(description_path) as draft:
            written = [source and dataclasses.asdict(source) for source in sources]
            draft.write_text(json.dumps({**dataclasses.asdict(program), _SOURCES: written}))
        self._prune(keep=data_path)
        return ProgramFile(program, data_path, sources)

    def _paths(self, key: str) -> tuple[Path, Path]:
        name = hashlib.sha256(f"{EXPORTER}\n{key}".encode()).hexdigest()[:32]
        return self.directory / f"{name}.json", self.directory / f"{name}.pte"

    def _prune(self, keep: Path) -> None:
        programs, missing_bytes = self.directory.glob("*.pte"), -spare_bytes(self.directory)
        for path in least_recently_used(programs, self.max_bytes, [keep], missing_bytes):
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def _writable(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError as error:
        with storing(Path(tempfile.gettempdir())):
            temporary = Path(tempfile.mkdtemp(prefix="latlab-programs-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        warnings.warn(
            f"the program cache {directory} cannot be written ({error.strerror}): "
            "programs are kept until the end of this run only",
            stacklevel=3,
        )
        return temporary


def _sources_from_json(value: list[Any]) -> tuple[KernelSource | None, ...]:
    return tuple(None if source is None else from_json(KernelSource, source) for source in value)


def _program_from_json(value: dict[str, Any]) -> Program:
    return Program(
        **{
            **value,
            "inputs": tuple(from_json(TensorSpec, spec) for spec in value["inputs"]),
            "kernels": tuple(from_json(Kernel, kernel) for kernel in value["kernels"]),
            "undelegated": tuple(value["undelegated"]),
        }
    )
