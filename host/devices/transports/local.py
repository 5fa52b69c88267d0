"""This machine's own processor: the agent is a process beside the daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from host.agent.client import AgentClient
from host.home.processes import LockedProcess
from latlab.common.waiting import Start, wait_for_start
from latlab.domain.errors import Unavailable

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class LocalTransport:
    """Starts the agent, or takes over one that outlived its daemon: that one may hold
    results which nobody has fetched yet."""

    name = "local"
    shares_host = True  # measuring and the daemon's own work disturb each other
    patience_s = 0.0  # what does not start here has a cause that waiting will not mend

    def __init__(self, state_dir: Path, runner: Path) -> None:
        self._state_dir = state_dir
        self._runner = runner
        self._process = LockedProcess(state_dir / "agent.json", state_dir / "lock")

    def connect(self) -> AgentClient:
        """Raises Unavailable when no agent answers within the deadline."""
        if self._process.info() is not None:
            try:
                return self._client()
            except Unavailable:
                self.stop()
        self._start()
        return self._client()

    def stop(self) -> None:
        """Ends the agent, and with it its runner."""
        self._process.stop(STOP_TIMEOUT_S)

    def _start(self) -> None:
        if not self._runner.is_file():
            raise Unavailable(f"no runner at {self._runner}: build it with `make runner`")
        self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        log_file = self._state_dir / "agent.log"
        command = [sys.executable, "-m", "device_agent"]
        command += [f"--state-dir={self._state_dir}", f"--runner={self._runner}"]
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started = wait_for_start(
            process,
            lambda: (self._process.info() or {}).get("pid") == process.pid,
            START_TIMEOUT_S,
        )
        if started is Start.ENDED:
            raise Unavailable(f"the agent ended at once, see {log_file}")
        if started is Start.TOO_SLOW:
            raise Unavailable(f"the agent was not up in {START_TIMEOUT_S:g} s: {log_file}")

    def _client(self) -> AgentClient:
        info = self._process.info() or {}
        token = (self._state_dir / "token").read_text().strip()
        client = AgentClient(f"127.0.0.1:{info.get('port', 0)}", token)
        client.describe()
        return client
