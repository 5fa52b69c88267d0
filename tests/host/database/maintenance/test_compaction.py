"""Removing raw samples, after which every answer is as before."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from host.database import (
    device_history,
    devices,
    measurements,
    schema,
    sentinels,
    stored_measurements,
)
from host.database.engine import Database
from host.database.maintenance import compaction, space
from host.database.maintenance.compaction import compact
from host.database.maintenance.copying import copy_rows
from host.database.summaries import Statistic
from host.home.paths import sqlite_url
from host.measuring import statistics
from host.predicting import summaries
from host.predicting.estimates import measured_latency
from host.predicting.summaries import Summarizer
from latency_models.interference import Steadying
from latlab.domain.database.maintenance import Compaction, CompactionPolicy, Progress
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import KernelTrace, Visit
from latlab.domain.program import Program, TensorSpec
from tests.host.database.maintenance.filled import contents, fill
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.poisons import POISONS, Odd
from tests.host.stored_lab import SPEC, visit, write

STATISTIC = Statistic(statistics.VERSION, statistics.summary_or_reason)
ALL_TIME = 2**62
KERNELS = (Kernel("add", ((1, 8), (1, 8)), (1, 8)), Kernel("relu", ((1, 8),), (1, 8)))

visits = st.builds(
    lambda seed, traced, spread: _visit(seed, traced, spread),
    st.integers(0, 2**20),
    st.booleans(),
    st.sampled_from([0.001, 0.05, 0.5]),
)
written = st.fixed_dictionaries(
    {
        "visits": st.lists(visits, max_size=4),
        "has_times": st.booleans(),
        "program": st.integers(0, 2),
        "unix_ns": st.integers(1, 1_000),
        "fate": st.sampled_from(["", "", "suspect", "excluded", "baseline", "old statistic"]),
        "poison": st.sampled_from([None, None, *(each for each in POISONS if each.numbers)]),
    }
)


def _visit(seed: int, traced: bool, spread: float) -> Visit:
    rng = np.random.default_rng(seed)
    wall_ns = np.maximum(1, 1e6 * rng.lognormal(0, spread, 12)).astype(int).tolist()
    made = visit(1_000_000, traced=traced, probe_ns=int(rng.integers(1, 4)) * 1_000_000)
    traces = tuple(
        KernelTrace(name, tuple(rng.integers(1, 1_000, 12).tolist()), 0)
        for name in ("Add (ND)", "ReLU")
    )
    return replace(
        made,
        wall_ns=tuple(wall_ns),
        cpu_ns=tuple(wall_ns),
        involuntary_switches=tuple((rng.random(12) < 0.1).astype(int).tolist()),
        load_ns=int(rng.integers(1, 10**9)),
        first_run_ns=int(rng.integers(1, 10**9)),
        peak_rss_bytes=int(rng.integers(1, 10**9)),
        after=replace(made.after, unix_ns=int(rng.integers(1, 10**10))),
        kernel_traces=traces if traced else (),
    )


def _write(connection: Connection, number: int, one: dict[str, Any]) -> None:
    odd = Odd(KERNELS, list(one["visits"]), (500.0, 400.0) if one["has_times"] else None)
    with contextlib.suppress(ValueError, IndexError):  # some need more than there is
        if one["poison"] is not None:
            one["poison"].numbers(odd, random.Random(number))
    sha256 = f"{one['program']:064}"
    if odd.kernels != KERNELS:
        sha256 = f"{1_000 + number:064}"
    program = Program(sha256, 4, "xnnpack", (TensorSpec((1, 8)),), odd.kernels, (), "t")
    id_ = write(connection, program, odd.visits, odd.kernel_ns, one["unix_ns"])
    match one["fate"]:
        case "suspect":
            sentinels.mark_suspect(connection, id_)
        case "excluded":
            stored_measurements.exclude(connection, id_, "why", 5)
        case "baseline":
            sentinels.pin(connection, sha256)
            sentinels.set_baseline(connection, TARGET.id, id_)


def answers(database: Database) -> dict[str, Any]:
    """Return all that is asked of stored measurements, but for their age."""
    with database.reading() as connection:
        ids = stored_measurements.measurement_ids(connection)
        shas = list(connection.scalars(select(schema.programs.c.sha256)))
        found = {
            sha: measurements.find_measurement(connection, TARGET.id, sha, SPEC) for sha in shas
        }
        said: dict[str, Any] = {
            "ids": ids,
            "list": stored_measurements.stored_measurements(connection, ids),
            "look-ups": measurements.look_up(connection, ids),
            "trusted": measurements.trusted_ids(connection, TARGET.id),
            "learned": stored_measurements.learned_networks(connection, TARGET.id),
            "networks": list(measurements.measured_networks(connection, TARGET.id)),
            "newest": stored_measurements.newest_summaries(
                connection, TARGET.id, statistics.VERSION, 30
            ),
            "counts": devices.measurement_counts(connection),
            "history": device_history.history(connection, DEVICE.serial, 10),
            "baseline": sentinels.get_sentinel(connection, TARGET.id),
            "found": {sha: each and each.id for sha, each in found.items()},
        }
    outcomes = {
        sha: measured_latency(database, each, lambda _: Steadying.none())
        for sha, each in found.items()
        if each is not None
    }
    said["outcomes"] = {
        sha: replace(each, estimate=replace(each.estimate, age_s=0.0))
        if isinstance(each, MeasuredLatency)
        else each
        for sha, each in outcomes.items()
    }
    return said


def compacted(database: Database, policy: CompactionPolicy, alone: bool = False) -> Compaction:
    *progress, last = compact(database, policy, STATISTIC, is_alone=alone)
    assert all(isinstance(each, Progress) for each in progress)
    assert isinstance(last, Compaction)
    return last


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Database]:
    """One of SQLite."""
    database = Database(sqlite_url(tmp_path / "lab.db"))
    yield database
    database.close()


def test_every_answer_about_ordinary_measurements_is_as_before(
    database: Database, tmp_path: Path
) -> None:
    fill(database, tmp_path)
    said = answers(database)
    assert len(said["learned"]) == 3
    for policy in (CompactionPolicy(ALL_TIME, traces_only=True), CompactionPolicy(ALL_TIME)):
        assert compacted(database, policy).measurements == 3
        assert answers(database) == said


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    all_written=st.lists(written, max_size=8),
    before=st.integers(0, 1_100),
    traces=st.booleans(),
)
def test_every_answer_about_any_measurements_is_as_before(
    lab: Database,
    tmp_path: Path,
    all_written: list[dict[str, Any]],
    before: int,
    traces: bool,
) -> None:
    _empty(lab, tmp_path)
    with lab.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
        for number, one in enumerate(all_written):
            _write(connection, number, one)
    Summarizer(lab).complete()
    with lab.writing() as connection:
        baselines = set(connection.scalars(select(schema.sentinels.c.baseline_id)))
    said = answers(lab)
    compacted(lab, CompactionPolicy(before, traces_only=traces))
    assert answers(lab) == said
    compacted(lab, CompactionPolicy(before))
    assert answers(lab) == said
    Summarizer(lab).complete()
    assert answers(lab) == said
    with lab.reading() as connection:
        for id_ in said["ids"]:
            row = connection.execute(
                select(schema.measurements).where(schema.measurements.c.id == id_)
            ).one()
            if row.unix_ns >= before or id_ in baselines:
                assert row.samples_removed_unix_ns is None
            elif row.samples_removed_unix_ns is not None:
                found = measurements.get_measurement(connection, id_)
                assert found is not None
                assert not any(each.wall_ns or each.cpu_ns for each in found.visits)


def test_later_versions_of_the_statistic_leave_frozen_summaries(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = fill(database, tmp_path)
    compacted(database, CompactionPolicy(2))  # the two oldest, of which one is the baseline
    said = answers(database)
    monkeypatch.setattr(summaries, "VERSION", statistics.VERSION + 1)
    monkeypatch.setattr(summaries, "summary_or_reason", lambda visits: "another rule")
    Summarizer(database).complete()
    with database.reading() as connection:
        found = measurements.look_up(connection, [each.id for each in stored])
    assert [hasattr(found[each.id], "summary") for each in stored] == [False, True, False, False]
    assert found[stored[1].id] == said["look-ups"][stored[1].id]


def test_what_is_kept_is_counted_by_its_reason(database: Database, tmp_path: Path) -> None:
    stored = fill(database, tmp_path)
    with database.writing() as connection:
        wrong = schema.summaries.c.measurement_id == stored[1].id
        connection.execute(schema.summaries.update().where(wrong).values(p99_ns=1.0))
        old = schema.summaries.c.measurement_id == stored[2].id
        connection.execute(schema.summaries.update().where(old).values(version=1))
        timed = schema.kernel_timings.c.measurement_id == stored[3].id
        connection.execute(schema.kernel_timings.delete().where(timed))
    before = contents(database)["visits"]
    done = compacted(database, CompactionPolicy(ALL_TIME))
    assert done.measurements == done.removed_bytes == 0
    assert done.kept == {
        compaction.BASELINE: 1,
        compaction.WRONG: 1,
        compaction.NOT_SUMMARISED: 1,
        compaction.UNALIGNED: 1,
    }
    assert contents(database)["visits"] == before


def test_a_dry_run_says_what_would_go_and_removes_nothing(
    database: Database, tmp_path: Path
) -> None:
    fill(database, tmp_path)
    before = contents(database)
    trial = compacted(database, CompactionPolicy(ALL_TIME, dry_run=True))
    only_traces = compacted(database, CompactionPolicy(ALL_TIME, traces_only=True, dry_run=True))
    assert contents(database) == before
    assert trial.measurements == only_traces.measurements == 3
    assert 0 < only_traces.removed_bytes < trial.removed_bytes
    done = compacted(database, CompactionPolicy(ALL_TIME))
    assert (done.measurements, done.removed_bytes) == (3, trial.removed_bytes)
    assert compacted(database, CompactionPolicy(ALL_TIME)).measurements == 0


def test_open_and_failed_jobs_keep_their_samples(database: Database, tmp_path: Path) -> None:
    fill(database, tmp_path)
    compacted(database, CompactionPolicy(ALL_TIME))
    kept = {row["run_id"]: row["wall_ns"] for row in contents(database)["visits"]}
    assert len(kept["run 0"]) == len(kept["run 1"]) > 0


def test_a_measurement_says_when_its_samples_were_removed(
    database: Database, tmp_path: Path
) -> None:
    stored = fill(database, tmp_path)
    compacted(database, CompactionPolicy(ALL_TIME, traces_only=True))
    with database.reading() as connection:
        found = measurements.get_measurement(connection, stored[3].id)
    assert found is not None
    assert found.samples_removed_unix_ns is None
    removed_unix_ns = found.traces_removed_unix_ns
    assert removed_unix_ns is not None
    assert all(each.wall_ns for each in found.visits)
    compacted(database, CompactionPolicy(ALL_TIME))
    with database.reading() as connection:
        found = measurements.get_measurement(connection, stored[3].id)
        untouched = measurements.get_measurement(connection, stored[0].id)
    assert found is not None
    assert found.traces_removed_unix_ns == removed_unix_ns
    assert found.samples_removed_unix_ns is not None
    assert len(found.visits) == 4
    assert untouched is not None
    assert untouched.samples_removed_unix_ns is None  # the sentinel's baseline


@pytest.mark.parametrize("is_alone", [True, False])
def test_the_space_is_given_back(tmp_path: Path, is_alone: bool) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    _write_large(database)
    done = compacted(database, CompactionPolicy(ALL_TIME), is_alone)
    assert done.advice in ("", space.REST if not is_alone else "")
    assert done.returned_bytes > 0.8 * done.removed_bytes > 1_000_000
    database.close()
    assert (tmp_path / "lab.db").stat().st_size < 1_000_000


def test_the_file_of_an_older_version_is_written_anew(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "lab.db") as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")  # fixes that it is not incremental
    connection.close()
    database = Database(sqlite_url(tmp_path / "lab.db"))
    _write_large(database)
    done = compacted(database, CompactionPolicy(ALL_TIME))
    assert done.returned_bytes == 0
    assert done.advice == space.OLD_FILE
    done = compacted(database, CompactionPolicy(ALL_TIME), alone=True)
    assert done.returned_bytes > 1_000_000
    _write_large(database)
    done = compacted(database, CompactionPolicy(ALL_TIME))
    assert done.returned_bytes > 1_000_000  # from now on in steps
    database.close()


def _write_large(database: Database) -> None:
    made = visit(1_000_000)
    large = replace(
        made,
        wall_ns=made.wall_ns * 1_000,
        cpu_ns=made.cpu_ns * 1_000,
        involuntary_switches=made.involuntary_switches * 1_000,
    )
    program = Program("ab" * 32, 4, "xnnpack", (TensorSpec((1, 8)),), KERNELS, (), "t")
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
        for unix_ns in range(10):
            write(connection, program, [large], None, unix_ns)
    Summarizer(database).complete()


def _empty(database: Database, folder: Path) -> None:
    """Remove all rows of the example before."""
    nothing = Database(sqlite_url(folder / "nothing.db"))
    with nothing.reading() as source, database.writing() as target:
        copy_rows(source, target, lambda done, total: None)
    nothing.close()
