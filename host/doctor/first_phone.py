"""`latlab doctor --first-phone`: try everything that a phone must do, on a first real phone.

The log is meant to be sent to others: it holds no token, no phone's serial and no user's name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from host.doctor.finding import Finding
from host.doctor.phones import phone_serials, serials_of
from host.home.paths import LabHome
from host.measuring.kernel_times import kernel_times_ns
from host.measuring.statistics import summarize
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.checks.text import visible
from latlab.domain.device import DeviceState, DeviceStatus, TransportKind
from latlab.domain.errors import LabError, TraceMismatch
from latlab.domain.estimate import milliseconds_text
from latlab.domain.failure import Failure
from latlab.domain.program import ProgramFile

PLUG_TIMEOUT_S = 600.0
POLL_S = 0.2


class NotAccepted(LabError):
    """The phone has not done something that a phone must do."""


class Log:
    """Shows each line to a person, and writes it to a file without names of phone and user."""

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        self._path = path
        self._show = show
        self._start_s = time.monotonic()
        self._hidden = {str(Path.home()): "~"}
        path.write_text("")

    def hide_phones(self, serials: Iterable[str]) -> None:
        """Write "PHONE" in place of these serials to the file from now on."""
        self._hidden |= {visible(serial): "PHONE" for serial in serials}

    def __call__(self, line: str) -> None:
        """Show a line, and write it to the file."""
        self._show(line)
        line = visible(line)
        for text in sorted(self._hidden, key=len, reverse=True):  # one may hold another
            line = line.replace(text, self._hidden[text])
        with self._path.open("a") as file:
            file.write(f"{time.monotonic() - self._start_s:8.1f} s  {line}\n")


def begin(
    path: Path, show: Callable[[str], None], home: LabHome, findings: Iterable[Finding]
) -> Log:
    """Begin a log with the doctor's findings, which may be about phones that are plugged in."""
    log = Log(path, show)
    log.hide_phones(phone_serials(home))
    for finding in findings:
        log(f"{finding.check}: {finding.level.value}: {finding.found} {finding.fix}".strip())
    return log


def accept(
    client: LatencyClient, program: ProgramFile, log: Log, spec: BenchmarkSpec | None = None
) -> None:
    """Take a phone through its acceptance.

    The lab must be up. A person plugs the phone in when the log asks for it, and pulls it out
    and plugs it in again while it measures.

    Args:
        client: The lab.
        program: The program to measure.
        log: Shows what to do and what has happened.
        spec: How to measure; by default as usual.

    Raises:
        NotAccepted: The phone has not done something that a phone must do.
        LabError: The lab does not answer.
    """
    log("Plug in one phone, with USB debugging allowed.")
    status = _wait(client, log, _is_there)
    device = status.device
    if device is None:
        raise NotAccepted("the phone is connected, but its agent has not described it")
    log(f"identified: {device.model}, {device.soc}, {device.os_build}, {device.abi}")
    for core_class in device.core_classes:
        log(f"  {core_class.name}: {len(core_class.cpus)} cores, {core_class.max_clock_khz} kHz")
    log(f"pushed and started: runtime {device.runtime_version}, runner {device.runner_build}")
    now = client.conditions(status.transport)
    heat = f"{now.temperature_c} °C, throttled {now.throttled}"
    log(f"  {heat if now.heat_is_known else 'heat unknown'}")
    log(f"  governor {now.governor}, battery {now.battery_level}")

    target = _single_threaded(client, status)
    spec = spec or BenchmarkSpec()
    first_ns = _measured(client, client.measure(target, [program], spec, fresh=True), program, log)

    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(client.measure, target, [program], spec, fresh=True)
        log("Measuring again. Pull the cable out now.")
        _wait(client, log, lambda now: now.state.phase.is_away, status.transport)
        log("Plug it in again, within two minutes.")
        back = _wait(client, log, _is_there, status.transport)
        if back.device != device:
            raise NotAccepted("the phone came back as another device")
        second_ns = _measured(client, again.result(), program, log)
    log(f"came back as itself; the second latency is {second_ns / first_ns:.3f} of the first")
    log("accepted")


def _single_threaded(client: LatencyClient, status: DeviceStatus) -> str:
    """Return the name of the device's target of one thread on its last core class."""
    single = {entry.target.name for entry in client.targets() if entry.target.threads == 1}
    return next(name for name in reversed(status.targets) if name in single)


def _measured(
    client: LatencyClient, outcomes: list[Outcome], program: ProgramFile, log: Log
) -> float:
    """Log the measurement and its trace, and return its latency in ns. Raises NotAccepted."""
    [outcome] = outcomes
    if isinstance(outcome, Failure):
        raise NotAccepted(f"the program was not measured: {outcome.kind.value}: {outcome.message}")
    visits = client.measurement(outcome.measurement_id).visits
    summary = summarize(visits)
    if summary is None:
        raise NotAccepted("no visit of the measurement was clean")
    low, latency, high = map(
        milliseconds_text, (summary.lower_ns, summary.latency_ns, summary.upper_ns)
    )
    log(f"measured: {latency} ms ({low} to {high}), {summary.raw.visits_text} visits clean")
    log(f"median, p90 and p99 of all runs: {summary.raw.quantiles_text}")
    try:
        kernel_ns = kernel_times_ns(program.program, list(visits))
    except TraceMismatch as error:
        raise NotAccepted(f"the trace does not fit the program: {error}") from error
    if kernel_ns is None:
        raise NotAccepted("no visit of the measurement was traced")
    log(f"traced: {len(kernel_ns)} kernels, {milliseconds_text(sum(kernel_ns))} ms together")
    return summary.latency_ns


def _is_there(status: DeviceStatus) -> bool:
    return status.device is not None and not status.state.phase.is_away


def _wait(
    client: LatencyClient,
    log: Log,
    condition: Callable[[DeviceStatus], bool],
    transport: str | None = None,
) -> DeviceStatus:
    """Wait for a phone that meets the condition, and log what happens to phones meanwhile.

    Args:
        client: The lab.
        log: The log.
        condition: What the phone must be like.
        transport: The phone's transport; None for any phone.

    Raises:
        NotAccepted: No phone met the condition in PLUG_TIMEOUT_S.
    """
    deadline_s = time.monotonic() + PLUG_TIMEOUT_S
    states: dict[str, DeviceState] = {}
    while time.monotonic() < deadline_s:
        statuses = client.devices()
        log.hide_phones(serials_of(statuses))
        for status in statuses:
            name = status.transport
            if status.transport_kind is not TransportKind.ADB or transport not in (None, name):
                continue
            if states.get(name) != status.state:
                states[name] = status.state
                log(f"  {name}: {status.state}")
            if condition(status):
                return status
        time.sleep(POLL_S)
    seen = ", ".join(map(str, states.values())) or "adb knows no phone"
    raise NotAccepted(f"no phone did what the log asks for in {PLUG_TIMEOUT_S:g} s: {seen}")
