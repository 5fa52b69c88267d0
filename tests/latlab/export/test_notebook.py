"""The notebook of the documentation runs, beside a lab whose device answers at once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import latlab
from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.domain.estimate import MeasuredLatency
from tests.host.stored_lab import SPEC, stored_lab, write_ordinary
from tests.structure import REPOSITORY

NOTEBOOK = REPOSITORY / "docs/measure-a-module.ipynb"
CONNECTED_WITHIN_S = 60.0


def test_the_notebook_measures_and_predicts_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    database = Database(sqlite_url(tmp_path / "lab.db"))
    write_ordinary(database, tmp_path)
    names: dict[str, Any] = {}
    with stored_lab(database, tmp_path) as (client, _):
        monkeypatch.setattr(latlab, "connect", lambda: client, raising=False)
        monkeypatch.setattr("latlab.client.networks.BenchmarkSpec", lambda: SPEC)
        deadline_s = time.monotonic() + CONNECTED_WITHIN_S
        while not any(status.devices for status in client.targets()):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        for cell in cells:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
    database.close()
    assert isinstance(names["outcome"], MeasuredLatency)
    assert isinstance(names["gated"], MeasuredLatency)
    assert " ms (" in capsys.readouterr().out
