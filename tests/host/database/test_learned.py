"""Which measurements predictors learn from, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from host.database import devices, jobs, measurements, programs, stored_measurements
from host.database.engine import Database
from host.database.summaries import put_summary
from host.measuring.statistics import NONE_CLEAN, VERSION
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.job import Job
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Summary
from latlab.domain.program import Program, TensorSpec
from latlab.domain.target import Target

TARGET = Target("m", "os", "rt", "rb", "xnnpack", 1, "all")
OTHER_TARGET = replace(TARGET, threads=2)
ADD = Kernel("add", ((1, 8), (1, 8)), (1, 8))
PROGRAM = Program("", 4, "xnnpack", (TensorSpec((1, 8)),), (ADD,), (), "test")
JOB = Job("", TARGET.id, "", BenchmarkSpec(), 1)
SUMMARY = Summary(100.0, 90.0, 110.0, 3, 3, 105.0, 110.0, 110.0, 30)


@dataclass
class Lab:
    """Measures programs, which are named by numbers, one after the other."""

    database: Database
    unix_ns: int = 0

    def measure(
        self,
        number: int,
        summary: Summary | str = SUMMARY,
        *,
        job: Job = JOB,
        suspect: bool = False,
    ) -> str:
        """Return the id of the measurement."""
        self.unix_ns += 1
        id_, sha256 = f"measured-{self.unix_ns}", f"{number:064x}"
        job = replace(job, id=f"job-{self.unix_ns}", program_sha256=sha256)
        with self.database.writing() as connection:
            programs.add_program(connection, replace(PROGRAM, sha256=sha256))
            jobs.add_job(connection, job)
            jobs.end_with_measurement(connection, job, id_, (1.0,), self.unix_ns, suspect)
            put_summary(connection, id_, VERSION, summary)
        return id_

    def learned(self) -> list[str]:
        """Return the ids of the measurements that a predictor learns from."""
        with self.database.reading() as connection:
            return stored_measurements.learned_ids(connection, TARGET.id)

    def learned_programs(self) -> set[int]:
        """Return the programs that a predictor learns from."""
        with self.database.reading() as connection:
            found = measurements.measured_networks(connection, TARGET.id, self.learned())
            return {int(sha256, 16) for sha256, _, _ in found}


@pytest.fixture
def lab(database_url: str) -> Iterator[Lab]:
    database = Database(database_url)
    with database.writing() as connection:
        devices.register_target(connection, TARGET)
        devices.register_target(connection, OTHER_TARGET)
    yield Lab(database)
    database.close()


def test_a_few_measurements_are_all_learned_from_the_oldest_first(lab: Lab) -> None:
    ids = [lab.measure(number) for number in (3, 1, 2, 1, 3)]
    assert lab.learned() == ids
    with lab.database.reading() as connection:
        assert list(stored_measurements.learned_networks(connection, TARGET.id)) == ids


def test_of_many_programs_the_newest_and_a_stable_choice_are_learned_from(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_measurements, "MAX_LEARNED_PROGRAMS", 8)
    for number in range(100, 120):
        lab.measure(number)
    assert lab.learned_programs() == {119, 118, *range(100, 106)}
    lab.measure(300)
    lab.measure(115)
    assert lab.learned_programs() == {300, 115, *range(100, 106)}
    lab.measure(50)
    lab.measure(40)
    assert lab.learned_programs() == {50, 40, *range(100, 106)}
    lab.measure(301)
    lab.measure(302)
    assert lab.learned_programs() == {301, 302, 40, 50, *range(100, 104)}


def test_the_newest_measurements_of_each_program_are_learned_from(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_measurements, "MAX_LEARNED", 6)
    ids = [lab.measure(number) for number in (1, 1, 1, 1, 2, 3, 3, 3)]
    assert lab.learned() == [ids[number] for number in (2, 3, 4, 5, 6, 7)]
    monkeypatch.setattr(stored_measurements, "MAX_LEARNED", 4)
    assert lab.learned() == [ids[number] for number in (3, 4, 6, 7)]


def test_what_is_not_to_be_learned_from_takes_no_place(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_measurements, "MAX_LEARNED_PROGRAMS", 4)
    monkeypatch.setattr(stored_measurements, "MAX_LEARNED", 4)
    ids = [lab.measure(number) for number in (11, 12, 13, 14)]
    excluded = lab.measure(15)
    lab.measure(1, suspect=True)
    lab.measure(2, job=replace(JOB, is_sentinel=True))
    lab.measure(3, job=replace(JOB, spec=BenchmarkSpec.sustained(30)))
    lab.measure(4, job=replace(JOB, target_id=OTHER_TARGET.id))
    assert lab.learned_programs() == {15, 11, 12, 13}
    with lab.database.writing() as connection:
        stored_measurements.exclude(connection, excluded, "why", 1)
    assert lab.learned() == ids
    with lab.database.writing() as connection:
        stored_measurements.include(connection, excluded, 2)
    assert lab.learned_programs() == {15, 11, 12, 13}


def test_a_measurement_without_a_latency_is_not_learned_from(lab: Lab) -> None:
    id_ = lab.measure(1)
    lab.measure(2, NONE_CLEAN)
    with lab.database.reading() as connection:
        assert list(stored_measurements.learned_networks(connection, TARGET.id)) == [id_]


def test_the_networks_are_read_in_pages_and_share_their_kernels(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements, "_PAGE", 2)
    ids = [lab.measure(number) for number in (1, 2, 1, 2, 1)]
    with lab.database.reading() as connection:
        learned = stored_measurements.learned_networks(connection, TARGET.id)
    assert list(learned) == ids
    assert all(network.kernels is learned[ids[0]].kernels for network in learned.values())


def test_nothing_is_learned_from_a_target_without_measurements(lab: Lab) -> None:
    assert lab.learned() == []
