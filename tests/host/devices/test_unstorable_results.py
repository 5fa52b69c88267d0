"""Results that cannot be stored, and a database that cannot store anything for a while."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host.database.engine import Database
from host.devices.beside_visits.program_uploads import ProgramUploads
from host.home.paths import sqlite_url
from host.home.result_quarantine import MAX_FILE_CHARS, MAX_FILES, ResultQuarantine
from host.jobs.job_state import MAX_DEFECTS, MAX_FAILED_VISITS
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import DatabaseBusy, DiskFull
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Measurement, Visit
from tests.host.fake_lab import SENTINEL, FakeDevice, Lab, fake_lab, next_event
from tests.host.measuring.test_statistics import NOW, QUIET

NO_JSON: Any = object()  # as no agent can send it, so that no check finds it


@pytest.fixture
def shares_host() -> bool:
    return False


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares_host: bool) -> Iterator[Lab]:
    monkeypatch.setattr("host.devices.worker.IDLE_S", 0.01)
    monkeypatch.setattr("host.devices.worker.PAUSES_S", (0.01,))
    monkeypatch.setattr("host.devices.beside_visits.result_writer.RETRY_PAUSES_S", (0.0, 0.0))
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with fake_lab(database, tmp_path, shares_host=shares_host) as lab:
        yield lab
    database.close()


def answer_with(monkeypatch: pytest.MonkeyPatch, device: FakeDevice, **fields: Any) -> list[str]:  # noqa: ANN401
    """Every visit, until that is undone; the runs that were acknowledged."""
    acknowledged: list[str] = []
    run = device.run

    def answered(*arguments: Any) -> Visit | Failure:  # noqa: ANN401
        visit = run(*arguments)
        assert isinstance(visit, Visit)
        return replace(visit, **fields)

    monkeypatch.setattr(device, "run", answered)
    monkeypatch.setattr(device, "acknowledge", acknowledged.append)
    return acknowledged


def ended_as_failure(lab: Lab) -> Failure:
    events = lab.submit()
    while not isinstance(outcome := next_event(events), Failure):
        assert not isinstance(outcome, Measurement)
    return outcome


@pytest.mark.parametrize("shares_host", [False, True])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"wall_ns": (2**64 - 1,) * len(QUIET.wall_ns)}, "impossible visit"),
        ({"after": replace(NOW, throttled=NO_JSON)}, "the database refuses the result"),
    ],
)
def test_a_result_that_can_never_be_stored_goes_to_the_quarantine(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, object],
    said: str,
) -> None:
    with monkeypatch.context() as changed:
        acknowledged = answer_with(changed, lab.device, **fields)
        lab.start(1.0, pinned=False)
        outcome = ended_as_failure(lab)
    assert outcome.kind is FailureKind.AGENT_ERROR
    assert said in outcome.message
    assert len(acknowledged) == MAX_FAILED_VISITS
    kept = {path.name: path.read_text() for path in (tmp_path / "quarantine").iterdir()}
    assert kept.keys() == {f"{run_id}.json" for run_id in acknowledged}
    assert f"quarantine/{acknowledged[-1]}.json" in outcome.message
    assert all(len(json.loads(text)["outcome"]["cpu_ns"]) == 20 for text in kept.values())
    lab.measure(1)  # and the device goes on


@pytest.mark.parametrize("error", [DatabaseBusy("locked"), DiskFull("no space left")])
def test_a_database_that_is_busy_or_full_loses_nothing(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    refusals, answer = [error] * 7, lab.board.answer

    def refused(*arguments: Any) -> None:  # noqa: ANN401
        if refusals:
            raise refusals.pop()
        answer(*arguments)

    monkeypatch.setattr(lab.board, "answer", refused)
    lab.start(1.0, pinned=False)
    lab.measure(2)
    assert refusals == []
    assert not (tmp_path / "quarantine").exists()


def test_a_job_that_the_lab_cannot_complete_ends_and_the_device_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:

        def defect(*_: object) -> None:
            raise OverflowError("a defect")

        changed.setattr(lab.board, "complete", defect)
        lab.start(1.0, pinned=False)
        outcome = ended_as_failure(lab)
    assert outcome.kind is FailureKind.AGENT_ERROR
    assert f"failed {MAX_DEFECTS} times" in outcome.message
    lab.measure(1)


@pytest.mark.parametrize("failures", [1, MAX_FAILED_VISITS])
def test_a_core_that_is_away_costs_a_retry_and_is_tried_a_bounded_number_of_times(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    missing = Failure(FailureKind.AGENT_ERROR, "the cores 3 are offline")
    left, run = [missing] * failures, lab.device.run
    monkeypatch.setattr(
        lab.device, "run", lambda *arguments: left.pop() if left else run(*arguments)
    )
    lab.start(1.0, pinned=False)
    if failures < MAX_FAILED_VISITS:
        lab.measure(1)
    else:
        assert ended_as_failure(lab) == missing
    assert left == []


def test_a_program_that_is_gone_from_the_disk_stops_no_visit(tmp_path: Path) -> None:
    class Reading(FakeDevice):
        def upload(self, program: object, path: Path) -> None:
            raise FileNotFoundError(path)

    store = ProgramStore(tmp_path)
    store.path(SENTINEL.sha256).write_bytes(b"x")
    uploads = ProgramUploads(store)
    uploads.start_next(Reading(), [SENTINEL])
    uploads.wait_for(SENTINEL)
    uploads.close()


def test_the_quarantine_is_bounded(tmp_path: Path) -> None:
    quarantine = ResultQuarantine(tmp_path / "quarantine")
    large = replace(QUIET, wall_ns=(10**18,) * MAX_FILE_CHARS)
    assert quarantine.keep("first", large, "odd") == "quarantine/first.json"
    assert (tmp_path / "quarantine/first.json").stat().st_size == MAX_FILE_CHARS
    for number in range(MAX_FILES):
        quarantine.keep(str(number), Failure(FailureKind.CRASHED, "odd"), "odd")
    names = {path.stem for path in (tmp_path / "quarantine").iterdir()}
    assert names == {str(number) for number in range(MAX_FILES)}
