"""What waits for a client that reads slowly."""

from __future__ import annotations

import queue
from dataclasses import replace

import pytest

from host.jobs.events import WHOLE_MEASUREMENTS, EventQueue, JobEvent, Progress
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.measurement import Measurement
from tests.host.fake_lab import SENTINEL, SPEC, TARGET
from tests.host.measuring.test_statistics import QUIET


def progress(visits: int) -> Progress:
    job = Job("id", TARGET.id, SENTINEL.sha256, SPEC, 0)
    return Progress(job, SENTINEL, (QUIET,) * visits)


def measurement(number: int) -> Measurement:
    sha256 = f"{number:064}"
    return Measurement(f"id {number}", TARGET.id, sha256, SPEC, number, (QUIET,))


def test_a_slow_reader_gets_every_outcome_from_a_queue_that_holds_few_measurements() -> None:
    count = 3 * WHOLE_MEASUREMENTS
    stored = {each.id: each for each in map(measurement, range(count))}
    read: list[str] = []

    def read_stored(measurement_id: str) -> Measurement:
        read.append(measurement_id)
        return stored[measurement_id]

    events = EventQueue(read_stored)
    for visits in range(1_000):
        events.put(JobEvent(f"{visits % count:064}", progress(visits)))
    for each in stored.values():
        events.put(JobEvent(each.program_sha256, each))
    failed = JobEvent("f" * 64, Failure(FailureKind.CRASHED, "out of luck"))
    events.put(failed)
    events.put(None)

    for each in stored.values():
        assert events.get(0) == JobEvent(each.program_sha256, each)
    assert events.get(0) == failed
    assert events.get(0) is None
    with pytest.raises(queue.Empty):
        events.get(0)
    assert len(read) == count - WHOLE_MEASUREMENTS

    events.put(JobEvent("0" * 64, replace(stored["id 0"], id="another")))
    events.get(0)
    assert "another" not in read


def test_what_the_requests_raised_is_not_lost_among_events() -> None:
    events = EventQueue(lambda measurement_id: pytest.fail(measurement_id))
    error = OSError("the disk is gone")
    events.put(JobEvent("0" * 64, progress(1)))
    events.put(error)
    events.put(JobEvent("0" * 64, progress(2)))
    assert events.get(0) == JobEvent("0" * 64, progress(2))
    assert events.get(0) is error
