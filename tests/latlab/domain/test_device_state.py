"""What a device is doing, and since when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.device import DevicePhase, DeviceState
from tests.latlab.convert import strategies


@given(strategies.states, st.sampled_from(DevicePhase), st.text(), st.integers(0, 2**62))
def test_a_phase_goes_on_since_it_began(
    state: DeviceState, phase: DevicePhase, detail: str, unix_ns: int
) -> None:
    after = state.then(phase, detail, unix_ns)
    assert (after.phase, after.detail) == (phase, detail)
    assert after.since_unix_ns == (state.since_unix_ns if phase is state.phase else unix_ns)


def test_every_phase_is_of_one_sort() -> None:
    at_work = {phase for phase in DevicePhase if phase.is_at_work}
    trouble = {phase for phase in DevicePhase if phase.is_trouble}
    away = {phase for phase in DevicePhase if phase.is_away}
    assert away < trouble
    assert not at_work & trouble
    others = {DevicePhase.COOLING, DevicePhase.DRAINED, DevicePhase.SPARE}
    assert set(DevicePhase) - at_work - trouble == others
