"""When a sentinel says that its target has drifted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from host.devices.readiness.sentinel_rule import CONFIRM_S, MAX_DRIFT, MAX_PAUSE_S, Watch, judge
from latlab.domain.measurement import Summary

BASELINE_NS = 4e6
shifts = st.floats(-0.5, 2)
watches = st.builds(Watch, drift=shifts, misses=st.integers(0, 50))


def measured(shift: float, half_width: float = 0.01) -> Summary:
    latency_ns = BASELINE_NS * (1 + shift)
    bounds_ns = latency_ns * (1 - half_width), latency_ns * (1 + half_width)
    quantiles_ns = latency_ns, latency_ns, latency_ns
    return Summary(latency_ns, *bounds_ns, 6, 6, *quantiles_ns, runs=60)


@given(watches, shifts, st.floats(0, 0.2))
def test_only_an_interval_wholly_off_the_baseline_is_a_miss(
    before: Watch, shift: float, half_width: float
) -> None:
    sentinel = measured(shift, half_width)
    after = judge(before, sentinel, BASELINE_NS)
    low, high = (1 - MAX_DRIFT) * BASELINE_NS, (1 + MAX_DRIFT) * BASELINE_NS
    touches = sentinel.lower_ns <= high and sentinel.upper_ns >= low
    assert after.misses == (0 if touches else before.misses + 1)
    assert abs(after.drift - shift) < 1e-9


@given(watches, st.floats(-MAX_DRIFT, MAX_DRIFT), st.floats(0, 0.2))
def test_back_at_the_baseline_nothing_waits(before: Watch, shift: float, width: float) -> None:
    after = judge(before, measured(shift, width), BASELINE_NS)
    assert not after.drifted
    assert after.pause_s == 0


def test_one_miss_is_looked_at_again_before_it_is_a_drift() -> None:
    for shift in (0.1, -0.1):
        once = judge(Watch(), measured(shift), BASELINE_NS)
        assert not once.drifted
        assert once.pause_s == CONFIRM_S
        assert judge(once, measured(shift), BASELINE_NS).drifted


def test_while_it_lasts_the_pauses_grow_to_a_bound() -> None:
    watch, pauses = Watch(misses=1), []
    for _ in range(100):
        watch = judge(watch, measured(0.1), BASELINE_NS)
        pauses.append(watch.pause_s)
    assert pauses[0] > 0
    assert pauses == sorted(pauses)
    assert pauses[1] > pauses[0]
    assert pauses[-1] == MAX_PAUSE_S
