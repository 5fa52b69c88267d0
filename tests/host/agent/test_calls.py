"""Several threads call one agent, and one of them may close the connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from host.agent.client import AgentClient
from latlab.convert.devices import device_to_message
from latlab.domain.errors import Unavailable
from latlab.v1 import device_agent_pb2
from latlab.v1.device_agent_pb2_grpc import (
    DeviceAgentServicer,
    add_DeviceAgentServicer_to_server,
)
from tests.host.board_lab import program
from tests.host.fake_lab import DEVICE


class SilentAgent(DeviceAgentServicer):
    def __init__(self) -> None:
        self.asked, self.may_answer = threading.Event(), threading.Event()

    def Describe(  # noqa: N802
        self, request: device_agent_pb2.DescribeRequest, context: grpc.ServicerContext
    ) -> device_agent_pb2.DeviceDescription:
        self.asked.set()
        self.may_answer.wait(60)
        return device_to_message(DEVICE)


@pytest.fixture
def agent() -> Iterator[tuple[SilentAgent, AgentClient]]:
    server, servicer = grpc.server(ThreadPoolExecutor(2)), SilentAgent()  # type: ignore[abstract]
    add_DeviceAgentServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    client = AgentClient(f"127.0.0.1:{port}", "token")
    yield servicer, client
    servicer.may_answer.set()
    client.close()
    server.stop(None)


def test_closing_ends_the_call_under_way_and_refuses_later_ones(
    agent: tuple[SilentAgent, AgentClient], tmp_path: Path
) -> None:
    servicer, client = agent
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.describe)
        assert servicer.asked.wait(60)
        client.close()
        with pytest.raises(Unavailable, match="is closed"):
            waiting.result(60)
    with pytest.raises(Unavailable, match="is closed"):
        client.describe()
    file = program(tmp_path, "answer()")
    with pytest.raises(Unavailable, match="is closed"):
        client.upload(file.program, file.path)
    client.close()


def test_many_threads_call_at_once(agent: tuple[SilentAgent, AgentClient]) -> None:
    servicer, client = agent
    servicer.may_answer.set()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: client.describe(), range(64))) == {DEVICE}
