"""Latencies on several targets, combined to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from threading import Lock

from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure, FailureKind
from search.latency.lab import AWAY, Lab, Measured
from search.latency.target_lab import TURN_SIZE
from search.space.architecture import Architecture
from search.study.combined_latency import Combination

Export = Callable[[Sequence[Architecture]], Mapping[Architecture, Failure]]


@dataclass(frozen=True)
class NamedLab:
    """The lab of one target.

    Attributes:
        name: The target's name, for people.
        lab: The lab.
    """

    name: str
    lab: Lab


class MultiTargetLab:
    """Combines the labs of several targets: a `search.latency.lab.Lab`.

    A network is measured once all targets have measured it. If it fails on one target, it has
    failed, and the message names the target. A combined measurement's id is the ids on all
    targets in their order, joined by a plus. Its device time is that of all devices together.
    """

    def __init__(
        self, targets: Sequence[NamedLab], combination: Combination, export: Export
    ) -> None:
        """Combine the targets' labs.

        Args:
            targets: The labs, one for each target.
            combination: Combines the latencies on all targets.
            export: Exports networks before they are measured, and returns those that cannot be.
                One of the devices may be this machine, where exports disturb measurements.
        """
        self._targets = targets
        self._combination = combination
        self._export = export

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        """Return the combined prediction for each network, in input order.

        Raises:
            NotReady: Too little was measured on one of the targets.
        """
        columns = [target.lab.predict(architectures) for target in self._targets]
        return [self._combination.combine(row) for row in zip(*columns, strict=True)]

    def measure(
        self,
        architectures: Sequence[Architecture],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> list[Measured | Failure]:
        """Measure networks on all targets at the same time; return the outcomes in input order.

        Args:
            architectures: The networks.
            on_done: Called with the number of networks that have an outcome on every target.
        """
        outcomes: dict[Architecture, Measured | Failure] = {}
        for start in range(0, len(architectures), TURN_SIZE):
            turn = architectures[start : start + TURN_SIZE]
            unexported = self._export(turn)
            exported = [a for a in turn if a not in unexported]

            def report(done: int, before: int = start + len(unexported)) -> None:
                on_done(before + done)

            rows = zip(*self._measure_on_each(exported, report), strict=True)
            outcomes |= unexported
            outcomes |= zip(exported, map(self._combined, rows), strict=True)
        return [outcomes[a] for a in architectures]

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        """Return the combined latencies of measurements, all corrected alike, in input order."""
        columns = zip(*(id_.split("+") for id_ in measurement_ids), strict=True)
        looked_up = [
            target.lab.look_up(ids) for target, ids in zip(self._targets, columns, strict=False)
        ]
        return [self._combination.combine(row) for row in zip(*looked_up, strict=True)]

    def _measure_on_each(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[Sequence[Measured | Failure]]:
        """Return the outcomes of each target."""
        done, lock = [0] * len(self._targets), Lock()

        def report(index: int, count: int) -> None:
            with lock:
                done[index] = count
                on_done(min(done))

        executor = ThreadPoolExecutor(len(self._targets))
        try:
            futures = [
                executor.submit(target.lab.measure, architectures, partial(report, index))
                for index, target in enumerate(self._targets)
            ]
            for future in as_completed(futures):  # every lab's measuring has a deadline
                future.result()
        finally:
            # After an error or Ctrl-C, the other measurements end with their client.
            executor.shutdown(wait=False, cancel_futures=True)
        return [future.result() for future in futures]

    def _combined(self, outcomes: Sequence[Measured | Failure]) -> Measured | Failure:
        """Return one outcome for the outcomes of a network on all targets.

        If the network failed on several, a failure of the network itself comes before one of a
        disturbed device, and that before one of a device that was away.
        """
        failures = [
            Failure(outcome.kind, f"on {target.name}: {outcome.message}")
            for target, outcome in zip(self._targets, outcomes, strict=True)
            if isinstance(outcome, Failure)
        ]
        if failures:
            return min(failures, key=lambda f: (f.kind in AWAY, f.kind is FailureKind.DISTURBED))
        measured = [outcome for outcome in outcomes if isinstance(outcome, Measured)]
        return Measured(
            self._combination.combine([each.latency for each in measured]),
            "+".join(each.measurement_id for each in measured),
            sum(each.device_s for each in measured),
            any(each.heat_unknown for each in measured),
            any(each.untraced for each in measured),
        )
