"""Cores that are offline, or that the agent may not use."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.machine import cores
from device_agent.machine.conditions import CPUS
from device_agent.machine.cores import CoresMissing, missing_cpus, pinnable_cpus, require
from device_agent.runner_process import Runner
from device_agent.servicer import Agent
from latlab.common.program_store import ProgramStore
from latlab.v1.common_pb2 import FAILURE_KIND_AGENT_ERROR, Shape
from latlab.v1.device_agent_pb2 import RunRequest
from tests.device_agent.agent_process import SPEC, sha256
from tests.device_agent.conftest import write_stand_in

NO_CORE = 1000  # no machine of a test has it


def write(root: Path, files: dict[str, object]) -> None:
    for name, value in files.items():
        path = root / CPUS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


def test_offline_cores_can_be_asked_for_where_their_speed_is_known(tmp_path: Path) -> None:
    write(tmp_path, {"present": "0-7", "online": "0-3,7", "cpu4/cpu_capacity": 1024})
    assert pinnable_cpus(tmp_path, {0, 1, 2}) == {0, 1, 2, 4}  # 3 and 7: kept from the agent


def test_a_machine_that_lists_no_cores_has_those_that_it_allows(tmp_path: Path) -> None:
    assert pinnable_cpus(tmp_path, {0, 2}) == {0, 2}


@given(st.text(max_size=20) | st.from_regex(r"[0-9,-]{0,12}", fullmatch=True))
def test_odd_lists_of_cores_are_no_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    text = text.encode("utf-8", "replace").decode()
    write(root, {"present": text, "online": text})
    assert pinnable_cpus(root, {0}) == {0}


def test_missing_cores_are_found_and_the_thread_stays_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    assert missing_cpus(before) == set()
    assert missing_cpus({*before, NO_CORE}) == {NO_CORE}
    assert missing_cpus({NO_CORE}) == {NO_CORE}
    assert os.sched_getaffinity(0) == before


def test_cores_that_come_back_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{3}, {3}, set()]
    monkeypatch.setattr(cores, "missing_cpus", lambda cpus: answers.pop(0))
    require({2, 3}, lambda: True)
    assert answers == []


def test_cores_that_stay_away_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "WAIT_S", 0.0)
    with pytest.raises(CoresMissing, match=f"the cores {NO_CORE} are offline"):
        require({0, NO_CORE}, lambda: True)


def test_nothing_is_waited_for_once_the_visit_is_stopped() -> None:
    with pytest.raises(CoresMissing):
        require({NO_CORE}, lambda: False)


def test_a_core_that_is_gone_is_no_failure_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "WAIT_S", 0.0)
    root = tmp_path / "root"
    write(root, {"present": f"0-{NO_CORE}", "online": "0", f"cpu{NO_CORE}/cpu_capacity": 1024})
    runner = Runner(write_stand_in(tmp_path), 1 << 30, tmp_path)
    programs = ProgramStore(tmp_path / "programs", 1 << 20, 1 << 20)
    program = b"answer()"
    programs.add(sha256(program), len(program), [program])
    agent = Agent(tmp_path / "state", runner, programs, root)
    try:
        request = RunRequest(
            run_id="1",
            program_sha256=sha256(program),
            lease_token=1,
            input_shapes=[Shape(dims=[1])],
            spec=SPEC,
        )
        request.spec.core_class = "big"
        failure = agent.Run(request, Mock()).failure
    finally:
        agent.close()
    assert failure.kind == FAILURE_KIND_AGENT_ERROR
    assert f"the cores {NO_CORE} are offline" in failure.message
