"""An agent that listens beyond loopback: never without TLS, and to hosts that bring a code."""

from __future__ import annotations

import os
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from device_agent.access.enrolment import MAX_WRONG_SECRETS
from latlab.v1.device_agent_pb2 import DescribeRequest, EnrolRequest
from latlab.v1.device_agent_pb2_grpc import DeviceAgentStub, EnrolmentStub
from tests.device_agent.agent_process import REPOSITORY, TIMEOUT_S, AgentProcess
from tests.device_agent.conftest import StartAgent

TLS = ("--listen", "127.0.0.1:0")


@pytest.fixture
def board(start_agent: StartAgent) -> AgentProcess:
    return start_agent(*TLS)


@pytest.fixture
def channel(board: AgentProcess) -> Iterator[grpc.Channel]:
    certificate = ssl.get_server_certificate(("127.0.0.1", board.port))
    with grpc.secure_channel(
        f"127.0.0.1:{board.port}",
        grpc.ssl_channel_credentials(certificate.encode()),
        [("grpc.ssl_target_name_override", "latlab-agent")],
    ) as channel:
        yield channel


def enrol(channel: grpc.Channel, secret: str) -> str:
    return EnrolmentStub(channel).Enrol(EnrolRequest(secret=secret), timeout=TIMEOUT_S).token


def refusal(channel: grpc.Channel, secret: str) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as refused:
        enrol(channel, secret)
    return refused.value.code()


def describe(channel: grpc.Channel, token: str) -> str:
    metadata = (("authorization", f"Bearer {token}"),)
    description = DeviceAgentStub(channel).Describe(
        DescribeRequest(), metadata=metadata, timeout=TIMEOUT_S
    )
    return description.serial


def secret_of(board: AgentProcess) -> str:
    return board.code.split("-")[1]


def test_a_code_works_once_and_ends_the_token_before(
    board: AgentProcess, channel: grpc.Channel
) -> None:
    old = board.token
    assert describe(channel, old)
    new = enrol(channel, secret_of(board))
    assert describe(channel, new)
    with pytest.raises(grpc.RpcError) as refused:
        describe(channel, old)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert refusal(channel, secret_of(board)) is grpc.StatusCode.FAILED_PRECONDITION
    assert describe(channel, new)


def test_a_wrong_code_is_refused_and_the_right_one_still_works(
    board: AgentProcess, channel: grpc.Channel
) -> None:
    for wrong in ("", "0" * 32, board.code, secret_of(board).upper()):
        assert refusal(channel, wrong) is grpc.StatusCode.UNAUTHENTICATED
    assert describe(channel, enrol(channel, secret_of(board)))


def test_too_many_wrong_codes_close_the_right_one(
    board: AgentProcess, channel: grpc.Channel
) -> None:
    for _ in range(MAX_WRONG_SECRETS):
        assert refusal(channel, "guessed") is grpc.StatusCode.UNAUTHENTICATED
    assert refusal(channel, secret_of(board)) is grpc.StatusCode.FAILED_PRECONDITION
    code = run_agent("--state-dir", board.state, "--new-code").stdout.splitlines()[-1]
    assert code.split("-")[0] == board.code.split("-")[0]
    assert describe(channel, enrol(channel, code.split("-")[1]))


def test_a_new_code_replaces_the_last(board: AgentProcess, channel: grpc.Channel) -> None:
    code = run_agent("--state-dir", board.state, "--new-code").stdout.splitlines()[-1]
    assert refusal(channel, secret_of(board)) is grpc.StatusCode.UNAUTHENTICATED
    assert describe(channel, enrol(channel, code.split("-")[1]))


def test_refusals_are_logged_and_secrets_are_not(
    board: AgentProcess, channel: grpc.Channel
) -> None:
    refusal(channel, "guessed")
    token = enrol(channel, secret_of(board))
    board.process.send_signal(signal.SIGTERM)
    board.process.wait(TIMEOUT_S)
    log = board.errors.read_text()
    assert "enrolment refused to ipv4:127.0.0.1" in log
    assert "the code is wrong" in log
    for secret in ("guessed", secret_of(board), token):
        assert secret not in log


def test_what_is_secret_is_for_its_owner_only(board: AgentProcess) -> None:
    for name in ("tls.pem", "token", "enrolment_code_hash"):
        assert stat.S_IMODE((board.state / name).stat().st_mode) == 0o600
    assert secret_of(board) not in (board.state / "enrolment_code_hash").read_text()


def test_key_certificate_and_token_outlive_the_agent(
    board: AgentProcess, channel: grpc.Channel, start_agent: StartAgent
) -> None:
    token, port = enrol(channel, secret_of(board)), board.port
    assert board.end() == 0
    again = start_agent("--listen", f"127.0.0.1:{port}")
    assert again.output.read_text() == ""
    assert describe(channel, token)


def test_health_needs_no_token_but_tls(board: AgentProcess, channel: grpc.Channel) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S
    )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refused:  # in plain text
        board.describe()
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_beyond_loopback_without_tls_is_refused(tmp_path: Path, stand_in: Path) -> None:
    """As where the package is not installed."""
    package = tmp_path / "path" / "cryptography"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('No module named cryptography')")
    done = run_agent(
        *("--state-dir", tmp_path / "state", "--runner", stand_in, "--listen", "0.0.0.0:0"),
        PYTHONPATH=str(package.parent),
    )
    assert done.returncode == 2
    assert "pip install cryptography" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state" / "agent.json").exists()


@pytest.mark.parametrize("address", ["7070", "host:", ":", "host:port"])
def test_an_address_that_is_none(tmp_path: Path, stand_in: Path, address: str) -> None:
    done = run_agent("--state-dir", tmp_path, "--runner", stand_in, "--listen", address)
    assert done.returncode == 2
    assert "--listen" in done.stderr


def test_on_loopback_nobody_is_enrolled(agent: AgentProcess) -> None:
    assert agent.output.read_text() == ""
    with pytest.raises(grpc.RpcError) as refused:
        enrol(agent.channel, "secret")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_systemd_unit_gives_options_that_there_are_and_logs_no_code() -> None:
    unit = (REPOSITORY / "device_agent" / "latlab-agent.service").read_text().splitlines()
    [start] = [line for line in unit if line.startswith("ExecStart=")]
    options = {word for word in start.split() if word.startswith("--")}
    assert "--listen" in options
    assert options <= set(run_agent("--help").stdout.split())
    assert "StandardOutput=null" in unit


def run_agent(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "device_agent", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
