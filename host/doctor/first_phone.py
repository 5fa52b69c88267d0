"""`latlab doctor --first-phone`: a first real phone, taken through all that a phone must do.

Its log is for sending: it holds no token, and neither the phone's serial nor the user's home.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from host.measuring.kernel_times import kernel_times_ns
from host.measuring.statistics import summarize
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import DeviceStatus
from latlab.domain.errors import TraceMismatch
from latlab.domain.failure import Failure
from latlab.domain.program import ProgramFile

PLUG_TIMEOUT_S = 600.0
POLL_S = 0.2
AWAY = ("connecting", "lost")


class NotAccepted(Exception):
    """What the phone did not do."""


class Log:
    """Every line goes to a person and, without what names phone or user, into a file."""

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        self._path = path
        self._show = show
        self._start_s = time.monotonic()
        self._hidden = {str(Path.home()): "~"}
        path.write_text("")

    def hide(self, text: str, instead: str) -> None:
        self._hidden[text] = instead

    def __call__(self, line: str) -> None:
        self._show(line)
        for text, instead in self._hidden.items():
            line = line.replace(text, instead)
        with self._path.open("a") as file:
            file.write(f"{time.monotonic() - self._start_s:8.1f} s  {line}\n")


def accept(
    client: LatencyClient, program: ProgramFile, log: Log, spec: BenchmarkSpec | None = None
) -> None:
    """The lab is up; the phone is plugged in when asked, and pulled out and plugged in again
    while it measures. Raises NotAccepted, and LabError where the lab does not answer."""
    log("Plug in one phone, with USB debugging allowed.")
    status = _wait(client, log, _is_there)
    device = status.device
    if device is None:
        raise NotAccepted("it is connected and not described")
    log.hide(device.serial, "PHONE")
    log(f"identified: {device.model}, {device.soc}, {device.os_build}, {device.abi}")
    for core_class in device.core_classes:
        log(f"  {core_class.name}: {len(core_class.cpus)} cores, {core_class.max_clock_khz} kHz")
    log(f"pushed and started: runtime {device.runtime_version}, runner {device.runner_build}")
    now = client.conditions(status.transport)
    log(f"  {now.temperature_c} °C, governor {now.governor}, battery {now.battery_level}")

    target = next(name for name in reversed(status.targets) if name.endswith("/1t"))
    spec = spec or BenchmarkSpec()
    first_ns = _measured(client, client.measure(target, [program], spec, fresh=True), program, log)

    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(client.measure, target, [program], spec, fresh=True)
        log("Measuring again. Pull the cable out now.")
        _wait(client, log, lambda now: now.state.startswith(AWAY), status.transport)
        log("Plug it in again, within two minutes.")
        back = _wait(client, log, _is_there, status.transport)
        if back.device != device:
            raise NotAccepted("it came back as another device")
        second_ns = _measured(client, again.result(), program, log)
    log(f"came back as itself; the second latency is {second_ns / first_ns:.3f} of the first")
    log("accepted")


def _measured(
    client: LatencyClient, outcomes: list[Outcome], program: ProgramFile, log: Log
) -> float:
    """Its latency. Raises NotAccepted."""
    [outcome] = outcomes
    if isinstance(outcome, Failure):
        raise NotAccepted(f"not measured: {outcome.kind.value}: {outcome.message}")
    visits = client.measurement(outcome.measurement_id).visits
    summary = summarize(visits)
    if summary is None:
        raise NotAccepted("no visit was clean")
    low_ms, latency_ms, high_ms = (
        ns / 1e6 for ns in (summary.lower_ns, summary.latency_ns, summary.upper_ns)
    )
    log(f"measured: {latency_ms:.3f} ms ({low_ms:.3f} to {high_ms:.3f}), {summary.visits} visits")
    try:
        kernel_ns = kernel_times_ns(program.program, list(visits))
    except TraceMismatch as error:
        raise NotAccepted(f"its trace does not fit the program: {error}") from error
    if kernel_ns is None:
        raise NotAccepted("it was not traced")
    log(f"traced: {len(kernel_ns)} kernels, {sum(kernel_ns) / 1e6:.3f} ms together")
    return summary.latency_ns


def _is_there(status: DeviceStatus) -> bool:
    return status.device is not None and not status.state.startswith(AWAY)


def _wait(
    client: LatencyClient,
    log: Log,
    condition: Callable[[DeviceStatus], bool],
    transport: str | None = None,
) -> DeviceStatus:
    """For the phone of that transport, else any. What becomes of phones meanwhile is logged."""
    deadline_s = time.monotonic() + PLUG_TIMEOUT_S
    states: dict[str, str] = {}
    while time.monotonic() < deadline_s:
        for status in client.devices():
            name = status.transport
            if not name.startswith("adb:") or transport not in (None, name):
                continue
            if states.get(name) != status.state:
                states[name] = status.state
                log.hide(name.removeprefix("adb:"), "PHONE")
                log(f"  {name}: {status.state}")
            if condition(status):
                return status
        time.sleep(POLL_S)
    raise NotAccepted(
        f"waited {PLUG_TIMEOUT_S:g} s in vain: {states or 'no phone is known to adb'}"
    )
