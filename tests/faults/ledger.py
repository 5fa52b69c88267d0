"""What an agent writes down of the results that it keeps and forgets."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

NO_SAMPLES = "-"  # the digest of a failure


class Entry(NamedTuple):
    """A line of the ledger: "kept" or "acknowledged", a run, and the digest of its samples."""

    event: str
    run_id: str
    digest: str


def digest(wall_ns: Iterable[int]) -> str:
    """Return what tells the samples of one visit from those of others."""
    samples = array("q", wall_ns).tobytes()
    return hashlib.sha256(samples).hexdigest() if samples else NO_SAMPLES


def record(path: Path, entry: Entry) -> None:
    """Add a line in one write, so that a kill leaves no part of a line."""
    with path.open("ab", buffering=0) as ledger:
        ledger.write(f"{' '.join(entry)}\n".encode())


def read_ledger(path: Path) -> list[Entry]:
    return [Entry(*line.split()) for line in path.read_text().splitlines()]
