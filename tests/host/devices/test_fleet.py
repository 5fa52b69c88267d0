"""Devices that come while the lab runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import adbutils
import pytest

from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.phone_watcher import PhoneWatcher
from host.devices.worker import DeviceWorker
from host.home.paths import sqlite_url
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from latlab.common.program_store import ProgramStore
from latlab.domain.device import DevicePhase
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import FakeDevice


class CountingDevice(FakeDevice):
    connections = 0

    def connect(self) -> FakeDevice:
        self.connections += 1
        return self


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    board, store = Dispatcher(database), ProgramStore(tmp_path / "programs")
    quiet, quarantine = threading.Lock(), ResultQuarantine(tmp_path / "quarantine")
    fleet = Fleet(lambda way: DeviceWorker(way, database, board, store, quiet, "test", quarantine))
    yield fleet
    fleet.stop()
    database.close()


def test_a_device_that_comes_is_served_at_once(fleet: Fleet) -> None:
    fleet.add(CountingDevice(name="a", serial="1"))
    fleet.add(CountingDevice(name="b", serial="2"))
    wait_until(lambda: [worker.state.phase for worker in fleet.workers] == [DevicePhase.IDLE] * 2)
    assert [worker.transport.name for worker in fleet.workers] == ["a", "b"]


def test_a_device_that_comes_again_is_connected_anew_by_its_worker(fleet: Fleet) -> None:
    device = CountingDevice(name="a")
    fleet.add(device)
    wait_until(lambda: device.connections == 1)
    [worker] = fleet.workers
    fleet.add(CountingDevice(name="a"))
    wait_until(lambda: device.connections == 2)
    assert fleet.workers == [worker]


def test_devices_may_be_added_from_every_side(fleet: Fleet) -> None:
    with ThreadPoolExecutor(8) as pool:
        for name in "abcd" * 8:
            pool.submit(fleet.add, CountingDevice(name=name))
    assert sorted(worker.transport.name for worker in fleet.workers) == ["a", "b", "c", "d"]


def test_a_fleet_that_was_stopped_takes_no_more(fleet: Fleet) -> None:
    fleet.add(CountingDevice(name="a"))
    [worker] = fleet.workers
    fleet.stop()
    assert not worker.is_alive()
    fleet.add(CountingDevice(name="b"))
    assert fleet.workers == [worker]


def test_without_adb_there_are_no_phones(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_adb() -> str:
        raise adbutils.AdbError("no adb")

    monkeypatch.setattr(adbutils, "adb_path", no_adb)
    phones = PhoneWatcher(fleet, tmp_path, lambda serial: True)
    with caplog.at_level(logging.INFO, "host.devices.phone_watcher"):
        phones.start()
        phones.join(10)
    assert not phones.is_alive()
    assert len(caplog.records) == 1
    assert "apt install adb" in caplog.text
    assert fleet.workers == []


def test_a_phone_that_was_removed_comes_back_when_it_is_plugged_in_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    phones = PhoneWatcher(fleet, tmp_path, lambda serial: True)

    def names() -> list[str]:
        return [worker.transport.name for worker in fleet.workers]

    phones._note("X", "device")
    assert names() == ["adb:X"]
    fleet.remove("adb:X")
    wait_until(lambda: names() == [])
    phones._note("X", "absent")
    assert names() == []
    phones._note("X", "device")
    assert names() == ["adb:X"]
