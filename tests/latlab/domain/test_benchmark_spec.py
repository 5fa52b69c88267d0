"""Which specs make sense, before any device is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latlab.domain.benchmark_spec import VISIT_BOUNDS, BenchmarkSpec, VisitSpec


@pytest.mark.parametrize("name", VISIT_BOUNDS)
def test_a_number_out_of_bounds_is_refused_with_its_bounds(name: str) -> None:
    lowest, highest = VISIT_BOUNDS[name]
    for value in (lowest - 1, highest + 1):
        with pytest.raises(ValueError, match=f"^{name}: {lowest} to {highest}, not {value}$"):
            replace(VisitSpec(), **{name: value})  # type: ignore[arg-type]


def test_the_other_limits_of_a_visit() -> None:
    with pytest.raises(ValueError, match="timed_runs: at most max_timed_runs, 10, not 11"):
        VisitSpec(timed_runs=11, max_timed_runs=10)
    with pytest.raises(ValueError, match="core_class: up to 64 characters, not 65"):
        VisitSpec(core_class="x" * 65)


def test_the_longest_load_fits() -> None:
    assert BenchmarkSpec.sustained(500).visit.is_sustained
