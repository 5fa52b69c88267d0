"""Which predictors are blended, and when a blend is made anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from host.predicting.blends import Blends
from host.predicting.fitting import fit_measured
from host.predicting.predictors import Predictors
from host.predicting.summaries import Summarizer
from latency_models.predictor import ENOUGH_NETWORKS
from latency_models.targets.blended_predictor import BlendedPredictor
from latlab.domain.errors import NotReady
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import write_ordinary


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    yield database
    database.close()


@contextmanager
def running(database: Database) -> Iterator[tuple[Predictors, Blends]]:
    predictors = Predictors(database, Summarizer(database), threading.Lock(), fit_measured)
    predictors.start()
    yield predictors, Blends(database, predictors)
    predictors.stop()


def test_a_target_without_measurements_is_predicted_from_the_others(
    database: Database, tmp_path: Path
) -> None:
    write_ordinary(database, tmp_path, count=5)
    with running(database) as (predictors, blends):
        new = blends.get("a target that nobody measured")
        assert isinstance(new, BlendedPredictor)
        assert new.samples == 0
        assert blends.get("a target that nobody measured") is new
        predictors.refit(TARGET.id)
        assert blends.get("a target that nobody measured") is not new


def test_a_target_alone_has_its_own_predictor(database: Database, tmp_path: Path) -> None:
    write_ordinary(database, tmp_path, count=5)
    with running(database) as (predictors, blends):
        assert blends.get(TARGET.id) is predictors.get(TARGET.id).predictor
        assert predictors.get(TARGET.id).predictor.samples < ENOUGH_NETWORKS


def test_too_few_measurements_in_the_whole_lab_say_so(database: Database, tmp_path: Path) -> None:
    write_ordinary(database, tmp_path, count=3)
    with running(database) as (_, blends), pytest.raises(NotReady, match="latlab calibrate"):
        blends.get(TARGET.id)


def test_a_reader_who_needs_measurements_gets_no_transfer(
    database: Database, tmp_path: Path
) -> None:
    write_ordinary(database, tmp_path, count=5)
    with running(database) as (_, blends), pytest.raises(NotReady):
        blends.get("a target that nobody measured", min_measurements=1)
