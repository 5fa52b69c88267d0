"""The lab's own machine as a device: its agent is a process beside the daemon."""

from __future__ import annotations

import sys
from pathlib import Path

from host.agent.client import AgentClient
from host.home.paths import RUNNER_FIX
from host.home.processes import LockedProcess
from latlab.common.background_process import start_and_wait
from latlab.domain.device import TransportKind
from latlab.domain.errors import Unavailable

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class LocalTransport:
    """Starts this machine's agent, or takes over one that outlived its daemon.

    Such an agent may hold results that nobody has fetched yet.
    """

    kind = TransportKind.LOCAL
    name = "local"
    address = ""
    shares_host = True  # measuring and the daemon's own work disturb each other
    patience_s = 0.0  # waiting does not help an agent that does not start here

    def __init__(self, state_dir: Path, runner: Path) -> None:
        self._state_dir = state_dir
        self._runner = runner
        self._process = LockedProcess(state_dir / "agent.json", state_dir / "lock")

    def connect(self) -> AgentClient:
        """Return a client of this machine's agent. Raises Unavailable if none answers in time."""
        if self._process.info() is not None:
            try:
                return self._client()
            except Unavailable:
                self.stop()
        self._start()
        return self._client()

    def stop(self) -> None:
        """End this machine's agent, and with it its runner."""
        self._process.stop(STOP_TIMEOUT_S)

    def _start(self) -> None:
        if not self._runner.is_file():
            raise Unavailable(f"there is no runner at {self._runner}: `{RUNNER_FIX}` brings it")
        self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "device_agent"]
        command += [f"--state-dir={self._state_dir}", f"--runner={self._runner}"]
        log_file = self._state_dir / "agent.log"
        start_and_wait(
            "this machine's agent", command, log_file, self._process.serves_as, START_TIMEOUT_S
        )

    def _client(self) -> AgentClient:
        info = self._process.info() or {}
        token = (self._state_dir / "token").read_text().strip()
        client = AgentClient(f"127.0.0.1:{info.get('port', 0)}", token)
        client.describe()
        return client
