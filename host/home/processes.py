"""Background processes that write who they are to a file, and hold a lock while they live."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latlab.client.discovery import is_locked, process_info
from latlab.common.background_process import POLL_S


@dataclass(frozen=True)
class LockedProcess:
    """A process that `latlab.client.discovery.process_info` finds.

    Attributes:
        info_file: The process writes its id and address to this file when it starts to serve.
        lock_file: The process holds a lock on this file while it lives.
    """

    info_file: Path
    lock_file: Path

    def info(self) -> dict[str, Any] | None:
        """Return what the process wrote about itself; None if it does not live or serve yet.

        Raises StorageError if the files cannot be read, or are damaged.
        """
        return process_info(self.info_file, self.lock_file)

    def serves_as(self, pid: int) -> bool:
        """Return whether the process serves and has this id. Raises StorageError."""
        info = self.info()
        return info is not None and info["pid"] == pid

    def stop(self, timeout_s: float) -> bool:
        """End the process: send SIGTERM, and SIGKILL after `timeout_s`.

        Returns False if there was nothing to stop. Raises StorageError as `info` does.
        """
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
