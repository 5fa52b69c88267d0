"""A user's module, from its file to its latency, beside a device that answers at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from latlab.domain.program import ProgramFile
from latlab.export import ExportPool, ExportSpec, export_program
from search.cli import app, session
from tests.host.stored_lab import SPEC, TOKEN, served, write_ordinary

NETWORK = """
import torch

class Net(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
"""
CONNECTED_WITHIN_S = 60.0


class PoolHere(ExportPool):
    """Exports in this process: another one would import PyTorch once more."""

    def export_each(self, specs: Iterable[ExportSpec]) -> Iterator[tuple[ExportSpec, ProgramFile]]:
        for spec in specs:
            program, data = export_program(*spec.make(), spec.precision)
            yield spec, self._cache.put(program.sha256, program, data)


def test_a_module_and_its_program_are_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine, schön" / "net.py"
    file.parent.mkdir()
    file.write_text(NETWORK)
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("search.latency.target_lab.BenchmarkSpec", lambda: SPEC)
    monkeypatch.setattr(session, "ExportPool", PoolHere)
    database = Database(sqlite_url(tmp_path / "lab.db"))
    write_ordinary(database, tmp_path)
    with served(database, tmp_path) as (address, device):

        def connect(home: Path | None = None) -> LatencyClient:
            return LatencyClient(address, TOKEN)

        monkeypatch.setattr(LatencyClient, "connect", connect)
        deadline_s = time.monotonic() + CONNECTED_WITHIN_S
        with connect() as client:
            while not any(status.devices for status in client.targets()):
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
        assert "1.00 ms" in run("measure", f"{file}:Net", "--input", "1x3x16x16")
        [program] = (tmp_path / "home").rglob("*.pte")
        visits = len(device.ran)
        assert "1.00 ms" in run("measure", str(program))
        assert len(device.ran) == visits  # the lab has measured these bytes already
    database.close()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.stdout
