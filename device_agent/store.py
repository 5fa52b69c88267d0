"""What the agent keeps on disk: programs by their hash, results until they are acknowledged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import grpc

from device_agent.errors import Refused
from latlab.v1.device_agent_pb2 import ProgramHeader, RunResponse

MAX_RESULTS = 10_000

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_PART_SUFFIX = ".part"  # a file not yet whole


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to. When the block ends, `path` holds what was written, on disk; when
    it raises, `path` is as it was and nothing is left behind."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=_PART_SUFFIX)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _open_directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for part in path.glob(f"*{_PART_SUFFIX}"):  # an agent was killed while writing
        part.unlink()
    return path


def _oldest_first(directory: Path) -> list[tuple[Path, os.stat_result]]:
    files = [(path, path.stat()) for path in directory.iterdir() if path.suffix != _PART_SUFFIX]
    return sorted(files, key=lambda entry: entry[1].st_mtime_ns)


class ProgramStore:
    """Programs by SHA-256. Those used least recently go when the total would pass its limit."""

    def __init__(self, directory: Path, max_program_bytes: int, max_total_bytes: int) -> None:
        self._directory = _open_directory(directory)
        self.max_program_bytes = max_program_bytes
        self._max_total_bytes = max_total_bytes

    def path(self, sha256: str) -> Path:
        """Where the program lies; that it was asked for counts as use.
        Refused with NOT_FOUND where it is missing."""
        path = self._path(sha256)
        try:
            os.utime(path)
        except FileNotFoundError:
            raise Refused(
                grpc.StatusCode.NOT_FOUND, f"program {sha256} is not here: upload it"
            ) from None
        return path

    def receive(self, header: ProgramHeader, chunks: Iterable[bytes]) -> bool:
        """Stores a program, unless it is there: says whether it was, without reading on.

        Refused with INVALID_ARGUMENT where the bytes are not those that the header announces,
        RESOURCE_EXHAUSTED where they pass the limit; OSError where the disk does not take
        them. Then nothing is stored.
        """
        path = self._path(header.sha256)
        if path.exists():
            return True
        if header.size_bytes > self.max_program_bytes:
            raise Refused(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the program has {header.size_bytes} bytes, the limit is {self.max_program_bytes}",
            )
        self._make_room(header.size_bytes)
        with replacing(path) as file:
            _write_verified(file, header, chunks)
        return False

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"a program is named by 64 lower-case hexadecimal digits, not {sha256[:80]!r}",
            )
        return self._directory / sha256

    def _make_room(self, size_bytes: int) -> None:
        files = _oldest_first(self._directory)
        total_bytes = size_bytes + sum(stat.st_size for _, stat in files)
        for path, stat in files:
            if total_bytes <= self._max_total_bytes:
                return
            path.unlink(missing_ok=True)
            total_bytes -= stat.st_size


def _write_verified(file: IO[bytes], header: ProgramHeader, chunks: Iterable[bytes]) -> None:
    digest = hashlib.sha256()
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > header.size_bytes:
            break
        digest.update(chunk)
        file.write(chunk)
    if size_bytes != header.size_bytes:
        fewer_or_more = "fewer" if size_bytes < header.size_bytes else "more"
        raise Refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"{fewer_or_more} bytes than the {header.size_bytes} announced",
        )
    if digest.hexdigest() != header.sha256:
        raise Refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"the bytes hash to {digest.hexdigest()}, not to {header.sha256}",
        )


class ResultStore:
    """Finished runs until they are acknowledged, at most MAX_RESULTS. None is too old: a board
    without a clock of its own begins in 1970, and what it measures is of today when it has asked
    for the time."""

    def __init__(self, directory: Path) -> None:
        self._directory = _open_directory(directory)

    def get(self, run_id: str) -> RunResponse | None:
        try:
            return RunResponse.FromString(self._path(run_id).read_bytes())
        except FileNotFoundError:
            return None

    def put(self, run_id: str, response: RunResponse) -> None:
        """On disk when this returns. Raises OSError."""
        with replacing(self._path(run_id)) as file:
            file.write(response.SerializeToString())
        for path, _ in _oldest_first(self._directory)[:-MAX_RESULTS]:
            path.unlink(missing_ok=True)

    def forget(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        if not _RUN_ID.fullmatch(run_id):
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"a run_id is up to 128 letters, digits, '.', '_' and '-', not {run_id[:80]!r}",
            )
        return self._directory / run_id
