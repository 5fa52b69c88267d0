"""Failures: why a visit or a measurement brought no samples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FailureKind(str, Enum):
    """The reasons why a visit or a measurement can fail."""

    NOT_A_PROGRAM = "not_a_program"
    BAD_INPUT = "bad_input"
    UNSUPPORTED = "unsupported"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    EXECUTION_ERROR = "execution_error"
    TRACE_MISMATCH = "trace_mismatch"
    DISTURBED = "disturbed"
    DEVICE_LOST = "device_lost"
    CANCELLED = "cancelled"
    AGENT_ERROR = "agent_error"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Failure:
    """A visit or a measurement that brought no samples.

    Attributes:
        kind: What prevented it.
        message: What happened, for people.
    """

    kind: FailureKind
    message: str
