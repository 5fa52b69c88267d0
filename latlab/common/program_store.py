"""A bounded store of program files, named by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from latlab.common.files import remove_parts, replacing, require_space, spare_bytes, storing
from latlab.common.lru_files import least_recently_used
from latlab.domain.errors import InvalidRequest, NotFound, StorageError, TooLarge
from latlab.domain.program import check_program_name

MAX_PROGRAM_BYTES = 1 << 30
MAX_STORE_BYTES = 4 << 30


class ProgramStore:
    """Stores programs whole or not at all.

    If a new program would exceed the total limit or touch the disk's reserve, the least recently
    used programs are removed first. A program in use is never removed.
    """

    def __init__(
        self,
        directory: Path,
        max_program_bytes: int = MAX_PROGRAM_BYTES,
        max_total_bytes: int = MAX_STORE_BYTES,
    ) -> None:
        """Open the store in a folder, which is made if it is missing.

        Args:
            directory: The store's own folder.
            max_program_bytes: The largest program's size.
            max_total_bytes: The size of all programs together.

        Raises:
            StorageError: The folder cannot be used.
        """
        with storing(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_parts(directory, min_age_s=0)
        self.max_program_bytes = max_program_bytes
        self.directory = directory
        self._max_total_bytes = max_total_bytes

    def path(self, sha256: str) -> Path:
        """Return where a program is stored, or would be. Raises InvalidRequest for a bad name."""
        return self.directory / f"{check_program_name(sha256)}.pte"

    def get(self, sha256: str) -> Path:
        """Return the path of a stored program, and mark it as used.

        Raises:
            NotFound: The program is not stored.
            InvalidRequest: `sha256` is not a program's name.
        """
        path = self.path(sha256)
        try:
            with storing(path):
                os.utime(path)
        except StorageError:
            if path.exists():
                raise
            raise NotFound(f"program {sha256} is not stored: upload it") from None
        return path

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Return whether a program of that size is stored, and mark it as used.

        Raises InvalidRequest if `sha256` is not a program's name.
        """
        path = self.path(sha256)
        with storing(path):
            try:
                if path.stat().st_size != size_bytes:
                    return False
            except FileNotFoundError:
                return False
            os.utime(path)
        return True

    def add(
        self,
        sha256: str,
        size_bytes: int,
        chunks: Iterable[bytes],
        in_use: Collection[str] = (),
    ) -> None:
        """Store a program, whole or not at all.

        Args:
            sha256: The SHA-256 of its bytes.
            size_bytes: The number of its bytes.
            chunks: Its bytes, in order.
            in_use: SHA-256 of the stored programs that must stay.

        Raises:
            TooLarge: The program exceeds the store's limit.
            InvalidRequest: The bytes are not those announced.
            DiskFull: The disk has no room for it beyond its reserve.
            StorageError: The program cannot be written.
        """
        path = self.path(sha256)
        self.check_size(size_bytes)
        self._make_room(size_bytes, {*in_use, sha256})
        with replacing(path, mode=0o600) as draft:
            _write_verified(draft, sha256, size_bytes, chunks)

    def check_size(self, size_bytes: int) -> None:
        """Raise TooLarge if a program of that size exceeds the store's limit."""
        if size_bytes > self.max_program_bytes:
            raise TooLarge(
                f"the program has {size_bytes} bytes, the limit is {self.max_program_bytes}"
            )

    def remove(self, sha256: str) -> None:
        """Remove a program, if it is stored. Raises StorageError."""
        path = self.path(sha256)
        with storing(path):
            path.unlink(missing_ok=True)

    def keep_reserve(self, in_use: Collection[str]) -> None:
        """Remove programs that are not in use until the disk has its reserve of free space.

        Raises DiskFull if that is not enough.
        """
        with storing(self.directory):
            has_reserve = spare_bytes(self.directory) >= 0
        if not has_reserve:
            self._make_room(0, in_use)

    def _make_room(self, size_bytes: int, in_use: Collection[str]) -> None:
        keep = [self.directory / f"{sha256}.pte" for sha256 in in_use]
        max_bytes = self._max_total_bytes - size_bytes
        with storing(self.directory):
            missing_bytes = size_bytes - spare_bytes(self.directory)
            programs = self.directory.glob("*.pte")
            for path in least_recently_used(programs, max_bytes, keep, missing_bytes):
                path.unlink(missing_ok=True)
        require_space(self.directory, size_bytes)


def _write_verified(path: Path, sha256: str, size_bytes: int, chunks: Iterable[bytes]) -> None:
    digest, received_bytes = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            received_bytes += len(chunk)
            if received_bytes > size_bytes:
                raise InvalidRequest(f"the upload is longer than the {size_bytes} bytes announced")
            digest.update(chunk)
            file.write(chunk)
    if received_bytes < size_bytes:
        raise InvalidRequest(f"the upload ended after {received_bytes} of {size_bytes} bytes")
    if digest.hexdigest() != sha256:
        raise InvalidRequest(f"the upload hashes to {digest.hexdigest()}, not to {sha256}")
