"""Facts that only Android's own commands report.

An adb shell may not read the files in which other systems have them. On other systems the
commands are missing and the facts unknown. `root` is where /system is: "/" except in tests.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_TIMEOUT_S = 5.0


def is_android(root: Path) -> bool:
    return (root / "system/bin/getprop").exists()


def read_property(root: Path, name: str) -> str | None:
    """Return a system property, or None if it is unset or withheld."""
    value = _answer(root, "getprop", name).strip()
    return value if value and value != "unknown" else None


def read_battery_level(root: Path) -> float | None:
    """Return the battery's level from 0 to 1, as `dumpsys battery` reports it."""
    state = _answer(root, "dumpsys", "battery")
    told = dict(re.findall(r"^ *(level|scale): (\d{1,9})$", state, re.MULTILINE))
    level, scale = int(told.get("level", 0)), int(told.get("scale", 0))
    return level / scale if "level" in told and scale >= max(level, 1) else None


def _answer(root: Path, command: str, argument: str) -> str:
    program = root / "system/bin" / command
    try:
        if not program.exists():  # asked before and after every visit: no process for nothing
            return ""
        answer = subprocess.run(
            [program, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.decode(errors="replace")
