"""Leases: the highest token seen holds the device."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest

from latlab.v1 import common_pb2
from tests.device_agent.agent_process import is_alive, wait_until
from tests.device_agent.conftest import StartAgent

ANSWER = b"answer()"


def endless(pid_file: Path) -> bytes:
    return (
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(1)"
    ).encode()


def test_a_lower_token_is_refused_even_by_a_new_agent(start_agent: StartAgent) -> None:
    agent = start_agent()
    agent.upload(ANSWER)
    assert agent.run("a", ANSWER, lease_token=5).HasField("visit")
    assert agent.run("b", ANSWER, lease_token=5).HasField("visit")
    agent.end()
    agent = start_agent()
    with pytest.raises(grpc.RpcError) as refused:
        agent.run("c", ANSWER, lease_token=4)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "5" in str(refused.value.details())
    assert agent.run("c", ANSWER, lease_token=6).HasField("visit")


def test_a_higher_token_ends_what_runs_and_what_waits(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    agent = start_agent()
    pid_file = tmp_path / "pid"
    program = endless(pid_file)
    agent.upload(program)
    agent.upload(ANSWER)
    running = agent.start_run("running", program, lease_token=1)
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    waiting = agent.start_run("waiting", ANSWER, lease_token=1)
    assert agent.run("usurper", ANSWER, lease_token=2).HasField("visit")
    assert running.result().failure.kind == common_pb2.FAILURE_KIND_CANCELLED
    assert not is_alive(int(pid_file.read_text()))
    refused = waiting.exception()
    if refused is None:
        assert waiting.result().failure.kind == common_pb2.FAILURE_KIND_CANCELLED
    else:  # it came in after the usurper
        assert isinstance(refused, grpc.RpcError)
        assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_cancelled_run_can_be_run_again(start_agent: StartAgent, tmp_path: Path) -> None:
    agent = start_agent()
    pid_file = tmp_path / "pid"
    program = endless(pid_file)
    agent.upload(program)
    agent.upload(ANSWER)
    first = agent.start_run("again", program, lease_token=1)
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    assert agent.run("other", ANSWER, lease_token=2).HasField("visit")
    assert first.result().failure.kind == common_pb2.FAILURE_KIND_CANCELLED
    assert agent.run("again", ANSWER, lease_token=2).HasField("visit")


def test_a_new_lease_joins_the_run_it_asks_for(start_agent: StartAgent, tmp_path: Path) -> None:
    agent = start_agent()
    started, release = tmp_path / "started", tmp_path / "release"
    program = (
        f"open({str(started)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(release)!r}): time.sleep(0.01)\nanswer()"
    ).encode()
    agent.upload(program)
    first = agent.start_run("same", program, lease_token=1)
    wait_until(started.exists)
    second = agent.start_run("same", program, lease_token=2)
    tokens = agent.state / "lease_tokens.json"
    wait_until(lambda: tokens.exists() and json.loads(tokens.read_text()) == {"": 2})
    release.touch()
    assert first.result() == second.result()
    assert second.result().HasField("visit")
    assert started.read_text() == "x"
