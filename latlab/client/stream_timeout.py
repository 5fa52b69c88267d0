"""Events that come when they come, and a listener who does not wait for ever."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def heard(events: Iterable[T], patience_s: float) -> Iterator[T]:
    """`events`, until they end or none has come for so long. They are read in a thread of
    their own, which whoever makes them has to end; what they raise is raised."""
    said: queue.SimpleQueue[tuple[T] | Exception | None] = queue.SimpleQueue()

    def listen() -> None:
        try:
            for event in events:
                said.put((event,))
        except Exception as error:
            said.put(error)
        else:
            said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            one = said.get(timeout=patience_s)
        except queue.Empty:
            return
        if one is None:
            return
        if isinstance(one, Exception):
            raise one
        yield one[0]
