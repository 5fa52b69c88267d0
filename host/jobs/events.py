"""What the board tells those who submit jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from latlab.domain.failure import Failure
from latlab.domain.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Progress:
    visits_done: int


@dataclass(frozen=True, slots=True)
class JobEvent:
    program_sha256: str
    event: Progress | Measurement | Failure


class Listener(Protocol):
    """A queue without a bound: putting never waits."""

    def put(self, event: JobEvent, /) -> None: ...

    def __hash__(self) -> int: ...
