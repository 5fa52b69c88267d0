"""Limits of the time that a worker process takes for one export."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

# Processor time. Time in which the worker waits for the processor is not the export's own.
EXPORT_PROCESSOR_S = 300
EXPORT_DEADLINE_S = 1800  # of all time, waiting included


class OutOfTime(BaseException):
    """An export took too much processor time. No handler of Exception may keep it."""


@contextlib.contextmanager
def limited_time(
    processor_s: float = EXPORT_PROCESSOR_S, deadline_s: int = EXPORT_DEADLINE_S
) -> Iterator[None]:
    """Limit the time of the `with` block, which must be in the process's main thread.

    The process ends after `deadline_s`, and the pool replaces it.

    Raises:
        OutOfTime: The process took `processor_s` of processor time.
    """

    def end(*_: object) -> None:
        raise OutOfTime

    previous = signal.signal(signal.SIGPROF, end)
    signal.alarm(deadline_s)
    signal.setitimer(signal.ITIMER_PROF, processor_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        signal.signal(signal.SIGPROF, previous)
