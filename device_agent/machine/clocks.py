"""Steady clocks while a visit runs, on phones whose agent may set them: rooted ones.

Elsewhere nothing is tried: a computer's clocks are its owner's. Conditions tell the governor
and the clock that a visit had, whichever way.

`root` is where /sys and /system are, "/" but in tests.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from device_agent.machine.android import is_android
from device_agent.machine.conditions import read_text
from latlab.common.files import replacing

# In the order in which a kernel takes them, for a lowest clock may never be above the highest.
_FIELDS = ("scaling_max_freq", "scaling_min_freq", "scaling_governor")

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def steady(root: Path, cpus: Sequence[int], saved: Path) -> Iterator[None]:
    """Meanwhile `cpus` run at their highest clock. What they were set to is in the file
    `saved` first, so that `restore` finds it even after a crash. Raises OSError where that
    cannot be written; what the kernel refuses is left as it is, and logged."""
    policies = sorted(
        {(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq").resolve() for cpu in cpus}
    )
    settings = {
        str(policy / field): value
        for policy in policies
        for field in reversed(_FIELDS)
        if os.access(policy / field, os.W_OK) and (value := read_text(policy / field)) is not None
    }
    if not settings or not is_android(root):
        yield
        return
    with replacing(saved, mode=0o600) as draft:
        draft.write_bytes(json.dumps(settings).encode())
    try:
        for policy in policies:
            highest_khz = read_text(policy / "cpuinfo_max_freq")
            for field in _FIELDS:
                steady_value = "performance" if field == "scaling_governor" else highest_khz
                if str(policy / field) in settings and steady_value is not None:
                    _set(policy / field, steady_value)
        yield
    finally:
        restore(saved)


def restore(saved: Path) -> None:
    """What the file holds, where there is one: an agent ended while a visit ran. A file that
    makes no sense is forgotten."""
    text = read_text(saved)
    if text is not None:
        with contextlib.suppress(ValueError, AttributeError):
            for path, value in json.loads(text).items():
                _set(Path(path), str(value))
    saved.unlink(missing_ok=True)


def _set(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except OSError as error:
        _log.warning("%s stays as it is: %s", path, error)
