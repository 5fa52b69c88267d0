"""/healthz: the database answers, and a device was reached."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from host.database.engine import Database
from host.devices.fleet import Fleet
from host.home.paths import sqlite_url
from host.operation.database_watch import DatabaseWatch
from host.operation.health import Health
from latlab.domain.device import DevicePhase, DeviceState
from latlab.domain.errors import Unavailable
from tests.device_agent.agent_process import wait_until
from tests.host.operation.watched_lab import watched_lab


@dataclass
class Worker:
    device: str | None
    state: DeviceState


def test_a_lab_is_well_once_a_device_was_reached(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    fleet = SimpleNamespace(workers=[Worker(None, DeviceState(DevicePhase.CONNECTING))])
    health = Health(DatabaseWatch(database), cast(Fleet, fleet))
    is_well, report = health.report()
    assert not is_well
    assert "no device was reached yet" in report["problems"][0]
    assert report["devices"] == {"connecting": 1}
    fleet.workers[0].device = "one"
    assert health.report()[0]
    fleet.workers.clear()
    assert health.report() == (True, {"status": "well", "problems": [], "devices": {}})
    database.close()


def test_health_is_served_as_json(tmp_path: Path) -> None:
    with watched_lab(tmp_path) as lab:
        wait_until(lambda: lab.get("/healthz")[0] == 200)
        report = json.loads(lab.get("/healthz")[1])
        assert report["status"] == "well"
        assert report["problems"] == []
        assert sum(report["devices"].values()) == 1


class Stuck:
    """A database that answers no one until it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = threading.Event()

    def reading(self) -> Any:  # noqa: ANN401
        self.asked += 1
        self.answers.wait()
        raise KeyError("gone")


def test_a_database_that_hangs_is_asked_once_and_not_waited_for() -> None:
    stuck = Stuck()
    watch = DatabaseWatch(cast(Database, stuck))
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"has not answered for 0\.01 s"):
            watch.facts(0.01)
    assert stuck.asked == 1
    stuck.answers.set()
    with pytest.raises(Unavailable, match="gone"):
        watch.facts(60)


@pytest.mark.parametrize("count", [0, 5])
def test_a_database_says_how_large_it_is(database_url: str, count: int) -> None:
    database = Database(database_url)
    try:
        facts = DatabaseWatch(database).facts(60)
        assert facts.size_bytes > 10_000
        assert (list(facts.targets), dict(facts.scores)) == ([], {})
    finally:
        database.close()


def test_a_closed_lab_s_file_is_measured_as_it_lies_there(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    database = Database(sqlite_url(path))
    with database.reading() as connection:
        size_bytes = database.size_bytes(connection)
    database.close()  # the write-ahead log is gone
    assert size_bytes == path.stat().st_size
