"""Where nobody knows the heat of a device, each table and page of measurements says so once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import HEAT_UNKNOWN, Correction, LatencyEstimate, Source
from latlab.domain.measurement import Measurement
from search.cli.networks.tables import (
    STEADIED,
    UNTRACED,
    measurements_table,
    zoo_table,
)
from search.latency.lab import Measured
from search.report.study.measured import described_conditions
from search.space.deployment import DEFAULT_DEPLOYMENT
from search.space.zoo import ZOO
from tests.host.fake_lab import TARGET
from tests.host.measuring.test_statistics import NOW, QUIET

ESTIMATE = LatencyEstimate(10**7, 10**7, 10**7, Source.MEASURED, 1, 1, 0)


@pytest.mark.parametrize("unknown", [True, False])
def test_tables_say_it_below(unknown: bool) -> None:
    outcomes = [Measured(ESTIMATE, "id", 1.0, unknown)] * len(ZOO)
    for table in (
        measurements_table(list(ZOO), outcomes),
        zoo_table(DEFAULT_DEPLOYMENT, outcomes),
    ):
        assert (table.caption == HEAT_UNKNOWN) == unknown


def test_a_table_says_below_that_kernel_times_are_missing() -> None:
    outcomes = [Measured(ESTIMATE, "id", 1.0), Measured(ESTIMATE, "id", 1.0, untraced=True)]
    assert measurements_table(["a", "b"], outcomes).caption == UNTRACED
    assert not measurements_table(["a"], outcomes[:1]).caption


@pytest.mark.parametrize("states_ns", [[], [2_300_000], [2_300_000, 4_000_000]])
def test_a_table_says_below_which_state_latencies_are_corrected_to(states_ns: list[int]) -> None:
    corrections = [*(Correction("revision", ns) for ns in states_ns), *[None] * (not states_ns)]
    outcomes = [
        Measured(replace(ESTIMATE, steadied=True, correction=correction), "id", 1.0)
        for correction in corrections
    ]
    caption = str(measurements_table(["a", "b"][: len(outcomes)], outcomes).caption)
    assert caption.startswith(STEADIED)
    assert ("a memory probe of 2.30 ms" in caption) == (len(states_ns) == 1)


@pytest.mark.parametrize("unknown", [True, False])
def test_a_report_says_it_among_the_conditions(unknown: bool) -> None:
    now = replace(NOW, temperature_c=None if unknown else 40.0)
    visit = replace(QUIET, before=now, after=now)
    measurement = Measurement("id", TARGET.id, "5e" * 32, BenchmarkSpec(), 0, (visit,))
    assert ("heat" in described_conditions(TARGET, [measurement])) == unknown
    assert measurement.heat_unknown == unknown
