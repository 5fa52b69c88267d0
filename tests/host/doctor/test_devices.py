"""What the doctor says of a device."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

import pytest

from host.doctor.daemon import device_finding
from host.doctor.finding import Level
from latlab.client.client import LatencyClient
from latlab.domain.device import DevicePhase, DeviceState, DeviceStatus
from latlab.domain.measurement import Conditions
from tests.host.fake_lab import DEVICE
from tests.host.measuring.test_statistics import NOW


class Client:
    def conditions(self, name: str) -> Conditions:
        return replace(NOW, unix_ns=time.time_ns())


@pytest.mark.parametrize(
    ("confinement", "level"),
    [((), Level.WARNING), (("landlock",), Level.OK), (("seccomp", "landlock"), Level.OK)],
)
def test_a_device_that_runs_programs_unconfined_is_a_warning(
    confinement: tuple[str, ...], level: Level
) -> None:
    device = replace(DEVICE, confinement=confinement)
    status = DeviceStatus(device, "local", DeviceState(DevicePhase.IDLE), (), 0)
    finding = device_finding(cast(LatencyClient, Client()), status)
    assert finding.level is level
    assert ("unconfined" in finding.found) == ("trust" in finding.fix) == (not confinement)


def test_a_spare_route_is_in_order() -> None:
    state = DeviceState(DevicePhase.SPARE, "adb:X serves the device")
    status = DeviceStatus(DEVICE, "adb:Y", state, (), 0)
    finding = device_finding(cast(LatencyClient, object()), status)  # which is not asked
    assert (finding.level, finding.found) == (Level.OK, "spare: adb:X serves the device")
