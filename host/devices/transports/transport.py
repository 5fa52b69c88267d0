"""The interface of every way to a device's agent."""

from __future__ import annotations

from typing import Protocol

from host.agent.client import AgentClient
from latlab.domain.device import TransportKind
from latlab.domain.errors import Unavailable


class RouteGone(Unavailable):
    """The way leads nowhere any more: the phone is unplugged, or the board is not enrolled."""


class Transport(Protocol):
    """A way to one device's agent.

    Attributes:
        kind: How the agent is reached.
        name: The name of this way, unique in the lab.
        address: adb's serial of a phone, "host:port" of a board, empty for the local device.
        shares_host: Whether the device is the daemon's own machine. Then measuring and the
            daemon's work would disturb each other, so they take turns.
        patience_s: How long the open jobs of the device wait for it while it is away.
    """

    kind: TransportKind
    name: str
    address: str
    shares_host: bool
    patience_s: float

    def connect(self) -> AgentClient:
        """Return a client of the device's agent.

        Raises Unavailable, and RouteGone if nothing is there.
        """

    def stop(self) -> None:
        """Disconnect from the agent, and end it if the lab has started it."""
