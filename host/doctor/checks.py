"""`latlab doctor`: find what prevents measuring, and say how to fix it. It changes nothing.

Each check is a function from the lab's home to findings. Its calls have deadlines of their own,
and the doctor gives the whole check up after CHECK_TIMEOUT_S.
"""

from __future__ import annotations

import queue
import threading

from host.doctor.daemon import check_daemon
from host.doctor.finding import Check, Finding, Level
from host.doctor.machine import check_loopback, check_processor, check_runner, check_state
from host.doctor.measurements import check_measurements
from host.doctor.phones import check_adb, check_bundle, check_phones, check_usb
from host.home.paths import LabHome
from latlab.domain.errors import LabError

CHECK_TIMEOUT_S = 20.0

CHECKS: tuple[Check, ...] = (
    check_adb,
    check_usb,
    check_phones,
    check_bundle,
    check_runner,
    check_loopback,
    check_processor,
    check_state,
    check_daemon,
    check_measurements,
)


def examine(home: LabHome) -> list[Finding]:
    """Run all checks of `latlab doctor`, and return their findings in the order of CHECKS."""
    return [finding for check in CHECKS for finding in limited(check, home)]


def limited(check: Check, home: LabHome, timeout_s: float = CHECK_TIMEOUT_S) -> list[Finding]:
    """Return a check's findings. An error, or taking over `timeout_s`, is a finding too."""
    found: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
    name = check.__name__.removeprefix("check_")

    def run() -> None:
        findings = []
        try:
            for finding in check(home):
                findings.append(finding)  # those before an error count too
        except LabError as error:
            findings.append(Finding(name, Level.WRONG, str(error)))
        except Exception as error:
            findings.append(Finding(name, Level.WRONG, f"{type(error).__name__}: {error}"))
        found.put(findings)

    threading.Thread(target=run, daemon=True).start()
    try:
        return found.get(timeout=timeout_s)
    except queue.Empty:
        return [Finding(name, Level.WRONG, f"it did not end in {timeout_s:g} s", "try again")]
