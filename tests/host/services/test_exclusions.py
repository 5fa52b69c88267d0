"""Measurements that their owner has excluded: kept, and neither answered nor learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from host.database.engine import Database
from host.database.measurements import warn_once
from host.doctor.finding import Level
from host.doctor.measurements import measurement_findings
from host.predicting.predictors import Predictors
from latency_models.fitting import fit_predictor
from latency_models.predictor import Predictor
from latlab.client.client import LatencyClient
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.estimate import MeasuredLatency, Source
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement
from tests.host.fake_lab import TARGET, FakeDevice
from tests.host.stored_lab import SPEC, Stored, stored_lab, visit, write, write_ordinary

WHY = "a neighbour ran a build"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def stored(database: Database, tmp_path: Path) -> list[Stored]:
    return write_ordinary(database, tmp_path, count=5)


@pytest.fixture
def lab(
    database: Database, stored: list[Stored], tmp_path: Path
) -> Iterator[tuple[LatencyClient, FakeDevice]]:
    with stored_lab(database, tmp_path) as lab:
        yield lab


def test_an_excluded_measurement_is_kept_and_used_by_none(
    lab: tuple[LatencyClient, FakeDevice], stored: list[Stored]
) -> None:
    client, device = lab
    odd = stored[0]
    assert client.refit(TARGET.id)[0] == 5
    before = client.predict(TARGET.id, [odd.network.kernels])
    assert client.stored.exclude(odd.id[:6], WHY) == odd.id

    [status] = [one for one in client.targets() if one.target == TARGET]
    assert status.measurements == 4
    assert odd.id not in client.measured_networks_by_id(TARGET.id)
    [after] = client.predict(TARGET.id, [odd.network.kernels])
    assert after.samples == 4  # fitted anew at once
    assert before[0].samples == 5

    # Who holds its id still gets its own number; who measures its network, a new one.
    [own] = client.look_up([odd.id])
    assert own.source is Source.MEASURED
    assert own.latency_ns == pytest.approx(odd.network.latency_ns, rel=0.1)
    assert isinstance(client.measurement(odd.id), Measurement)
    [again] = client.measure(TARGET.id, [odd.file], SPEC)
    assert isinstance(again, MeasuredLatency)
    assert again.measurement_id != odd.id
    assert device.ran == [odd.file.program.sha256]

    shown = client.stored.find(odd.id)
    assert shown.exclusion is not None
    assert shown.exclusion.why == WHY
    assert shown.exclusion.unix_ns > 0


def test_one_that_is_included_again_is_used_again(
    lab: tuple[LatencyClient, FakeDevice], stored: list[Stored]
) -> None:
    client, device = lab
    client.stored.exclude(stored[0].id, WHY)
    assert client.predict(TARGET.id, [stored[1].network.kernels])[0].samples == 4
    assert client.stored.include(stored[0].id) == stored[0].id
    assert client.predict(TARGET.id, [stored[1].network.kernels])[0].samples == 5
    assert client.stored.find(stored[0].id).exclusion is None
    [known] = client.measure(TARGET.id, [stored[0].file], SPEC)
    assert isinstance(known, MeasuredLatency)
    assert known.measurement_id == stored[0].id
    assert device.ran == []


def test_predictions_need_no_refit_for_others(
    database: Database,
    lab: tuple[LatencyClient, FakeDevice],
    stored: list[Stored],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, _ = lab
    fits: list[str] = []
    fit = Predictors._fitted

    def counted(predictors: Predictors, target_id: str) -> object:
        fits.append(target_id)
        return fit(predictors, target_id)

    monkeypatch.setattr(Predictors, "_fitted", counted)
    for _ in range(3):
        client.predict(TARGET.id, [stored[1].network.kernels])
    client.stored.exclude(stored[0].id, WHY)
    for _ in range(3):
        client.predict(TARGET.id, [stored[1].network.kernels])
    assert len(fits) == 2


def test_what_names_none_or_several_is_refused(
    lab: tuple[LatencyClient, FakeDevice], stored: list[Stored]
) -> None:
    client, _ = lab
    with pytest.raises(NotFound, match="no measurement 'ffffffffffff'"):
        client.stored.exclude("f" * 12, WHY)
    for prefix in ("", stored[0].id[:5], "%" * 12, "_" * 32):
        with pytest.raises(InvalidRequest, match="at least its first 6"):
            client.stored.include(prefix)
    for why in ("", "  "):
        with pytest.raises(InvalidRequest, match="--why"):
            client.stored.exclude(stored[0].id, why)
    with pytest.raises(InvalidRequest, match="too long"):
        client.stored.exclude(stored[0].id, "x" * 100_000)
    assert client.stored.find(stored[0].id).exclusion is None


def test_a_list_is_the_newest_first_and_says_what_each_is(
    database: Database,
    lab: tuple[LatencyClient, FakeDevice],
    stored: list[Stored],
) -> None:
    client, _ = lab
    spoiled = replace(visit(10**6), involuntary_switches=(1,) * 10)
    with database.writing() as connection:
        visits = [visit(10**6), spoiled, visit(10**6)]
        partly = write(connection, stored[0].file.program, visits, None, 50)
        of_no_use = write(connection, stored[0].file.program, [spoiled], None, 60)
    everything = list(client.stored.list())
    assert [one.id for one in everything[:2]] == [of_no_use, partly]
    assert len(everything) == 7
    assert [one.unix_ns for one in everything] == sorted(
        (one.unix_ns for one in everything), reverse=True
    )
    assert (everything[1].clean_visits, everything[1].visits) == (2, 3)
    assert everything[1].latency_ns == 10**6
    assert everything[0].latency_ns is None
    assert "clean" in everything[0].unusable
    assert [one.id for one in client.stored.list(TARGET.name, limit=1)] == [of_no_use]
    with pytest.raises(NotFound):
        list(client.stored.list("nowhere"))

    [finding] = measurement_findings(client)
    assert of_no_use in finding.found
    assert finding.level is Level.WARNING
    client.stored.exclude(of_no_use, "as the doctor says")
    [finding] = measurement_findings(client)
    assert finding.level is Level.OK


def test_failed_visits_are_listed_with_their_measurement(
    database: Database, lab: tuple[LatencyClient, FakeDevice], stored: list[Stored]
) -> None:
    client, device = lab
    outcomes = iter([Failure(FailureKind.CRASHED, "signal 11")])
    run = device.run

    def failing_once(*arguments: object) -> object:
        return next(outcomes, None) or run(*arguments)  # type: ignore[arg-type]

    device.run = failing_once  # type: ignore[method-assign, assignment]
    [measured] = client.measure(TARGET.id, [stored[0].file], SPEC, fresh=True)
    assert isinstance(measured, MeasuredLatency)
    shown = client.stored.find(measured.measurement_id)
    assert shown.failed_visits == (Failure(FailureKind.CRASHED, "signal 11"),)


def test_what_no_predictor_can_be_fitted_on_is_set_aside_and_named(
    lab: tuple[LatencyClient, FakeDevice],
    stored: list[Stored],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client, _ = lab
    culprit, others = stored[2], [one.id for one in stored if one is not stored[2]]

    def failing(networks: Sequence[MeasuredNetwork]) -> Predictor:
        if culprit.network.kernels in [network.kernels for network in networks]:
            raise ZeroDivisionError("float division by zero")
        return fit_predictor(networks)

    monkeypatch.setattr("host.predicting.fitting.fit_predictor", failing)
    warn_once.cache_clear()
    for _ in range(2):
        assert client.refit(TARGET.id)[0] == len(others)
    [warning] = [message for message in caplog.messages if culprit.id in message]
    assert "float division by zero" in warning
    assert list(client.measured_networks_by_id(TARGET.id)) == others
    client.predict(TARGET.id, [one.network.kernels for one in stored])
    [finding] = measurement_findings(client)
    assert culprit.id in finding.found
    client.stored.exclude(culprit.id, "nothing fits it")
    client.refit(TARGET.id)
    [finding] = measurement_findings(client)
    assert finding.level is Level.OK
