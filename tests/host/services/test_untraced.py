"""Where trace and kernel list do not match, the latency stands without kernel times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.database import devices
from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.kernel import ADD, Kernel
from search.cli import app
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import SPEC, TOKEN, program_file, served

TRACED = replace(SPEC, traced_visits=1)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LatencyClient]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
    with served(database, tmp_path) as (address, _), LatencyClient(address, TOKEN) as client:
        monkeypatch.setattr(
            LatencyClient, "connect", staticmethod(lambda: LatencyClient(address, TOKEN))
        )
        yield client
    database.close()


def test_a_latency_stands_without_kernel_times(client: LatencyClient, tmp_path: Path) -> None:
    """The device's traces are empty, so only a program without kernels matches."""
    listed = program_file(tmp_path, "listed", [Kernel(ADD, ((1, 8), (1, 8)), (1, 8))])
    empty = program_file(tmp_path, "empty", [])
    untraced, traced = client.measure(TARGET.id, [listed, empty], TRACED)
    [not_asked] = client.measure(TARGET.id, [listed], SPEC)
    for outcome, expected in [(untraced, True), (traced, False), (not_asked, False)]:
        assert isinstance(outcome, MeasuredLatency)
        assert outcome.estimate.latency_ns == 1_000_000
        assert outcome.untraced == expected
        assert client.stored.find(outcome.measurement_id).untraced == expected
        shown = measurements("show", outcome.measurement_id)
        assert ("Kernel times: none: the trace" in shown) == expected
    assert measurements("list").count("no kernel times") == 1
    assert isinstance(untraced, MeasuredLatency)
    networks = client.measured_networks_by_id(TARGET.id)
    assert networks[untraced.measurement_id].kernel_ns is None
    [again] = client.measure(TARGET.id, [listed], TRACED)  # it would end in the same way
    assert isinstance(again, MeasuredLatency)
    assert again.measurement_id == untraced.measurement_id


def measurements(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["measurements", *arguments], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    return result.output
