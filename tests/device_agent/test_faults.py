"""Faults: each ends as a Failure of its kind, and the agent goes on serving."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from latlab.common.files import spare_bytes
from latlab.v1 import common_pb2
from tests.device_agent.agent_process import AgentProcess, is_alive, spec, wait_until
from tests.device_agent.conftest import StartAgent
from tests.small_disk import small_disk

ANSWER = b"answer()"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("program", "kind", "told"),
    [
        (b"os.kill(os.getpid(), 11)", common_pb2.FAILURE_KIND_CRASHED, "SIGSEGV"),
        (
            b"sys.stderr.write('last words'); sys.stderr.flush(); os.abort()",
            common_pb2.FAILURE_KIND_CRASHED,
            "SIGABRT\nlast words",
        ),
        (b"print('garbage')", common_pb2.FAILURE_KIND_AGENT_ERROR, "garbage"),
        (b"pass", common_pb2.FAILURE_KIND_AGENT_ERROR, "exit code 0"),
        (b"sys.exit(3)", common_pb2.FAILURE_KIND_AGENT_ERROR, "exit code 3"),
        (b"print('{}')", common_pb2.FAILURE_KIND_AGENT_ERROR, "wall_ns"),
        (b"print('[' * 10**6)", common_pb2.FAILURE_KIND_AGENT_ERROR, "RecursionError"),
        (b"answer(wall_ns=[])", common_pb2.FAILURE_KIND_AGENT_ERROR, "wall_ns: empty"),
        (b"answer(wall_ns=[1])", common_pb2.FAILURE_KIND_AGENT_ERROR, "a sample for each"),
        (b"answer(wall_ns=[-1, 1, 1])", common_pb2.FAILURE_KIND_AGENT_ERROR, "makes no sense"),
        (b"answer(wall_ns=[1, 0, 1])", common_pb2.FAILURE_KIND_AGENT_ERROR, "makes no sense"),
        (b"answer(); sys.exit(3)", common_pb2.FAILURE_KIND_AGENT_ERROR, "exit code"),
        (b"print(json.dumps(dict(failure=1)))", common_pb2.FAILURE_KIND_AGENT_ERROR, "sense"),
        (b"while True: print('x' * 10**6)", common_pb2.FAILURE_KIND_AGENT_ERROR, "output"),
        (
            b"print(json.dumps(dict(failure=dict(kind='unsupported', message='no such op'))))",
            common_pb2.FAILURE_KIND_UNSUPPORTED,
            "no such op",
        ),
    ],
)
def test_a_runner_that_fails(
    agent: AgentProcess,
    program: bytes,
    kind: common_pb2.FailureKind.ValueType,
    told: str,
) -> None:
    agent.upload(program)
    failure = agent.run("faulty", program).failure
    agent.acknowledge("faulty")
    assert failure.kind == kind, failure
    assert told in failure.message
    assert len(failure.message) < 5_000

    agent.upload(ANSWER)
    assert agent.run("after", ANSWER).HasField("visit")
    agent.acknowledge("after")


def test_a_runner_that_hangs_is_killed_with_its_children(
    agent: AgentProcess, tmp_path: Path
) -> None:
    program = (
        f"child = os.fork()\nif child: open({str(tmp_path / 'child')!r}, 'w').write(str(child))\n"
        "signal = __import__('signal')\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True: time.sleep(1)"
    ).encode()
    agent.upload(program)
    failure = agent.run("hang", program, spec=spec(deadline_ns=3_000_000_000)).failure
    assert failure.kind == common_pb2.FAILURE_KIND_TIMED_OUT
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_alive(child))


def chunks_of(program: bytes) -> list[bytes]:
    return [program[start : start + MIB] for start in range(0, len(program), MIB)]


def test_a_real_program_that_needs_more_memory_than_there_is(
    start_agent: StartAgent, runner: Path, wide_program: bytes
) -> None:
    """The limit leaves room for the runner and the program's file, not for the weights that
    XNNPACK packs. Of that, ExecuTorch alone would say that the program is invalid."""
    agent = start_agent("--runner-memory-bytes", str(120 * MIB), runner=runner)
    agent.upload(wide_program, chunks_of(wide_program))
    failure = agent.run("memory", wide_program, shapes=[[1, 4096]]).failure
    assert failure.kind == common_pb2.FAILURE_KIND_OUT_OF_MEMORY, failure


def test_a_runner_that_is_killed(agent: AgentProcess, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = (
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(1)"
    ).encode()
    agent.upload(program)
    run = agent.start_run("killed", program)
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert run.result().failure.kind == common_pb2.FAILURE_KIND_CRASHED
    assert "SIGKILL" in run.result().failure.message


def runners_of(agent: AgentProcess) -> list[int]:
    parent = agent.process.pid
    children = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for child in children for pid in child.read_text().split()]


def test_a_killed_agent_takes_its_runner_along_and_keeps_what_was_measured(
    start_agent: StartAgent, runner: Path, program: bytes
) -> None:
    agent = start_agent(runner=runner)
    agent.upload(program)
    finished = agent.run("finished", program, lease_token=7)
    long = spec(timed_ns=50_000_000_000, max_timed_runs=10_000, warmup_ns=50_000_000_000)
    running = agent.start_run("running", program, spec=long, lease_token=7)
    wait_until(lambda: runners_of(agent) != [])
    (orphan,) = runners_of(agent)
    os.kill(agent.process.pid, signal.SIGKILL)
    assert isinstance(running.exception(), grpc.RpcError)
    wait_until(lambda: not is_alive(orphan))

    agent.process.wait()
    revived = start_agent(runner=runner)
    assert revived.run("finished", program, lease_token=7) == finished
    assert revived.run("running", program, lease_token=7).HasField("visit")
    with pytest.raises(grpc.RpcError) as refused:
        revived.run("finished", program, lease_token=6)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_result_that_cannot_be_stored_is_answered_all_the_same(start_agent: StartAgent) -> None:
    agent = start_agent()
    agent.upload(ANSWER)
    shutil.rmtree(agent.state / "results")
    assert agent.run("unstored", ANSWER).HasField("visit")


def test_a_full_disk_is_said_before_a_visit_and_costs_no_result(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        stack.enter_context(small_disk(tmp_path / "state"))
        agent = start_agent()
        stack.callback(agent.end)
        agent.upload(ANSWER)
        assert agent.run("before", ANSWER).HasField("visit")
        old = b"answer()  # used before"
        agent.upload(old)
        filling = agent.state / "filling"
        filling.write_bytes(bytes(spare_bytes(agent.state) + 1))
        assert agent.run("a", ANSWER).HasField("visit")  # the other program has gone
        with filling.open("ab") as file:
            file.write(bytes(8_192))
        for refuse in (lambda: agent.run("b", ANSWER), lambda: agent.upload(old)):
            with pytest.raises(grpc.RpcError, match="storage is full") as refused:
                refuse()
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert agent.run("a", ANSWER).HasField("visit")
        filling.unlink()
        agent.upload(ANSWER)
        assert agent.run("b", ANSWER).HasField("visit")


def test_a_disk_that_takes_no_program(start_agent: StartAgent) -> None:
    agent = start_agent()
    shutil.rmtree(agent.state / "programs")
    (agent.state / "programs").touch()
    with pytest.raises(grpc.RpcError) as refused:
        agent.upload(ANSWER)
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    assert "programs" in str(refused.value.details())
    (agent.state / "programs").unlink()
    (agent.state / "programs").mkdir()
    agent.upload(ANSWER)
    assert agent.run("stored", ANSWER).HasField("visit")
