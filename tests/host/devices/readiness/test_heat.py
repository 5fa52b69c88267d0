"""When a device is visited, and when it is left to cool first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.database.engine import Database
from host.devices.readiness.heat_rule import MAX_RISE_C, RestHeat, at_rest, is_hot, learn
from host.home.config import Group, LabConfig
from host.home.paths import sqlite_url
from latlab.domain.device import DevicePhase
from latlab.domain.measurement import Conditions
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, Lab, fake_lab
from tests.host.measuring.test_statistics import NOW
from tests.latlab.convert.strategies import conditions

idles = st.builds(RestHeat, temperature_c=st.floats(-40, 150), throttled=st.booleans())
COOL = replace(NOW, temperature_c=40.0, throttled=False)
HOT = replace(COOL, temperature_c=41.0 + MAX_RISE_C)
THROTTLED = replace(COOL, throttled=True)


@given(conditions, idles)
def test_what_a_device_shows_at_rest_is_never_hot(now: Conditions, idle: RestHeat) -> None:
    assert not is_hot(now, at_rest(now))
    told = now.temperature_c is not None or now.throttled is not None
    assert told or not is_hot(now, idle)
    assert not is_hot(replace(now, throttled=False), learn(RestHeat(), now))


@given(st.lists(conditions, min_size=1), conditions)
def test_idle_is_the_coolest_that_was_seen(seen: list[Conditions], now: Conditions) -> None:
    idle = RestHeat()
    for reading in seen:
        idle = learn(idle, reading)
    known = [c.temperature_c for c in seen if c.temperature_c is not None]
    throttled = now.throttled is True
    warm = now.temperature_c is not None and bool(known)
    risen = warm and now.temperature_c > min(known) + MAX_RISE_C  # type: ignore[operator]
    assert is_hot(now, idle) == (throttled or risen)


@given(conditions, idles, st.floats(1, 100))
def test_the_owner_s_limit_is_one_more(now: Conditions, idle: RestHeat, max_c: float) -> None:
    above = now.temperature_c is not None and now.temperature_c > max_c
    assert is_hot(now, idle, max_c) == (is_hot(now, idle) or above)


def test_a_throttled_device_is_hot_unless_it_always_is() -> None:
    assert is_hot(THROTTLED, learn(RestHeat(), COOL))
    always = at_rest(THROTTLED)
    assert not is_hot(THROTTLED, learn(always, THROTTLED))
    assert is_hot(THROTTLED, learn(always, COOL))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("host.devices.readiness.heat_rule.POLL_S", 0.01)
    monkeypatch.setattr("host.devices.worker.IDLE_S", 0.01)
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with fake_lab(database, tmp_path) as lab:
        yield lab
    database.close()


@pytest.mark.parametrize("hot", [HOT, THROTTLED])
def test_a_hot_device_is_visited_when_it_has_cooled(lab: Lab, hot: Conditions) -> None:
    lab.device.conditions = [COOL, COOL, hot, hot, COOL]
    lab.start(1.0, pinned=False)
    lab.measure(2)
    assert lab.device.conditions == [COOL]
    assert lab.device.readings == [(COOL, 0), (COOL, 0), (hot, 1), (hot, 1), (COOL, 1), (COOL, 2)]


@pytest.mark.parametrize("hot", [HOT, THROTTLED])
def test_what_does_not_cool_is_waited_for_once(
    lab: Lab, hot: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.devices.readiness.heat_rule.MAX_WAIT_S", 0.0)
    lab.device.conditions = [COOL, COOL, hot]
    lab.start(1.0, pinned=False)
    lab.measure(3)
    assert lab.device.readings == [(COOL, 0), (COOL, 0), (hot, 1), (hot, 1), (hot, 2), (hot, 3)]


def test_a_group_s_limit_holds_for_its_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.devices.readiness.heat_rule.POLL_S", 0.01)
    database = Database(sqlite_url(tmp_path / "lab.db"))
    group = Group("warm", (DEVICE.serial,), max_c=42.0)
    warm, cooler = replace(COOL, temperature_c=43.0), replace(COOL, temperature_c=41.0)
    with fake_lab(database, tmp_path, LabConfig(groups=(group,))) as lab:
        lab.device.conditions = [COOL, COOL, warm, cooler]
        lab.start(1.0, pinned=False)
        lab.measure(2)
        assert lab.device.readings == [
            *((COOL, 0), (COOL, 0)),
            *((warm, 1), (cooler, 1), (cooler, 2)),
        ]
    database.close()


def test_a_device_that_reports_no_heat_says_so_while_it_is_at_work(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a field, and for people; it says no more once it reports its heat."""
    monkeypatch.setattr("host.devices.readiness.heat_watch.FRESH_S", 0.0)
    lab.device.conditions = [replace(COOL, temperature_c=None, throttled=None)]
    lab.start(1.0, pinned=False)
    [measured] = lab.measure(1)
    assert measured.heat_unknown
    wait_until(lambda: lab.worker.state.phase is DevicePhase.IDLE)
    assert lab.worker.heat.is_unknown
    assert lab.worker.state.detail == "heat unknown"

    lab.device.conditions = [replace(COOL, throttled=None)]
    [measured] = lab.measure(1)
    assert not measured.heat_unknown
    wait_until(lambda: lab.worker.state.phase is DevicePhase.IDLE)
    assert not lab.worker.heat.is_unknown
    assert lab.worker.state.detail == ""
