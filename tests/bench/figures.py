"""The figures of benchmarks and their goals."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

IS_QUICK = os.environ.get("QUICK", "") not in ("", "0")

Line = dict[str, Any]

_printed: list[Line] = []


@dataclass(frozen=True, slots=True)
class Goal:
    """A condition for a figure.

    Attributes:
        operator: "<=", ">=", "==", or "+-" for `value` ± `tolerance`.
    """

    operator: str
    value: float
    tolerance: float = 0.0

    def is_met(self, figure: float) -> bool:
        """Return whether the figure meets the goal; False if it is not a number."""
        match self.operator:
            case "<=":
                return figure <= self.value
            case ">=":
                return figure >= self.value
            case "==":
                return figure == self.value
            case _:
                return abs(figure - self.value) <= self.tolerance

    def __str__(self) -> str:
        tolerance = f" ± {self.tolerance:g}" if self.operator == "+-" else ""
        operator = "" if self.operator == "+-" else f"{self.operator} "
        return f"{operator}{self.value:g}{tolerance}"


def at_most(value: float) -> Goal:
    return Goal("<=", value)


def at_least(value: float) -> Goal:
    return Goal(">=", value)


def exactly(value: float) -> Goal:
    return Goal("==", value)


def within(value: float, tolerance: float) -> Goal:
    return Goal("+-", value, tolerance)


def quick(count: int, least: int = 1) -> int:
    """Return `count`, or a tenth of it and at least `least` if QUICK=1 is set."""
    return max(least, count // 10) if IS_QUICK else count


def report(name: str, value: float, unit: str, goal: Goal | None, **conditions: object) -> None:
    """Print one JSON line and keep it for the group's verdict."""
    conditions |= {"cpus": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 2)}
    if IS_QUICK:
        conditions["quick"] = True
    line: Line = {"name": name, "value": value, "unit": unit, "goal": None}
    if goal is not None:
        line["goal"] = {"operator": goal.operator, "value": goal.value}
        if goal.tolerance:
            line["goal"]["tolerance"] = goal.tolerance
        line["met"] = goal.is_met(value)
    print_line(line | {"conditions": conditions})


def print_line(line: Line) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)
    _printed.append(line)


def printed(since: int = 0) -> list[Line]:
    """Return the lines printed so far, without the first `since`."""
    return _printed[since:]
