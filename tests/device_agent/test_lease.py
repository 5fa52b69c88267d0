"""Leases: the highest token seen holds the device."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest

from device_agent.lease import LeaseGuard
from latlab.domain.errors import LeaseLost
from latlab.v1 import common_pb2
from latlab.v1.device_agent_pb2 import RunRequest
from tests.device_agent.agent_process import is_alive, spec, wait_until
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


def request(database: str, holder: str, token: int, left_s: float = 900) -> RunRequest:
    return RunRequest(
        lease_database=database,
        lease_holder=holder,
        lease_token=token,
        lease_left_ns=round(left_s * 1e9),
        spec=spec(deadline_ns=10**9),
    )


def test_a_lab_on_another_database_waits_until_the_lease_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr("time.clock_gettime", lambda _: now_s)
    guard = LeaseGuard(tmp_path)
    assert guard.take(request("one", "lab", 7))
    assert not guard.take(request("one", "lab", 7))
    for token in (1, 7, 99):
        with pytest.raises(LeaseLost, match="900 s"):
            guard.take(request("two", "other lab", token))
    now_s += 901
    assert guard.take(request("two", "other lab", 1, left_s=10))
    with pytest.raises(LeaseLost, match="another database"):
        guard.take(request("one", "lab", 7))
    now_s += 11
    with pytest.raises(LeaseLost, match="lower than 7"):
        guard.take(request("one", "lab", 6))
    assert guard.take(request("one", "lab", 7))


def test_a_lab_may_replace_its_database_at_once(tmp_path: Path) -> None:
    assert LeaseGuard(tmp_path).take(request("old", "lab", 7))
    guard = LeaseGuard(tmp_path)
    assert guard.take(request("old", "lab", 7))
    assert guard.take(request("new", "lab", 1))
    with pytest.raises(LeaseLost):
        guard.take(request("old", "another lab", 8))
    guard.end()
    assert guard.take(request("old", "another lab", 8))


def test_hosts_that_name_no_database_exclude_each_other_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr("time.clock_gettime", lambda _: now_s)
    (tmp_path / "lease_token").write_text("5")
    guard = LeaseGuard(tmp_path)
    with pytest.raises(LeaseLost, match="lower than 5"):
        guard.take(request("", "", 4, left_s=0))
    assert guard.take(request("", "", 6, left_s=0))
    with pytest.raises(LeaseLost, match="60 s"):
        guard.take(request("new", "lab", 1))
    now_s += 61
    assert guard.take(request("new", "lab", 1))


def test_a_damaged_file_of_tokens_bars_nobody(tmp_path: Path) -> None:
    (tmp_path / "lease_tokens.json").write_text('{"one": ')
    assert LeaseGuard(tmp_path).take(request("one", "lab", 1))


def test_an_agent_lets_no_second_lab_in(start_agent: StartAgent) -> None:
    agent = start_agent()
    agent.upload(ANSWER)
    lease = {"lease_holder": "lab", "lease_left_ns": 900 * 10**9}
    first = agent.run("a", ANSWER, lease_token=5, lease_database="one", **lease)
    assert first.HasField("visit")
    with pytest.raises(grpc.RpcError) as refused:
        agent.run("b", ANSWER, lease_token=9, lease_database="two")
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    replaced = agent.run("c", ANSWER, lease_token=1, lease_database="two", **lease)
    assert replaced.HasField("visit")


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
