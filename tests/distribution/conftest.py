from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_agent.bundle import wheels
from host.database.engine import Database
from host.home.paths import LabHome, sqlite_url
from latlab.domain.measured_network import MeasuredNetwork
from tests.host.stored_lab import TOKEN, served, write_ordinary


@dataclass(frozen=True)
class ServedLab:
    """A lab that is served: its folder, its address, and a network that it has measured."""

    home: Path
    address: str
    network: MeasuredNetwork


@pytest.fixture(scope="session")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of `latlab`."""
    return wheels.client_wheel(tmp_path_factory.mktemp("client-wheel"))


@pytest.fixture(scope="session")
def served_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLab]:
    folder = tmp_path_factory.mktemp("served-lab")
    database = Database(sqlite_url(folder / "lab.db"))
    [stored, *_] = write_ordinary(database, folder)
    home = LabHome(folder / "home")
    with served(database, folder) as (address, _), _announced(home, address):
        yield ServedLab(home.root, address, stored.network)
    database.close()


@contextlib.contextmanager
def _announced(home: LabHome, address: str) -> Iterator[None]:
    """As a daemon that serves there announces itself."""
    home.create()
    home.token_file.write_text(TOKEN)
    home.daemon_file.write_text(json.dumps({"pid": os.getpid(), "address": address}))
    with home.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
