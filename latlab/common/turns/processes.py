"""Stop the processes that a process has started, and let them continue."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SCANS = 5  # processes that start others are stopped in as many scans as they are deep, and one
STILL_S = 0.2  # within which a stopped process stands still, unless the kernel is writing for it
POLL_S = 0.001
STANDING = frozenset("TtZX")  # states of stopped, traced, ended and dead processes


@dataclass(frozen=True)
class Process:
    """A process at one time.

    Attributes:
        id: Its process id, which may be another process's later.
        parent_id: The process id of its parent.
        state: One letter, as in proc(5).
        started_ticks: When it started. With the id, it names one process.
    """

    id: int
    parent_id: int
    state: str
    started_ticks: int

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, unless it has ended."""
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(self.id)
            try:
                now = read_process(self.id)
                if now is not None and now.started_ticks == self.started_ticks:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)


def read_process(process_id: int) -> Process | None:
    """Return a process as it is now; None if there is none."""
    try:
        # The name stands in parentheses and may hold anything.
        words = Path(f"/proc/{process_id}/stat").read_bytes().rpartition(b")")[2].split()
        return Process(process_id, int(words[1]), words[0].decode(), int(words[19]))
    except (OSError, ValueError, IndexError):
        return None


def descendants(process_id: int, spared: Collection[int] = ()) -> list[Process]:
    """Return the processes that a process and its descendants have started.

    Args:
        process_id: The process.
        spared: Ids of processes that are left out, with all that they have started.
    """
    children: dict[int, list[Process]] = {}
    for process in _all_processes():
        if process.id not in spared:
            children.setdefault(process.parent_id, []).append(process)
    return list(_below(process_id, children))


def stop_descendants(process_id: int, spared: Collection[int] = ()) -> list[Process]:
    """Stop the running descendants of a process, and wait until they stand still.

    Those that somebody else has stopped are left alone.

    Args:
        process_id: The process, which is not stopped.
        spared: Ids of processes that go on, with all that they have started.

    Returns:
        The processes that were stopped now.
    """
    stopped: dict[int, Process] = {}
    for _ in range(SCANS):
        found = descendants(process_id, spared)
        running = [p for p in found if p.state not in STANDING and p.id not in stopped]
        if not running:
            break
        for process in running:
            process.send(signal.SIGSTOP)
            stopped[process.id] = process
    deadline_s = time.monotonic() + STILL_S
    while any(map(_runs, stopped.values())) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    return list(stopped.values())


def let_continue(stopped: Collection[Process]) -> None:
    """Let stopped processes continue."""
    for process in stopped:
        process.send(signal.SIGCONT)


def _all_processes() -> Iterator[Process]:
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and (process := read_process(int(path.name))) is not None:
            yield process


def _below(process_id: int, children: Mapping[int, list[Process]]) -> Iterator[Process]:
    for child in children.get(process_id, ()):
        yield child
        yield from _below(child.id, children)


def _runs(process: Process) -> bool:
    now = read_process(process.id)
    return now is not None and now.state not in STANDING
