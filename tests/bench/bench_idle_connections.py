"""faults.idle_connections_p99_s: how long an honest client waits for an answer while hostile
connections idle or drip bytes.

1,000 connections are held to a daemon, then to an agent on loopback, then to one behind TLS: raw
ones, half-open HTTP/2, and calls with and without the token that send nothing, or a byte a second.
One that the server closes is opened again at once. The figure is the worst of the three.

python -m tests.bench.bench_idle_connections
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import numpy as np

from host.home.paths import LabHome
from latlab.client.connection.local_lab import find_lab
from latlab.v1.device_agent_pb2 import DescribeRequest
from latlab.v1.device_agent_pb2_grpc import DeviceAgentStub
from tests.bench.figures import at_most, quick, report
from tests.device_agent.agent_process import AgentProcess
from tests.device_agent.conftest import write_stand_in
from tests.host.board_lab import running_lab
from tests.hostile_connections import (
    HostileConnections,
    Kind,
    answer_times_s,
    kinds_for_agent,
    kinds_for_daemon,
)

CONNECTIONS = 1_000
ANSWERS = 1_200
PAUSE_S = 0.1  # so that the connections are held for two minutes


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times_s = {
            "daemon": daemon(folder / "home"),
            "agent": agent(folder / "agent"),
            "board": board(folder / "board"),
        }
    p99_s = {server: round(float(np.quantile(taken, 0.99)), 4) for server, taken in times_s.items()}
    report(
        "faults.idle_connections_p99_s",
        max(p99_s.values()),
        "s",
        at_most(1),
        connections=CONNECTIONS,
        answers=quick(ANSWERS),
        p99_s=p99_s,
        max_s={server: round(max(taken), 4) for server, taken in times_s.items()},
    )


def daemon(folder: Path) -> list[float]:
    home = LabHome(folder)
    home.create()
    with running_lab(home) as client:
        address, token = find_lab(home.root)
        return times_s(int(address.split(":")[1]), kinds_for_daemon(token), client.targets)


def agent(folder: Path) -> list[float]:
    folder.mkdir()
    agent = AgentProcess(folder / "state", write_stand_in(folder))
    try:
        return times_s(agent.port, kinds_for_agent(agent.token), agent.describe)
    finally:
        agent.end()


def board(folder: Path) -> list[float]:
    folder.mkdir()
    board = AgentProcess(folder / "state", write_stand_in(folder), ["--listen", "127.0.0.1:0"])
    certificate = ssl.get_server_certificate(("127.0.0.1", board.port)).encode()
    credentials = grpc.ssl_channel_credentials(certificate)
    options = [("grpc.ssl_target_name_override", "latlab-agent")]
    try:
        with grpc.secure_channel(f"127.0.0.1:{board.port}", credentials, options) as channel:
            stub = DeviceAgentStub(channel)

            def describe() -> object:
                return stub.Describe(DescribeRequest(), metadata=board.metadata, timeout=60)

            return times_s(board.port, kinds_for_agent(board.token), describe, tls=True)
    finally:
        board.end()


def times_s(
    port: int, kinds: Sequence[Kind], ask: Callable[[], object], tls: bool = False
) -> list[float]:
    ask()  # the connection of the honest client
    with HostileConnections(port, kinds, CONNECTIONS, tls):
        return answer_times_s(ask, quick(ANSWERS), PAUSE_S)


if __name__ == "__main__":
    main()
