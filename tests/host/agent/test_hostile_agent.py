"""What a hostile agent answers, as the lab takes it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from host.agent.client import AgentClient
from latlab.convert.devices import device_to_message
from latlab.domain.checks.device import MAX_LENGTH
from latlab.domain.errors import InvalidRequest, Unavailable
from latlab.v1 import common_pb2, device_agent_pb2
from latlab.v1.device_agent_pb2_grpc import (
    DeviceAgentServicer,
    add_DeviceAgentServicer_to_server,
)
from tests.host.fake_lab import DEVICE

ORDERS = "\x1b[31mred\n\u202eforged"


class HostileAgent(DeviceAgentServicer):
    description = device_to_message(DEVICE)
    fails = False

    def Describe(  # noqa: N802
        self, request: device_agent_pb2.DescribeRequest, context: grpc.ServicerContext
    ) -> device_agent_pb2.DeviceDescription:
        return self.description

    def ReadConditions(  # noqa: N802
        self, request: device_agent_pb2.ReadConditionsRequest, context: grpc.ServicerContext
    ) -> common_pb2.Conditions:
        if not self.fails:
            return common_pb2.Conditions(governor=ORDERS * 100)
        metadata = (("latlab-error", "UnknownKernelKinds"), ("latlab-kernel-kinds-bin", b"{"))
        context.set_trailing_metadata(metadata)
        context.abort(grpc.StatusCode.INTERNAL, ORDERS)


@pytest.fixture
def client() -> Iterator[AgentClient]:
    server = grpc.server(ThreadPoolExecutor(2))
    add_DeviceAgentServicer_to_server(HostileAgent(), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    client = AgentClient(f"127.0.0.1:{port}", "token")
    yield client
    client.close()
    server.stop(None)


def test_an_honest_description_stays_and_a_hostile_one_is_cleaned(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.describe() == DEVICE
    hostile = device_to_message(DEVICE)
    hostile.serial = hostile.model = ORDERS
    hostile.core_classes[0].name = ORDERS * 100
    monkeypatch.setattr(HostileAgent, "description", hostile)
    device = client.describe()
    texts = (device.serial, device.model, device.core_classes[0].name)
    assert all(text.isprintable() and len(text) <= 128 for text in texts)
    hostile.backends.extend(map(str, range(10_000)))
    with pytest.raises(Unavailable, match="10001 backends"):
        client.describe()


def test_a_governor_is_cleaned(client: AgentClient) -> None:
    governor = client.read_conditions().governor
    assert governor is not None
    assert governor.isprintable()
    assert len(governor) == MAX_LENGTH


def test_an_error_s_text_is_cleaned_and_its_class_is_all_that_counts(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostileAgent, "fails", True)
    with pytest.raises(InvalidRequest) as raised:
        client.read_conditions()
    assert str(raised.value).isprintable()
    assert "[31mred" in str(raised.value)
