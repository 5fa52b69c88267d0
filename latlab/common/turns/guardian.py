"""Stop the work of a process while the lab visits this machine's own processor.

python -m latlab.common.turns.guardian FOLDER PROCESS SPARED

The guardian is a process of its own, started by `latlab.common.turns.sharing`. It stops the
descendants of PROCESS during visits of the lab in FOLDER. When its standard input ends, which it
does however PROCESS ends, it lets them continue and ends too. So no visit waits for a process that
was killed. Nothing stays stopped, unless the guardian itself is killed during a visit.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from latlab.common.turns.locks import TurnLocks
from latlab.common.turns.processes import Process, let_continue, stop_descendants

RUNNING_POLL_S = 0.01  # a visit waits for as long
STOPPED_POLL_S = 0.05  # rarer, because it happens beside a visit
# Work runs for a quarter of the time even if visits come without a break.
LEAST_RUN_SHARE = 1 / 3  # of the stop before
LONGEST_LEAST_RUN_S = 2.0
LONGEST_STOP_S = 900.0  # an agent allows no visit so long


class Guardian:
    """Stops the work of one process during visits.

    Args:
        locks: The locks of the lab's folder.
        process_id: The process whose descendants are stopped.
        spared: Ids of processes that go on, with all that they have started.
        has_ended: Waits for so many seconds at most, and returns whether to end.
    """

    def __init__(
        self,
        locks: TurnLocks,
        process_id: int,
        spared: Collection[int],
        has_ended: Callable[[float], bool],
    ) -> None:
        """Prepare to stop the work, which `begin_work` has noted."""
        self._locks = locks
        self._process_id = process_id
        self._spared = spared
        self._has_ended = has_ended
        self._stopped: list[Process] = []

    def serve(self) -> None:
        """Stop the work during each visit, until `has_ended`. Then let it continue."""
        try:
            stop_s = 0.0
            while not self._ended_while_running(stop_s):
                since_s = time.monotonic()
                self._stopped = stop_descendants(self._process_id, self._spared)
                self._locks.end_work()
                if self._ended_while_stopped(since_s):
                    return
                let_continue(self._stopped)
                self._stopped = []
                stop_s = time.monotonic() - since_s
        finally:
            let_continue(self._stopped)

    def _ended_while_running(self, stop_s: float) -> bool:
        """Let the work run until a visit is wanted, and for its share after a stop.

        Returns:
            Whether to end.
        """
        if self._has_ended(min(LEAST_RUN_SHARE * stop_s, LONGEST_LEAST_RUN_S)):
            return True
        while not self._locks.is_visit_wanted():
            if self._has_ended(RUNNING_POLL_S):
                return True
        return False

    def _ended_while_stopped(self, since_s: float) -> bool:
        """Wait until work may run again. Returns whether to end."""
        while not self._locks.begin_work():
            if self._has_ended(STOPPED_POLL_S):
                return True
            if time.monotonic() - since_s > LONGEST_STOP_S:
                break
        return False


def main() -> None:
    """Guard the process that the arguments name."""
    folder, process_id, spared = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process handles Ctrl-C
    locks = TurnLocks(folder)

    def has_ended(wait_s: float) -> bool:
        return bool(select.select([sys.stdin], [], [], wait_s)[0])

    while not locks.begin_work():
        if has_ended(RUNNING_POLL_S):
            return
    print("ready", flush=True)
    Guardian(locks, process_id, {os.getpid(), spared}, has_ended).serve()


if __name__ == "__main__":
    main()
