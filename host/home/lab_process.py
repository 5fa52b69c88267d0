"""Bringing the lab up in the background, and down again."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.common.files import storing
from latlab.common.waiting import POLL_S, Start, wait_for_start
from latlab.domain.errors import LabError, Unavailable

START_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


def up(home: LabHome) -> bool:
    """Starts the daemon unless it runs, and waits until its devices have answered. True when
    it was started by this call. Raises LabError with the daemon's own last word."""
    process = LockedProcess(home.daemon_file, home.lock_file)
    started = process.info() is None
    if started:
        _start(home, process)
    with LatencyClient.connect(home.root) as client:
        _wait_for_devices(client)
    return started


def down(home: LabHome) -> bool:
    """Stops the daemon and what it started. False when it did not run."""
    return LockedProcess(home.daemon_file, home.lock_file).stop(STOP_TIMEOUT_S)


def _start(home: LabHome, process: LockedProcess) -> None:
    home.create()
    with storing(home.log_file), home.log_file.open("ab") as log:
        log_start = log.tell()
        daemon = subprocess.Popen(
            [sys.executable, "-m", "host.daemon"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "LATLAB_HOME": str(home.root)},
        )
    started = wait_for_start(
        daemon, lambda: (process.info() or {}).get("pid") == daemon.pid, START_TIMEOUT_S
    )
    if started is Start.ENDED:
        with home.log_file.open("rb") as log:
            log.seek(log_start)
            lines = log.read().decode(errors="replace").strip().splitlines()
        said = lines[-1].split(" ERROR ")[-1] if lines else "it said nothing"
        raise LabError(f"the lab could not start: {said} (log: {home.log_file})")
    if started is Start.TOO_SLOW:
        raise Unavailable(f"the lab was not up in {START_TIMEOUT_S:g} s: {home.log_file}")


def _wait_for_devices(client: LatencyClient) -> None:
    """Until every device is connected or has been given up."""
    deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if all(status.state != "connecting" for status in client.devices()):
            return
        time.sleep(POLL_S)
