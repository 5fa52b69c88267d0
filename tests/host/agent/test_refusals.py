"""What the client of an agent makes of its answers: whose fault each failure is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from host.agent.client import AgentClient
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.errors import LabError, Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Lease
from latlab.domain.measurement import Visit
from latlab.domain.program import ProgramFile, TensorSpec
from tests.device_agent.agent_process import AgentProcess, wait_until
from tests.device_agent.conftest import write_stand_in
from tests.faults.board import held_program
from tests.host.board_lab import program

SPEC = VisitSpec(warmup_runs=1, warmup_ns=0, timed_runs=3, timed_ns=0)
LEASE = Lease("serial", "database", "holder", 1, 2**62)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentProcess]:
    agent = AgentProcess(tmp_path / "state", write_stand_in(tmp_path))
    yield agent
    if agent.process.poll() is None:
        agent.end()


@pytest.fixture
def client(agent: AgentProcess) -> Iterator[AgentClient]:
    client = AgentClient(f"127.0.0.1:{agent.port}", agent.token)
    yield client
    client.close()


def run(client: AgentClient, file: ProgramFile, run_id: str, **spec: object) -> Visit | Failure:
    changed = replace(SPEC, **spec)  # type: ignore[arg-type]
    return client.run(run_id, LEASE, file.program, file.path, changed)


def test_what_the_agent_refuses_is_the_programs_fault(client: AgentClient, tmp_path: Path) -> None:
    good = program(tmp_path, "answer()")
    assert isinstance(run(client, good, "good"), Visit)
    inputs = (TensorSpec((1, 3)),) * 17
    requests: list[tuple[ProgramFile, dict[str, object]]] = [
        (replace(good, program=replace(good.program, inputs=inputs)), {}),
        (replace(good, program=replace(good.program, inputs=())), {}),
        (replace(good, program=replace(good.program, sha256="0" * 64)), {}),  # other bytes
        (replace(good, program=replace(good.program, sha256="../0")), {}),
        (good, {"core_class": "huge"}),
        (good, {"threads": 1_000}),
    ]
    for number, (file, spec) in enumerate(requests):
        refused = run(client, file, f"refused-{number}", **spec)
        assert isinstance(refused, Failure)
        assert refused.kind is FailureKind.REFUSED, refused


def test_a_visit_that_the_agent_ends_itself_can_be_asked_for_again(
    agent: AgentProcess, client: AgentClient, tmp_path: Path
) -> None:
    file, ran, _ = held_program(tmp_path)
    raised: list[LabError] = []

    def measure() -> None:
        with pytest.raises(LabError) as error:
            run(client, file, "held")
        raised.append(error.value)

    measuring = threading.Thread(target=measure)
    measuring.start()
    wait_until(ran.exists)
    agent.end()
    measuring.join(timeout=60)
    assert [type(error) for error in raised] == [Unavailable]


def test_a_client_that_another_thread_has_closed_reaches_nobody(client: AgentClient) -> None:
    client.describe()
    client.close()
    with pytest.raises(Unavailable, match="is closed"):
        client.read_conditions()
