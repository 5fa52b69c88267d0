"""Each refit is stored, with a score of the predictor that it replaced."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from host.database.engine import Database
from host.database.measurements import measured_networks
from host.home.paths import sqlite_url
from host.predicting import refit_history
from host.predicting.fitting import fit_measured
from host.predicting.predictors import Fit, Predictors
from host.predicting.refit_history import RefitHistory
from host.predicting.summaries import Summarizer
from latency_models.interference import Steadying
from latency_models.packing import pack
from latency_models.predictor import Predictor
from latlab.domain.errors import DiskFull
from latlab.domain.estimate import Refit
from latlab.domain.measured_network import MeasuredNetwork
from search.space.kernels import kernels
from tests.host.fake_lab import TARGET
from tests.host.predicting.test_predictors import running, until
from tests.host.stored_lab import (
    Stored,
    program_file,
    tiny_networks,
    visit,
    write,
    write_ordinary,
)
from tests.latency_models.synthetic import Machine

LEARNED, NEW = 8, 3


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    yield database
    database.close()


@pytest.fixture
def stored(database: Database, tmp_path: Path) -> list[Stored]:
    return write_ordinary(database, tmp_path, count=LEARNED)


def measure_more(database: Database, folder: Path, *, probe_ns: int = 3_000_000) -> list[str]:
    """Store measurements of networks that were not measured before; their ids."""
    machine, ids = Machine(seed=1), []
    with database.writing() as connection:
        for number, architecture in enumerate(tiny_networks(LEARNED + NEW)[LEARNED:], LEARNED):
            network = machine.measure(kernels(architecture), number)
            file = program_file(folder, f"more {number}", network.kernels)
            visits = [visit(round(network.latency_ns), probe_ns=probe_ns) for _ in range(3)]
            visits.append(visit(round(network.latency_ns), traced=True, probe_ns=probe_ns))
            ids.append(write(connection, file.program, visits, network.kernel_ns, number))
    Summarizer(database).complete()  # the lab stores a new measurement with its summary
    return ids


def measure_again(database: Database, stored: Stored) -> None:
    with database.writing() as connection:
        visits = [visit(round(1.3 * stored.network.latency_ns)) for _ in range(3)]
        write(connection, stored.file.program, visits, stored.network.kernel_ns, 100)
    Summarizer(database).complete()


def stored_networks(database: Database) -> dict[str, MeasuredNetwork]:
    with database.reading() as connection:
        return {id_: each for _, id_, each in measured_networks(connection, TARGET.id)}


def refitted(predictors: Predictors) -> Refit:
    """Fit the predictor anew; what is stored of it."""
    before = len(predictors.history.refits(TARGET.id))
    predictors.refit(TARGET.id)
    until(lambda: len(predictors.history.refits(TARGET.id)) == before + 1)
    return predictors.history.refits(TARGET.id)[-1]


class Constant:
    """Predicts 1 ms for every network, and knows no kernels; or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.steadying = Steadying.none()

    def predict(self, table: Any, lengths: Any, *_: Any, guess: bool) -> list[SimpleNamespace]:  # noqa: ANN401
        assert guess
        if self.error is not None:
            raise self.error
        estimate = SimpleNamespace(
            latency_ns=10**6, lower_ns=9 * 10**5, upper_ns=11 * 10**5, unknown_kinds=("add",)
        )
        return [estimate] * len(lengths)


def constant_fit(predictor: Constant, set_aside: Mapping[str, str] | None = None) -> Fit:
    """Stands in for fitting; it sets aside what `set_aside` names by then."""
    return lambda networks: (cast(Predictor, predictor), dict(set_aside or {}))


