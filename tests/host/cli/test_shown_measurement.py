from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from host.cli.shown_measurement import (
    PLOT_COLUMNS,
    SLOWEST_KERNELS,
    facts,
    histogram,
    kernels_table,
    plot_table,
    visits_table,
)
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import KernelTrace, Measurement, StoredMeasurement, Visit
from tests.host.measuring.test_statistics import NOW, QUIET, SPOILED, TRACED

STORED = StoredMeasurement(
    "id", 0, "board", "t1", "5e" * 32, None, None, None, 0, 0, False, False, None, ""
)


def measurement(*visits: Visit) -> Measurement:
    return Measurement("id", "t1", "5e" * 32, BenchmarkSpec(), 0, visits)


def cells(table: Table, column: int) -> list[str]:
    return [str(cell) for cell in table.columns[column].cells]


@given(st.lists(st.integers(1, 10**12), min_size=2, max_size=200, unique=True))
def test_a_histogram_is_highest_where_most_samples_are(samples_ns: list[int]) -> None:
    low_ns, high_ns = min(samples_ns), max(samples_ns)
    bars = histogram(samples_ns, low_ns, high_ns)
    assert len(bars) == PLOT_COLUMNS
    assert "█" in bars
    edges = np.linspace(low_ns, high_ns, PLOT_COLUMNS + 1)
    for sample_ns in samples_ns:
        column = int(np.searchsorted(edges, sample_ns, side="right")) - 1
        near = bars[max(0, column - 1) : column + 2]  # rounding may choose the next one
        assert near.strip()


def test_samples_beyond_the_axis_are_in_its_last_column() -> None:
    assert histogram([10, 10, 999], 10, 50) == "█" + " " * (PLOT_COLUMNS - 2) + "▄"
    assert histogram([7, 7, 7], 7, 7).strip() == "█"
    assert not histogram([], 0, 0).strip()


def test_every_visit_has_a_row_of_samples_on_one_axis() -> None:
    slow = replace(SPOILED, wall_ns=(200_000,) * 20)
    shown = cells(plot_table(measurement(QUIET, slow, TRACED)), 1)
    assert [bars.index("█") for bars in shown] == [0, PLOT_COLUMNS - 1, 0]
    assert cells(visits_table(measurement(QUIET, slow)), 2) == ["0.100 ms", "disturbed"]


@pytest.mark.parametrize("every", [True, False])
def test_the_slowest_kernels_are_shown_or_all_in_their_order(every: bool) -> None:
    names = [f"kernel {number}" for number in range(SLOWEST_KERNELS + 5)]
    traces = tuple(KernelTrace(name, (1_000 * i,) * 20) for i, name in enumerate(names))
    table = kernels_table(measurement(QUIET, replace(TRACED, kernel_traces=traces)), every)
    assert cells(table, 1) == (names if every else names[::-1][:SLOWEST_KERNELS])
    assert bool(table.caption) != every
    if not every:
        assert "5 other kernels take 0.0100 ms" in str(table.caption)


def test_traces_that_do_not_fit_together_are_named() -> None:
    one = replace(TRACED, kernel_traces=(KernelTrace("a", (1,)),))
    other = replace(TRACED, kernel_traces=(KernelTrace("b", (1,)),))
    assert "different kernels" in str(kernels_table(measurement(one, other), True).caption)
    assert "no run was traced" in str(kernels_table(measurement(QUIET), True).caption)


def test_a_measurement_without_visits_is_shown_by_its_failures() -> None:
    stored = replace(STORED, unusable="no", failed_visits=(Failure(FailureKind.CRASHED, "boom"),))
    known = dict(facts(stored, measurement()))
    assert known["Failed visit"] == "crashed: boom"
    assert "6 to 11 visits, until they agree to ±1.00%" in known["Asked for"]
    assert "Heat" not in dict(facts(stored, None))
    assert cells(plot_table(measurement()), 1) == cells(visits_table(measurement()), 1) == []


def test_what_a_program_costs_beside_its_latency_is_that_of_untraced_visits() -> None:
    visits = [
        replace(QUIET, load_ns=2_000_000, first_run_ns=9_000_000, peak_rss_bytes=40_000_000),
        replace(QUIET, load_ns=4_000_000, peak_rss_bytes=50_000_000, planned_bytes=600_000),
        replace(TRACED, load_ns=90_000_000, peak_rss_bytes=90_000_000),
    ]
    known = dict(facts(replace(STORED, program_bytes=15_000_000), measurement(*visits)))
    assert known["Program size"] == "15.00 MB"
    assert known["Loading"] == "3.00 ms"
    assert known["First run"] == "9.00 ms"
    assert known["Peak memory"] == "50.00 MB"
    assert known["Planned memory"] == "0.60 MB"
    older = dict(facts(STORED, measurement(TRACED)))  # a lab that does not say the size
    assert not {"Program size", "Loading", "Peak memory"} & older.keys()


def test_stolen_time_is_that_of_the_visit() -> None:
    visit = replace(
        QUIET,
        before=replace(NOW, steal_ns=5_000_000, governor="performance", battery_level=0.5),
        after=replace(NOW, steal_ns=7_000_000),
    )
    [before], [after] = (cells(visits_table(measurement(visit)), column) for column in (7, 8))
    assert before == "performance, battery 50%"
    assert after == "stolen 2.00 ms"
