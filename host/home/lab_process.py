"""Bring the lab up in the background, and down again."""

from __future__ import annotations

import sys
import time

from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.common.background_process import POLL_S, start_and_wait
from latlab.domain.device import DevicePhase

START_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


def up(home: LabHome) -> bool:
    """Start the daemon unless it runs, and wait until its devices have answered.

    Returns:
        Whether this call has started it.

    Raises:
        LabError: The daemon did not start. The message holds its last line of output.
    """
    process = LockedProcess(home.daemon_file, home.lock_file)
    is_down = process.info() is None
    if is_down:
        home.create()
        start_and_wait(
            "the lab",
            [sys.executable, "-m", "host.daemon"],
            home.log_file,
            process.serves_as,
            START_TIMEOUT_S,
            {"LATLAB_HOME": str(home.root)},
        )
    with LatencyClient.connect(home.root) as client:
        _wait_for_devices(client)
    return is_down


def down(home: LabHome) -> bool:
    """Stop the daemon and what it started. Returns False if it did not run."""
    return LockedProcess(home.daemon_file, home.lock_file).stop(STOP_TIMEOUT_S)


def _wait_for_devices(client: LatencyClient) -> None:
    """Wait until every device is connected or has been given up."""
    deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
    while time.monotonic() < deadline_s:
        phases = {status.state.phase for status in client.devices()}
        if DevicePhase.CONNECTING not in phases:
            return
        time.sleep(POLL_S)
