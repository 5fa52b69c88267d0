"""`latlab measurements`, against the real services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from search.cli import app
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import TOKEN, Stored, served, write_ordinary


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Stored]]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    stored = write_ordinary(database, tmp_path, count=4)
    with served(database, tmp_path) as (address, _):
        monkeypatch.setattr(
            LatencyClient, "connect", staticmethod(lambda: LatencyClient(address, TOKEN))
        )
        yield stored
    database.close()


def measurements(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["measurements", *arguments], env={"COLUMNS": "300"})
    return result.exit_code, " ".join(result.output.split())


def test_listed_excluded_shown_and_included(stored: list[Stored]) -> None:
    odd = stored[2]
    code, said = measurements("list", "--target", TARGET.id)
    assert code == 0
    assert [said.index(one.id[:12]) for one in stored[::-1]] == sorted(
        said.index(one.id[:12]) for one in stored
    )
    assert "3 of 3" in said

    code, said = measurements("exclude", odd.id[:8], "--why", "[b]a build ran")
    assert code == 0
    assert odd.id in said
    assert "excluded: [b]a build ran" in measurements("list", "--all")[1]

    code, said = measurements("show", odd.id[:8])
    assert code == 0
    for label in ("Latency: ", "All runs: median, p90 and p99 of ", "Clean visits: 3 of 3"):
        assert label in said
    for expected in (odd.id, TARGET.id, odd.file.program.sha256, "[b]a build ran", "p99", "40 °C"):
        assert expected in said
    assert said.count("100%") == 4  # visits, all clean
    for table in ("Visits", "Samples", "Kernels", "Add (ND)"):
        assert table in said

    assert measurements("include", odd.id)[0] == 0
    assert "excluded" not in measurements("list")[1]


def test_few_are_shown_of_many(stored: list[Stored]) -> None:
    code, said = measurements("list", "--limit", "1")
    assert code == 0
    assert stored[-1].id[:12] in said
    assert stored[0].id[:12] not in said
    assert "more than 1:" in said
    assert measurements("list", "--unusable")[1].count("ms") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "f" * 12),
        ("show", "abc"),
        ("exclude", "f" * 12, "--why", "x"),
        ("include", "?"),
        ("list", "--target", "nowhere"),
    ],
)
def test_what_is_not_there_is_an_error_in_one_line(
    stored: list[Stored], arguments: tuple[str, ...]
) -> None:
    code, _ = measurements(*arguments)
    assert code == 2


def test_a_reason_is_demanded(stored: list[Stored]) -> None:
    assert measurements("exclude", stored[0].id)[0] == 2
    assert measurements("exclude", stored[0].id, "--why", " ")[0] == 2
