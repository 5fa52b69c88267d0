"""A client of version 0.2.0 is served as before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from host.database.engine import Database
from host.home import lab_process
from host.home.paths import LabHome, sqlite_url
from latlab.client.connection.local_lab import find_lab
from latlab.domain.program import ProgramFile
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import TOKEN, served, write_ordinary
from tests.structure import REPOSITORY

CLIENT = REPOSITORY / "tests" / "data" / "latlab-0.2.0.zip"
SCRIPT = CLIENT.with_name("previous_client.py")


def old_client(folder: Path, address: str, token: str, target: str, program: Path) -> Any:  # noqa: ANN401
    """What the program says that uses the old client, with nothing of this version beside it."""
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), address, token, target, str(program)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CLIENT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert str(CLIENT) in said["client"]
    return said


def test_it_measures_predicts_and_looks_up_in_a_lab_with_a_predictor(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    stored = write_ordinary(database, tmp_path)
    with served(database, tmp_path) as (address, _):
        said = old_client(tmp_path, address, TOKEN, TARGET.name, stored[0].file.path)
    database.close()
    assert said["targets"] == [TARGET.name]
    assert said["measured"][0] == said["looked_up"] == "measured"
    assert said["program"] == stored[0].file.program.sha256
    assert said["stored"] == len(stored) + 1  # with another spec, it was measured anew
    assert said["predicted"] > 0
    assert said["errors"] == ["NotFound", "NotFound", "InvalidRequest"]


def test_it_measures_on_a_real_daemon(
    tmp_path: Path, runner: Path, small_programs: list[ProgramFile]
) -> None:
    home = LabHome(tmp_path / "home")
    lab_process.up(home)
    try:
        address, token = find_lab(home.root)
        said = old_client(tmp_path, address, token, "", small_programs[0].path)
    finally:
        lab_process.down(home)
    assert said["targets"]
    assert said["devices"] == 1
    assert said["measured"][0] == said["looked_up"] == "measured"
    assert said["measured"][1] > 0
    assert said["stored"] == 1
    assert said["errors"] == ["NotReady", "NotFound", "NotFound", "InvalidRequest"]
