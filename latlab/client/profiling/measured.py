"""Measured profiles: from the visits of a measurement to rows and a rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latlab.client.profiling.predicted import Lab, predict_kernels, predicted_rows
from latlab.domain.benchmark_spec import MIN_PAIRS
from latlab.domain.errors import NotReady
from latlab.domain.estimate import HEAT_UNKNOWN, Footprint, LatencyEstimate, MeasuredLatency
from latlab.domain.kernel import Kernel
from latlab.domain.program import KernelSource, Program, ProgramFile, program_of
from latlab.domain.records.breakdown import Breakdown, Share, TimedKernel
from latlab.domain.target import Target
from latlab.profiling.profile import Profile, ProfileRow, Span

AGAIN = "profile again with --fresh, or in Python with fresh=True"
NO_PAIRS = (
    "no pair of an untraced and a traced visit was clean, so the rest is not known: free the"
    f" measured cores and {AGAIN}"
)
REMOVED = f"`latlab db compact` has removed the times of its single runs: {AGAIN}"
LARGE_REST = 0.08
SHORT_NS = 1_000
NO_TRACE = "the runner reported no kernels, so there are no times of kernels"
STEADIED = (
    "steadied: all times are scaled down with the latency, from which the learned effect of other"
    " work on the memory is removed"
)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The kernels of a profile, whether their times are predictions, and what to say about it."""

    rows: tuple[ProfileRow, ...] = ()
    are_predicted: bool = False
    note: str = ""


def measured_profile(
    name: str, lab: Lab, target: Target, file: ProgramFile, outcome: MeasuredLatency
) -> Profile:
    """Return where the latency of a network goes, from its visits.

    The rows and the rest add up to the latency that the lab reports for the measurement. The
    visits say which share of it each of them has.

    Args:
        name: The network's name, as the user gave it.
        lab: The lab, which has the visits.
        target: Where the network was measured.
        file: Its program.
        outcome: A measurement of it by `BenchmarkSpec.paired`.

    Raises:
        NotFound: The lab no longer has the measurement.
        StorageError: It cannot be read.
    """
    found, latency = lab.breakdown(outcome.measurement_id), outcome.estimate
    paired = found.paired_visits
    kernels_ns = latency.latency_ns * (1 - (paired.rest.value if paired else 0.0))
    rows = _rows(lab, target, file, found, kernels_ns)
    return Profile(
        name,
        target.name,
        Span(latency.latency_ns, latency.lower_ns, latency.upper_ns),
        rows.rows,
        rest=_span(paired.rest, latency) if paired else None,
        tracing=_span(paired.tracing, latency) if paired else None,
        is_predicted=rows.are_predicted,
        footprint=outcome.footprint or Footprint(file.program.size_bytes),
        notes=tuple(filter(None, [rows.note, *_notes(outcome, found)])),
    )


def _rows(
    lab: Lab, target: Target, file: ProgramFile, found: Breakdown, kernels_ns: float
) -> _Rows:
    """Return the rows, which take `kernels_ns` together."""
    if found.traces_removed_unix_ns is not None:
        return _predicted(lab, target, file, kernels_ns, REMOVED)
    if found.untimed_because:
        return _predicted(lab, target, file, kernels_ns, found.untimed_because)
    if not found.kernels:
        return _Rows(note=NO_TRACE)
    factor = kernels_ns / max(1.0, sum(kernel.time_ns for kernel in found.kernels))
    rows = tuple(timed_rows(file, found.kernels, factor))
    return _Rows(rows)


def timed_rows(
    source: ProgramFile | Program, timed: Sequence[TimedKernel], factor: float = 1.0
) -> Iterator[ProfileRow]:
    """Yield the rows of a program's kernels, in execution order.

    Args:
        source: The program, with the sources of its kernels where its file is at hand.
        timed: The time of each kernel.
        factor: What the times are multiplied by.
    """
    kernels = program_of(source).kernels
    sources = source.sources if isinstance(source, ProgramFile) else ()
    for each in zip(kernels, timed, sources or (None,) * len(kernels), strict=True):
        yield _row(*each, factor)


def _row(
    kernel: Kernel, timed: TimedKernel, source: KernelSource | None, factor: float
) -> ProfileRow:
    return ProfileRow(
        kernel,
        factor * timed.time_ns,
        factor * timed.lower_ns,
        factor * timed.upper_ns,
        timed.instruction,
        source,
        timed.name,
    )


def _predicted(lab: Lab, target: Target, file: ProgramFile, kernels_ns: float, why: str) -> _Rows:
    """Return predicted rows, which take `kernels_ns` together, for a trace that does not align."""
    try:
        spans = predict_kernels(lab, target, file.program.kernels).kernels
    except NotReady as error:
        return _Rows(note=f"no times of kernels: {why}; and they cannot be predicted: {error}")
    factor = kernels_ns / max(1.0, sum(span.time_ns for span in spans))
    note = f"the kernels' times are predictions, scaled to what the visits took: {why}"
    return _Rows(predicted_rows(file, spans, factor), are_predicted=True, note=note)


def _span(share: Share, latency: LatencyEstimate) -> Span:
    latency_ns = latency.latency_ns
    return Span(latency_ns * share.value, latency_ns * share.lower, latency_ns * share.upper)


def _notes(outcome: MeasuredLatency, found: Breakdown) -> Iterator[str]:
    paired = found.paired_visits
    if paired is None:
        yield "" if found.traces_removed_unix_ns is not None else NO_PAIRS
    elif paired.pairs < MIN_PAIRS:
        yield f"only {paired.pairs} pairs of visits were clean, so the rest is uncertain"
    yield _note_on_rest(outcome.estimate, found)
    if outcome.estimate.steadied:
        yield STEADIED
    if outcome.heat_unknown:
        yield HEAT_UNKNOWN


def _note_on_rest(latency: LatencyEstimate, found: Breakdown) -> str:
    """Return what shares a large rest of short kernels; "" for any other rest."""
    rest = found.paired_visits.rest.value if found.paired_visits else 0.0
    ran = [kernel for kernel in found.kernels if kernel.name]
    if rest <= LARGE_REST or 2 * sum(kernel.time_ns < SHORT_NS for kernel in ran) <= len(ran):
        return ""
    each_us = latency.latency_ns * rest / len(ran) / 1e3
    return (
        f"the rest is large beside so short kernels: in each run the runtime sets up {len(ran)} of"
        f" them and passes from one to the next, which takes {each_us:.2f} µs each on average"
    )
