"""Architectures to latencies on one target: the search's view of the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from host.measuring.comparison import Comparison, compare, paired_spec
from latlab.client.client import MEASURE_TIMEOUT_S, LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import ExportError
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Measurement, Visit
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target
from latlab.export import ExportPool, ExportSpec
from search.latency.lab import AWAY, Measured
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT, Deployment
from search.space.kernels import kernels

if TYPE_CHECKING:
    from torch import nn

# Latency is of the network as it would be deployed.


@cache
def _kernels(architecture: Architecture, deployment: Deployment) -> tuple[Kernel, ...]:
    return kernels(architecture, deployment=deployment)


AGAIN_S = 60.0
UNASKED = Failure(FailureKind.DEVICE_LOST, "others that were asked for before had no answer")

# On the lab's own machine so many are exported, then measured, then the next.
TURN = 64


class TargetLab:
    """Measures and predicts. On this machine's own processor, exporting and measuring would
    disturb each other and take turns; beside other devices they overlap.

    patience_s: without any visit for so long, measuring ends: what has not been measured is a
    Failure DEVICE_LOST. Until something is measured again it then waits for `AGAIN_S` only."""

    def __init__(
        self,
        client: LatencyClient,
        target: Target,
        pool: ExportPool,
        spec: BenchmarkSpec | None = None,
        priority: int = 0,
        patience_s: float = MEASURE_TIMEOUT_S,
        deployment: Deployment = DEFAULT,
    ) -> None:
        self._deployment = deployment
        self._client = client
        self._target = target
        self._pool = pool
        self._spec = spec or BenchmarkSpec()
        self._priority = priority
        self._patience_s = patience_s
        self._is_away = False

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        """Raises NotReady before enough was measured."""
        return self._client.predict(
            self._target.id, [_kernels(a, self._deployment) for a in architectures]
        )

    def measure(
        self,
        architectures: Sequence[Architecture],
        on_done: Callable[[int], None] = lambda done: None,
        *,
        fresh: bool = False,
    ) -> list[Measured | Failure]:
        """As `measure_specs` does, of the networks as they would be deployed."""
        return self.measure_specs(self._specs(architectures), on_done, fresh=fresh)

    def measure_specs(
        self,
        specs: Sequence[ExportSpec],
        on_done: Callable[[int], None] = lambda done: None,
        *,
        fresh: bool = False,
    ) -> list[Measured | Failure]:
        """Of each what was measured, in their order. `on_done` is told how many have ended.
        What the lab holds already is not measured again unless `fresh`."""
        distinct = list({spec.key: spec for spec in specs}.values())
        take_turns = self._client.shares_host(self._target)
        turn = TURN if take_turns else max(1, len(distinct))
        outcomes: dict[str, Measurement | Failure] = {}  # by the spec's key
        for start in range(0, len(distinct), turn):
            outcomes |= self._measure(
                distinct[start : start + turn],
                on_done,
                done=len(outcomes),
                export_first=take_turns,
                fresh=fresh,
            )
        return latencies(self._client, [outcomes.get(spec.key, UNASKED) for spec in specs])

    def export(self, architectures: Sequence[Architecture]) -> dict[Architecture, Failure]:
        """So that measuring them exports nothing. Returns those that cannot be."""
        exports = self._pool.export_all(self._specs(architectures))
        return {
            architecture: _unexported(export)
            for architecture, export in zip(architectures, exports, strict=True)
            if isinstance(export, ExportError)
        }

    def compare(
        self,
        first: Architecture,
        second: Architecture,
        pairs: int,
        on_done: Callable[[int], None] = lambda visits: None,
    ) -> Comparison | Failure:
        """`first` against `second`, by visits in turn; `on_done` is told how many. Raises
        ValueError for too few pairs."""
        spec = paired_spec(pairs)
        programs: list[ProgramFile] = []
        for export in self._pool.export_all(self._specs([first, second])):
            if isinstance(export, ExportError):
                return _unexported(export)
            programs.append(export)
        outcomes = self._client.measure(
            self._target.id,
            programs,
            spec,
            fresh=True,
            priority=self._priority,
            on_progress=lambda visits, ended: on_done(visits),
        )
        visits: list[tuple[Visit, ...]] = []
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                return outcome
            visits.append(outcome.visits)
        return compare(*visits)

    def _specs(self, architectures: Sequence[Architecture]) -> list[ExportSpec]:
        return [export_spec(a, self._deployment) for a in architectures]

    def _measure(
        self,
        specs: Sequence[ExportSpec],
        on_done: Callable[[int], None],
        *,
        done: int,
        export_first: bool,
        fresh: bool,
    ) -> dict[str, Measurement | Failure]:
        keys: list[str] = []  # of the programs, in their order
        unexported: dict[str, Measurement | Failure] = {}

        def programs() -> Iterator[ProgramFile]:
            for spec, export in self._pool.export_each(specs):
                if isinstance(export, ExportError):
                    unexported[spec.key] = _unexported(export)
                else:
                    keys.append(spec.key)
                    yield export

        outcomes = self._client.measure(
            self._target.id,
            list(programs()) if export_first else programs(),
            self._spec,
            fresh=fresh,
            priority=self._priority,
            patience_s=min(AGAIN_S, self._patience_s) if self._is_away else self._patience_s,
            on_progress=lambda visits, ended: on_done(done + ended + len(unexported)),
        )
        lost = [o for o in outcomes if isinstance(o, Failure) and o.kind in AWAY]
        self._is_away = bool(outcomes) and len(lost) == len(outcomes)
        # Where patience ended it, the last that were exported may have no outcome.
        return unexported | dict(zip(keys, outcomes, strict=False))


def latencies(
    client: LatencyClient, outcomes: Sequence[Measurement | Failure]
) -> list[Measured | Failure]:
    """Of each measurement, in their order, what it says."""
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, Measurement)]
    estimates = dict(zip(ids, client.look_up(ids), strict=True))
    return [
        outcome
        if isinstance(outcome, Failure)
        else Measured(estimates[outcome.id], outcome.id, _device_s(outcome))
        for outcome in outcomes
    ]


def _device_s(measurement: Measurement) -> float:
    """By the device's clock, from the conditions before a visit to those after it. Visits that
    brought nothing are not among them."""
    longest_ns = measurement.spec.visit.deadline_ns  # the clock may have been set meanwhile
    elapsed_ns = (visit.after.unix_ns - visit.before.unix_ns for visit in measurement.visits)
    return sum(min(max(ns, 0), longest_ns) for ns in elapsed_ns) / 1e9


def _unexported(error: ExportError) -> Failure:
    return Failure(FailureKind.UNSUPPORTED, str(error))


def export_spec(architecture: Architecture, deployment: Deployment = DEFAULT) -> ExportSpec:
    """The network as it would be deployed, its weights seeded."""
    return ExportSpec(
        key=f"architecture {architecture.id}, {deployment.classes} classes, "
        f"input {deployment.input_shape}",
        build=partial(_build, architecture, deployment.classes),
        input_shape=deployment.input_shape,
    )


def _build(architecture: Architecture, classes: int) -> nn.Module:
    """In a worker: nobody else needs to wait for torch's import."""
    from search.space.network import build_network

    return build_network(architecture, classes=classes, seed=0)
