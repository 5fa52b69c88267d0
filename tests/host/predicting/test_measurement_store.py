from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from host.predicting import measurement_store
from host.predicting.fitting import fit_measured
from host.predicting.measurement_store import MeasurementStore
from host.predicting.predictors import Predictors
from host.predicting.summaries import Summarizer
from latency_models.interference import Steadying
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import write_ordinary


def test_a_slow_reader_holds_no_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement_store, "PAGE", 2)
    database = Database(sqlite_url(tmp_path / "lab.db"))
    stored = write_ordinary(database, tmp_path, 5)
    summarizer = Summarizer(database)
    predictors = Predictors(database, summarizer, threading.Lock(), fit_measured)
    store = MeasurementStore(database, summarizer, predictors)
    oldest_first = [one.id for one in stored]
    pool = cast(Any, database.engine.pool)
    for stream, ids in (
        ((id_ for _, id_, _ in store.measured_networks(TARGET.id)), oldest_first),
        ((each.id for each in store.list(TARGET.id, "")), oldest_first[::-1]),
        ((each.id for each in store.list("", oldest_first[0])), oldest_first[:1]),
        ((each.id for each in store.list_unusable("", lambda: True)), []),
    ):
        read = []
        for id_ in stream:
            assert pool.checkedout() == 0
            read.append(id_)
        assert read == ids
    database.close()


class EverNewPredictors:
    """Has learned more whenever it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, target_id: str, timeout_s: float = 0.0) -> SimpleNamespace:
        self.asked += 1
        steadying = Steadying(0.01 * self.asked, 2e6, 1e6, 9e6, 0.001)
        return SimpleNamespace(predictor=SimpleNamespace(steadying=steadying))


def test_what_is_looked_up_together_is_corrected_alike(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    ids = [one.id for one in write_ordinary(database, tmp_path, 5)]
    predictors = EverNewPredictors()
    store = MeasurementStore(database, Summarizer(database), cast(Predictors, predictors))
    corrections = {estimate.correction for estimate in store.look_up(ids)}
    later = {estimate.correction for estimate in store.look_up(ids)}
    database.close()
    assert len(corrections) == len(later) == 1
    assert corrections != later
    [correction] = corrections
    assert correction is not None
    assert correction.quiet_probe_ns == 2_000_000
