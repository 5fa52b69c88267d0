"""Jobs that outlive their calls, without gRPC and without a device: the test plays the device."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from host.database import devices, programs
from host.database.engine import Database
from host.database.owners import job_requests
from host.database.owners.job_requests import JobRequest
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from host.jobs.records import JobRecords
from host.jobs.wait_reasons import ServingDevice
from host.measuring.stopping import NextVisit
from host.predicting.fitting import fit_measured
from host.predicting.predictors import Predictors
from host.predicting.summaries import Summarizer
from host.services.jobs.lab_jobs import LabJobs, WantedMeasurement
from host.services.jobs.statuses import JobStatuses
from host.services.jobs.watching import Told
from host.services.requests.page_tokens import Position
from latlab.domain.access.token import LOCAL_OWNER, AccessToken, Scope
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import JobPhase, JobStatus, WaitReason
from latlab.domain.program import Program
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, SENTINEL, TARGET, new_events, next_event
from tests.host.measuring.test_statistics import QUIET

SPEC = BenchmarkSpec(min_visits=1, max_visits=1, traced_visits=0, spacing_ns=0)
UNTRACED = NextVisit(traced=False)
WAIT_S = 60.0


def token(owner: str, *scopes: Scope) -> AccessToken:
    return AccessToken(owner, owner, frozenset(scopes or {Scope.READ, Scope.MEASURE}), 0)


ANN, BOB, BOSS = token("ann"), token("bob"), token("boss", Scope.OPERATE)


class Lab:
    """The daemon's parts that know of jobs, over a database that outlives them."""

    def __init__(self, database: Database) -> None:
        self.serving = [ServingDevice("fake", "")]
        self.dispatcher = Dispatcher(database)
        summarizer = Summarizer(database)
        predictors = Predictors(database, summarizer, threading.Lock(), fit_measured)
        statuses = JobStatuses(
            database, self.dispatcher, predictors, lambda: {TARGET.id: self.serving}
        )
        self.jobs = LabJobs(database, self.dispatcher, statuses, summarizer)

    def create(
        self,
        number: int,
        caller: AccessToken = ANN,
        request: JobRequest | None = None,
        *,
        fresh: bool = False,
    ) -> JobStatus:
        wanted = WantedMeasurement(TARGET.id, f"{number:064}", SPEC, fresh, 0, request)
        return self.jobs.create(wanted, caller)

    def take(self) -> JobState:
        state = self.dispatcher.take(DEVICE.serial, [TARGET.id], 0)
        assert state is not None
        return state

    def visit(self, state: JobState) -> None:
        run_id = self.dispatcher.ask(state, UNTRACED, DEVICE.serial)
        self.dispatcher.answer(state, run_id, replace(QUIET, run_id=run_id))

    def finish(self) -> str:
        """Measure the next job to its end, and return its id."""
        state = self.take()
        self.visit(state)
        self.dispatcher.complete(state, None)
        return state.job.id

    def fail(self, job_id: str) -> None:
        state = self.dispatcher.find(job_id)
        assert state is not None
        self.dispatcher.end(state, Failure(FailureKind.CRASHED, "it crashed"))

    @contextmanager
    def watch(
        self, *job_ids: str, caller: AccessToken = ANN, after: Position | None = None
    ) -> Iterator[Iterator[Told]]:
        leave: list[object] = []
        watching = self.jobs.watching
        if job_ids:
            told = watching.watch_named(job_ids, caller, after, leave.append)
        else:
            told = watching.watch_owner(caller, after, leave.append)
        yield told
        for close in leave:
            close()  # type: ignore[operator]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.writing() as connection:
        devices.register(connection, DEVICE, "test", 1)
        devices.register_target(connection, TARGET)
        for number in range(6):
            programs.add_program(connection, replace(SENTINEL, sha256=f"{number:064}"))
    yield database
    database.close()


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database)


def request_id(owner: str = "ann", fingerprint: str = "f") -> JobRequest:
    return JobRequest(owner, str(uuid.uuid4()), fingerprint)


