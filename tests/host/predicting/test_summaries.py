"""What measurements amount to is stored, whoever made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from host.database import devices, measurements, schema
from host.database.engine import Database
from host.database.summaries import not_summarized
from host.measuring.statistics import NONE_CLEAN, VERSION, summarize
from host.predicting import summaries
from host.predicting.summaries import Summarizer
from latlab.domain.measurement import KernelTrace, Summary, Unusable, Visit
from search.space.kernels import kernels
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import SPEC, program_file, stored_lab, tiny_networks, visit, write
from tests.latency_models.synthetic import TRACE_NAMES

VISITS = [visit(2_000_000), visit(2_100_000), visit(1_900_000), visit(2_500_000, traced=True)]
SPOILED = [replace(one, involuntary_switches=(1,) * len(one.wall_ns)) for one in VISITS]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
    yield database
    database.close()


def add(database: Database, folder: Path, visits: list[Visit], name: str = "one") -> str:
    """As an older version would have written it: without its summary."""
    [network] = tiny_networks(1)
    program = program_file(folder, name, kernels(network)).program
    with database.writing() as connection:
        return write(connection, program, visits, None, 7)


def stored(database: Database, measurement_id: str) -> Summary | str:
    with database.reading() as connection:
        found = measurements.look_up(connection, [measurement_id])[measurement_id]
    return found.why if isinstance(found, Unusable) else found.summary


def test_an_older_measurement_is_summarized_as_its_visits_are(
    database: Database, tmp_path: Path
) -> None:
    measurement_id = add(database, tmp_path, VISITS)
    assert "not been summarised yet" in str(stored(database, measurement_id))
    Summarizer(database).complete()
    assert stored(database, measurement_id) == summarize(VISITS)


def test_a_trace_that_an_older_version_could_not_align_gives_kernel_times(
    database: Database, tmp_path: Path
) -> None:
    [network] = tiny_networks(1)
    traces = tuple(
        KernelTrace(TRACE_NAMES[kernel.kind], (2_000,) * len(VISITS[-1].wall_ns))
        for kernel in kernels(network)
    )
    add(database, tmp_path, [*VISITS[:-1], replace(VISITS[-1], kernel_traces=traces)])
    Summarizer(database).complete()
    with database.reading() as connection:
        [(_, _, found)] = measurements.measured_networks(connection, TARGET.id)
    assert found.kernel_ns == (2_000,) * len(kernels(network))
    with database.writing() as connection:
        connection.execute(schema.summaries.update().values(version=1))
    Summarizer(database).complete()  # what has kernel times keeps them
    with database.reading() as connection:
        assert [
            network.kernel_ns
            for _, _, network in measurements.measured_networks(connection, TARGET.id)
        ] == [found.kernel_ns]


def test_a_summary_of_a_version_that_knew_fewer_figures_is_not_used(
    database: Database, tmp_path: Path
) -> None:
    measurement_id = add(database, tmp_path, VISITS)
    Summarizer(database).complete()
    with database.writing() as connection:  # as the migration leaves it
        connection.execute(
            schema.summaries.update().values(
                version=1, median_ns=None, p90_ns=None, p99_ns=None, runs=None
            )
        )
    assert "not been summarised yet" in str(stored(database, measurement_id))
    Summarizer(database).complete()
    assert stored(database, measurement_id) == summarize(VISITS)


def test_one_that_amounts_to_nothing_says_so_and_is_looked_at_once(
    database: Database, tmp_path: Path
) -> None:
    measurement_id = add(database, tmp_path, SPOILED)
    Summarizer(database).complete()
    assert stored(database, measurement_id) == NONE_CLEAN
    with database.reading() as connection:
        assert not_summarized(connection, VERSION, 10) == []
        assert not_summarized(connection, VERSION + 1, 10) == [measurement_id]


def test_another_version_of_the_statistic_summarizes_anew(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measurement_id = add(database, tmp_path, VISITS)
    Summarizer(database).complete()
    other = Summary(1.0, 1.0, 1.0, 1, 1, 1.0, 1.0, 1.0, 1)
    monkeypatch.setattr(summaries, "VERSION", VERSION + 1)
    monkeypatch.setattr(summaries, "summary_or_reason", lambda visits: other)
    Summarizer(database).complete()
    assert stored(database, measurement_id) == other


def test_many_are_summarized_in_batches_and_a_stop_keeps_what_was_done(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "BATCH", 2)
    ids = [add(database, tmp_path, VISITS, str(number)) for number in range(5)]
    asked = iter([True, True, False])
    Summarizer(database).complete(lambda: next(asked))
    with database.reading() as connection:
        assert len(not_summarized(connection, VERSION, 10)) == 1
    Summarizer(database).complete()
    assert {str(stored(database, id_)) for id_ in ids} == {str(summarize(VISITS))}


def test_what_is_measured_now_has_its_summary_at_once(database: Database, tmp_path: Path) -> None:
    [network] = tiny_networks(1)
    with stored_lab(database, tmp_path) as (client, _):
        client.measure(TARGET.id, [program_file(tmp_path, "new", kernels(network))], SPEC)
    with database.reading() as connection:
        assert not_summarized(connection, VERSION, 10) == []
        versions = connection.scalars(select(schema.summaries.c.version)).all()
    assert versions == [VERSION]
