from __future__ import annotations

from dataclasses import replace

import pytest

from latlab.domain.estimate import LatencyEstimate, Source
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from search.study.renewal import measurement_ids, renewed
from search.study.settings import SearchTarget
from search.study.trial import Trial
from tests.search.fakes import TARGET_ID, TARGET_NS, estimate, settings

A1 = ZOO["mnasnet-a1"]
SETTINGS = settings(space=mnasnet_space().name)


def trial(measurement_id: str | None, **changes: object) -> Trial:
    old = estimate(TARGET_NS, Source.MEASURED)
    made = Trial(A1, 0, 0.5, old, 0.5, measurement_id=measurement_id)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("measurement_id", [None, "unknown", "known+unknown"])
def test_what_the_lab_does_not_know_stays(measurement_id: str | None) -> None:
    before = trial(measurement_id)
    assert renewed([before], {"known": estimate(1)}, SETTINGS) == [before]


def test_a_measured_trial_gets_the_newest_latency_and_its_reward() -> None:
    new = estimate(2 * TARGET_NS, Source.MEASURED)
    [after] = renewed([trial("known")], {"known": new}, SETTINGS)
    assert after.latency == new
    assert after.reward == SETTINGS.reward.value(0.5, 2 * TARGET_NS, TARGET_NS)
    assert replace(after, latency=None, reward=None) == trial("known", latency=None, reward=None)


def test_latencies_on_several_targets_are_combined_again() -> None:
    targets = (SearchTarget(TARGET_ID, TARGET_NS), SearchTarget("b", TARGET_NS))
    estimates: dict[str, LatencyEstimate] = {"x": estimate(TARGET_NS), "y": estimate(3 * TARGET_NS)}
    [after] = renewed([trial("x+y")], estimates, replace(SETTINGS, targets=targets))
    assert measurement_ids(after) == ["x", "y"]
    assert after.latency is not None
    assert after.latency.latency_ns == 3 * TARGET_NS
    assert after.latency.parts == (estimates["x"], estimates["y"])
