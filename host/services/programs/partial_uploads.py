"""Keep the bytes of uploads that were interrupted, so that they can go on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from latlab.common.files import require_space, storing
from latlab.common.lru_files import least_recently_used
from latlab.domain.errors import InvalidRequest, TooLarge, WrongOffset
from latlab.domain.program import check_program_name

KEPT_S = 24 * 3_600.0
MAX_TOTAL_BYTES = 2 << 30


class PartialUploads:
    """The first bytes of programs whose uploads are not finished. Thread-safe.

    Several clients may upload the same program at once. Their bytes are the same, so whoever is
    behind the others adds nothing until its bytes are new.

    Args:
        directory: A folder of its own, which is made if it is missing.
        max_total_bytes: What all of them may take together. The least recently written are removed
            for others.
    """

    def __init__(self, directory: Path, max_total_bytes: int = MAX_TOTAL_BYTES) -> None:
        with storing(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._max_total_bytes = max_total_bytes
        self._lock = threading.Lock()
        self._writing: Counter[Path] = Counter()

    def received_bytes(self, sha256: str) -> int:
        """Return how many bytes of a program there are. Raises InvalidRequest and StorageError."""
        self._remove_old()
        return _size(self._path(sha256))

    @contextmanager
    def writing(self, sha256: str, size_bytes: int, offset_bytes: int) -> Iterator[Writer]:
        """Hand out what the bytes from an offset on are written with.

        Args:
            sha256: The program.
            size_bytes: The number of all its bytes.
            offset_bytes: Where the bytes begin.

        Raises:
            WrongOffset: The offset is not where the bytes end that there are.
            TooLarge: The program is larger than all partial uploads may be.
            DiskFull: The disk has no room for it.
            StorageError: The bytes cannot be written.
        """
        path = self._path(sha256)
        if size_bytes > self._max_total_bytes:
            raise TooLarge(
                f"the program has {size_bytes} bytes, the limit is {self._max_total_bytes}"
            )
        self._remove_old()
        with self._lock:
            received_bytes = _size(path)
            if offset_bytes != received_bytes:
                raise WrongOffset(
                    f"the lab has {received_bytes} bytes of program {sha256[:12]}, and the upload"
                    f" goes on at byte {offset_bytes}: go on at byte {received_bytes}"
                )
            self._writing[path] += 1
        try:
            self._make_room(size_bytes - received_bytes)
            with storing(path), path.open("ab") as file:
                file.flush()
            yield Writer(path, offset_bytes, size_bytes, self._lock)
        finally:
            with self._lock:
                self._writing -= Counter([path])

    def path(self, sha256: str) -> Path:
        """Return where the bytes of a program are. Raises InvalidRequest for a bad name."""
        return self._path(sha256)

    def remove(self, sha256: str) -> None:
        """Forget the bytes of a program. Raises StorageError."""
        path = self._path(sha256)
        with self._lock, storing(path):
            path.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._directory / f"{check_program_name(sha256)}.bytes"

    def _make_room(self, needed_bytes: int) -> None:
        with self._lock, storing(self._directory):
            for path in least_recently_used(
                self._directory.glob("*.bytes"),
                self._max_total_bytes - needed_bytes,
                keep=list(self._writing),
            ):
                path.unlink(missing_ok=True)
        require_space(self._directory, needed_bytes)

    def _remove_old(self) -> None:
        with self._lock, storing(self._directory):
            for path in self._directory.glob("*.bytes"):
                with suppress(FileNotFoundError):
                    is_old = time.time() - path.stat().st_mtime > KEPT_S
                    if is_old and path not in self._writing:
                        path.unlink()


class Writer:
    """Writes the bytes of one call behind those that there are."""

    def __init__(
        self, path: Path, offset_bytes: int, size_bytes: int, lock: threading.Lock
    ) -> None:
        self._path = path
        self._offset_bytes = offset_bytes
        self._size_bytes = size_bytes
        self._lock = lock

    def write(self, chunk: bytes) -> bool:
        """Write the next bytes, but for those that another client has written meanwhile.

        Returns whether all bytes of the program are there.

        Raises:
            InvalidRequest: There are more bytes than the program has.
            WrongOffset: The bytes were removed meanwhile.
            StorageError: The bytes cannot be written.
        """
        end = self._offset_bytes + len(chunk)
        if end > self._size_bytes:
            raise InvalidRequest(
                f"the upload is longer than the {self._size_bytes} bytes announced", "chunk"
            )
        with self._lock, storing(self._path):
            if not self._path.exists():  # another client's call has ended with all of them
                raise WrongOffset("the bytes that were sent are gone: ask GetUpload")
            with self._path.open("ab") as file:
                new = chunk[max(0, file.tell() - self._offset_bytes) :]
                file.write(new)
                received_bytes = file.tell()
        self._offset_bytes = end
        return received_bytes >= self._size_bytes


def _size(path: Path) -> int:
    with storing(path):
        return path.stat().st_size if path.is_file() else 0
