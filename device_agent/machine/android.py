"""Facts that only Android's own commands report.

An adb shell may not read the files in which other systems have them. On other systems the
commands are missing and the facts unknown. `root` is where /system is: "/" except in tests.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 5.0
# The types of cooling devices and temperatures in android.os.CoolingDevice and Temperature.
_COOLS_CPU = "2"
_CURRENT = "Current temperatures from HAL"
_COOLING = "Current cooling devices from HAL"


@dataclass(frozen=True)
class Heat:
    """The temperatures and the throttling that Android's thermal service reports.

    Attributes:
        temperatures_c: The temperature of each sensor in degrees Celsius.
        throttled: Whether the phone holds its processor back to cool it; None where it is not
            reported.
    """

    temperatures_c: tuple[float, ...]
    throttled: bool | None


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


def read_heat(root: Path) -> Heat:
    """Return what `dumpsys thermalservice` reports, which Android has since version 10.

    A shell may ask it on phones that hide /sys/class/thermal. The sensors' current values count
    where the service has them, else those that it has cached.
    """
    sections = _sections(_answer(root, "dumpsys", "thermalservice"))
    sensors = sections.get(_CURRENT) or sections.get("Cached temperatures", "")
    temperatures = re.findall(r"Temperature\{mValue=(-?\d{1,4}(?:\.\d{1,9})?),", sensors)
    cooling = re.findall(
        r"CoolingDevice\{mValue=(\d{1,9}), mType=(\d+),", sections.get(_COOLING, "")
    )
    states = [int(value) for value, type_ in cooling if type_ == _COOLS_CPU]
    status = re.search(r"^ *Thermal Status: (\d{1,9})$", "\n".join(sections), re.MULTILINE)
    if status is not None:
        states.append(int(status[1]))
    return Heat(tuple(map(float, temperatures)), any(states) if states else None)


def _sections(report: str) -> dict[str, str]:
    """Return the indented lines below each line that is not indented, without its colon."""
    sections: dict[str, str] = {}
    title = ""
    for line in report.splitlines():
        if line[:1].isspace():
            sections[title] = f"{sections.get(title, '')}{line}\n"
        else:
            title = line.rstrip().rstrip(":")
            sections.setdefault(title, "")
    return sections


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