def test_a_job_is_answered_at_once_and_goes_on_without_a_client(lab: Lab) -> None:
    first, second = lab.create(0), lab.create(1)
    assert (first.phase, first.ahead, first.wait_reason) == (JobPhase.QUEUED, 0, WaitReason.NEXT)
    assert (second.ahead, second.wait_reason) == (1, WaitReason.BEHIND_OTHERS)
    assert second.owner == "ann"
    state = lab.take()
    assert lab.jobs.get(first.id, ANN).phase is JobPhase.RUNNING
    lab.visit(state)
    seen = lab.jobs.get(first.id, ANN)
    assert seen.visits_done == 1
    assert seen.provisional is not None
    lab.dispatcher.complete(state, None)
    ended = lab.jobs.get(first.id, ANN)
    assert ended.phase is JobPhase.SUCCEEDED
    assert isinstance(ended.outcome, MeasuredLatency)
    assert ended.ended_unix_ns is not None
    assert (ended.provisional, ended.ahead, ended.wait_reason) == (None, None, None)
    lab.fail(second.id)
    failed = lab.jobs.get(second.id, ANN)
    assert failed.phase is JobPhase.FAILED
    assert failed.outcome == Failure(FailureKind.CRASHED, "it crashed")


def test_a_job_says_why_it_waits(lab: Lab) -> None:
    job = lab.create(0)

    def waits_because(reason: WaitReason) -> bool:
        return lab.jobs.get(job.id, ANN).wait_reason is reason

    for serving, reason in (
        ([], WaitReason.NO_DEVICE),
        ([ServingDevice("fake", "drained")], WaitReason.DEVICE_NOT_READY),
        ([ServingDevice("fake", "drained"), ServingDevice("other", "")], WaitReason.NEXT),
    ):
        lab.serving = serving
        wait_until(partial(waits_because, reason))


def test_a_request_that_is_sent_twice_is_one_also_after_a_restart(
    lab: Lab, database: Database
) -> None:
    request = request_id()
    first = lab.create(0, request=request, fresh=True)
    assert lab.create(0, request=request, fresh=True).id == first.id
    after = Lab(database)
    assert after.create(0, request=request, fresh=True).id == first.id
    assert after.finish() == first.id
    again = after.create(0, request=request, fresh=True)  # it would be measured anew otherwise
    assert (again.id, again.phase) == (first.id, JobPhase.SUCCEEDED)
    assert after.create(0, request=request_id(), fresh=True).id != first.id


def test_a_request_id_stands_for_one_request_of_one_owner(lab: Lab) -> None:
    request = request_id()
    first = lab.create(0, request=request)
    with pytest.raises(InvalidRequest, match="came with another request"):
        lab.create(1, request=replace(request, fingerprint="g"))
    other = lab.create(1, BOB, replace(request, owner="bob"))
    assert other.id != first.id


def test_one_request_from_many_threads_opens_one_job(lab: Lab) -> None:
    request = request_id()
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(lab.create(0, request=request, fresh=True).id))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_a_request_that_comes_again_while_its_job_is_opened_gets_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_id()
    is_stored, is_answered = threading.Event(), threading.Event()
    open_job = JobRecords.open

    def linger(*args: Any, **kwargs: Any) -> Program:  # noqa: ANN401 -- as it comes
        program = open_job(*args, **kwargs)
        is_stored.set()
        is_answered.wait(0.2)  # in vain, if the second request waits for the first
        return program

    monkeypatch.setattr(JobRecords, "open", linger)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(lab.create, 0, request=request)
        assert is_stored.wait(WAIT_S)
        try:
            again = lab.create(0, request=request)
        finally:
            is_answered.set()
        assert again.id == first.result().id


def test_requests_are_forgotten_after_a_week(database: Database) -> None:
    lab, request = Lab(database), request_id()
    job = lab.create(0)
    with database.writing() as connection:
        job_requests.add_request(connection, request, job.id, 1)
        assert job_requests.find_job(connection, request) == job.id
        job_requests.add_request(connection, request_id(), job.id, 2 + job_requests.KEPT_NS)
        assert job_requests.find_job(connection, request) is None


def test_a_stored_measurement_is_a_job_that_has_succeeded(lab: Lab) -> None:
    measured = lab.create(0).id
    assert lab.finish() == measured
    known = lab.create(0, BOB)
    assert (known.id, known.phase, known.owner) == (measured, JobPhase.SUCCEEDED, "bob")
    assert lab.jobs.get(measured, BOB).phase is JobPhase.SUCCEEDED
    assert lab.create(0, BOB, fresh=True).phase is JobPhase.QUEUED


