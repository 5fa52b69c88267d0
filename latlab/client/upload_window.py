"""Send programs to the lab while others are measured there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from latlab.domain.program import Program, ProgramFile, program_of

# Programs of one campaign that wait in the lab: they fill its disk.
MAX_AHEAD = 96
ROOM_POLL_S = 1.0

T = TypeVar("T")


class UploadWindow:
    """Takes programs from an iterable in gRPC's thread, a few ahead of their outcomes.

    Attributes:
        order: The SHA-256 of each program taken so far.
        error: What the iterable, or sending, has raised.
    """

    def __init__(self, programs: Iterable[ProgramFile | Program]) -> None:
        """Take nothing yet: `map` does."""
        self.order: list[str] = []
        self.error: Exception | None = None
        self._programs = programs
        self._room = threading.Semaphore(MAX_AHEAD)
        self._closed = threading.Event()

    def map(self, send: Callable[[ProgramFile | Program], T | None]) -> Iterator[T]:
        """Yield the result of `send` for each distinct program; None: it was not sent."""
        sent: set[str] = set()
        try:
            for file in self._programs:
                sha256 = program_of(file).sha256
                self.order.append(sha256)
                if sha256 not in sent:
                    sent.add(sha256)
                    if (result := send(file)) is not None:
                        yield result
                        self._wait_for_room()
                if self._closed.is_set():
                    return
        except Exception as error:
            self.error = error
            raise

    def ended(self) -> None:
        """Make room for one more program: another has its outcome."""
        self._room.release()

    def close(self) -> None:
        """Take no more programs."""
        self._closed.set()

    def _wait_for_room(self) -> None:
        while not self._closed.is_set():
            if self._room.acquire(timeout=ROOM_POLL_S):
                return
