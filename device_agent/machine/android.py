"""What Android tells through its own commands: an adb shell may not read the files that other
systems tell it in. Elsewhere the commands are missing, and nothing is told.

`root` is where /system is, "/" but in tests.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_TIMEOUT_S = 5.0


def is_android(root: Path) -> bool:
    return (root / "system/bin/getprop").exists()


def read_property(root: Path, name: str) -> str | None:
    """None where it is not set, or withheld."""
    value = _answer(root, "getprop", name).strip()
    return value if value and value != "unknown" else None


def read_battery_level(root: Path) -> float | None:
    """A fraction, from the lines "level: 83" and "scale: 100" of `dumpsys battery`."""
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
