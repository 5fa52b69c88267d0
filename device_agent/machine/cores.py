"""Which cores visits can be pinned to, now and at all.

`root` is where /sys is, "/" but in tests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from pathlib import Path

from device_agent.machine.conditions import CPUS, read_count, read_text
from latlab.domain.errors import Unavailable

WAIT_S = 10.0  # phones take idle cores offline for seconds
POLL_S = 0.1


class CoresMissing(Unavailable):
    """Cores that a visit needs are offline, or were taken from the agent."""


def pinnable_cpus(root: Path, allowed: Collection[int]) -> set[int]:
    """Return the numbers of the cores that visits may ask for.

    These are the cores that this process may use, `allowed`, and those that are offline now
    and may come back, where their speed is known.
    """
    present = _read_list(root / CPUS / "present")
    online = _read_list(root / CPUS / "online")
    offline = present - online if online else set()
    return {*allowed, *(cpu for cpu in offline if read_speed(root, cpu))}


def read_speed(root: Path, cpu: int) -> int:
    """Return a number that grows with the core's speed, or 0 where it is not known."""
    core = root / CPUS / f"cpu{cpu}"
    capacity = read_count(core / "cpu_capacity")
    return capacity or read_count(core / "cpufreq/cpuinfo_max_freq") or 0


def require(cpus: Collection[int], may_go_on: Callable[[], bool]) -> None:
    """Wait until a thread can be pinned to every one of `cpus`, for up to WAIT_S.

    Raises:
        CoresMissing: Some of the cores stayed away, or `may_go_on` returned False.
    """
    deadline_s = time.monotonic() + WAIT_S
    while missing := missing_cpus(cpus):
        if time.monotonic() > deadline_s or not may_go_on():
            raise CoresMissing(
                f"the cores {_text(missing)} are offline, or this agent may not use them: bring"
                " them online, and leave them in the agent's cpuset"
            )
        time.sleep(POLL_S)


def missing_cpus(cpus: Collection[int]) -> set[int]:
    """Return those of `cpus` to which the calling thread cannot be pinned now.

    The kernel leaves out without an error what is offline or outside of the cpuset, so the
    thread is pinned and looks at where it may run.
    """
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
        return set(cpus) - os.sched_getaffinity(0)
    except OSError:  # none of them can be used
        return set(cpus)
    finally:
        os.sched_setaffinity(0, before)


def _read_list(path: Path) -> set[int]:
    """Return the numbers in a list such as "0-3,6"; none where it makes no sense."""
    cpus: set[int] = set()
    try:
        for part in (read_text(path) or "").split(","):
            first, _, last = part.partition("-")
            cpus |= set(range(int(first), min(int(last or first), 4096) + 1))
    except ValueError:
        return set()
    return cpus


def _text(cpus: Collection[int]) -> str:
    return ", ".join(map(str, sorted(cpus)))
