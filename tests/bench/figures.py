"""How the benchmarks say what they found."""

from __future__ import annotations

import json
import os


def report(
    name: str, value: float, unit: str, goal: str | float | None, **conditions: object
) -> None:
    """One JSON line on standard output."""
    conditions |= {"cpus": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 2)}
    line = {"name": name, "value": value, "unit": unit, "goal": goal, "conditions": conditions}
    print(json.dumps(line, ensure_ascii=False), flush=True)
