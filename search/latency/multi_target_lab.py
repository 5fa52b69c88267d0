"""Latencies on several targets at once, as if they were one target's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from threading import Lock

from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure, FailureKind
from search.latency.lab import AWAY, Lab, Measured
from search.latency.target_lab import TURN
from search.space.architecture import Architecture
from search.study.combined_latency import Combination

Export = Callable[[Sequence[Architecture]], Mapping[Architecture, Failure]]


@dataclass(frozen=True)
class Part:
    """name: the target's, for people."""

    name: str
    lab: Lab


class SeveralLab:
    """A `search.latency.lab.Lab`: what its parts say, combined. Measured is what all of them have
    measured; whatever fails on one has failed, with that target's name. The id of a
    measurement is the parts' ids in their order, with a plus between; its device time is that
    of all devices together.

    export: returns those that cannot be; the parts find the others exported. One of the
    devices may be this machine, on which exporting would disturb what is measured.
    """

    def __init__(self, parts: Sequence[Part], combination: Combination, export: Export) -> None:
        self._parts = parts
        self._combination = combination
        self._export = export

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        """Raises NotReady before enough was measured on each."""
        columns = [part.lab.predict(architectures) for part in self._parts]
        return [self._combination.combine(row) for row in zip(*columns, strict=True)]

    def measure(
        self,
        architectures: Sequence[Architecture],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> list[Measured | Failure]:
        """On all targets at a time, for they are different devices. `on_done` is told how many
        have ended on each of them."""
        outcomes: list[Measured | Failure] = []
        for start in range(0, len(architectures), TURN):
            turn = architectures[start : start + TURN]
            unexported = self._export(turn)
            exported = [a for a in turn if a not in unexported]

            def told(done: int, before: int = start + len(unexported)) -> None:
                on_done(before + done)

            rows = zip(*self._on_each(exported, told), strict=True)
            ended = dict(unexported) | dict(zip(exported, map(self._combined, rows), strict=True))
            outcomes += [ended[a] for a in turn]
        return outcomes

    def _on_each(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[Sequence[Measured | Failure]]:
        done, lock = [0] * len(self._parts), Lock()

        def told(index: int, count: int) -> None:
            with lock:
                done[index] = count
                on_done(min(done))

        executor = ThreadPoolExecutor(len(self._parts))
        try:
            futures = [
                executor.submit(part.lab.measure, architectures, partial(told, index))
                for index, part in enumerate(self._parts)
            ]
            for future in as_completed(futures):  # each part's waits have their deadlines
                future.result()
        finally:
            # Where one raises, or the user interrupts, nobody waits for what the others
            # measure: it ends with their client.
            executor.shutdown(wait=False, cancel_futures=True)
        return [future.result() for future in futures]

    def _combined(self, outcomes: Sequence[Measured | Failure]) -> Measured | Failure:
        """A failure of the network's own comes before those of devices that were disturbed,
        and these before those of devices that were away."""
        failures = [
            Failure(outcome.kind, f"on {part.name}: {outcome.message}")
            for part, outcome in zip(self._parts, outcomes, strict=True)
            if isinstance(outcome, Failure)
        ]
        if failures:
            return min(failures, key=lambda f: (f.kind in AWAY, f.kind is FailureKind.DISTURBED))
        measured = [outcome for outcome in outcomes if isinstance(outcome, Measured)]
        return Measured(
            self._combination.combine([each.latency for each in measured]),
            "+".join(each.measurement_id for each in measured),
            sum(each.device_s for each in measured),
        )
