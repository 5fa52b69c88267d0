"""Odd measurements that are stored: each alone, against all that a lab does with its target."""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.database.engine import Database
from host.database.measurements import warn_once
from host.doctor.finding import Level
from host.doctor.measurements import measurement_findings
from host.home.paths import sqlite_url
from host.predicting.fitting import fit_predictor
from latlab.client.client import LatencyClient
from latlab.domain.errors import StorageError
from latlab.domain.failure import Failure
from search.latency.target_lab import TargetLab
from search.space.kernels import kernels
from tests.host.fake_lab import TARGET, FakeDevice
from tests.host.poisons import POISONS, Poison, damage, poison
from tests.host.stored_lab import SPEC, Stored, StoredPool, stored_lab, write_ordinary


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Stored]]:
    folder = tmp_path_factory.mktemp("template")
    database = Database(sqlite_url(folder / "lab.db"))
    stored = write_ordinary(database, folder)
    database.close()
    return folder / "lab.db", stored


@pytest.fixture
def path(template: tuple[Path, list[Stored]], tmp_path: Path) -> Path:
    shutil.copy(template[0], tmp_path / "lab.db")
    return tmp_path / "lab.db"


@pytest.fixture
def stored(template: tuple[Path, list[Stored]]) -> list[Stored]:
    return template[1]


def served(path: Path) -> Iterator[tuple[LatencyClient, FakeDevice]]:
    database = Database(sqlite_url(path))
    with stored_lab(database, path.parent) as lab:
        yield lab
    database.close()


@pytest.mark.parametrize("chosen", POISONS, ids=lambda poison: poison.name)
def test_one_odd_measurement_stops_nothing_and_is_named_where_it_is_of_no_use(
    chosen: Poison, path: Path, stored: list[Stored], caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    odd = poison(path, path.parent, stored[0], chosen, random.Random(chosen.name))
    for client, device in served(path):
        with caplog.at_level(logging.WARNING, "host.database.measurements"):
            estimates = client.predict(TARGET.id, [one.network.kernels for one in stored])
            client.refit(TARGET.id)
        assert all(1 <= e.lower_ns <= e.latency_ns <= e.upper_ns for e in estimates)
        assert sum(odd in message for message in caplog.messages) <= 1

        known = client.measured_networks_by_id(TARGET.id)
        assert {one.id for one in stored} <= known.keys()
        assert (odd in known) != chosen.unusable
        fit_predictor(list(known.values()))  # as `latlab evaluate` and the report do
        found = client.look_up(list(known))
        assert all(1 <= e.lower_ns <= e.latency_ns <= e.upper_ns for e in found)

        named = [f for f in measurement_findings(client) if odd in f.found]
        assert bool(named) == chosen.unusable
        if chosen.unusable:
            assert named[0].level is Level.WARNING
            assert TARGET.id in named[0].found
            with pytest.raises(StorageError, match=odd):
                client.look_up([odd])
        listed = {one.id: one for one in client.stored.list(TARGET.id)}
        assert bool(listed[odd].unusable) == chosen.unusable
        assert len(listed) == len(stored) + 1

        lab = TargetLab(client, TARGET, StoredPool.of(stored), SPEC)
        lab.predict([one.architecture for one in stored])
        outcomes = lab.measure([one.architecture for one in stored])
        assert [o for o in outcomes if isinstance(o, Failure)] == []
        assert device.ran == []


def test_what_cannot_be_read_is_measured_again(path: Path, stored: list[Stored]) -> None:
    """By its program, spec and target it would have been the answer."""
    damaged = next(one for one in POISONS if one.name == "visits.cpu_ns cut")
    table, column, value = damaged.damage or ("", "", "")
    damage(path, stored[3].id, "", table, column, value)
    for client, device in served(path):
        [outcome] = TargetLab(client, TARGET, StoredPool.of(stored), SPEC).measure(
            [stored[3].architecture]
        )
        assert not isinstance(outcome, Failure)
        assert outcome.measurement_id != stored[3].id
        assert device.ran == [stored[3].file.program.sha256]


def test_a_damaged_kernel_is_written_anew_with_the_next_program_that_holds_it(
    path: Path, stored: list[Stored]
) -> None:
    shared = stored[0].network.kernels[1]
    damage(path, "", str(shared), "kernels", "fields", "{")
    for client, _device in served(path):
        assert [f.found for f in measurement_findings(client) if stored[0].id in f.found]
        client.measure(TARGET.id, [stored[0].file], SPEC)
        assert stored[0].id in client.measured_networks_by_id(TARGET.id)
        [finding] = measurement_findings(client)
        assert finding.level is Level.OK
        client.predict(TARGET.id, [kernels(stored[1].architecture)])
