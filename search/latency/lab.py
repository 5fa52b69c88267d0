"""The lab as a search sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from latlab.client.client import LatencyClient
from latlab.domain.estimate import Footprint, LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.program import Program
from search.space.architecture import Architecture

# Failures of the device, not of the network: a later measurement may succeed.
AWAY = frozenset({FailureKind.DEVICE_LOST, FailureKind.CANCELLED, FailureKind.AGENT_ERROR})
# Failures that are a network's own, on every device.
OF_NETWORKS = frozenset(
    {
        FailureKind.NOT_A_PROGRAM,
        FailureKind.BAD_INPUT,
        FailureKind.UNSUPPORTED,
        FailureKind.OUT_OF_MEMORY,
    }
)


class Measured(NamedTuple):
    """The outcome of a measurement.

    Attributes:
        latency: The measured latency, whose source is MEASURED.
        measurement_id: The measurement in the lab.
        device_s: For how many seconds the measurement kept the device, be it now or, if the lab
            had it already, earlier.
        heat_unknown: Whether the device could not report its heat.
        untraced: Whether it has no kernel times, from which predictors learn most.
        program: The program that was measured, where it is at hand.
        footprint: What the program costs beside its latency, where the lab says so.
    """

    latency: LatencyEstimate
    measurement_id: str
    device_s: float
    heat_unknown: bool = False
    untraced: bool = False
    program: Program | None = None
    footprint: Footprint | None = None


class Lab(Protocol):
    """Predicts and measures latencies on a study's target."""

    def predict(self, architectures: Sequence[Architecture]) -> Sequence[LatencyEstimate]:
        """Return the predicted latency of each network, in input order.

        Raises:
            NotReady: Too little was measured on the target.
        """
        ...

    def measure(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None], /
    ) -> Sequence[Measured | Failure]:
        """Measure networks and return the outcome of each, in input order.

        The call ends in bounded time even if the target is away: the failures are AWAY then.

        Args:
            architectures: The networks.
            on_done: Called with the number of networks that have an outcome.
        """
        ...

    def look_up(self, measurement_ids: Sequence[str], /) -> Sequence[LatencyEstimate]:
        """Return the latencies of measurements, in input order.

        The lab learns how other work on a machine delays networks. All latencies that are looked
        up together are corrected by what it knows now, and so can be compared.

        Args:
            measurement_ids: The ids, as in outcomes.

        Raises:
            NotFound: The lab does not have one of them.
            StorageError: One of them cannot be used.
        """
        ...


def measured(
    outcome: MeasuredLatency | Failure, program: Program | None = None
) -> Measured | Failure:
    """Return what the lab's client has answered as the search sees it.

    Args:
        outcome: The client's answer.
        program: The program that was measured, where it is at hand.
    """
    if isinstance(outcome, Failure):
        return outcome
    return Measured(
        outcome.estimate,
        outcome.measurement_id,
        outcome.device_s,
        outcome.heat_unknown,
        outcome.untraced,
        program,
        outcome.footprint,
    )


def latencies(
    client: LatencyClient, outcomes: Sequence[MeasuredLatency | Failure]
) -> list[Measured | Failure]:
    """Return each outcome with a latency that is corrected by the newest predictor.

    Outcomes of several campaigns can then be compared with each other.
    """
    ids = [outcome.measurement_id for outcome in outcomes if isinstance(outcome, MeasuredLatency)]
    estimates = dict(zip(ids, client.look_up(ids), strict=True))
    return [
        outcome
        if isinstance(outcome, Failure)
        else measured(replace(outcome, estimate=estimates[outcome.measurement_id]))
        for outcome in outcomes
    ]
