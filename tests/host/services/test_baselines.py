"""Programs that the lab keeps under a name, as clients use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from host.services.programs import lab_programs as lab_module
from latlab.client.client import LatencyClient
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.estimate import MeasuredLatency
from tests.host.fake_lab import SPEC, TARGET
from tests.host.stored_lab import program_file, stored_lab, write_ordinary


@dataclass
class Lab:
    client: LatencyClient
    store: ProgramStore
    folder: Path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    write_ordinary(database, tmp_path, count=1)
    with stored_lab(database, tmp_path) as (client, _):
        yield Lab(client, ProgramStore(tmp_path / "programs"), tmp_path)
    database.close()


def test_a_baseline_is_measured_without_its_file(lab: Lab) -> None:
    file = program_file(lab.folder, "old", ())
    lab.client.baselines.set("main", file)
    file.path.unlink()
    program = lab.client.baselines.get("main")
    assert program == file.program
    [outcome] = lab.client.measure(TARGET.id, [program], SPEC)
    assert isinstance(outcome, MeasuredLatency)
    assert outcome.program_sha256 == program.sha256


def test_a_name_is_given_to_another_program_and_forgotten(lab: Lab) -> None:
    first, second = (program_file(lab.folder, name, ()) for name in ("first", "second"))
    lab.client.baselines.set("release/1.0", first)
    lab.client.baselines.set("main", first)
    lab.client.baselines.set("main", second)
    found = {each.name: each.program_sha256 for each in lab.client.baselines.list()}
    assert found == {"main": second.program.sha256, "release/1.0": first.program.sha256}
    assert [each.name for each in lab.client.baselines.list()] == ["main", "release/1.0"]
    lab.client.baselines.remove("main")
    for forget in (lab.client.baselines.get, lab.client.baselines.remove):
        with pytest.raises(NotFound, match="'main'"):
            forget("main")
    assert [each.name for each in lab.client.baselines.list()] == ["release/1.0"]


def test_its_program_is_in_use_as_long_as_it_has_a_name(tmp_path: Path) -> None:
    from host.jobs.dispatcher import Dispatcher

    database = Database(sqlite_url(tmp_path / "lab.db"))
    write_ordinary(database, tmp_path, count=1)
    file = program_file(tmp_path, "old", ())
    with stored_lab(database, tmp_path) as (client, _):
        client.baselines.set("main", file)
        assert Dispatcher(database).programs_in_use() == {file.program.sha256}
        client.baselines.remove("main")
        assert Dispatcher(database).programs_in_use() == set()
    database.close()


def test_a_program_that_was_not_uploaded_cannot_be_a_baseline(lab: Lab) -> None:
    from latlab.v1 import lab_pb2

    request = lab_pb2.SetBaselineRequest(name="main", program_sha256="ab" * 32)
    with pytest.raises(NotFound, match="upload it"):
        lab.client._calls.one(lab.client._lab.SetBaseline, request)


def test_a_baseline_whose_bytes_are_gone_says_so(lab: Lab) -> None:
    file = program_file(lab.folder, "old", ())
    lab.client.baselines.set("main", file)
    lab.store.remove(file.program.sha256)
    with pytest.raises(NotFound, match="latlab baselines set main NETWORK"):
        lab.client.baselines.get("main")


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "naïve", "a\n", "a;b"])
def test_a_bad_name_is_refused(lab: Lab, name: str) -> None:
    with pytest.raises(InvalidRequest, match="a baseline is named by"):
        lab.client.baselines.set(name, program_file(lab.folder, "old", ()))
    for use in (lab.client.baselines.get, lab.client.baselines.remove):
        with pytest.raises(InvalidRequest, match="a baseline is named by"):
            use(name)
    assert lab.client.baselines.list() == []


def test_their_number_is_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_module, "MAX_BASELINES", 2)
    file = program_file(lab.folder, "old", ())
    for name in ("a", "b", "a"):
        lab.client.baselines.set(name, file)
    with pytest.raises(InvalidRequest, match="latlab baselines remove"):
        lab.client.baselines.set("c", file)
