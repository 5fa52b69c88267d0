"""A board on the network: its agent runs there by itself, behind TLS."""

from __future__ import annotations

from host.agent.client import AgentClient
from host.agent.tls import presented_certificate
from host.home.boards import Boards
from latlab.domain.errors import Unavailable


class TcpTransport:
    """What was pinned is looked up at each connection, so a board that is enrolled anew is
    reached without a restart of the lab."""

    shares_host = False
    patience_s = 120.0  # a network that went is mostly soon back

    def __init__(self, address: str, boards: Boards) -> None:
        self.name = address
        self._boards = boards
        self._client: AgentClient | None = None

    def connect(self) -> AgentClient:
        """Raises Unavailable, with what to do about it."""
        self.stop()
        board = self._boards.get(self.name)
        if board is None:
            raise Unavailable(
                f"{self.name} is not enrolled: `latlab-agent --new-code` there, and here"
                f" `latlab devices add {self.name} CODE`"
            )
        # gRPC would refuse another certificate as well, without a word that helps.
        if presented_certificate(self.name) != board.certificate:
            raise Unavailable(
                f"{self.name} shows another certificate than the one it was enrolled with:"
                " its agent was set up anew (enrol it again), or another answers in its place"
            )
        self._client = AgentClient(self.name, board.token, board.certificate)
        self._client.describe()
        return self._client

    def stop(self) -> None:
        """Lets go of the agent. It ends a visit under way and keeps what came of it."""
        if self._client is not None:
            self._client.close()
            self._client = None
