"""The findings of the checks that `latlab doctor` makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from host.home.paths import LabHome

CALL_TIMEOUT_S = 5.0  # for each call that a check makes


class Level(str, Enum):
    """How bad a finding of `latlab doctor` is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check of `latlab doctor`.

    Attributes:
        check: The name of what was checked.
        level: How bad it is.
        found: What was found.
        fix: What to do about it; empty if there is nothing to do.
    """

    check: str
    level: Level
    found: str
    fix: str = ""


Check = Callable[[LabHome], Iterator[Finding]]
