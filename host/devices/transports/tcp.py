"""A board on the network, whose agent runs there by itself, behind TLS."""

from __future__ import annotations

from host.agent.client import AgentClient
from host.agent.tls import presented_certificate
from host.devices.transports.transport import RouteGone
from host.home.boards import Boards
from latlab.domain.device import TransportKind
from latlab.domain.errors import TokenChanged


class TcpTransport:
    """Connects to an enrolled board.

    The pinned certificate is looked up for each connection, so a board that is enrolled again is
    reached without a restart of the lab.
    """

    kind = TransportKind.TCP
    shares_host = False
    patience_s = 120.0  # a network that fails is mostly back soon

    def __init__(self, address: str, boards: Boards) -> None:
        self.name = self.address = address
        self._boards = boards
        self._client: AgentClient | None = None

    def connect(self) -> AgentClient:
        """Return a client of the board's agent. Raises Unavailable, saying what to do."""
        self.stop()
        board = self._boards.get(self.name)
        if board is None:
            raise RouteGone(
                f"{self.name} is not enrolled: run `latlab-agent --new-code` there, and"
                f" `latlab devices add {self.name} CODE` here"
            )
        # gRPC would refuse another certificate as well, but without a helpful message.
        if presented_certificate(self.name) != board.certificate:
            raise RouteGone(
                f"{self.name} shows another certificate than the one it was enrolled with:"
                " its agent was set up again (enrol it again), or another machine answers"
            )
        self._client = AgentClient(self.name, board.token, board.certificate)
        try:
            self._client.describe()
        except TokenChanged as error:
            raise RouteGone(str(error)) from error
        return self._client

    def stop(self) -> None:
        """Close the connection. The agent ends a visit under way and keeps the result."""
        if self._client is not None:
            self._client.close()
            self._client = None
