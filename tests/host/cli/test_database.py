"""`latlab db`, on the file of a lab and through the services of one."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from host.cli.database.exported_files import FORMULA_STARTS, cell, write_rows
from host.database.engine import Database
from host.home.paths import LabHome, sqlite_url
from host.home.processes import lock_home
from latlab.client.client import LatencyClient
from latlab.domain.database.maintenance import ColumnKind, ExportBatch, ExportColumn
from latlab.domain.errors import InvalidRequest
from search.cli import app
from tests.host.database.maintenance.filled import contents, fill, without_identity
from tests.host.stored_lab import TOKEN, Stored, served

INT64 = st.integers(-(2**63), 2**63 - 1)


def db(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["db", *map(str, arguments)], env={"COLUMNS": "300"})
    return result.exit_code, result.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabHome:
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LATLAB_DATABASE_URL", raising=False)
    return LabHome.from_environment()


@pytest.fixture
def stored(home: LabHome, tmp_path: Path) -> list[Stored]:
    home.create()
    database = Database(home.database_url)
    found = fill(database, tmp_path)
    database.close()
    return found


@pytest.fixture
def running(
    home: LabHome, stored: list[Stored], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """The database of a lab that runs."""
    database = Database(home.database_url)
    with served(database, home.root) as (address, _):
        monkeypatch.setattr(
            LatencyClient, "connect", staticmethod(lambda: LatencyClient(address, TOKEN))
        )
        monkeypatch.setenv("LATLAB_ADDRESS", address)
        yield database
    database.close()


def test_backed_up_and_restored_without_a_daemon(
    home: LabHome, stored: list[Stored], tmp_path: Path
) -> None:
    file = tmp_path / "backup.db"
    code, said = db("backup", file)
    assert code == 0, said
    assert f"{file} holds the database" in said
    assert "Programs' files are not in it" in said
    code, said = db("backup", file)
    assert code == 2
    assert "exists already" in said
    before = Database(home.database_url)
    rows = contents(before)
    before.close()
    (home.root / "daemon.json").write_text("{}")  # as a daemon that was killed leaves it
    code, said = db("restore", file)
    assert code == 0, said
    assert "lab.db.before-restore-" in said
    assert "latlab lab up" in said
    assert not (home.root / "daemon.json").exists()
    after = Database(home.database_url)
    assert without_identity(contents(after)) == without_identity(rows)
    after.close()


def test_nothing_is_restored_while_a_lab_runs(
    home: LabHome, stored: list[Stored], tmp_path: Path
) -> None:
    db("backup", tmp_path / "backup.db")
    lock = lock_home(home.lock_file)
    home.daemon_file.write_text(json.dumps({"pid": 2**22, "address": "127.0.0.1:1"}))
    code, said = db("restore", tmp_path / "backup.db")
    assert code == 2
    assert "latlab lab down" in said
    home.daemon_file.unlink()  # it is about to start
    for command in ("restore", "backup"):
        code, said = db(command, tmp_path / f"{command}.db")
        assert code == 2
        assert "a lab already runs" in said
    os.close(lock)


def test_without_a_database_it_says_so(home: LabHome, tmp_path: Path) -> None:
    compact = ("compact", "--older-than", "1d", "--yes")
    for command in (("backup", tmp_path / "b"), ("check",), compact):
        code, said = db(*command)
        assert code == 2
        assert "latlab lab up" in said
    assert not (home.root / "lab.db").exists()


def test_findings_end_with_exit_code_1(home: LabHome, stored: list[Stored], tmp_path: Path) -> None:
    home.programs.mkdir()
    file = stored[0].file.path
    (home.programs / file.name).write_bytes(file.read_bytes())
    code, said = db("check")
    assert (code, "no findings" in said) == (0, True), said
    assert json.loads(CliRunner().invoke(app, ["db", "check", "--json"]).stdout) == {"findings": []}
    (home.programs / file.name).unlink()
    code, said = db("check")
    assert code == 1
    assert "missing program file: program" in said
    result = CliRunner().invoke(app, ["db", "check", "--json"])
    assert result.exit_code == 1
    [finding] = json.loads(result.stdout)["findings"]
    assert finding["kind"] == "missing program file"


def test_compacted_on_the_file(home: LabHome, stored: list[Stored]) -> None:
    code, said = db("compact", "--older-than", "1h", "--dry-run")
    assert code == 0
    assert "would lose samples: 3," in said
    assert "baselines of sentinels" in said
    code, said = db("compact", "--older-than", "1h")
    assert code == 2
    assert "--yes" in said
    code, said = db("compact", "--older-than", "1h", "--yes", "--traces-only")
    assert "that lost samples: 3," in said
    code, said = db("compact", "--older-than", "1h", "--yes")
    assert code == 0
    assert "that lost samples: 3," in said
    assert "became smaller by" in said
    for age in ("90", "d", "-1d", "1y", "", "123456d", "1d\n"):
        code, said = db("compact", "--older-than", age, "--yes")
        assert code == 2
        assert "48h, 90d or 12w" in said


def test_a_compacted_measurement_says_so_where_its_samples_are_shown(
    running: Database, stored: list[Stored]
) -> None:
    def shown() -> str:
        arguments = ["measurements", "show", stored[1].id[:12]]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
        assert result.exit_code == 0, result.output
        return result.output

    whole = shown()
    assert db("compact", "--older-than", "1h", "--traces-only", "--yes")[0] == 0
    date = f"removed on {time.strftime('%Y-%m-%d')}"
    assert f"Kernels' samples: {date}" in shown()
    assert f"times {date}" in shown()
    assert db("compact", "--older-than", "1h", "--yes")[0] == 0
    compacted = shown()
    assert f"Samples: {date}" in compacted
    for label in ("Latency: ", "All runs: ", "Clean visits: ", "Load time: ", "Peak memory: "):
        lines = [line for line in whole.splitlines() if line.lower().startswith(label.lower())]
        assert all(line in compacted for line in lines), label


def test_through_a_lab_that_runs(running: Database, stored: list[Stored], tmp_path: Path) -> None:
    code, said = db("backup", tmp_path / "backup.db")
    assert code == 0, said
    found = Database(sqlite_url(tmp_path / "backup.db"))
    ids = {row["id"] for row in contents(found)["measurements"]}
    assert ids >= {each.id for each in stored}  # the lab measures meanwhile
    found.close()
    assert db("check")[0] == 1  # a program that is kept has no file
    code, said = db("restore", tmp_path / "backup.db")
    assert (code, "own machine" in said) == (2, True)
    code, said = db("export", tmp_path / "rows.csv")
    assert code == 0, said
    assert stored[0].id in (tmp_path / "rows.csv").read_text()


@pytest.mark.parametrize(
    ("options", "rows"), [([], 4), (["--kernels"], None), (["--samples"], 4 * 4 * 10)]
)
def test_exported_to_csv(
    home: LabHome, stored: list[Stored], tmp_path: Path, options: list[str], rows: int | None
) -> None:
    rows = rows or sum(len(each.network.kernels) for each in stored)
    code, said = db("export", tmp_path / "rows.csv", *options)
    assert code == 0, said
    with (tmp_path / "rows.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert len(found) == rows
    assert {row["measurement_id"] for row in found} == {each.id for each in stored}
    if not options:
        first = next(row for row in found if row["measurement_id"] == stored[0].id)
        assert float(first["latency_ns"]) == pytest.approx(stored[0].network.latency_ns, abs=1)
        assert first["temperature_c"] == "40.0"
        assert (first["is_excluded"], first["runs"], first["visits"]) == ("false", "30", "3")


def test_wrong_exports_are_refused(home: LabHome, stored: list[Stored], tmp_path: Path) -> None:
    for arguments, words in (
        ((tmp_path / "rows.xlsx",), ".parquet"),
        ((tmp_path / "rows.csv", "--kernels", "--samples"), "choose one"),
    ):
        code, said = db("export", *arguments)
        assert code == 2
        assert words in said


def test_parquet_without_pyarrow_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidRequest, match=r"latency-lab\[parquet\]"):
        write_rows(tmp_path / "rows.parquet", [])


def test_parquet_has_the_types_and_values(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = tuple(ExportColumn(kind.value, kind) for kind in ColumnKind)
    rows: list[tuple[int | float | str | bool | None, ...]] = [
        (2**63 - 1, 0.1, "=1+1", True),
        (-(2**63), -1e-300, "naïve", False),
        (None, None, None, None),
    ]
    batches = [ExportBatch(columns, []), ExportBatch(columns, rows), ExportBatch(columns, rows[:1])]
    assert write_rows(tmp_path / "rows.parquet", batches) == 4
    found = parquet.read_table(tmp_path / "rows.parquet")
    assert [str(field.type) for field in found.schema] == ["int64", "double", "string", "bool"]
    assert [tuple(row.values()) for row in found.to_pylist()] == [*rows, rows[0]]


@given(value=st.text() | INT64 | st.floats(allow_nan=False) | st.booleans() | st.none())
def test_a_cell_is_exact_and_never_a_formula(value: float | str | bool | None) -> None:
    text = cell(value)
    if isinstance(value, bool) or value is None:
        assert text in ("true", "false", "")
    elif isinstance(value, str):
        assert not text.startswith(FORMULA_STARTS)
        assert text.removeprefix("'") == value.removeprefix("'")
    else:
        assert type(value)(text) == value


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_csv_file_can_be_read_again(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    file = tmp_path_factory.mktemp("csv") / "rows.csv"
    columns = (ExportColumn("text", ColumnKind.TEXT), ExportColumn("n", ColumnKind.INTEGER))
    write_rows(file, [ExportBatch(columns, [(text, 1) for text in texts])])
    with file.open(newline="", encoding="utf-8") as stream:
        found = [row[0] for row in csv.reader(stream)][1:]
    assert found == [cell(text) for text in texts]
