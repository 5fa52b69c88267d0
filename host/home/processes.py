"""Background processes that say who they are in a file and prove that they live by a lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latlab.common.files import read_regular, storing
from latlab.domain.errors import StorageError

POLL_S = 0.05
MAX_INFO_BYTES = 1 << 16


@dataclass(frozen=True)
class LockedProcess:
    """`info` is the JSON file that the process writes once it serves, `pid` in it; `lock` the
    file that it holds an flock on for as long as it lives. A pid alone may be another's."""

    info_file: Path
    lock_file: Path

    def info(self) -> dict[str, Any] | None:
        """None when no such process lives, or it does not serve yet. Raises StorageError where
        the files cannot be read, or the info is damaged."""
        with storing(self.lock_file):
            if not self._is_locked():
                return None
        try:
            with storing(self.info_file), contextlib.suppress(FileNotFoundError):
                info = json.loads(read_regular(self.info_file, MAX_INFO_BYTES))
                if not isinstance(info, dict) or not _is_process_id(info.get("pid")):
                    raise ValueError("it holds no process id")
                return info
        except (ValueError, RecursionError) as error:
            raise StorageError(
                f"{self.info_file} is damaged ({error}): end the process that holds "
                f"{self.lock_file}, and remove the file"
            ) from error
        return None

    def stop(self, timeout_s: float) -> bool:
        """SIGTERM, and SIGKILL after `timeout_s`. False when there was nothing to stop. Raises
        StorageError as `info` does."""
        info = self.info()
        if info is None:
            return False
        for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(info["pid"], number)
            deadline_s = time.monotonic() + patience_s
            while time.monotonic() < deadline_s:
                if not self._is_locked():
                    return True
                time.sleep(POLL_S)
        return True

    def _is_locked(self) -> bool:
        try:
            descriptor = os.open(self.lock_file, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _is_process_id(value: object) -> bool:
    """Whether signals to it reach one process: 0 and below name groups, 1 the whole system."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 1
