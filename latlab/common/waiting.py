"""Wait for a process that was started in the background."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from enum import Enum

POLL_S = 0.05


class Start(Enum):
    """How a start went."""

    READY = "ready"
    ENDED = "ended"  # by itself
    TOO_SLOW = "too slow"  # and killed


def wait_for_start(
    process: subprocess.Popen[bytes], is_ready: Callable[[], bool], timeout_s: float
) -> Start:
    """Wait until the process serves, has ended, or has had `timeout_s` and is killed."""
    deadline_s = time.monotonic() + timeout_s
    while not is_ready():
        if process.poll() is not None:
            return Start.ENDED
        if time.monotonic() > deadline_s:
            process.kill()
            return Start.TOO_SLOW
        time.sleep(POLL_S)
    return Start.READY
