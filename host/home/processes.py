"""Background processes that say who they are in a file and prove that they live by a lock."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latlab.client.discovery import is_locked, process_info
from latlab.common.waiting import POLL_S


@dataclass(frozen=True)
class LockedProcess:
    """One that `latlab.client.discovery.process_info` finds."""

    info_file: Path
    lock_file: Path

    def info(self) -> dict[str, Any] | None:
        """None when no such process lives, or it does not serve yet. Raises StorageError where
        the files cannot be read, or the info is damaged."""
        return process_info(self.info_file, self.lock_file)

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
                if not is_locked(self.lock_file):
                    return True
                time.sleep(POLL_S)
        return True
