"""What a check of the doctor's says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from host.home.paths import LabHome

CALL_TIMEOUT_S = 5.0  # of what a check asks


class Level(str, Enum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """mend: what to do, "" where nothing is."""

    check: str
    level: Level
    found: str
    mend: str = ""


Check = Callable[[LabHome], Iterator[Finding]]
