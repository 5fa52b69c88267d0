"""Hold clocks steady while a visit runs, on rooted phones, whose agent may set them.

Other machines' clocks are left alone. Conditions report the governor and the clock of each visit
either way. `root` is where /sys and /system are: "/" except in tests.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from device_agent.machine.android import is_android
from device_agent.machine.conditions import CPUS, read_text
from latlab.common.files import replacing

# In the order in which a kernel takes them, for a lowest clock may never be above the highest.
_FIELDS = ("scaling_max_freq", "scaling_min_freq", "scaling_governor")

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def steady(root: Path, cpus: Sequence[int], saved: Path) -> Iterator[None]:
    """Run `cpus` at their highest clock inside the `with` block.

    The settings before are written to the file `saved` first, so that `restore` finds them even
    after a crash. Settings that the kernel refuses are left as they are, and logged. Raises OSError
    if the file cannot be written.
    """
    policies = sorted({(root / CPUS / f"cpu{cpu}/cpufreq").resolve() for cpu in cpus})
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
    """Restore the settings in a file that an agent left if it ended during a visit.

    A file that cannot be understood is removed.
    """
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
