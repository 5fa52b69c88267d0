"""Predicted profiles: where a network would spend its time on a target that has never run it.

Predictors predict whole networks. The time of a kernel is by how much the predicted latency grows
if the network runs the kernel once more. What remains of the latency is the fixed time of a run.
A predictor of a target without traces does not sum the times of kernels. If they exceed the
latency, they are scaled to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from latlab.domain.estimate import Footprint, LatencyEstimate, Source
from latlab.domain.kernel import Kernel
from latlab.domain.program import ProgramFile
from latlab.domain.records.breakdown import Breakdown
from latlab.domain.target import Target
from latlab.profiling.profile import Profile, ProfileRow, Span

# More indices of kernels make a request longer than the lab takes.
_MOST_INDICES = 1_000_000
# A predictor that sums the times of kernels leaves something for the fixed time of a run.
_ADDITIVE = 0.99


class Lab(Protocol):
    """The part of a `LatencyClient` that profiles need."""

    def predict(self, target: str, networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
        """Return the predicted latency of each network, given as its kernels."""
        ...

    def breakdown(self, measurement_id: str) -> Breakdown:
        """Return where the time of a measurement goes."""
        ...


@dataclass(frozen=True, slots=True)
class PredictedKernels:
    """The predicted times of a network and of its kernels.

    Attributes:
        latency: The latency of the network.
        kernels: The time of each kernel, in the network's order.
    """

    latency: LatencyEstimate
    kernels: tuple[Span, ...]


def predicted_profile(name: str, lab: Lab, target: Target, file: ProgramFile) -> Profile:
    """Return where a network would spend its time.

    Args:
        name: The network's name, as the user gave it.
        lab: The lab.
        target: Where it would run.
        file: The network's program.

    Raises:
        NotReady: Too little was measured on the target.
    """
    predicted = predict_kernels(lab, target, file.program.kernels)
    latency = predicted.latency
    kernels_ns = sum(span.time_ns for span in predicted.kernels)
    factor = min(1.0, latency.latency_ns / max(1.0, kernels_ns))
    return Profile(
        name,
        target.name,
        Span(latency.latency_ns, latency.lower_ns, latency.upper_ns),
        predicted_rows(file, predicted.kernels, factor),
        rest=None,
        tracing=None,
        is_predicted=True,
        footprint=Footprint(file.program.size_bytes),
        notes=tuple(_notes(latency, factor)),
    )


def predict_kernels(lab: Lab, target: Target, kernels: Sequence[Kernel]) -> PredictedKernels:
    """Return the predicted latency of a network and the time of each of its kernels.

    The interval of a kernel's time is as wide, as a share of it, as that of a network of this
    kernel alone.

    Raises:
        NotReady: Too little was measured on the target.
    """
    table = list(dict.fromkeys(kernels))
    [whole] = lab.predict(target.id, [kernels])
    times: dict[Kernel, Span] = {}
    at_once = max(1, _MOST_INDICES // (len(kernels) + 2))
    for start in range(0, len(table), at_once):
        some = table[start : start + at_once]
        longer = [[*kernels, kernel] for kernel in some]
        estimates = lab.predict(target.id, [*longer, *([kernel] for kernel in some)])
        for kernel, with_it, alone in zip(
            some, estimates[: len(some)], estimates[len(some) :], strict=True
        ):
            times[kernel] = _span(max(0, with_it.latency_ns - whole.latency_ns), alone)
    return PredictedKernels(whole, tuple(times[kernel] for kernel in kernels))


def predicted_rows(
    file: ProgramFile, spans: Sequence[Span], factor: float = 1.0
) -> tuple[ProfileRow, ...]:
    """Return the rows of predicted kernels, each of whose times is multiplied by the factor."""
    kernels = file.program.kernels
    sources = file.sources or (None,) * len(kernels)
    return tuple(
        ProfileRow(
            kernel,
            factor * span.time_ns,
            factor * span.lower_ns,
            factor * span.upper_ns,
            source=source,
        )
        for kernel, span, source in zip(kernels, spans, sources, strict=True)
    )


def _span(time_ns: float, alone: LatencyEstimate) -> Span:
    share = time_ns / alone.latency_ns
    return Span(time_ns, share * alone.lower_ns, share * alone.upper_ns)


def _notes(latency: LatencyEstimate, factor: float) -> Iterator[str]:
    origin = "mostly other targets" if latency.source is Source.TRANSFER else "this target"
    yield (
        f"all times are predictions, from {latency.samples} networks that were measured on {origin}"
    )
    if factor < _ADDITIVE:
        yield (
            "the predictor knows little about single kernels: their times are rough, and scaled"
            f" by {factor:.2f} to the predicted latency"
        )
    if latency.unknown_kinds:
        yield f"never measured on this target, so guessed: {', '.join(latency.unknown_kinds)}"
