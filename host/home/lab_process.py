"""Bring the lab up in the background, and down again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from host.home.installed import is_outdated
from host.home.listening import remembered_address
from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.common.background_process import POLL_S, start_and_wait
from latlab.domain.device import DevicePhase

START_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 30.0
UPGRADE_PATIENCE_S = 120.0  # for jobs that are being measured
STOP_TIMEOUT_S = 20.0


def up(home: LabHome, say: Callable[[str], None] = lambda message: None) -> bool:
    """Start the daemon unless it runs, and wait until its devices have answered.

    If the daemon, this machine's agent or its runner is older than what is installed, or the lab
    is to listen elsewhere, they are restarted once the lab has nothing to measure. After
    UPGRADE_PATIENCE_S they stay as they are.

    Args:
        home: The lab's folder.
        say: Is called with what a person should know meanwhile.

    Returns:
        Whether this call has started or restarted it.

    Raises:
        LabError: The daemon did not start. The message holds its last line of output.
    """
    has_started = LockedProcess(home.daemon_file, home.lock_file).info() is None
    if has_started:
        _start(home)
    with LatencyClient.connect(home.root) as client:
        _wait_for_devices(client)
        reason = _reason_to_restart(home)
        if reason is None or not _is_idle_in_time(client, reason, say):
            return has_started
    say(f"{reason}: it restarts.")
    down(home)
    _start(home)
    with LatencyClient.connect(home.root) as client:
        _wait_for_devices(client)
    return True


def _start(home: LabHome) -> None:
    home.create()
    start_and_wait(
        "the lab",
        [sys.executable, "-m", "host.daemon"],
        home.log_file,
        LockedProcess(home.daemon_file, home.lock_file).serves_as,
        START_TIMEOUT_S,
        {"LATLAB_HOME": str(home.root)},
    )


def down(home: LabHome) -> bool:
    """Stop the daemon and what it started. Returns False if it did not run."""
    return LockedProcess(home.daemon_file, home.lock_file).stop(STOP_TIMEOUT_S)


def process_id(home: LabHome) -> int | None:
    """Return the daemon's process id; None if it does not run. Raises StorageError."""
    info = LockedProcess(home.daemon_file, home.lock_file).info()
    return None if info is None else info["pid"]


def metrics_address(home: LabHome) -> str:
    """Return the address of the running daemon's metrics; "" if there is none."""
    info = LockedProcess(home.daemon_file, home.lock_file).info() or {}
    return str(info.get("metrics", ""))


def listening_address(home: LabHome) -> str | None:
    """Return where the running daemon listens beyond loopback; None if it does not."""
    info = LockedProcess(home.daemon_file, home.lock_file).info()
    return None if info is None else info.get("listen")


def _reason_to_restart(home: LabHome) -> str | None:
    if is_outdated(home):
        return "The lab was started from another version"
    if listening_address(home) != remembered_address(home):
        return "The lab is to listen elsewhere"
    return None


def _is_idle_in_time(client: LatencyClient, reason: str, say: Callable[[str], None]) -> bool:
    """Wait until no device has anything to measure. Returns False if that takes too long."""
    if not _is_measuring(client):
        return True
    say(f"{reason}: it restarts when its jobs have ended.")
    deadline_s = time.monotonic() + UPGRADE_PATIENCE_S
    while time.monotonic() < deadline_s:
        if not _is_measuring(client):
            return True
        time.sleep(POLL_S)
    say("It still measures, so it stays as it is: run `latlab lab up` again later.")
    return False


def _is_measuring(client: LatencyClient) -> bool:
    return any(
        status.queued_jobs
        and (status.state.phase.is_at_work or status.state.phase is DevicePhase.COOLING)
        for status in client.devices()
    )


def _wait_for_devices(client: LatencyClient) -> None:
    """Wait until every device is connected or has been given up."""
    deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
    while time.monotonic() < deadline_s:
        phases = {status.state.phase for status in client.devices()}
        if DevicePhase.CONNECTING not in phases:
            return
        time.sleep(POLL_S)
