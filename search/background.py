"""Run a function while the caller does other work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(function: Callable[[], T]) -> Future[T]:
    """Call a function in a thread of its own, and return the future of what it returns or raises.

    Python does not wait for the thread when it ends, unlike for those of an executor. So Ctrl-C
    ends a search that measures in the background.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return future
