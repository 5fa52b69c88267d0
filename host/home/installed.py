"""Tell whether the running daemon and this machine's agent are those that are installed."""

from __future__ import annotations

import subprocess

from host.home.paths import REPOSITORY, LabHome
from host.home.processes import LockedProcess
from latlab.common.agent_sources import agent_sources
from latlab.common.installed_files import content_sha256, runner_build

_DAEMON_PACKAGES = ("host", "latlab", "latency_models")


def daemon_sources() -> str:
    """Return the hash of the daemon's installed sources."""
    paths = [path for name in _DAEMON_PACKAGES for path in (REPOSITORY / name).rglob("*.py")]
    return content_sha256({path.relative_to(REPOSITORY).as_posix(): path for path in paths})


def is_outdated(home: LabHome) -> bool:
    """Return whether the daemon, the agent or its runner was started from other files.

    What does not run is not outdated. Raises StorageError.
    """
    daemon = LockedProcess(home.daemon_file, home.lock_file).info()
    if daemon is not None and daemon.get("sources") != daemon_sources():
        return True
    agent = LockedProcess(home.agent / "agent.json", home.agent / "lock").info()
    if agent is None:
        return False
    if agent.get("sources") != content_sha256(agent_sources(REPOSITORY)):
        return True
    try:
        return agent.get("runner_build") != runner_build(home.runner)
    except (OSError, subprocess.SubprocessError):  # no runner is installed
        return False
