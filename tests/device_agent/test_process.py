"""The agent as a process: tokens, health, reflection, one per state directory, its end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from latlab.v1.device_agent_pb2 import DescribeRequest, UploadProgramRequest
from tests.device_agent.agent_process import REPOSITORY, AgentProcess, is_alive, wait_until
from tests.device_agent.conftest import StartAgent


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer wrong"),),
        (("authorization", "Bearer "),),
        (("authorization", ""),),
        (("token", "Bearer wrong"),),
    ],
)
def test_without_the_token_nothing_is_told(
    agent: AgentProcess, metadata: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        agent.stub.Describe(DescribeRequest(), metadata=metadata, timeout=60)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as refused:
        agent.stub.UploadProgram(iter([UploadProgramRequest()]), metadata=metadata, timeout=60)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_token_file_is_for_its_owner_only(agent: AgentProcess) -> None:
    assert (agent.state / "token").stat().st_mode & 0o777 == 0o600
    assert len(agent.token) >= 32


def test_health_needs_no_token(agent: AgentProcess) -> None:
    health = health_pb2_grpc.HealthStub(agent.channel)
    for service in ("", "latlab.v1.DeviceAgent"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(agent: AgentProcess) -> None:
    class WithToken(grpc.StreamStreamClientInterceptor):
        def intercept_stream_stream(self, continuation, details, requests):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            return continuation(details._replace(metadata=agent.metadata), requests)

    channel = grpc.intercept_channel(agent.channel, WithToken())
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"latlab.v1.DeviceAgent", "grpc.health.v1.Health"} <= set(services)


def start_and_fail(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "device_agent", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_a_second_agent_on_one_state_directory(agent: AgentProcess, stand_in: Path) -> None:
    told = start_and_fail("--state-dir", agent.state, "--runner", stand_in)
    assert str(agent.process.pid) in told
    assert agent.describe().serial


def test_a_port_that_is_taken(agent: AgentProcess, stand_in: Path, tmp_path: Path) -> None:
    told = start_and_fail("--state-dir", tmp_path, "--runner", stand_in, "--port", str(agent.port))
    assert str(agent.port) in told
    assert not (tmp_path / "agent.json").exists()


@pytest.mark.parametrize("runner", ["/nonexistent", "/bin/false", "/bin/echo", "/etc/hostname"])
def test_a_runner_that_is_none(tmp_path: Path, runner: str) -> None:
    assert runner in start_and_fail("--state-dir", tmp_path, "--runner", runner)


def test_it_goes_when_asked_and_lets_calls_end(start_agent: StartAgent, tmp_path: Path) -> None:
    agent = start_agent()
    started, release = tmp_path / "started", tmp_path / "release"
    program = (
        f"open({str(started)!r}, 'w')\n"
        f"while not os.path.exists({str(release)!r}): time.sleep(0.01)\nanswer()"
    ).encode()
    agent.upload(program)
    run = agent.start_run("last", program)
    wait_until(started.exists)
    agent.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not (agent.state / "agent.json").exists())
    release.touch()
    assert run.result().HasField("visit")
    assert agent.process.wait(60) == 0

    agent = start_agent()
    assert agent.run("last", program) == run.result()


def test_a_call_that_does_not_end_is_cut_off(start_agent: StartAgent, tmp_path: Path) -> None:
    agent = start_agent()
    pid_file = tmp_path / "pid"
    program = (
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(1)"
    ).encode()
    agent.upload(program)
    run = agent.start_run("endless", program)
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    assert agent.end() == 0
    assert not is_alive(int(pid_file.read_text()))
    with pytest.raises(grpc.RpcError):
        run.result()
    assert list((agent.state / "results").iterdir()) == []
