"""The bytes of the programs that are being measured: files named by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from latlab.common.files import replacing
from latlab.domain.domain import Program
from latlab.domain.errors import InvalidRequest, TooLarge

MAX_PROGRAM_BYTES = 1 << 30
MAX_STORE_BYTES = 4 << 30


class ProgramStore:
    """Bounded: the longest unused go first, never one that is in use."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory

    def path(self, sha256: str) -> Path:
        return self._directory / f"{sha256}.pte"

    def has(self, program: Program) -> bool:
        """Also marks it as used just now."""
        path = self.path(program.sha256)
        if not path.is_file() or path.stat().st_size != program.size_bytes:
            return False
        os.utime(path)
        return True

    def add(self, program: Program, chunks: Iterable[bytes], in_use: Collection[str]) -> None:
        """Raises TooLarge, and InvalidRequest when the bytes are not those announced; no
        file is left then."""
        if program.size_bytes > MAX_PROGRAM_BYTES:
            raise TooLarge(
                f"the program has {program.size_bytes} bytes, the limit is {MAX_PROGRAM_BYTES}"
            )
        with replacing(self.path(program.sha256)) as draft:
            _write_verified(draft, program, chunks)
        self._prune({*in_use, program.sha256})

    def _prune(self, in_use: Collection[str]) -> None:
        files = sorted(self._directory.glob("*.pte"), key=lambda file: file.stat().st_mtime)
        total_bytes = sum(file.stat().st_size for file in files)
        for file in files:
            if total_bytes <= MAX_STORE_BYTES:
                return
            if file.stem not in in_use:
                total_bytes -= file.stat().st_size
                file.unlink()


def _write_verified(path: Path, program: Program, chunks: Iterable[bytes]) -> None:
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > program.size_bytes:
                raise InvalidRequest(
                    f"the upload is longer than the {program.size_bytes} bytes announced"
                )
            digest.update(chunk)
            file.write(chunk)
    if size_bytes < program.size_bytes:
        raise InvalidRequest(f"the upload ended after {size_bytes} of {program.size_bytes} bytes")
    if digest.hexdigest() != program.sha256:
        raise InvalidRequest(f"the upload hashes to {digest.hexdigest()}, not to {program.sha256}")
