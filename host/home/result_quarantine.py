"""Keep results that cannot be stored in the database, for people to examine."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import fields, is_dataclass
from pathlib import Path

from latlab.common.files import replacing, storing
from latlab.domain.failure import Failure
from latlab.domain.measurement import Visit

MAX_FILES = 100
MAX_FILE_CHARS = 2 << 20


class ResultQuarantine:
    """A folder with a JSON file for each result. It holds the newest MAX_FILES.

    A result of more than MAX_FILE_CHARS is cut off.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder, which is made when the first result is kept."""
        self._folder = folder
        self._lock = threading.Lock()  # devices answer at the same time

    def keep(self, run_id: str, outcome: Visit | Failure, why: str) -> str:
        """Keep the outcome of a run.

        Args:
            run_id: The lab's name of the run.
            outcome: What the device answered.
            why: Why it cannot be stored.

        Returns:
            The file's place in the lab's folder, for people.

        Raises:
            StorageError: It cannot be written.
        """
        path = self._folder / f"{run_id}.json"
        found = {"unix_ns": time.time_ns(), "why": why, "outcome": outcome}
        with self._lock:
            self._make_room()
            with replacing(path, mode=0o600) as draft, draft.open("w") as file:
                left = MAX_FILE_CHARS
                for text in json.JSONEncoder(default=_plain).iterencode(found):
                    file.write(text[:left])
                    left -= len(text)
                    if left <= 0:
                        break
        return f"{self._folder.name}/{path.name}"

    def _make_room(self) -> None:
        with storing(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            oldest_first = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            for path in oldest_first[: max(0, len(oldest_first) - MAX_FILES + 1)]:
                path.unlink()


def _plain(noun: object) -> object:
    """Return what JSON holds of an object."""
    if is_dataclass(noun):
        return {field.name: getattr(noun, field.name) for field in fields(noun)}
    return repr(noun)
