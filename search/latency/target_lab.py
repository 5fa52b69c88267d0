"""Architectures to latencies on one target: the search's view of the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from host.measuring.comparison import Comparison, compare, paired_spec
from latlab.client.client import LatencyClient
from latlab.client.measuring import MEASURE_TIMEOUT_S
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import ExportError
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Visit
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target
from latlab.export import ExportPool, ExportSpec
from search.latency.lab import AWAY, Measured
from search.space.architecture import Architecture
from search.space.deployment import CLASSES, INPUT_SHAPE, RESOLUTION
from search.space.kernels import kernels

if TYPE_CHECKING:
    from torch import nn

# Latency is of the network as it would be deployed.

_kernels: Callable[[Architecture], tuple[Kernel, ...]] = cache(
    partial(kernels, resolution=RESOLUTION, classes=CLASSES)
)

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
    ) -> None:
        self._client = client
        self._target = target
        self._pool = pool
        self._spec = spec or BenchmarkSpec()
        self._priority = priority
        self._patience_s = patience_s
        self._is_away = False
        self._min_measurements = 0

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        """Raises NotReady before enough was measured."""
        return self._client.predict(
            self._target.id,
            [_kernels(a) for a in architectures],
            min_measurements=self._min_measurements,
        )

    def measure(
        self,
        architectures: Sequence[Architecture],
        on_done: Callable[[int], None] = lambda done: None,
        *,
        fresh: bool = False,
    ) -> list[Measured | Failure]:
        """As `measure_specs` does, of the networks as they would be deployed."""
        return self.measure_specs(list(map(export_spec, architectures)), on_done, fresh=fresh)

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
        outcomes: dict[str, MeasuredLatency | Failure] = {}  # by the spec's key
        for start in range(0, len(distinct), turn):
            outcomes |= self._measure(
                distinct[start : start + turn],
                on_done,
                done=len(outcomes),
                export_first=take_turns,
                fresh=fresh,
            )
        # The next predictions are to know what was measured now.
        self._min_measurements = self._client.target_status(self._target).measurements
        return [_measured(outcomes.get(spec.key, UNASKED)) for spec in specs]

    def export(self, architectures: Sequence[Architecture]) -> dict[Architecture, Failure]:
        """So that measuring them exports nothing. Returns those that cannot be."""
        exports = self._pool.export_all(list(map(export_spec, architectures)))
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
        for export in self._pool.export_all([export_spec(first), export_spec(second)]):
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
            visits.append(self._client.measurement(outcome.measurement_id).visits)
        return compare(*visits)

    def _measure(
        self,
        specs: Sequence[ExportSpec],
        on_done: Callable[[int], None],
        *,
        done: int,
        export_first: bool,
        fresh: bool,
    ) -> dict[str, MeasuredLatency | Failure]:
        keys: list[str] = []  # of the programs, in their order
        unexported: dict[str, MeasuredLatency | Failure] = {}

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
        else _measured(replace(outcome, estimate=estimates[outcome.measurement_id]))
        for outcome in outcomes
    ]


def _measured(outcome: MeasuredLatency | Failure) -> Measured | Failure:
    if isinstance(outcome, Failure):
        return outcome
    return Measured(outcome.estimate, outcome.measurement_id, outcome.device_s)


def _unexported(error: ExportError) -> Failure:
    return Failure(FailureKind.UNSUPPORTED, str(error))


def export_spec(architecture: Architecture) -> ExportSpec:
    """The network as it would be deployed, its weights seeded."""
    return ExportSpec(
        key=f"architecture {architecture.id}, {CLASSES} classes, input {INPUT_SHAPE}",
        build=partial(_build, architecture),
        input_shape=INPUT_SHAPE,
    )


def _build(architecture: Architecture) -> nn.Module:
    """In a worker: nobody else needs to wait for torch's import."""
    from search.space.network import build_network

    return build_network(architecture, classes=CLASSES, seed=0)
