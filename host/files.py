"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """A draft to write beside `path`. When the block ends it is in its place, synced to disk;
    when it raises, `path` is as it was and nothing is left behind.

    mode: of the file, less the umask.
    """
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    draft.touch(mode)
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
