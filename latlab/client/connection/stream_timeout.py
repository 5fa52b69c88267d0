"""Read a stream of events, but do not wait for the next event for ever."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def until_silent(events: Iterable[T], patience_s: float) -> Iterator[T]:
    """Yield events until they end or none has come for some time.

    Args:
        events: Read in a thread of their own, which the caller has to end by ending the events.
            What they raise is raised.
        patience_s: How long to wait for each event.
    """
    received: queue.SimpleQueue[tuple[T] | Exception | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for event in events:
                received.put((event,))
        except Exception as error:
            received.put(error)
        else:
            received.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            item = received.get(timeout=patience_s)
        except queue.Empty:
            return
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item[0]
