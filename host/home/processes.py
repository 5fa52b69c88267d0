"""Background processes that write who they are to a file, and hold a lock while they live."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latlab.client.connection.local_lab import is_locked, process_info
from latlab.common.background_process import POLL_S
from latlab.common.files import storing
from latlab.domain.errors import Unavailable

KILL_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class LockedProcess:
    """A process that `latlab.client.connection.local_lab.process_info` finds.

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
        if self.info() is None:
            return False
        for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, KILL_TIMEOUT_S)):
            is_sent = False
            deadline_s = time.monotonic() + patience_s
            while time.monotonic() < deadline_s:
                if not is_locked(self.lock_file):
                    return True
                is_sent = is_sent or self._send(number)
                time.sleep(POLL_S)
        return True

    def _send(self, number: signal.Signals) -> bool:
        """Send a signal to the process. Returns False if no process with its id holds the lock.

        The file may be that of a process that was killed, while its successor has the lock and
        does not serve yet. Its id may be another process's by now.
        """
        info = self.info()
        if info is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(info["pid"])  # the id may be given away before the signal
            try:
                if has_open(info["pid"], self.lock_file):
                    signal.pidfd_send_signal(descriptor, number)
                    return True
            finally:
                os.close(descriptor)
        return False


def has_open(pid: int, file: Path) -> bool:
    """Return whether a process has the file open. False if that cannot be found out."""
    with contextlib.suppress(OSError):  # the process has ended, or is another user's
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # it was closed meanwhile
                if descriptor.samefile(file):
                    return True
    return False


def lock_home(lock_file: Path) -> int:
    """Lock a lab's folder, as a daemon does for its life.

    Returns:
        The file descriptor that holds the lock. Closing it gives the lock back.

    Raises:
        Unavailable: Another process holds it: a daemon, or a command that works on the files.
        StorageError: The file cannot be opened.
    """
    with storing(lock_file):
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Unavailable(f"a lab already runs on the folder {lock_file.parent}") from None
    return descriptor


@contextlib.contextmanager
def locked_home(process: LockedProcess) -> Iterator[None]:
    """Keep daemons off a lab's folder while the block works on its files.

    Raises Unavailable if one runs, and StorageError.
    """
    descriptor = lock_home(process.lock_file)
    try:
        # Left by a daemon that was killed. With the lock held, it would pass for a living one.
        with storing(process.info_file):
            process.info_file.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)
