"""The lab's own machine: its runner, ports, processor and disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from host.doctor.finding import CALL_TIMEOUT_S, Finding, Level
from host.home.config import load_config
from host.home.paths import LabHome
from latlab.domain.errors import LabError

STEAL_SAMPLE_S = 1.0
MAX_STEAL = 0.01
MAX_LOAD_PER_CORE = 0.25
MIN_FREE_BYTES = 1 << 30


def check_runner(home: LabHome) -> Iterator[Finding]:
    try:
        told = subprocess.run(
            [home.runner, "--version"], capture_output=True, timeout=CALL_TIMEOUT_S, check=True
        ).stdout
        version = json.loads(told)["runtime_version"]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        yield Finding("runner", Level.WRONG, f"{home.runner}: {error}", "make runner")
    else:
        yield Finding("runner", Level.OK, f"{home.runner}, runtime {version}")


def check_loopback(home: LabHome) -> Iterator[Finding]:
    """The daemon and every agent that is not a board listen there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reached = is_listened_on(port)
    if reached:
        yield Finding("ports", Level.OK, "127.0.0.1 can be listened on and reached")
    else:
        mend = "let 127.0.0.1 through the firewall"
        yield Finding("ports", Level.WRONG, "127.0.0.1 cannot be reached", mend)


def check_processor(home: LabHome) -> Iterator[Finding]:
    clock = read(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
    slow = clock in ("hpet", "acpi_pm", "jiffies")
    mend = "boot with clocksource=tsc: reading the time is slow" if slow else ""
    level = Level.WARNING if slow else Level.OK
    yield Finding("clock", level, clock or "not told", mend)

    cpus = Path("/sys/devices/system/cpu")
    governors = {read(path) for path in cpus.glob("cpu*/cpufreq/scaling_governor")} - {""}
    steady = governors <= {"performance"}
    yield Finding(
        "governor",
        Level.OK if steady else Level.WARNING,
        ", ".join(sorted(governors)) or "not told, as on virtual machines",
        "" if steady else "cpupower frequency-set --governor performance",
    )
    cores = os.cpu_count() or 1
    load_1min = os.getloadavg()[0]
    busy = load_1min > MAX_LOAD_PER_CORE * cores
    mend = "leave the machine alone while it measures" if busy else ""
    level = Level.WARNING if busy else Level.OK
    yield Finding("load", level, f"{load_1min:.2f} on {cores} cores", mend)

    before, all_before = _steal_and_all_ticks()
    time.sleep(STEAL_SAMPLE_S)
    after, all_after = _steal_and_all_ticks()
    steal = (after - before) / max(1, all_after - all_before)
    stolen = steal > MAX_STEAL
    mend = "measure on another machine, or when its neighbours are quiet" if stolen else ""
    yield Finding("steal", Level.WARNING if stolen else Level.OK, f"{steal:.1%}", mend)


def check_state(home: LabHome) -> Iterator[Finding]:
    if not os.path.lexists(home.root):
        yield Finding("state", Level.WARNING, f"no {home.root} yet", "make lab-up")
        return
    if not home.root.is_dir():  # a dangling link included
        mend = "set LATLAB_HOME to a folder"
        yield Finding("state", Level.WRONG, f"{home.root} is no folder", mend)
        return
    free_bytes = shutil.disk_usage(home.root).free
    full = free_bytes < MIN_FREE_BYTES
    found = f"{home.root}: {free_bytes / 2**30:.1f} GiB free"
    mend = "free a GiB: measurements are kept here" if full else ""
    yield Finding("disk", Level.WRONG if full else Level.OK, found, mend)
    if not os.access(home.root, os.W_OK):
        mend = f"give {home.root} to this user: chown -R"
        yield Finding("state", Level.WRONG, f"{home.root} cannot be written to", mend)
    for secret in (home.token_file, *home.boards.glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(secret.stat().st_mode) & 0o077:
                found = f"others can read {secret}"
                yield Finding("state", Level.WRONG, found, f"chmod 600 {secret}")
    try:
        load_config(home.config_file)
    except LabError as error:
        yield Finding("lab.toml", Level.WRONG, str(error), "correct it: the lab does not start")


def is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(CALL_TIMEOUT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def read(path: Path) -> str:
    """Empty where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _steal_and_all_ticks() -> tuple[int, int]:
    """Of all processors since boot, proc(5)."""
    ticks = [int(word) for word in read(Path("/proc/stat")).partition("\n")[0].split()[1:9]]
    return ticks[7], sum(ticks)
