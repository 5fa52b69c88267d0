"""Programs that are kept under a name, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from host.database import programs
from host.database.engine import Database
from latlab.domain.program import Baseline, Program, TensorSpec

PROGRAM = Program("ab" * 32, 4, "xnnpack", (TensorSpec((1, 8)),), (), (), "test")
OTHER = replace(PROGRAM, sha256="cd" * 32, size_bytes=5)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.writing() as connection:
        programs.add_program(connection, PROGRAM)
        programs.add_program(connection, OTHER)
    yield database
    database.close()


def test_baselines_are_set_replaced_and_removed(database: Database) -> None:
    with database.writing() as connection:
        programs.set_baseline(connection, "main", PROGRAM.sha256, 1)
        programs.set_baseline(connection, "a", PROGRAM.sha256, 2)
        programs.set_baseline(connection, "main", OTHER.sha256, 3)
    with database.writing() as connection:
        assert programs.stored_baselines(connection) == [
            Baseline("a", PROGRAM.sha256, 4, 2),
            Baseline("main", OTHER.sha256, 5, 3),
        ]
        assert programs.remove_baseline(connection, "a")
        assert not programs.remove_baseline(connection, "a")
        assert [each.name for each in programs.stored_baselines(connection)] == ["main"]
