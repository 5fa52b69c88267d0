"""Check the lab's own machine: its runner, ports, processor and disk."""

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
from host.home.paths import RUNNER_FIX, LabHome
from latlab.domain.errors import LabError

STEAL_SAMPLE_S = 1.0
MAX_STEAL = 0.01
MAX_LOAD_PER_CORE = 0.25
MIN_FREE_BYTES = 1 << 30


def check_runner(home: LabHome) -> Iterator[Finding]:
    """Check that the runner is built and starts."""
    try:
        output = subprocess.run(
            [home.runner, "--version"], capture_output=True, timeout=CALL_TIMEOUT_S, check=True
        ).stdout
        version = json.loads(output)["runtime_version"]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        yield Finding("runner", Level.WRONG, f"{home.runner}: {error}", RUNNER_FIX)
    else:
        yield Finding("runner", Level.OK, f"{home.runner}, runtime {version}")


def check_loopback(home: LabHome) -> Iterator[Finding]:
    """Check that 127.0.0.1 can be used: the daemon and most agents listen there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reached = is_listened_on(port)
    if reached:
        yield Finding("ports", Level.OK, "programs can listen on 127.0.0.1 and reach it")
    else:
        fix = "let 127.0.0.1 through the firewall"
        yield Finding("ports", Level.WRONG, "127.0.0.1 cannot be reached", fix)


def check_processor(home: LabHome) -> Iterator[Finding]:
    """Check that clock, governor, load and hypervisor allow steady measurements."""
    clock = read(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
    slow = clock in ("hpet", "acpi_pm", "jiffies")
    fix = "boot with clocksource=tsc: this clock is slow to read" if slow else ""
    level = Level.WARNING if slow else Level.OK
    yield Finding("clock", level, clock or "unknown", fix)

    cpus = Path("/sys/devices/system/cpu")
    governors = {read(path) for path in cpus.glob("cpu*/cpufreq/scaling_governor")} - {""}
    steady = governors <= {"performance"}
    yield Finding(
        "governor",
        Level.OK if steady else Level.WARNING,
        ", ".join(sorted(governors)) or "unknown, as on most virtual machines",
        "" if steady else "cpupower frequency-set --governor performance",
    )
    cores = os.cpu_count() or 1
    load_1min = os.getloadavg()[0]
    busy = load_1min > MAX_LOAD_PER_CORE * cores
    fix = "leave the machine alone while it measures" if busy else ""
    level = Level.WARNING if busy else Level.OK
    yield Finding("load", level, f"{load_1min:.2f} on {cores} cores", fix)

    before, all_before = _steal_and_all_ticks()
    time.sleep(STEAL_SAMPLE_S)
    after, all_after = _steal_and_all_ticks()
    steal = (after - before) / max(1, all_after - all_before)
    stolen = steal > MAX_STEAL
    fix = "measure on another machine, or when its neighbours are quiet" if stolen else ""
    yield Finding("steal", Level.WARNING if stolen else Level.OK, f"{steal:.1%}", fix)


def check_state(home: LabHome) -> Iterator[Finding]:
    """Check the lab's folder: its disk space, its rights, its secrets and lab.toml."""
    if not os.path.lexists(home.root):
        yield Finding("state", Level.WARNING, f"{home.root} does not exist yet", "make lab-up")
        return
    if not home.root.is_dir():  # a dangling link included
        fix = "set LATLAB_HOME to a folder"
        yield Finding("state", Level.WRONG, f"{home.root} is not a folder", fix)
        return
    free_bytes = shutil.disk_usage(home.root).free
    full = free_bytes < MIN_FREE_BYTES
    found = f"{home.root}: {free_bytes / 2**30:.1f} GiB free"
    fix = "free 1 GiB: measurements are kept here" if full else ""
    yield Finding("disk", Level.WRONG if full else Level.OK, found, fix)
    if not os.access(home.root, os.W_OK):
        fix = f"give {home.root} to this user: chown -R"
        yield Finding("state", Level.WRONG, f"{home.root} cannot be written to", fix)
    for secret in (home.token_file, *home.boards.glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(secret.stat().st_mode) & 0o077:
                found = f"others can read {secret}"
                yield Finding("state", Level.WRONG, found, f"chmod 600 {secret}")
    try:
        load_config(home.config_file)
    except LabError as error:
        yield Finding("lab.toml", Level.WRONG, str(error), "correct it: the lab cannot start")


def is_listened_on(port: int) -> bool:
    """Return whether a program listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(CALL_TIMEOUT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def read(path: Path) -> str:
    """Return the file's text without spaces around it; empty if it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _steal_and_all_ticks() -> tuple[int, int]:
    """Return the ticks of all processors since boot: those stolen, and all; see proc(5)."""
    ticks = [int(word) for word in read(Path("/proc/stat")).partition("\n")[0].split()[1:9]]
    return ticks[7], sum(ticks)
