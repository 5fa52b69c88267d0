"""Measured and predicted profiles, beside a lab whose predictor is a sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from host.measuring.breakdown import breakdown_of
from latlab.client.profiling import measured
from latlab.client.profiling.measured import measured_profile
from latlab.client.profiling.predicted import predicted_profile
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import NotReady
from latlab.domain.estimate import HEAT_UNKNOWN, LatencyEstimate, MeasuredLatency, Source
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Measurement, Visit, footprint_of
from latlab.domain.program import KernelSource, Program, ProgramFile
from latlab.domain.records.breakdown import Breakdown
from latlab.profiling.profile import Place
from tests.host.fake_lab import TARGET
from tests.host.measuring.test_breakdown import KERNELS, PROGRAM, pairs
from tests.search.fakes import estimate

FILE = ProgramFile(PROGRAM, Path())
LOCATED = replace(FILE, sources=(KernelSource("conv", "Conv2d", "net.py", 3), None, None, None))
FIXED_NS = 100_000


@dataclass
class Lab:
    """A predictor that adds a fixed time to those of the kernels, and the visits of a network."""

    kernels_ns: dict[Kernel, int] = field(
        default_factory=lambda: {kernel: 1_000_000 * i for i, kernel in enumerate(KERNELS, 1)}
    )
    visits: Sequence[Visit] = ()
    program: Program = PROGRAM
    is_ready: bool = True
    traces_removed_unix_ns: int | None = None

    def predict(self, target: str, networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
        if not self.is_ready:
            raise NotReady("10 measured networks are needed, there are 0")
        return [
            estimate(FIXED_NS + sum(self.kernels_ns[kernel] for kernel in kernels))
            for kernels in networks
        ]

    def breakdown(self, measurement_id: str) -> Breakdown:
        measurement = Measurement(
            measurement_id,
            TARGET.id,
            PROGRAM.sha256,
            BenchmarkSpec(),
            0,
            tuple(self.visits),
            traces_removed_unix_ns=self.traces_removed_unix_ns,
        )
        return breakdown_of(self.program, measurement)


OUTCOME = MeasuredLatency("m", PROGRAM.sha256, estimate(9_900_000, Source.MEASURED), 8, 0, 1.0)


@pytest.mark.parametrize(("shorter", "notes"), [(20_000, 1), (1, 0)], ids=["short", "long"])
def test_the_short_kernels_that_share_a_large_rest_are_counted(shorter: int, notes: int) -> None:
    visits = [
        replace(
            visit,
            kernel_traces=tuple(
                replace(trace, durations_ns=tuple(ns // shorter for ns in trace.durations_ns))
                for trace in visit.kernel_traces
            ),
        )
        for visit in pairs(0.2, 0.1, 8, seed=1)
    ]
    found = measured_profile("net", Lab(visits=visits), TARGET, FILE, OUTCOME)
    assert len(found.notes) == notes
    assert all("sets up 3 of them" in note for note in found.notes)


@pytest.mark.parametrize("file", [FILE, LOCATED], ids=["foreign", "located"])
def test_rows_and_rest_add_up_to_the_latency_that_the_lab_reports(file: ProgramFile) -> None:
    lab = Lab(visits=pairs(0.04, 0.1, 8, seed=1))
    found = measured_profile("net", lab, TARGET, file, OUTCOME)
    assert found.latency.time_ns == 9_900_000
    assert found.rest is not None
    assert found.tracing is not None
    total_ns = found.rest.time_ns + sum(row.time_ns for row in found.rows)
    assert total_ns == pytest.approx(found.latency.time_ns)
    assert found.share(found.rest.time_ns) == pytest.approx(0.04, abs=0.01)
    assert found.share(found.tracing.time_ns) == pytest.approx(0.1, abs=0.012)
    assert not found.is_predicted
    assert [row.source for row in found.rows] == list(file.sources or [None] * 4)
    assert [row.place for row in found.rows] == [Place.DELEGATE] * 3 + [Place.PORTABLE]
    assert found.notes == ()


def test_the_footprint_is_that_of_the_outcome() -> None:
    visits = pairs(0.0, 0.0, 5, seed=1)
    footprint = footprint_of(visits, PROGRAM.size_bytes)
    outcome = replace(OUTCOME, footprint=footprint)
    assert measured_profile("net", Lab(visits=visits), TARGET, FILE, outcome).footprint == footprint
    found = measured_profile("net", Lab(visits=visits), TARGET, FILE, OUTCOME)
    assert found.footprint.size_bytes == PROGRAM.size_bytes


def test_a_measurement_without_the_times_of_its_runs_brings_predictions() -> None:
    visits = [
        replace(
            visit,
            kernel_traces=tuple(replace(each, durations_ns=()) for each in visit.kernel_traces),
        )
        for visit in pairs(0.04, 0.1, 8, seed=1)
    ]
    lab = Lab(visits=visits, traces_removed_unix_ns=5)
    found = measured_profile("net", lab, TARGET, FILE, OUTCOME)
    assert found.is_predicted
    assert found.rest is None
    assert found.latency.time_ns == sum(row.time_ns for row in found.rows) == 9_900_000
    [note] = found.notes
    assert "--fresh" in note


def test_a_trace_that_does_not_align_leaves_the_latency_and_brings_predictions() -> None:
    program = replace(PROGRAM, kernels=(KERNELS[0], KERNELS[3]))
    lab = Lab(visits=pairs(0.04, 0.1, 8, seed=1), program=program)
    found = measured_profile("net", lab, TARGET, ProgramFile(program, Path()), OUTCOME)
    assert found.is_predicted
    assert found.rest is not None
    first, second = found.rows
    assert second.time_ns / first.time_ns == pytest.approx(4)
    assert first.time_ns + second.time_ns + found.rest.time_ns == pytest.approx(9_900_000)
    [note] = found.notes
    assert "predictions" in note
    assert "the trace differs from the network at position 1" in note
    lab.is_ready = False
    found = measured_profile("net", lab, TARGET, ProgramFile(program, Path()), OUTCOME)
    assert found.rows == ()
    assert found.latency.time_ns == 9_900_000
    assert "10 measured networks are needed" in found.notes[0]


def test_what_a_reader_must_know_is_noted() -> None:
    visits = pairs(0.0, 0.0, 6, seed=1)
    steadied = replace(OUTCOME.estimate, steadied=True)
    outcome = replace(OUTCOME, estimate=steadied, heat_unknown=True)
    few = measured_profile("net", Lab(visits=visits[:4]), TARGET, FILE, outcome)
    assert few.notes == (
        "only 2 pairs of visits were clean, so the rest is uncertain",
        measured.STEADIED,
        HEAT_UNKNOWN,
    )
    untraced = [visit for visit in visits if not visit.traced]
    none = measured_profile("net", Lab(visits=untraced), TARGET, FILE, OUTCOME)
    assert none.notes == (measured.NO_TRACE, measured.NO_PAIRS)
    assert (none.rows, none.rest, none.tracing) == ((), None, None)


def test_predicted_kernels_and_the_fixed_time_add_up_to_the_predicted_latency() -> None:
    repeated = replace(PROGRAM, kernels=(*KERNELS, KERNELS[3]))
    found = predicted_profile("net", Lab(), TARGET, ProgramFile(repeated, Path()))
    assert [row.time_ns for row in found.rows] == [1e6, 2e6, 3e6, 4e6, 4e6]
    assert found.latency.time_ns - sum(row.time_ns for row in found.rows) == FIXED_NS
    assert found.is_predicted
    assert (found.rest, found.tracing) == (None, None)
    for row in found.rows:
        assert row.lower_ns == pytest.approx(0.9 * row.time_ns, rel=1e-3)
        assert row.upper_ns == pytest.approx(1.1 * row.time_ns, rel=1e-3)
    assert "from 8 networks that were measured on this target" in found.notes[0]


class RoughLab(Lab):
    """A predictor by which a kernel that runs once more costs three times as much."""

    def predict(self, target: str, networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
        once_more = [sum(self.kernels_ns[k] for k in kernels[4:]) for kernels in networks]
        return [estimate(10_000_000 + 3 * ns) for ns in once_more]


def test_kernels_that_exceed_the_predicted_latency_are_scaled_to_it() -> None:
    found = predicted_profile("net", RoughLab(), TARGET, FILE)
    assert [row.time_ns for row in found.rows] == pytest.approx([1e6, 2e6, 3e6, 4e6])
    assert "their times are rough, and scaled by 0.33" in found.notes[1]


def test_a_network_of_many_kernels_is_predicted_in_several_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("latlab.client.profiling.predicted._MOST_INDICES", 1)
    found = predicted_profile("net", Lab(), TARGET, FILE)
    assert [row.time_ns for row in found.rows] == [1e6, 2e6, 3e6, 4e6]
