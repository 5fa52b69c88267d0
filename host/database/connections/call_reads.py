"""End what a call reads from the database once nobody waits for the call's answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from latlab.domain.errors import Unavailable

CANCEL_S = 1.0  # PostgreSQL is told on a connection of its own


class CallReads:
    """The reads of one call. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[Any] = []
        self._ended = False

    def end(self) -> None:
        """End the statement that runs, and refuse those to come. It may be called again."""
        with self._lock:
            self._ended = True
            for connection in self._connections:
                _interrupt(connection)

    @contextmanager
    def on(self, connection: Connection) -> Iterator[None]:
        """Read on a connection. Raises Unavailable once the reads of the call were ended."""
        driver = connection.connection.driver_connection
        with self._lock:
            if self._ended:
                raise _nobody_waits()
            self._connections.append(driver)
        try:
            yield
        except OperationalError as error:
            if self._ended:
                raise _nobody_waits() from error
            raise
        finally:
            with self._lock:  # so that the connection's next user is not interrupted
                self._connections.remove(driver)


_of_call: ContextVar[CallReads | None] = ContextVar("reads of this thread's call", default=None)


def begin_reads(reads: CallReads) -> None:
    """Count what this thread reads from now on among the reads of a call."""
    _of_call.set(reads)


@contextmanager
def read_for_all() -> Iterator[None]:
    """Let the block read what later calls use too, although nobody may wait for this one."""
    before = _of_call.set(None)
    try:
        yield
    finally:
        _of_call.reset(before)


@contextmanager
def reading_on(connection: Connection) -> Iterator[None]:
    """Let the block read on a connection until its call ends. Raises Unavailable then."""
    if (reads := _of_call.get()) is None:
        yield
    else:
        with reads.on(connection):
            yield


def _interrupt(connection: Any) -> None:  # noqa: ANN401 -- a connection of sqlite3 or psycopg
    if hasattr(connection, "interrupt"):
        connection.interrupt()
        return
    with suppress(Exception):  # a server that is away runs no statement
        connection.cancel_safe(timeout=CANCEL_S)


def _nobody_waits() -> Unavailable:
    return Unavailable("nobody waits for what was read: the call was cancelled, or its time is up")
