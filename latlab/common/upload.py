"""Read files in chunks, in order to send them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 20


def read_chunks(path: Path, offset_bytes: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file from an offset on in order, CHUNK_BYTES at a time."""
    with path.open("rb") as file:
        file.seek(offset_bytes)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
