"""The client's distribution, alone in an environment of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.paths import LabHome, sqlite_url
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import TOKEN, served, write_ordinary
from tests.structure import REPOSITORY

LIMIT_S = 240
CODE = """
import json, sys
import latlab

with latlab.connect() as lab:
    [status] = lab.targets()
    kernels = eval(sys.stdin.read(), {"Kernel": latlab.Kernel})
    [estimate] = lab.predict(status.target.id, [kernels])
heavy = {"numpy", "torch", "scipy", "sqlalchemy", "host", "search", "latency_models"}
print(json.dumps([status.target.id, estimate.latency_ns, sorted(heavy & sys.modules.keys())]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("client")
    subprocess.run(["make", "wheels"], cwd=REPOSITORY, check=True, timeout=LIMIT_S)
    [wheel] = (REPOSITORY / "build/wheels").glob("latlab-*.whl")
    python = folder / "venv/bin/python"
    # This environment's pip installs into the new one, which takes seconds less than giving
    # the new one a pip of its own.
    create = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(create, check=True, timeout=LIMIT_S)
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--quiet", "--no-compile", str(wheel)]
    subprocess.run(install, check=True, timeout=LIMIT_S)
    return python


@contextlib.contextmanager
def announced(home: LabHome, address: str) -> Iterator[None]:
    """As a daemon that serves there announces itself."""
    home.create()
    home.token_file.write_text(TOKEN)
    home.daemon_file.write_text(json.dumps({"pid": os.getpid(), "address": address}))
    with home.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_it_lists_targets_and_predicts_and_needs_nothing_else(python: Path, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    stored = write_ordinary(database, tmp_path)
    home = LabHome(tmp_path / "home")
    with served(database, tmp_path) as (address, _), announced(home, address):
        done = subprocess.run(
            [python, "-I", "-c", CODE],
            input=repr(stored[0].network.kernels),
            env={"LATLAB_HOME": str(home.root)},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    database.close()
    assert done.returncode == 0, done.stderr
    target_id, latency_ns, heavy = json.loads(done.stdout)
    assert target_id == TARGET.id
    assert 0.5 < latency_ns / stored[0].network.latency_ns < 2
    assert heavy == []


def test_the_application_carries_the_templates_of_its_reports(python: Path) -> None:
    [wheel] = (REPOSITORY / "build/wheels").glob("latency_lab-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    templates = (REPOSITORY / "search/report/templates").iterdir()
    assert {f"search/report/templates/{template.name}" for template in templates} <= packed
