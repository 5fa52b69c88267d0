"""What lists show: which fields are absent, and which are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.convert.records.breakdown import breakdown_from_message, breakdown_to_message
from latlab.convert.records.measurements import (
    measurement_name,
    summary_from_message,
    visit_summary_from_message,
)
from latlab.convert.records.predictions import details_from_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import RawSamples
from latlab.domain.measurement import Conditions
from latlab.domain.records.breakdown import Breakdown, PairedVisits, Share, TimedKernel
from latlab.domain.records.measurements import MeasurementSummary, VisitSummary
from latlab.v1 import common_pb2, latency_pb2

numbers = st.floats(allow_nan=False)
shares = st.builds(Share, numbers, numbers, numbers)
kernels = st.builds(
    TimedKernel, numbers, numbers, numbers, st.text(), st.none() | st.integers(0, 2**31)
)
breakdowns = st.builds(
    Breakdown,
    st.none() | st.builds(PairedVisits, shares, shares, st.integers(0, 2**32 - 1)),
    st.lists(kernels, max_size=5).map(tuple),
    st.text(),
    st.none() | st.integers(0, 2**63 - 1),
)


def test_a_measurement_without_a_latency() -> None:
    message = latency_pb2.MeasurementSummary(name=measurement_name("ab12"), target="t", unix_ns=3)
    assert summary_from_message(message) == MeasurementSummary("ab12", "t", "", 3)


def test_a_measurement_of_zero_is_one() -> None:
    raw = common_pb2.RawSamples(median_ns=1, p90_ns=2, p99_ns=3, runs=4, clean_visits=5)
    message = latency_pb2.MeasurementSummary(
        name=measurement_name("ab12"), latency_ns=0, lower_ns=0, upper_ns=7, raw=raw, suspect=True
    )
    found = summary_from_message(message)
    assert (found.latency_ns, found.lower_ns, found.upper_ns) == (0, 0, 7)
    assert found.raw == RawSamples(1, 2, 3, 4, 5, 0)
    assert found.suspect


def test_a_name_of_something_else_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not the name of a measurement"):
        summary_from_message(latency_pb2.MeasurementSummary(name="jobs/ab12"))


@pytest.mark.parametrize("known", [None, 0, 5])
def test_what_a_visit_does_not_know_is_none(known: int | None) -> None:
    message = latency_pb2.VisitSummary(
        run_id="r",
        traced=True,
        runs=3,
        warmup_runs=2,
        load_ns=1,
        first_run_ns=known,
        peak_rss_bytes=known,
        planned_bytes=known,
        before=common_pb2.Conditions(unix_ns=1),
        after=common_pb2.Conditions(unix_ns=2, temperature_c=30.0),
        kernel_names=["conv", "add"],
    )
    assert visit_summary_from_message(message) == VisitSummary(
        "r", True, 3, 2, 1, Conditions(1), Conditions(2, 30.0), ("conv", "add"), known, known, known
    )


def test_a_target_on_which_nothing_was_measured() -> None:
    found = details_from_message(latency_pb2.TargetDetails())
    assert (found.noise_floor, found.newest_age_s, found.interval_coverage) == (None, None, None)
    assert found.refits == ()


@given(breakdowns)
def test_a_breakdown_comes_back_as_it_was(breakdown: Breakdown) -> None:
    sent = breakdown_to_message(breakdown).SerializeToString()
    assert breakdown_from_message(latency_pb2.Breakdown.FromString(sent)) == breakdown
