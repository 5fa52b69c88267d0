"""Visits: real ones, and which requests are let in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from latlab.convert.visits import visit_spec_to_message
from latlab.domain.benchmark_spec import MAX_SUSTAINED_S, BenchmarkSpec
from latlab.v1 import common_pb2
from latlab.v1.device_agent_pb2 import ReadConditionsRequest, RunRequest
from tests.device_agent.agent_process import TIMEOUT_S, AgentProcess, spec, wait_until

ANSWER = b"answer()"


def test_a_real_visit(real_agent: AgentProcess, program: bytes) -> None:
    real_agent.upload(program)
    visit = real_agent.run("plain", program).visit
    assert visit.run_id == "plain"
    assert not visit.traced
    assert len(visit.wall_ns) == len(visit.cpu_ns) == len(visit.involuntary_switches) == 3
    assert visit.warmup_runs == 2
    assert not visit.kernel_traces
    for conditions in (visit.before, visit.after):
        assert conditions.unix_ns > 0
        assert conditions.arithmetic_probe_ns > 0
        assert conditions.memory_probe_ns > 0
        assert conditions.HasField("load_1min")
    assert visit.before.unix_ns < visit.after.unix_ns


def test_a_real_traced_visit(real_agent: AgentProcess, program: bytes) -> None:
    real_agent.upload(program)
    visit = real_agent.run("traced", program, spec=spec(traced=True)).visit
    assert visit.traced
    assert len(visit.kernel_traces) == 6
    assert {len(trace.durations_ns) for trace in visit.kernel_traces} == {len(visit.wall_ns)}


def test_a_shape_that_the_program_does_not_take(real_agent: AgentProcess, program: bytes) -> None:
    real_agent.upload(program)
    failure = real_agent.run("shape", program, shapes=[[1, 3, 16, 17]]).failure
    assert failure.kind == common_pb2.FAILURE_KIND_BAD_INPUT
    assert "1x3x16x16" in failure.message


def test_a_sustained_load_is_let_in(agent: AgentProcess) -> None:
    agent.upload(ANSWER)
    longest = visit_spec_to_message(BenchmarkSpec.sustained(MAX_SUSTAINED_S).visit)
    assert agent.run("sustained", ANSWER, spec=longest).HasField("visit")


def test_conditions_are_read_without_a_visit(agent: AgentProcess) -> None:
    now = agent.stub.ReadConditions(
        ReadConditionsRequest(), timeout=TIMEOUT_S, metadata=agent.metadata
    )
    assert now.unix_ns > 0
    assert now.HasField("load_1min")
    assert not now.HasField("memory_probe_ns")


def test_what_is_not_a_program(real_agent: AgentProcess) -> None:
    real_agent.upload(b"\xff\0 no program")
    failure = real_agent.run("garbage", b"\xff\0 no program").failure
    assert failure.kind == common_pb2.FAILURE_KIND_NOT_A_PROGRAM


def test_the_device_describes_itself(real_agent: AgentProcess) -> None:
    device = real_agent.describe()
    assert device.runtime_version.startswith("executorch ")
    assert list(device.backends) == ["xnnpack"]
    assert device.serial
    assert device.core_classes[0].cpus
    assert device == real_agent.describe()


def test_a_program_that_is_missing(agent: AgentProcess) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        agent.run("missing", b"never uploaded")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["", "../token", "A" * 64])
def test_a_program_that_is_named_otherwise_than_by_a_hash(agent: AgentProcess, name: str) -> None:
    shape = common_pb2.Shape(dims=[1])
    request = RunRequest(
        run_id="named", lease_token=1, program_sha256=name, input_shapes=[shape], spec=spec()
    )
    with pytest.raises(grpc.RpcError) as refused:
        agent.stub.Run(request, metadata=agent.metadata, timeout=60)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "64 lower-case hexadecimal digits" in str(refused.value.details())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"core_class": "huge"}, "'all'"),
        ({"threads": 0}, "threads: 1 to"),
        ({"threads": 100_000}, "threads: 1 to"),
        ({"timed_runs": 0}, "timed_runs: 1 to"),
        ({"timed_runs": 6}, "max_timed_runs, 5"),
        ({"max_timed_runs": 0}, "max_timed_runs: 1 to"),
        ({"max_timed_runs": 1 << 31}, "max_timed_runs: 1 to"),
        ({"warmup_runs": 1 << 31}, "warmup_runs: 0 to"),
        ({"timed_ns": 1 << 63}, "timed_ns: 0 to"),
        ({"deadline_ns": 0}, "deadline_ns: "),
        ({"deadline_ns": 601_000_000_000}, "deadline_ns: "),
    ],
)
def test_a_spec_out_of_bounds(agent: AgentProcess, changes: dict[str, Any], told: str) -> None:
    agent.upload(ANSWER)
    with pytest.raises(grpc.RpcError) as refused:
        agent.run("spec", ANSWER, spec=spec(**changes))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told in str(refused.value.details())


@pytest.mark.parametrize("shapes", [[], [[0]], [[1, 2, 0]], [[1 << 31, 1 << 31]], [[1] * 99]])
def test_shapes_out_of_bounds(agent: AgentProcess, shapes: list[list[int]]) -> None:
    agent.upload(ANSWER)
    with pytest.raises(grpc.RpcError) as refused:
        agent.run("shapes", ANSWER, shapes=shapes)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("run_id", ["", "../token", "a/b", ".hidden", "x" * 200, "a\nb"])
def test_a_run_id_that_is_no_name(agent: AgentProcess, run_id: str) -> None:
    agent.upload(ANSWER)
    with pytest.raises(grpc.RpcError) as refused:
        agent.run(run_id, ANSWER)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def counting(tmp_path: Path) -> bytes:
    """A program that marks each start of its, and answers once `release` is there."""
    return (
        f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(tmp_path / 'release')!r}): time.sleep(0.01)\n"
        "answer()"
    ).encode()


def test_a_running_run_is_joined_and_a_finished_one_answered_from_the_store(
    agent: AgentProcess, tmp_path: Path
) -> None:
    program = counting(tmp_path)
    agent.upload(program)
    first = agent.start_run("joined", program)
    wait_until((tmp_path / "starts").exists)
    first.cancel()  # the visit goes on without its caller
    second = agent.start_run("joined", program)
    third = agent.start_run("joined", program)
    (tmp_path / "release").touch()
    assert second.result() == third.result() == agent.run("joined", program)
    assert second.result().HasField("visit")
    assert (tmp_path / "starts").read_text() == "x"

    agent.acknowledge("joined", "never-heard-of")
    assert agent.run("joined", program).HasField("visit")
    assert (tmp_path / "starts").read_text() == "xx"


def test_runs_of_one_lease_take_turns(agent: AgentProcess, tmp_path: Path) -> None:
    program = counting(tmp_path)
    agent.upload(program)
    agent.upload(ANSWER)
    running = agent.start_run("turn-1", program)
    wait_until((tmp_path / "starts").exists)
    waiting = agent.start_run("turn-2", ANSWER)
    impatient = agent.run("turn-3", ANSWER, spec=spec(deadline_ns=1_000_000))
    assert impatient.failure.kind == common_pb2.FAILURE_KIND_TIMED_OUT
    assert not running.done()
    assert not waiting.done()
    (tmp_path / "release").touch()
    assert running.result().HasField("visit")
    assert waiting.result().HasField("visit")
