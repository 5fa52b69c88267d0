"""What owners use is counted, and what exceeds a limit says when it may be asked for again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.jobs.owners.daily_use import DAY_S, STEP_S, DailyUse
from host.jobs.owners.owner_use import OwnerUse
from latlab.domain.access.limits import Limits, OwnerLimits
from latlab.domain.errors import LimitReached, TooLarge


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


uses = st.lists(
    st.tuples(st.floats(0, DAY_S / 3), st.floats(0.1, 100)), min_size=1, max_size=20
)  # seconds since the use before, and how much it is


@given(uses, st.floats(0, 500))
def test_use_counts_for_a_day_and_the_time_to_wait_is_true(
    used: list[tuple[float, float]], most: float
) -> None:
    clock = Clock()
    daily, plain = DailyUse(clock), []
    for pause_s, amount in used:
        clock.now_s += pause_s
        daily.add("ann", amount)
        plain.append((clock.now_s, amount))
    within = sum(amount for at_s, amount in plain if at_s + DAY_S > clock.now_s)
    # What was used within one step counts until the last of it is a day old.
    late = sum(amount for at_s, amount in plain if at_s + DAY_S + STEP_S > clock.now_s)
    assert within - 1e-6 <= daily.used("ann") <= late + 1e-6
    assert daily.used("bob") == 0.0
    wait_s = daily.wait_s("ann", most)
    assert 0 <= wait_s <= DAY_S + 1e-6
    assert (wait_s == 0) == (daily.used("ann") <= most)
    clock.now_s += wait_s + 1e-6
    assert daily.used("ann") <= most


def use_of(**limits: float) -> tuple[OwnerUse, Clock]:
    clock = Clock()
    by_owner = {"free": Limits()}
    return OwnerUse(OwnerLimits(Limits(**limits), by_owner), clock), clock


def test_open_jobs_are_limited_until_some_end() -> None:
    use, clock = use_of(open_jobs=2)
    for job in ("1", "2"):
        use.check_job("ann")
        use.opened(job, "ann")
        use.opened(job, "ann")  # a second stream of the same owner
    with pytest.raises(LimitReached, match="ann has 2 open jobs, and may have 2") as refused:
        use.check_job("ann")
    assert refused.value.retry_s == 1.0
    use.check_job("ann", "1")  # it is hers already
    use.check_job("bob")
    for number in range(10):
        use.opened(str(number), "free")
        use.check_job("free")
    clock.now_s = 30.0
    use.ended("1")
    use.check_job("ann")
    use.ended("1")  # twice
    use.opened("3", "ann")
    clock.now_s = 70.0
    use.ended("2")
    use.opened("4", "ann")
    with pytest.raises(LimitReached) as refused:
        use.check_job("ann")
    assert refused.value.retry_s == pytest.approx(40.0)  # between the ends of the last jobs


def test_device_time_is_limited_and_comes_back_after_a_day() -> None:
    use, clock = use_of(device_minutes_per_day=2)
    for job, owners in (("1", ["ann"]), ("2", ["ann", "bob"])):
        for owner in owners:
            use.opened(job, owner)
    use.visited("1", 60.0)
    clock.now_s = 3_600.0
    use.check_job("ann")
    use.visited("2", 120.0)  # half of it each
    with pytest.raises(LimitReached, match=r"2 minutes of device time.* in 23\.0 hours") as refused:
        use.check_job("ann")
    assert refused.value.retry_s == pytest.approx(DAY_S - 3_600)
    use.check_job("bob")
    clock.now_s += refused.value.retry_s
    use.check_job("ann")
    use.visited("unknown", 1e9)  # of a sentinel


def test_uploads_are_limited_by_size() -> None:
    use, clock = use_of(upload_mb_per_day=10)
    use.upload("ann", 6_000_000)
    clock.now_s = 100.0
    use.upload("ann", 4_000_000)
    with pytest.raises(LimitReached, match="may upload 10 MB within 24 hours") as refused:
        use.upload("ann", 5_000_000)
    assert refused.value.retry_s == pytest.approx(DAY_S - 100)
    clock.now_s += refused.value.retry_s
    use.upload("ann", 5_000_000)
    with pytest.raises(TooLarge, match=r"10\.0 MB, and ann may upload 10 MB a day") as never:
        use.upload("ann", 10_000_001)
    assert not isinstance(never.value, LimitReached)
    use.upload("bob", 10_000_000)
    use.upload("free", 10**12)
