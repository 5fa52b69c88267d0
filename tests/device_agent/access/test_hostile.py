"""An agent among hostile clients."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.device_agent.agent_process import TIMEOUT_S, AgentProcess
from tests.hostile_connections import HostileConnections, kinds_for_agent
from tests.hostile_requests import attack
from tests.hostile_targets import agent_target, strange_files

CONNECTIONS = 130  # nine of each kind; 16 calls once took all threads
REQUESTS = 300


def test_idle_and_slow_connections_silence_nobody(agent: AgentProcess) -> None:
    with HostileConnections(agent.port, kinds_for_agent(agent.token), CONNECTIONS):
        for _ in range(20):
            assert agent.describe().serial


def test_hostile_requests_are_refused_and_write_no_file_outside_the_store(
    tmp_path: Path, stand_in: Path
) -> None:
    with agent_target(tmp_path, stand_in) as target:
        assert attack(target, REQUESTS, seed_of_all=1) == []
        assert strange_files(tmp_path) == []


def test_nobody_watches_the_health_for_ever(agent: AgentProcess) -> None:
    request = health_pb2.HealthCheckRequest()
    watch = health_pb2_grpc.HealthStub(agent.channel).Watch
    for metadata, status in (
        ((), grpc.StatusCode.UNAUTHENTICATED),
        (agent.metadata, grpc.StatusCode.UNIMPLEMENTED),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            list(watch(request, metadata=metadata, timeout=TIMEOUT_S))
        assert refused.value.code() is status
