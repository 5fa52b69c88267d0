"""Snapshots are read without waiting, and refitted in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from host.database import stored_measurements
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.predicting.predictors import Fit, Predictors
from host.predicting.summaries import Summarizer
from latency_models.predictor import Predictor
from latlab.domain.errors import NotReady, Unavailable
from latlab.domain.measured_network import MeasuredNetwork
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import Stored, visit, write, write_ordinary

WAIT_S = 30.0


class Fits:
    """Stands in for fitting; each fit takes until it may end."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.begun = threading.Semaphore(0)
        self.error: Exception | None = None

    def __call__(self, networks: Mapping[str, MeasuredNetwork]) -> tuple[Predictor, dict[str, str]]:
        self.sizes.append(len(networks))
        self.begun.release()
        assert self.may_end.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        return cast(Predictor, object()), {}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    yield database
    database.close()


@pytest.fixture
def stored(database: Database, tmp_path: Path) -> list[Stored]:
    return write_ordinary(database, tmp_path, count=5)


@contextmanager
def running(
    database: Database, fit: Fit, quiet: threading.Lock | None = None
) -> Iterator[Predictors]:
    predictors = Predictors(database, Summarizer(database), quiet or threading.Lock(), fit)
    predictors.start()
    yield predictors
    predictors.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def add_measurement(database: Database, stored: list[Stored]) -> None:
    with database.writing() as connection:
        write(connection, stored[0].file.program, [visit(10**6)], None, 100)


def test_those_who_ask_first_wait_for_one_fit(database: Database, stored: list[Stored]) -> None:
    fits, found = Fits(), []
    fits.may_end.clear()
    with running(database, fits) as predictors:
        assert predictors.find(TARGET.id) is None
        readers = [
            threading.Thread(target=lambda: found.append(predictors.get(TARGET.id)))
            for _ in range(4)
        ]
        for reader in readers:
            reader.start()
        assert fits.begun.acquire(timeout=WAIT_S)
        assert found == []
        fits.may_end.set()
        for reader in readers:
            reader.join(WAIT_S)
        assert len(found) == 4
        assert all(snapshot is found[0] for snapshot in found)
        assert found[0].measurements == found[0].stored.measurements == 5
    assert fits.sizes == [5]


def test_a_snapshot_is_read_while_the_next_is_fitted_and_then_replaced(
    database: Database, stored: list[Stored]
) -> None:
    fits = Fits()
    with running(database, fits) as predictors:
        first = predictors.get(TARGET.id)
        assert fits.begun.acquire(timeout=WAIT_S)
        fits.may_end.clear()
        for _ in range(8):
            add_measurement(database, stored)
        predictors._started_s -= 3600  # fits may take a twentieth of this
        for _ in range(8):
            predictors.measured(TARGET.id)
        assert fits.begun.acquire(timeout=WAIT_S)
        assert predictors.get(TARGET.id, timeout_s=0.0) is first
        fits.may_end.set()
        until(lambda: predictors.get(TARGET.id) is not first)
        assert predictors.get(TARGET.id).stored.measurements == 13


def test_a_fit_waits_for_the_machine_and_a_reader_does_not(
    database: Database, stored: list[Stored]
) -> None:
    fits, quiet = Fits(), threading.Lock()
    with running(database, fits, quiet) as predictors:
        snapshot = predictors.get(TARGET.id)
        with quiet:
            with pytest.raises(NotReady, match="still being fitted"):
                predictors.refit(TARGET.id, timeout_s=0.2)
            assert predictors.get(TARGET.id, timeout_s=0.0) is snapshot
            assert len(fits.sizes) == 1
        until(lambda: len(fits.sizes) == 2)


def test_a_reader_may_ask_for_what_was_measured_last(
    database: Database, stored: list[Stored]
) -> None:
    with running(database, Fits()) as predictors:
        assert predictors.get(TARGET.id).stored.measurements == 5
        add_measurement(database, stored)
        assert predictors.get(TARGET.id).stored.measurements == 5
        assert predictors.get(TARGET.id, min_measurements=6).stored.measurements == 6
        with pytest.raises(NotReady, match="6 measurements of the target are stored, fewer"):
            predictors.get(TARGET.id, min_measurements=7)


def test_a_fit_of_many_networks_learns_from_some_and_knows_all(
    database: Database, stored: list[Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_measurements, "MAX_LEARNED_PROGRAMS", 4)
    fits = Fits()
    with running(database, fits) as predictors:
        first = predictors.get(TARGET.id)
        assert (first.measurements, first.stored.measurements) == (4, 5)
        assert predictors.get(TARGET.id, min_measurements=5) is first
        add_measurement(database, stored)
        Summarizer(database).complete()
        second = predictors.get(TARGET.id, min_measurements=6)
        assert (second.measurements, second.stored.measurements) == (5, 6)
        with database.writing() as connection:
            stored_measurements.exclude(connection, stored[0].id, "why", 1)
        predictors.forget(TARGET.id)
        third = predictors.get(TARGET.id)
        assert (third.measurements, third.stored.measurements) == (4, 5)


def test_too_few_measurements_are_said_without_a_fit(database: Database, tmp_path: Path) -> None:
    write_ordinary(database, tmp_path, count=3)
    fits = Fits()
    with running(database, fits) as predictors, pytest.raises(NotReady, match="latlab calibrate"):
        predictors.get(TARGET.id)
    assert fits.sizes == []


def test_a_fit_that_fails_is_told_to_those_who_wait_and_tried_again(
    database: Database, stored: list[Stored], caplog: pytest.LogCaptureFixture
) -> None:
    fits = Fits()
    with running(database, fits) as predictors:
        fits.error = RuntimeError("it broke")
        with pytest.raises(Unavailable, match="RuntimeError"):
            predictors.get(TARGET.id)
        assert "could not be fitted" in caplog.text
        fits.error = None
        snapshot = predictors.get(TARGET.id)
        fits.error = Unavailable("the process ended")
        with pytest.raises(Unavailable, match="the process ended"):
            predictors.refit(TARGET.id)
        assert predictors.get(TARGET.id) is snapshot
        fits.error = None
        predictors._started_s -= 3600
        predictors._poll()
        until(lambda: predictors.get(TARGET.id) is not snapshot)


def test_a_measurement_excluded_during_a_fit_is_not_learned_from(
    database: Database, stored: list[Stored]
) -> None:
    fits = Fits()
    with running(database, fits) as predictors:
        fits.may_end.clear()
        found = []
        reader = threading.Thread(target=lambda: found.append(predictors.get(TARGET.id)))
        reader.start()
        assert fits.begun.acquire(timeout=WAIT_S)
        with database.writing() as connection:
            stored_measurements.exclude(connection, stored[0].id, "why", 1)
        predictors.forget(TARGET.id)
        fits.may_end.set()
        reader.join(WAIT_S)
        assert [snapshot.measurements for snapshot in found] == [4]
        until(lambda: [r.measurements for r in predictors.history.refits(TARGET.id)] == [4])
    assert fits.sizes == [5, 4]


def test_what_another_lab_excludes_is_noticed(database: Database, stored: list[Stored]) -> None:
    with running(database, Fits()) as predictors:
        assert predictors.get(TARGET.id).measurements == 5
        with database.writing() as connection:
            stored_measurements.exclude(connection, stored[0].id, "why", 1)
        predictors._poll()
        assert predictors.get(TARGET.id).measurements == 4
