"""What a worker does beside its device's visits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from host.database import devices
from host.database.engine import Database
from host.database.schema import failures, visits
from host.home.paths import sqlite_url
from host.jobs.job_state import MAX_FAILED_VISITS, MAX_TIMES_LOST
from host.jobs.queue import WINDOW
from latlab.domain.device import DevicePhase, DeviceState
from latlab.domain.errors import Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Measurement, Visit
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import SPEC, TARGET, Lab, ended, fake_lab, next_event
from tests.host.measuring.test_statistics import NOW


@pytest.fixture
def shares_host() -> bool:
    return False


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares_host: bool) -> Iterator[Lab]:
    monkeypatch.setattr("host.devices.worker.IDLE_S", 0.01)
    monkeypatch.setattr("host.devices.worker.PAUSES_S", (0.01,))
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with fake_lab(database, tmp_path, shares_host=shares_host) as lab:
        yield lab
    database.close()


@pytest.mark.parametrize("shares_host", [False, True])
def test_an_outcome_that_is_not_acknowledged_is_filed_once(lab: Lab) -> None:
    lab.device.unacknowledged = 2
    lab.start(1.0, pinned=False)
    jobs = 3
    lab.measure(jobs)
    assert lab.measured() == jobs
    with lab.database.reading() as connection:
        asked = connection.execute(select(visits)).all()
    assert len(asked) == jobs * SPEC.max_visits
    assert all(visit.answered_unix_ns is not None for visit in asked)
    wait_until(lambda: lab.device.acknowledged == {visit.run_id for visit in asked})


@pytest.mark.parametrize("shares_host", [False, True])
def test_programs_go_ahead_of_their_visits_to_a_remote_device(lab: Lab, shares_host: bool) -> None:
    with lab.database.writing() as connection:
        devices.register_target(connection, TARGET)
    submitted = [lab.submit() for _ in range(2 * WINDOW)]
    lab.start(1.0, pinned=False)
    for events in submitted:
        ended(events)
    sent = Counter(sha256 for sha256, _ in lab.device.uploads)
    assert set(sent.values()) <= {1}
    assert bool(sent) == (not shares_host)
    for sha256, ran_before in lab.device.uploads:
        assert sha256 not in lab.device.ran[:ran_before]


def test_a_device_that_connects_and_never_answers_holds_no_job_for_ever(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def never(run_id: str, *_: object) -> None:
        asked.append(run_id)
        raise Unavailable("Deadline Exceeded")

    monkeypatch.setattr(lab.device, "run", never)
    monkeypatch.setattr("host.devices.readiness.health_rule.FIRST_PAUSE_S", 0.01)
    lab.start(1.0, pinned=False)
    events = lab.submit()
    while not isinstance(outcome := next_event(events), Failure):
        pass
    assert outcome.kind is FailureKind.DEVICE_LOST
    assert set(Counter(asked).values()) == {MAX_TIMES_LOST}
    assert len(set(asked)) == MAX_FAILED_VISITS
    with lab.database.reading() as connection:
        assert len(connection.execute(select(failures)).all()) == 1
    assert lab.measured() == 0


def test_a_device_that_answers_slowly_is_said_to(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.devices.visit_runner.SLOW_ANSWER_S", 0.0)
    states: list[DeviceState] = []
    run = lab.device.run

    def noted(*arguments: Any) -> Visit | Failure:  # noqa: ANN401
        states.append(lab.worker.state)
        return run(*arguments)

    monkeypatch.setattr(lab.device, "run", noted)
    lab.start(1.0, pinned=False)
    lab.measure(1)
    assert [state.phase for state in states] == [DevicePhase.MEASURING]
    assert states[0].detail == "answers slowly: in 0.0 s, heat unknown"


@pytest.mark.parametrize("shares_host", [False, True])
def test_what_can_be_no_visit_is_never_stored_and_the_job_ends_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.devices.readiness.health_rule.FIRST_PAUSE_S", 0.01)
    run = lab.device.run
    odd: list[dict[str, object]] = [
        {"wall_ns": (0,) * 20},
        {"wall_ns": (2**64 - 1,) * 20},
        {"cpu_ns": (1,)},
        {"before": replace(NOW, temperature_c=float("nan"))},
        {"traced": True},
        {"load_ns": 2**63},
    ]
    left = list(odd) * MAX_FAILED_VISITS

    def answered(*arguments: Any) -> Visit | Failure:  # noqa: ANN401
        visit = run(*arguments)
        assert isinstance(visit, Visit)
        fields: Any = left.pop(0) if left else {}
        return replace(visit, **fields)

    monkeypatch.setattr(lab.device, "run", answered)
    lab.start(1.0, pinned=False)
    for _ in odd:
        events = lab.submit()
        while not isinstance(outcome := next_event(events), Failure):
            assert not isinstance(outcome, Measurement)
        assert outcome.kind is FailureKind.AGENT_ERROR
        assert "impossible visit" in outcome.message
    assert lab.measured() == 0
    lab.measure(1)  # and the device goes on
    with lab.database.reading() as connection:
        assert len(connection.execute(select(failures)).all()) == len(odd)
        stored = connection.execute(select(visits).where(visits.c.wall_ns.is_not(None))).all()
    assert len(stored) == SPEC.max_visits
