"""Who watches jobs is told of each change, and of each end at least once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from host.database.engine import Database
from host.database.owners import job_owners
from host.services.jobs import news as news_module
from host.services.jobs.news import Watcher, _coarse
from host.services.jobs.watching import Told
from latlab.domain.job import JobPhase
from tests.host.services.jobs.test_lab_jobs import ANN, BOB, Lab, database, lab

__all__ = ["database", "lab"]  # fixtures


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news_module, "INTERVAL_S", 0.02)


def phases(told: list[Told]) -> list[tuple[str, JobPhase]]:
    return [(one.status.id, one.status.phase) for one in told]


def until_end(told: Iterator[Told], job_id: str) -> list[Told]:
    """Everything up to the end of a job."""
    found = []
    for one in told:
        found.append(one)
        if one.status.id == job_id and one.status.phase.has_ended:
            return found
    raise AssertionError("the stream has ended")


def test_named_jobs_are_told_at_once_and_to_their_ends(lab: Lab) -> None:
    first, second = lab.create(0), lab.create(1)
    with lab.watch(first.id, second.id) as told:
        at_once = [next(told), next(told)]
        assert phases(at_once) == [(first.id, JobPhase.QUEUED), (second.id, JobPhase.QUEUED)]
        lab.finish()
        seen = until_end(told, first.id)
        assert seen[-1].status.phase is JobPhase.SUCCEEDED
        lab.fail(second.id)
        rest = list(told)  # it ends by itself
        assert phases(rest)[-1] == (second.id, JobPhase.FAILED)


def test_a_place_in_the_queue_that_changes_is_told(lab: Lab) -> None:
    first, second = lab.create(0), lab.create(1)
    with lab.watch(second.id) as told:
        assert next(told).status.ahead == 1
        lab.fail(first.id)
        assert next(told).status.ahead == 0


def test_a_resumed_stream_tells_the_ends_that_were_not_told(lab: Lab, database: Database) -> None:
    jobs = [lab.create(number) for number in range(3)]
    names = [job.id for job in jobs]
    with lab.watch(*names) as told:
        for _ in names:
            next(told)
        lab.fail(names[1])
        last = until_end(told, names[1])[-1]
    lab.fail(names[2])
    after = Lab(database)  # the daemon was restarted
    with after.watch(*names, after=last.position) as told:
        assert phases([next(told), next(told)]) == [
            (names[0], JobPhase.QUEUED),
            (names[2], JobPhase.FAILED),
        ]
        after.fail(names[0])
        assert phases(list(told)) == [(names[0], JobPhase.FAILED)]


def test_all_jobs_of_an_owner_are_told_those_opened_later_too(lab: Lab) -> None:
    lab.create(0, BOB)
    mine = lab.create(1, ANN)
    with lab.watch() as told:
        assert phases([next(told)]) == [(mine.id, JobPhase.QUEUED)]
        later = lab.create(2, ANN)
        seen = next(told)
        while seen.status.id != later.id:
            seen = next(told)
        lab.fail(later.id)
        assert until_end(told, later.id)[-1].status.phase is JobPhase.FAILED
        lab.jobs.cancel(mine.id, ANN)
        assert until_end(told, mine.id)[-1].status.phase is JobPhase.CANCELLED


def test_an_owners_resumed_stream_tells_every_end_in_between(lab: Lab, database: Database) -> None:
    jobs = [lab.create(number) for number in range(4)]
    with lab.watch() as told:
        next(told)
        lab.fail(jobs[0].id)
        position = until_end(told, jobs[0].id)[-1].position
    lab.fail(jobs[2].id)
    lab.create(1, BOB)
    lab.jobs.cancel(jobs[1].id, ANN)  # it goes on for another owner
    after = Lab(database)
    with after.watch(after=position) as told:
        assert phases([next(told) for _ in range(3)]) == [
            (jobs[2].id, JobPhase.FAILED),
            (jobs[1].id, JobPhase.CANCELLED),
            (jobs[3].id, JobPhase.QUEUED),
        ]


def test_every_end_is_told_to_a_client_whose_stream_breaks_all_the_time(
    lab: Lab, database: Database
) -> None:
    """Jobs are opened and end in other threads meanwhile."""
    wanted: set[str] = set()

    def work() -> None:
        for number in range(30):
            job = lab.create(number % 6, fresh=True)
            wanted.add(job.id)
            lab.fail(job.id)

    with lab.watch() as told:
        position = [lab.jobs.watching._news.newest_number()]
    working = threading.Thread(target=work)
    working.start()
    ended: list[str] = []
    while len(ended) < 30:
        with lab.watch(after=position) as told:
            one = next(told)
            position = list(one.position)  # type: ignore[arg-type]
            if one.status.phase.has_ended:
                ended.append(one.status.id)
    working.join()
    assert set(ended) == wanted


def test_more_ends_than_are_kept_come_from_the_database(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news_module, "PAGE", 2)
    monkeypatch.setattr(news_module, "KEPT_ENDS", 3)
    with lab.watch() as told:
        jobs = []
        for _ in range(9):
            jobs.append(lab.create(0, fresh=True).id)
            lab.fail(jobs[-1])
        last = lab.create(1)
        found = []
        for one in told:
            found.append(one.status)
            if one.status.id == last.id:
                break
    ends = [status.id for status in found if status.phase.has_ended]
    assert ends == jobs[: len(ends)]
    with lab.watch(after=[0]) as told:
        assert [next(told).status.id for _ in jobs] == jobs


def test_a_client_that_has_gone_ends_its_stream(lab: Lab) -> None:
    job = lab.create(0)
    leave: list[object] = []
    told = lab.jobs.watching.watch_named([job.id], ANN, None, leave.append)
    next(told)
    leave[0]()  # type: ignore[operator]
    assert list(told) == []


def test_a_slow_client_is_told_the_newest_state_alone() -> None:
    watcher = Watcher(None, "ann")
    for number in range(100):
        watcher.tell(["a", "b"], number)
    assert watcher.wait(0) == (["a", "b"], 99)


def test_a_place_far_behind_is_told_when_it_has_changed_by_a_tenth() -> None:
    coarse = [_coarse(ahead) for ahead in range(10_000)]
    assert coarse == sorted(coarse)
    assert coarse[:11] == list(range(11))
    for ahead in (100, 1_000, 5_000):
        assert len(set(coarse[ahead : ahead + ahead // 20])) <= 2
        assert coarse[ahead] != coarse[ahead - ahead // 5]


def test_ends_have_growing_numbers(lab: Lab, database: Database) -> None:
    jobs = [lab.create(number) for number in range(3)]
    for job in reversed(jobs):
        lab.fail(job.id)
    with database.reading() as connection:
        ends = job_owners.ends_after(connection, 0, 10)
    assert [end.number for end in ends] == [1, 2, 3]
    assert [end.job_id for end in ends] == [job.id for job in reversed(jobs)]
