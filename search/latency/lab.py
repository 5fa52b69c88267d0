"""A lab, as a search sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure, FailureKind
from search.space.architecture import Architecture

# Of the device rather than of the network: at another time the same measurement may succeed.
AWAY = frozenset({FailureKind.DEVICE_LOST, FailureKind.CANCELLED, FailureKind.AGENT_ERROR})


class Measured(NamedTuple):
    """latency: its source is MEASURED. device_s: for how long it kept the device, be it for
    this search or, of what the lab held already, before."""

    latency: LatencyEstimate
    measurement_id: str
    device_s: float


class Lab(Protocol):
    """Latencies on the study's target, in the order given."""

    def predict(self, architectures: Sequence[Architecture]) -> Sequence[LatencyEstimate]: ...

    def measure(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None], /
    ) -> Sequence[Measured | Failure]:
        """Returns in bounded time where the target is away: the failures are AWAY then."""
        ...
