"""Events that report to clients how the jobs that they submitted get on."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import TypeAlias

from latlab.domain.failure import Failure
from latlab.domain.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Progress:
    """A visit of a job has ended. `visits_done` counts its visits that brought samples."""

    visits_done: int


@dataclass(frozen=True, slots=True)
class JobEvent:
    """News of the job that measures a program: its progress, or its outcome at its end."""

    program_sha256: str
    event: Progress | Measurement | Failure


# It has no bound, so that putting never waits. Besides events it carries the end of a client's
# requests: None, or what was raised.
EventQueue: TypeAlias = "queue.SimpleQueue[JobEvent | Exception | None]"
