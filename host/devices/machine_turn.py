"""The turn of a visit of the lab's own machine, which must have the machine to itself."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import TracebackType

from latlab.common.turns.locks import TurnLocks
from latlab.domain.errors import StorageError

log = logging.getLogger(__name__)

# Work stands still within milliseconds, or within two seconds if it has stood still for long.
PATIENCE_S = 5.0


class MachineTurn:
    """A context manager: within it, work in other processes that shares the machine stands still.

    Such work is `latlab.common.turns.sharing`'s. A process that does not answer delays each visit
    by `PATIENCE_S`, and prevents none.

    Args:
        quiet: Excludes the daemon's own work that needs the machine to itself.
        folder: The lab's folder.
    """

    def __init__(self, quiet: threading.Lock, folder: Path) -> None:
        self._quiet = quiet
        self._folder = folder
        self._locks: TurnLocks | None = None

    def __enter__(self) -> None:
        """Wait until the machine is quiet."""
        self._quiet.acquire()
        try:
            self._locks = TurnLocks(self._folder)
            if not self._locks.begin_visit(PATIENCE_S):
                log.warning("a visit begins beside other work, which did not stop in time")
        except StorageError as error:
            log.warning("a visit begins, whether or not other work runs: %s", error)
        except BaseException:
            self._end()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let other work run."""
        self._end()

    def _end(self) -> None:
        if self._locks is not None:
            self._locks.close()
            self._locks = None
        self._quiet.release()