def test_a_score_is_what_the_replaced_predictor_said_about_new_networks(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    with running(database, fit_measured) as predictors:
        assert refitted(predictors).score is None
        replaced = predictors.get(TARGET.id).predictor
        new_ids = measure_more(database, tmp_path, probe_ns=3_300_000)
        measure_again(database, stored[0])
        score = refitted(predictors).score
    networks = stored_networks(database)
    new = [replaced.steadying(networks[id_]) for id_ in new_ids]
    estimates = replaced.predict(*pack(network.kernels for network in new), 0, guess=True)
    measured_ns = np.array([network.latency_ns for network in new])
    errors = np.abs(np.array([each.latency_ns for each in estimates]) / measured_ns - 1)
    inside = [
        each.lower_ns <= ns <= each.upper_ns
        for each, ns in zip(estimates, measured_ns.tolist(), strict=True)
    ]
    assert score is not None
    assert (score.networks, score.guessed) == (NEW, 0)
    assert score.mean_error == pytest.approx(errors.mean())
    assert score.within_5pct == pytest.approx(np.mean(errors <= 0.05))
    assert score.inside_interval == pytest.approx(np.mean(inside))


def test_a_refit_names_its_data_and_the_versions_of_libraries(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    with running(database, fit_measured) as predictors:
        first, same = refitted(predictors), refitted(predictors)
        snapshot = predictors.get(TARGET.id)
        measure_more(database, tmp_path)
        more = refitted(predictors)
    ids = "\n".join(sorted(one.id for one in stored))
    assert first.fingerprint == same.fingerprint == hashlib.sha256(ids.encode()).hexdigest()
    assert more.fingerprint != first.fingerprint
    assert (first.measurements, more.measurements) == (LEARNED, LEARNED + NEW)
    assert first.predictor == type(snapshot.predictor).__name__ == "KernelPredictor"
    assert first.versions == {name: version(name) for name in refit_history.LIBRARIES}
    assert same.fit_s == snapshot.fit_s
    assert first.unix_ns < same.unix_ns < more.unix_ns


def test_a_network_is_scored_once(database: Database, stored: list[Stored], tmp_path: Path) -> None:
    with running(database, constant_fit(Constant())) as predictors:
        scores = [refitted(predictors).score]
        measure_again(database, stored[0])
        scores.append(refitted(predictors).score)
        measure_more(database, tmp_path)
        measure_more(database, tmp_path)
        scores += [refitted(predictors).score, refitted(predictors).score]
    assert [None if score is None else score.networks for score in scores] == [
        None,
        None,
        NEW,
        None,
    ]
    assert scores[2] is not None
    assert scores[2].guessed == NEW


def test_an_exclusion_does_not_lose_the_predictor_that_is_scored(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    with running(database, constant_fit(Constant())) as predictors:
        refitted(predictors)
        measure_more(database, tmp_path)
        predictors.forget(TARGET.id)
        until(lambda: len(predictors.history.refits(TARGET.id)) == 2)
        score = predictors.history.refits(TARGET.id)[-1].score
    assert score is not None
    assert score.networks == NEW


def test_a_measurement_that_is_set_aside_is_not_scored(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    set_aside: dict[str, str] = {}
    with running(database, constant_fit(Constant(), set_aside)) as predictors:
        refitted(predictors)
        odd, *others = measure_more(database, tmp_path)
        set_aside[odd] = "it is odd"
        refit = refitted(predictors)
    assert refit.score is not None
    assert (refit.score.networks, refit.measurements) == (NEW - 1, LEARNED + NEW - 1)
    assert refit.fingerprint == refit_history.fingerprint([one.id for one in stored] + others)


def test_a_predictor_that_cannot_be_scored_is_replaced_all_the_same(
    database: Database, stored: list[Stored], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(database, constant_fit(Constant(ArithmeticError("odd")))) as predictors:
        refitted(predictors)
        measure_more(database, tmp_path)
        refit = refitted(predictors)
        assert predictors.get(TARGET.id).measurements == refit.measurements == LEARNED + NEW
    assert refit.score is None
    assert "could not be scored" in caplog.text


def test_a_refit_that_cannot_be_stored_is_served_all_the_same(
    database: Database,
    stored: list[Stored],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise DiskFull("storage is full")

    monkeypatch.setattr(refit_history, "add_refit", refuse)
    with running(database, constant_fit(Constant())) as predictors:
        assert predictors.refit(TARGET.id).measurements == LEARNED
        until(lambda: "could not be stored" in caplog.text)
        assert predictors.refit(TARGET.id).measurements == LEARNED


def test_the_first_refit_after_a_restart_has_no_score(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    with running(database, constant_fit(Constant())) as predictors:
        refitted(predictors)
    measure_more(database, tmp_path)
    with running(database, constant_fit(Constant())) as predictors:
        assert refitted(predictors).score is None
    assert len(RefitHistory(database).refits(TARGET.id)) == 2


def test_no_reader_waits_while_a_refit_is_stored(
    database: Database, stored: list[Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_stored = threading.Event()
    monkeypatch.setattr(refit_history, "add_refit", lambda *_: is_stored.wait(30))
    with running(database, constant_fit(Constant())) as predictors:
        assert predictors.get(TARGET.id).measurements == LEARNED
        assert not is_stored.is_set()
        is_stored.set()
