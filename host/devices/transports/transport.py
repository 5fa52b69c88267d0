"""What every way to a device's agent offers."""

from __future__ import annotations

from typing import Protocol

from host.agent.client import AgentClient


class Transport(Protocol):
    """A way to one device's agent. The daemon and a device that `shares_host` disturb
    each other, so they take turns; on any other, what the daemon does goes on beside.
    `patience_s` is for how long the open jobs of a device that is away wait for it."""

    name: str
    shares_host: bool
    patience_s: float

    def connect(self) -> AgentClient:
        """Raises Unavailable."""

    def stop(self) -> None: ...
