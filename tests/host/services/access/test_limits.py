"""Limits of owners, at the services."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.database.engine import Database
from host.services.access.call_rates import CallRates
from latlab.domain.access.limits import Limits, OwnerLimits
from latlab.domain.access.token import Scope
from latlab.domain.device import DevicePhase
from latlab.domain.errors import LimitReached
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.services.access.conftest import TeamLab
from tests.host.stored_lab import SPEC, program_file, served, write_ordinary


@given(st.floats(0.01, 1_000), st.lists(st.floats(0, 10), min_size=1, max_size=200), st.booleans())
def test_calls_come_at_the_rate_that_is_allowed(
    per_s: float, pauses_s: list[float], waits: bool
) -> None:
    now_s, begun_s = 1_000.0, 1_000.0
    rates = CallRates(OwnerLimits(Limits(per_s)), lambda: now_s)
    taken = 0
    for pause_s in pauses_s:
        now_s += pause_s
        try:
            rates.take("ann")
            taken += 1
        except LimitReached as refused:
            if waits:  # after the time that it says, the call is taken
                now_s += refused.retry_s + 1e-9
                rates.take("ann")
                taken += 1
        assert taken <= max(1.0, per_s) + (now_s - begun_s) * per_s + 1e-3
    rates.take("bob")


def test_what_exceeds_a_limit_is_refused_with_a_time_to_come_back(
    database: Database, tmp_path: Path
) -> None:
    stored = write_ordinary(database, tmp_path, count=2)
    limits = OwnerLimits(
        Limits(open_jobs=1, upload_mb_per_day=1),
        {
            "local": Limits(),
            "hasty": Limits(calls_per_s=0.01),
            "done": Limits(device_minutes_per_day=1e-12),
            "uploader": Limits(upload_mb_per_day=15e-6),
        },
    )
    with served(database, tmp_path, limits=limits) as (address, _), ExitStack() as stack:
        lab = TeamLab(address, stored, stack)
        _, hasty = lab.member(Scope.READ, owner="hasty")
        hasty.targets()
        with pytest.raises(LimitReached, match=r"0\.01 calls a second") as refused:
            hasty.targets()
        assert 90 < refused.value.retry_s <= 100
        [noted] = [each for each in lab.admin.access.audit() if each.was_refused]
        assert (noted.owner, noted.status) == ("hasty", "RESOURCE_EXHAUSTED")

        _, done = lab.member(Scope.MEASURE, Scope.READ, owner="done")
        done.measure(TARGET.id, [stored[0].file], SPEC, fresh=True)
        with pytest.raises(LimitReached, match="minutes of device time") as refused:
            done.measure(TARGET.id, [stored[0].file], SPEC, fresh=True)
        assert refused.value.retry_s > 80_000

        _, uploader = lab.member(Scope.MEASURE, Scope.READ, owner="uploader")
        first, second = (program_file(tmp_path, f"upload  {n}", of=()) for n in range(2))
        uploader.measure(TARGET.id, [first], SPEC)
        uploader.measure(TARGET.id, [first], SPEC)  # the lab has it
        with pytest.raises(LimitReached, match="upload this program in 24"):
            uploader.measure(TARGET.id, [second], SPEC)

        lab.admin.set_drained(DEVICE.serial, True)
        wait_until(lambda: lab.admin.devices()[0].state.phase is DevicePhase.DRAINED)
        _, many = lab.member(Scope.MEASURE, Scope.READ, owner="many")
        with pytest.raises(LimitReached, match="many has 1 open jobs, and may have 1"):
            many.measure(TARGET.id, [one.file for one in stored], SPEC, fresh=True)
        assert lab.admin.jobs(10)[1] == 1
