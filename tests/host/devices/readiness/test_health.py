"""When a device is quarantined, and when it is good again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from host.database import device_history
from host.database.engine import Database
from host.database.schema import device_events
from host.devices.readiness.health_rule import (
    DEVICE_KINDS,
    MAX_FAILURES,
    MAX_PAUSE_S,
    Health,
    after_probe,
    after_visit,
)
from host.home.paths import sqlite_url
from host.jobs.events import EventQueue
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.device import DevicePhase
from latlab.domain.errors import Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Lease
from latlab.domain.measurement import Measurement, Visit
from latlab.domain.program import Program
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import (
    DEVICE,
    SENTINEL,
    SPEC,
    TARGET,
    FakeDevice,
    Lab,
    ended,
    fake_lab,
    new_events,
    next_event,
)
from tests.host.measuring.test_statistics import QUIET

outcomes = st.just(QUIET) | st.builds(Failure, st.sampled_from(FailureKind), st.just("why"))
CRASH = Failure(FailureKind.CRASHED, "signal 11")


@given(st.lists(st.tuples(st.sampled_from("abc"), outcomes, st.booleans())))
def test_only_programs_that_have_run_quarantine_a_device(
    seen: list[tuple[str, Visit | Failure, bool]],
) -> None:
    health = Health()
    for program, outcome, has_run in seen:
        health = after_visit(health, program, outcome, has_run)
    running: list[tuple[str, bool]] = []
    for program, outcome, has_run in seen:
        if isinstance(outcome, Visit):
            running = []
        elif outcome.kind is FailureKind.DEVICE_LOST or (
            outcome.kind in DEVICE_KINDS and (not running or running[-1][0] != program)
        ):
            running.append((program, has_run))
    proofs = sum(has_run for _, has_run in running)
    assert health.is_quarantined == (proofs >= MAX_FAILURES)
    if not health.is_quarantined:
        assert health.is_doubtful == (len(running) - proofs >= MAX_FAILURES)
    assert after_visit(health, "a", QUIET, has_run=True) == Health()


def test_a_probe_decides_about_doubts() -> None:
    health = Health(doubts=MAX_FAILURES)
    assert after_probe(health, CRASH).is_quarantined
    assert after_probe(health, None) == Health()
    # A sentinel that cannot run there says nothing about the device.
    assert after_probe(health, Failure(FailureKind.UNSUPPORTED, "no such operator")) == Health()


@given(st.integers(0, 2000))
def test_pauses_between_probes_grow_and_are_bounded(probes: int) -> None:
    health = Health(failures=MAX_FAILURES)
    for _ in range(probes):
        later = after_probe(health, CRASH)
        assert health.pause_s <= later.pause_s <= MAX_PAUSE_S
        assert later.is_quarantined
        health = later
    assert after_probe(health, None) == Health()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("host.devices.worker.IDLE_S", 0.01)
    monkeypatch.setattr("host.devices.worker.PAUSES_S", (0.01,))
    monkeypatch.setattr("host.devices.readiness.health_rule.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("host.devices.readiness.health_rule.MAX_PAUSE_S", 0.02)
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with fake_lab(database, tmp_path) as lab:
        yield lab
    database.close()


def kinds(lab: Lab) -> list[str]:
    with lab.database.reading() as connection:
        return list(connection.scalars(select(device_events.c.kind)))


def test_a_device_that_loses_every_run_is_quarantined_until_a_probe_is_good(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [MAX_FAILURES + 2]  # the last two are probes
    run = FakeDevice.run

    def lose(
        device: FakeDevice, run_id: str, lease: Lease, program: Program, path: Path, spec: VisitSpec
    ) -> Visit | Failure:
        if left[0]:
            left[0] -= 1
            raise Unavailable("unplugged")
        return run(device, run_id, lease, program, path, spec)

    lab.start(1.0)
    lab.measure(1)
    monkeypatch.setattr(FakeDevice, "run", lose)
    ended(lab.submit())
    assert kinds(lab) == ["connected", "quarantined", "recovered"]
    assert not left[0]


def crash(monkeypatch: pytest.MonkeyPatch, lab: Lab, *, sentinel_too: bool) -> None:
    """Every program crashes, until that is undone."""
    run = lab.device.run

    def crashing(run_id: str, lease: Lease, program: Program, *rest: Any) -> Visit | Failure:  # noqa: ANN401
        visit = run(run_id, lease, program, *rest)
        return visit if program == SENTINEL and not sentinel_too else CRASH

    monkeypatch.setattr(lab.device, "run", crashing)


def failure(events: EventQueue) -> Failure:
    while not isinstance(outcome := next_event(events), Failure):
        assert not isinstance(outcome, Measurement)
    return outcome


@pytest.mark.parametrize("pinned", [False, True])
def test_programs_that_crash_end_their_own_jobs_and_nothing_else(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, pinned: bool
) -> None:
    lab.start(1.0, pinned=pinned)
    with monkeypatch.context() as changed:
        crash(changed, lab, sentinel_too=False)
        submitted = [lab.submit() for _ in range(2 * MAX_FAILURES)]
        assert {failure(events) for events in submitted} == {CRASH}
    lab.measure(1)
    assert kinds(lab) == ["connected"]


def test_a_device_on_which_the_sentinel_crashes_too_is_quarantined(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.start(1.0)
    lab.measure(1)
    with monkeypatch.context() as changed:
        crash(changed, lab, sentinel_too=True)
        submitted = [lab.submit() for _ in range(MAX_FAILURES)]
        wait_until(lambda: "quarantined" in kinds(lab))
        assert lab.worker.state.phase is DevicePhase.QUARANTINED
    for events in submitted:
        next_event(events)
    wait_until(lambda: kinds(lab) == ["connected", "quarantined", "recovered"])


def test_a_device_on_which_programs_crash_that_have_run_is_quarantined(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.start(1.0, pinned=False)
    lab.measure(MAX_FAILURES)
    with monkeypatch.context() as changed:
        crash(changed, lab, sentinel_too=True)
        for number in range(MAX_FAILURES):
            lab.board.submit(TARGET.id, f"{number + 1:064}", SPEC, new_events())
        wait_until(lambda: "quarantined" in kinds(lab))


def test_a_drained_device_takes_no_job_until_it_is_undrained(lab: Lab) -> None:
    lab.start(1.0, pinned=False)
    lab.measure(1)
    lab.worker.health.drained = True
    wait_until(lambda: lab.worker.state.phase is DevicePhase.DRAINED)
    events, ran = lab.submit(), len(lab.device.ran)
    wait_until(lambda: lab.worker.obstacle == "drained")
    assert len(lab.device.ran) == ran
    lab.worker.health.drained = False
    ended(events)
    with lab.database.reading() as connection:
        past = device_history.history(connection, DEVICE.serial, None)
    assert (past.visits, past.failures) == (2, {})
