"""The stored refits of predictors, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import text

from host.database import devices
from host.database.engine import Database
from host.database.refits import add_refit, stored_refits
from latlab.domain.estimate import PredictionScore, Refit
from latlab.domain.target import Target
from tests.host.database.undoing import undone
from tests.latlab.convert import strategies

TARGET = Target("m", "os", "rt", "rb", "xnnpack", 1, "all")
OTHER = replace(TARGET, threads=4)
REFIT = Refit(7, 12, 0.5, "KernelPredictor", "ab" * 32, {"numpy": "2.0"})
SCORE = PredictionScore(3, 1, 0.04, 2 / 3, 1.0)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.writing() as connection:
        devices.register_target(connection, TARGET)
        devices.register_target(connection, OTHER)
    yield database
    database.close()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(refit=strategies.refits)
def test_refits_come_back_as_they_were(database: Database, refit: Refit) -> None:
    with undone(database) as connection:
        add_refit(connection, TARGET.id, refit)
        assert stored_refits(connection, TARGET.id) == [refit]


def test_the_newest_refits_of_each_target_are_kept_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.database.refits.KEPT", 3)
    with database.writing() as connection:
        for number in range(5):
            add_refit(connection, TARGET.id, replace(REFIT, unix_ns=number, score=SCORE))
            if number < 2:
                add_refit(connection, OTHER.id, replace(REFIT, unix_ns=10 + number))
    with database.reading() as connection:
        kept = stored_refits(connection, TARGET.id)
        assert [refit.unix_ns for refit in kept] == [2, 3, 4]
        assert [refit.unix_ns for refit in stored_refits(connection, OTHER.id)] == [10, 11]
        assert {refit.score for refit in kept} == {SCORE}
        assert stored_refits(connection, "another") == []


def test_a_damaged_refit_is_left_out(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    with database.writing() as connection:
        add_refit(connection, TARGET.id, REFIT)
        connection.execute(text("UPDATE refits SET versions = '[1]'"))
        add_refit(connection, TARGET.id, replace(REFIT, unix_ns=8))
    with database.reading() as connection:
        assert stored_refits(connection, TARGET.id) == [replace(REFIT, unix_ns=8)]
    assert "is left out" in caplog.text
