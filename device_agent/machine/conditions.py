"""Read the state of the machine at one instant. What it does not report stays absent.

`root` is where /proc, /sys and /system are: "/" except in tests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from device_agent.machine.android import read_battery_level, read_heat
from latlab.v1.common_pb2 import Conditions

CPUS = "sys/devices/system/cpu"
_STEAL_COLUMN = 8  # of a cpu line in /proc/stat, proc(5)
_MAX_COUNT = (1 << 63) - 1
_PLAUSIBLE_C = (-40.0, 150.0)  # disabled sensors report nonsense far outside


def read_text(path: Path) -> str | None:
    """Return a file's text without the trailing newline or NUL, or None if it is unreadable."""
    try:
        return path.read_text(errors="replace").strip(" \n\0") or None
    except OSError:
        return None


def read_count(path: Path) -> int | None:
    """Return a whole number from 0 to 2^63 - 1 in a file, or None."""
    number = read_int(path)
    return number if number is not None and 0 <= number <= _MAX_COUNT else None


def read_int(path: Path) -> int | None:
    try:
        return int(read_text(path) or "")
    except ValueError:
        return None


def read_conditions(root: Path, cpus: Sequence[int]) -> Conditions:
    """Return the conditions now; `cpus` are those that the visit is pinned to."""
    frequency = [root / CPUS / f"cpu{cpu}" / "cpufreq" for cpu in cpus]
    clocks_khz = _known(read_count(policy / "scaling_cur_freq") for policy in frequency)
    temperature_c, throttled = _heat(root)
    governors = {read_text(policy / "scaling_governor") for policy in frequency} - {None}
    return Conditions(
        unix_ns=time.time_ns(),
        temperature_c=temperature_c,
        clock_khz=sum(clocks_khz) // len(clocks_khz) if clocks_khz else None,
        governor="+".join(sorted(filter(None, governors))) or None,
        battery_level=_battery_level(root),
        load_1min=_load_1min(root),
        steal_ns=_steal_ns(root, cpus),
        throttled=throttled,
    )


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _heat(root: Path) -> tuple[float | None, bool | None]:
    """Return the hottest temperature and whether the processor is throttled.

    Many phones hide /sys/class/thermal from adb's shell: there Android's own service is asked.
    """
    temperature_c, throttled = _hottest_zone_c(root), _throttled(root)
    if temperature_c is None:
        heat = read_heat(root)
        temperature_c = _hottest_c(heat.temperatures_c)
        throttled = heat.throttled if throttled is None else throttled
    return temperature_c, throttled


def _hottest_zone_c(root: Path) -> float | None:
    zones = (root / "sys/class/thermal").glob("thermal_zone*/temp")
    return _hottest_c(millidegrees / 1000 for millidegrees in _known(map(read_int, zones)))


def _hottest_c(celsius: Iterable[float]) -> float | None:
    low, high = _PLAUSIBLE_C
    return max((value for value in celsius if low < value < high), default=None)


def _battery_level(root: Path) -> float | None:
    for supply in sorted((root / "sys/class/power_supply").glob("*")):
        percent = read_count(supply / "capacity")
        if read_text(supply / "type") == "Battery" and percent is not None and percent <= 100:
            return percent / 100
    return read_battery_level(root)


def _load_1min(root: Path) -> float | None:
    try:
        return float((read_text(root / "proc/loadavg") or "").split()[0])
    except (IndexError, ValueError):
        return None


def _steal_ns(root: Path, cpus: Sequence[int]) -> int | None:
    """Return the time stolen from `cpus` since boot."""
    names = {f"cpu{cpu}" for cpu in cpus}
    lines = [line.split() for line in (read_text(root / "proc/stat") or "").splitlines()]
    try:
        ticks = [int(line[_STEAL_COLUMN]) for line in lines if line and line[0] in names]
    except (IndexError, ValueError):
        return None
    steal_ns = sum(ticks) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return steal_ns if ticks and 0 <= steal_ns <= _MAX_COUNT else None


def _throttled(root: Path) -> bool | None:
    """Return whether the kernel holds a processor back to cool it."""
    states = [
        read_int(device / "cur_state")
        for device in (root / "sys/class/thermal").glob("cooling_device*")
        if any(word in (read_text(device / "type") or "").lower() for word in ("cpu", "processor"))
    ]
    known = _known(states)
    return any(state > 0 for state in known) if known else None
