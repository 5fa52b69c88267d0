"""What the sentinel does to jobs and to what was measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from host.database import measurements, sentinels
from host.database.engine import Database
from host.devices.readiness import sentinel_rule
from latlab.domain.measurement import Measurement
from latlab.domain.program import Program
from tests.host.fake_lab import SENTINEL, TARGET, WAIT_S, Lab, ended, fake_lab
from tests.host.measuring.test_statistics import QUIET

JOBS_BETWEEN = 2


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def lab(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("host.devices.readiness.sentinel_watch.JOBS_BETWEEN", JOBS_BETWEEN)
    monkeypatch.setattr("host.devices.readiness.sentinel_rule.CONFIRM_S", 0.01)
    monkeypatch.setattr("host.devices.readiness.sentinel_rule.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("host.devices.readiness.sentinel_rule.MAX_PAUSE_S", 0.05)
    monkeypatch.setattr("host.devices.worker.IDLE_S", 0.01)
    with fake_lab(database, tmp_path) as lab:
        yield lab


def wait_until_drifted(lab: Lab) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not ((watch := lab.worker.sentinels.watch(TARGET.id)) and watch.drifted):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_it_comes_first_and_after_so_many_jobs(lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1 + JOBS_BETWEEN)
    check = [SENTINEL.sha256] * sentinel_rule.SPEC.min_visits
    first, second, third = (f"{number:064}" for number in (1, 2, 3))
    assert lab.device.ran == [*check, first, second, *check, third]
    assert lab.learned_from() == [first, second, third]
    assert lab.measured() == 3 + 2


def test_it_comes_after_every_reconnection(lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1)
    lab.device.is_lost = True
    lab.measure(1)
    assert lab.device.checks() == 2


def test_without_one_jobs_go_their_way(lab: Lab) -> None:
    lab.start(1.0, pinned=False)
    lab.measure(1 + JOBS_BETWEEN)
    assert lab.device.checks() == 0
    assert lab.worker.sentinels.watch(TARGET.id) is None


def test_while_none_is_pinned_the_database_is_asked_for_it_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    get_sentinel = sentinels.get_sentinel

    def counted(
        connection: Connection, target_id: str
    ) -> tuple[Program, Measurement | None] | None:
        asked.append(target_id)
        return get_sentinel(connection, target_id)

    monkeypatch.setattr("host.database.sentinels.get_sentinel", counted)
    lab.start(1.0, pinned=False)
    lab.measure(3)
    assert asked == [TARGET.id]
    with lab.database.writing() as connection:
        sentinels.pin(connection, SENTINEL.sha256)
    lab.worker.sentinels.pinned()
    lab.measure(1)
    assert lab.device.checks() == 1


@pytest.mark.parametrize("slowness", [1.1, 0.9])
def test_a_drift_makes_suspect_what_came_since_the_last_good_one(lab: Lab, slowness: float) -> None:
    lab.start(1.0, 1.0, slowness, slowness, slowness, 1.0)
    before = lab.measure(JOBS_BETWEEN)
    since = lab.measure(JOBS_BETWEEN)
    [after] = lab.measure(1)  # waits for the last check
    assert lab.device.checks() == 6
    assert lab.learned_from() == [m.program_sha256 for m in (*before, after)]
    assert not after.suspect
    with lab.database.reading() as connection:
        for measurement in since:
            kept = measurements.get_measurement(connection, measurement.id)
            assert kept == replace(measurement, suspect=True)


def test_a_passing_mood_makes_nothing_suspect_but_itself(lab: Lab) -> None:
    lab.start(1.0, 1.1, 1.0)
    assert len(lab.measure(1 + JOBS_BETWEEN)) == len(lab.learned_from())
    assert lab.device.checks() == 3


def test_jobs_wait_until_the_baseline_is_renewed(lab: Lab) -> None:
    lab.start(1.0, 1.1)
    lab.measure(JOBS_BETWEEN)
    waiting = lab.submit()
    wait_until_drifted(lab)
    with lab.database.writing() as connection:
        sentinels.set_baseline(connection, TARGET.id, None)
    lab.worker.sentinels.renew(TARGET.id)
    measured = ended(waiting)
    assert lab.learned_from() == [measured.program_sha256]
    watch = lab.worker.sentinels.watch(TARGET.id)
    assert watch is not None
    assert watch.drift == 0


def test_visits_made_while_it_drifted_make_their_measurement_suspect(lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1)
    lab.worker.stop()
    lab.submit()
    lab.submit()
    [begun, untouched] = lab.board.open_states([TARGET.id])
    begun.visits.append(QUIET)
    lab.board.suspect(TARGET.id)
    assert lab.board.complete(begun, None).suspect
    assert not lab.board.complete(untouched, None).suspect


def test_another_program_takes_a_new_baseline(database: Database, lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1)
    other = lab.add(replace(SENTINEL, sha256="0e" * 32))
    with database.writing() as connection:
        sentinels.pin(connection, SENTINEL.sha256)
        assert sentinels.get_sentinel(connection, TARGET.id)[1] is not None  # type: ignore[index]
        sentinels.pin(connection, other.sha256)
        assert sentinels.get_sentinel(connection, TARGET.id) == (other, None)
    assert other.sha256 in lab.board.programs_in_use()


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE visits SET wall_ns = cpu_ns, cpu_ns = NULL WHERE job_id IN (SELECT id FROM jobs)",
        "UPDATE jobs SET spec = '{'",
        "UPDATE measurements SET is_excluded = (1 = 1)",
    ],
)
def test_a_baseline_of_no_use_gives_way_to_the_next(
    database: Database, lab: Lab, spoil: str
) -> None:
    lab.start(1.0, 2.0)
    lab.measure(1)
    with database.writing() as connection:
        connection.execute(text(spoil))
        assert sentinels.get_sentinel(connection, TARGET.id) == (SENTINEL, None)
    lab.measure(1 + JOBS_BETWEEN)
    watch = lab.worker.sentinels.watch(TARGET.id)
    assert watch is not None
    assert (watch.drift, watch.misses) == (0.0, 0)
    with database.reading() as connection:
        assert sentinels.get_sentinel(connection, TARGET.id)[1] is not None  # type: ignore[index]