def test_owners_share_a_job_and_see_no_others(lab: Lab) -> None:
    job = lab.create(0, ANN)
    assert lab.create(0, BOB).id == job.id
    alone = lab.create(1, ANN)
    for wanted in (alone.id, "f" * 32):
        with pytest.raises(NotFound, match="of yours"):
            lab.jobs.get(wanted, BOB)
        with pytest.raises(NotFound, match="of yours"):
            lab.jobs.cancel(wanted, BOB)
        with lab.watch(wanted, caller=BOB) as told, pytest.raises(NotFound):
            next(told)
    assert lab.jobs.get(alone.id, BOSS).owner == "ann"


def test_cancelling_ends_a_job_for_its_owner_and_for_all_if_nobody_waits(
    lab: Lab, database: Database
) -> None:
    job = lab.create(0, ANN)
    lab.create(0, BOB)
    cancelled = lab.jobs.cancel(job.id, ANN)
    assert cancelled.phase is JobPhase.CANCELLED
    assert cancelled.ended_unix_ns is not None
    for one in (lab, Lab(database)):
        assert one.jobs.get(job.id, ANN).phase is JobPhase.CANCELLED
        assert one.jobs.get(job.id, BOB).phase is JobPhase.QUEUED
    assert lab.jobs.cancel(job.id, BOB).phase is JobPhase.CANCELLED
    assert lab.dispatcher.find(job.id) is None
    assert lab.jobs.cancel(job.id, BOB).phase is JobPhase.CANCELLED  # harmless


def test_an_owner_who_cancelled_may_ask_again_but_not_by_the_same_request(lab: Lab) -> None:
    request = request_id()
    job = lab.create(0, ANN, request)
    lab.create(0, BOB)
    lab.jobs.cancel(job.id, ANN)
    assert lab.create(0, ANN, request).phase is JobPhase.CANCELLED
    again = lab.create(0, ANN)
    assert (again.id, again.phase) == (job.id, JobPhase.QUEUED)


def test_whoever_operates_the_lab_cancels_jobs_of_others(lab: Lab) -> None:
    job = lab.create(0, ANN)
    lab.create(0, BOB)
    assert lab.jobs.cancel(job.id, BOSS).phase is JobPhase.CANCELLED
    assert lab.jobs.get(job.id, ANN).phase is JobPhase.CANCELLED


def test_a_stream_that_pauses_its_jobs_does_not_pause_one_that_an_owner_waits_for(
    lab: Lab, database: Database
) -> None:
    job = lab.create(0, ANN)
    for one in (lab, Lab(database)):
        events = new_events()
        one.dispatcher.submit(TARGET.id, f"{0:064}", SPEC, events, owner=BOB.owner)
        one.dispatcher.unsubscribe(events, pause=True)
        assert one.jobs.get(job.id, ANN).phase is JobPhase.QUEUED
        assert one.jobs.get(job.id, BOB).phase is JobPhase.QUEUED


def test_a_stream_hears_of_the_job_that_was_created(lab: Lab) -> None:
    job, events = lab.create(0), new_events()
    joined = lab.dispatcher.submit(TARGET.id, f"{0:064}", SPEC, events, owner=LOCAL_OWNER)
    assert joined.id == job.id
    lab.fail(job.id)
    assert next_event(events) == Failure(FailureKind.CRASHED, "it crashed")


def test_the_queue_is_listed_by_page(lab: Lab) -> None:
    jobs = [lab.create(number, caller) for number, caller in enumerate((ANN, BOB, ANN, BOB))]
    first = lab.jobs.queue(lambda target_id: True, 3)
    assert [(job.id, job.owner) for job, _ in first.jobs] == [
        (job.id, job.owner) for job in jobs[:3]
    ]
    assert (first.open_count, first.is_last) == (4, False)
    lab.jobs.cancel(jobs[2].id, ANN)  # a page goes on behind a job that has gone
    second = lab.jobs.queue(lambda target_id: True, 3, first.jobs[-1][1])
    assert [job.id for job, _ in second.jobs] == [jobs[3].id]
    assert second.is_last
    assert lab.jobs.queue(lambda target_id: False, 3).jobs == []
