"""Check the daemon and each of its devices."""

from __future__ import annotations

import time
from collections.abc import Iterator

from host.doctor.finding import Finding, Level
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.device import DevicePhase, DeviceStatus
from latlab.domain.errors import LabError, Unavailable

MAX_SKEW_S = 60.0
MAX_TEMPERATURE_C = 60.0
MIN_BATTERY = 0.2


def check_daemon(home: LabHome) -> Iterator[Finding]:
    """Check that the daemon runs and that its devices serve."""
    try:
        with LatencyClient.connect(home.root) as client:
            statuses = client.devices()
            yield Finding("daemon", Level.OK, f"it serves {len(statuses)} devices")
            for status in statuses:
                yield device_finding(client, status)
    except Unavailable as error:
        yield Finding("daemon", Level.WARNING, str(error), f"make lab-up; see {home.log_file}")


def device_finding(client: LatencyClient, status: DeviceStatus) -> Finding:
    """Return what is wrong with a device: its state, clock, heat, battery or confinement."""
    name = status.transport
    if status.device is None or status.state.phase.is_trouble:
        fix = "do as it says; the lab tries again by itself"
        return Finding(name, Level.WRONG, str(status.state), fix)
    if status.state.phase is DevicePhase.SPARE:
        return Finding(name, Level.OK, str(status.state))
    try:
        now = client.conditions(name)
    except LabError as error:
        return Finding(name, Level.WRONG, str(error), "plug it in again, or restart its agent")
    skew_s = abs(now.unix_ns - time.time_ns()) / 1e9
    found = [str(status.state), f"clock {skew_s:.0f} s off"]
    fixes = []
    if not status.device.confinement:
        found.append("programs run unconfined: no seccomp and no Landlock")
        fixes.append("measure only programs that you trust on it")
    if skew_s > MAX_SKEW_S:
        fixes.append("set its clock")
    if now.temperature_c is not None:
        found.append(f"{now.temperature_c:.0f} °C")
        if now.temperature_c > MAX_TEMPERATURE_C or now.throttled:
            fixes.append("let it cool")
    if now.battery_level is not None:
        found.append(f"battery {now.battery_level:.0%}")
        if now.battery_level < MIN_BATTERY:
            fixes.append("charge it")
    if now.governor is not None:
        found.append(now.governor)
    level = Level.WARNING if fixes else Level.OK
    return Finding(name, level, ", ".join(found), " and ".join(fixes))
