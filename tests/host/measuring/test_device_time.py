"""How long a measurement kept its device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from host.measuring.device_time import device_time_s
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.measurement import Conditions, Measurement, Visit

NOW, LATER = Conditions(unix_ns=0), Conditions(unix_ns=2 * 10**9)
VISIT = Visit("v", False, (10**7,) * 20, (10**7,) * 20, (0,) * 20, 10, 1, 1, NOW, LATER)


def measurement(visit: Visit) -> Measurement:
    return Measurement("m", "t", "p", BenchmarkSpec(), 0, (visit,) * 5)


def test_a_measurement_kept_the_device_for_as_long_as_its_visits_took() -> None:
    assert device_time_s(measurement(VISIT)) == 5 * 2.0


@pytest.mark.parametrize(("set_to_ns", "device_s"), [(-(10**18), 0), (10**18, 5 * 60.0)])
def test_a_clock_that_was_set_meanwhile_counts_for_no_more_than_deadlines(
    set_to_ns: int, device_s: float
) -> None:
    set_meanwhile = replace(VISIT, after=Conditions(unix_ns=set_to_ns))
    assert device_time_s(measurement(set_meanwhile)) == device_s
