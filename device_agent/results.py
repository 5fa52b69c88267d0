"""The results that the agent keeps on disk until they are acknowledged."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from latlab.common.files import PART_SUFFIX, remove_parts, replacing, storing
from latlab.domain.errors import InvalidRequest
from latlab.v1.device_agent_pb2 import RunResponse

MAX_RESULTS = 10_000

_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


class ResultStore:
    """Keeps finished runs until they are acknowledged, at most MAX_RESULTS.

    No result expires by age: the clock of a board without a battery begins in 1970, and jumps once
    the board has asked for the time.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        remove_parts(directory, min_age_s=0)
        self._directory = directory

    def get(self, run_id: str) -> RunResponse | None:
        path = self._path(run_id)
        with storing(path), contextlib.suppress(FileNotFoundError):
            return RunResponse.FromString(path.read_bytes())
        return None

    def put(self, run_id: str, response: RunResponse) -> None:
        """Store a result, which is on disk when this returns. Raises StorageError."""
        with replacing(self._path(run_id), mode=0o600) as draft:
            draft.write_bytes(response.SerializeToString())
        with storing(self._directory):
            results = [path for path in self._directory.iterdir() if path.suffix != PART_SUFFIX]
            results.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in results[:-MAX_RESULTS]:
                path.unlink(missing_ok=True)

    def forget(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            path = self._path(run_id)
            with storing(path):
                path.unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        if not _RUN_ID.fullmatch(run_id):
            raise InvalidRequest(
                f"a run_id is up to 128 letters, digits, '.', '_' and '-', not {run_id[:80]!r}"
            )
        return self._directory / run_id
