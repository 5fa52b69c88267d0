"""The locks by which visits of this machine's own processor and other work take turns.

Two files in the lab's folder are locked with flock. The kernel releases the locks of a process that
ends, however it ends.

visit.lock  held by the lab from when a visit is wanted until it has ended
work.lock   shared by every process with work that must not run beside a visit, while the work
            runs; held by the lab during a visit
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from latlab.common.files import storing

VISIT_LOCK, WORK_LOCK = "visit.lock", "work.lock"
POLL_S = 0.002


class TurnLocks:
    """One process's view of the locks.

    Nothing here is safe to call in several threads at once.
    """

    def __init__(self, folder: Path) -> None:
        """Open the files, which are made if they do not exist.

        Raises:
            StorageError: A file cannot be opened.
        """
        with contextlib.ExitStack() as opened:
            self._visit, self._work = (
                opened.enter_context(_descriptor(folder / name)) for name in (VISIT_LOCK, WORK_LOCK)
            )
            self._files = opened.pop_all()

    def close(self) -> None:
        """Release what is locked."""
        self._files.close()

    def begin_visit(self, patience_s: float) -> bool:
        """Announce a visit, and wait until no work runs.

        Returns:
            Whether no work runs. If some still does after `patience_s` seconds, the visit stays
            announced and may begin nevertheless.
        """
        deadline_s = time.monotonic() + patience_s
        return all(self._wait_for(lock, deadline_s) for lock in (self._visit, self._work))

    def end_visit(self) -> None:
        """Let work run again."""
        fcntl.flock(self._work, fcntl.LOCK_UN)
        fcntl.flock(self._visit, fcntl.LOCK_UN)

    def begin_work(self) -> bool:
        """Note that work runs, and return True, unless a visit is wanted or runs."""
        if not _lock(self._visit, fcntl.LOCK_SH):
            return False
        try:
            return _lock(self._work, fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._visit, fcntl.LOCK_UN)

    def end_work(self) -> None:
        """Note that no work of this process runs."""
        fcntl.flock(self._work, fcntl.LOCK_UN)

    def is_visit_wanted(self) -> bool:
        """Return whether a visit is wanted or runs."""
        if not _lock(self._visit, fcntl.LOCK_SH):
            return True
        fcntl.flock(self._visit, fcntl.LOCK_UN)
        return False

    def _wait_for(self, lock: int, deadline_s: float) -> bool:
        while not _lock(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(POLL_S)
        return True


@contextlib.contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    with storing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Lock a file if that is possible at once, and return whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
