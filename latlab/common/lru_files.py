"""Choose which files of a bounded folder must go: those that were used least recently."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from pathlib import Path


def least_recently_used(
    files: Iterable[Path],
    max_bytes: int,
    keep: Collection[Path] = (),
    missing_bytes: int = 0,
) -> list[Path]:
    """Return the files to remove so that the others hold at most `max_bytes`.

    Args:
        files: All files that count, the most recently used being the last modified. A file
            that another process removes meanwhile does not count.
        max_bytes: The limit. It may be exceeded if the files to keep exceed it.
        keep: Files that must stay.
        missing_bytes: At least so many bytes must go, if that is possible.

    Raises:
        OSError: A file cannot be examined.
    """
    found = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size, path))
    excess_bytes = max(sum(size_bytes for _, size_bytes, _ in found) - max_bytes, missing_bytes)
    chosen: list[Path] = []
    for _, size_bytes, path in sorted(found):
        if excess_bytes <= 0:
            break
        if path not in keep:
            chosen.append(path)
            excess_bytes -= size_bytes
    return chosen
