"""Latencies of networks on one target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from latlab.client.client import LatencyClient
from latlab.client.measuring import MEASURE_TIMEOUT_S
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import ExportError
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit
from latlab.domain.program import Program, ProgramFile
from latlab.domain.target import Target
from latlab.export import ExportPool, ExportSpec
from search.latency.lab import AWAY, Measured, measured
from search.latency.networks import (
    Network,
    ProgramSource,
    export_all,
    export_each,
    export_spec,
    identity,
    kernels_of,
    program_source,
    with_kernels,
)
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment

if TYPE_CHECKING:
    from host.measuring.comparison import Comparison

OnEstimate = Callable[[int, LatencyEstimate], None]

# How long a target that was away is waited for again.
AWAY_PATIENCE_S = 60.0
NOT_REACHED = Failure(
    FailureKind.DEVICE_LOST, "the device was lost before this network was asked for"
)

# On the lab's own machine, exports and measurements take turns in groups of so many networks.
TURN_SIZE = 64


class TargetLab:
    """Measures and predicts on one target: a `search.latency.lab.Lab`.

    On the lab's own machine exports would disturb measurements, so the two take turns. For other
    devices they overlap.
    """

    def __init__(
        self,
        client: LatencyClient,
        target: Target,
        pool: ExportPool,
        spec: BenchmarkSpec | None = None,
        priority: int = 0,
        patience_s: float = MEASURE_TIMEOUT_S,
        deployment: Deployment = DEFAULT_DEPLOYMENT,
    ) -> None:
        """Prepare to measure and predict.

        Args:
            client: The lab.
            target: The target.
            pool: Exports the networks.
            spec: How to measure; None for the default.
            priority: Higher is measured first.
            patience_s: Measuring ends if no visit came for so long. What was not measured is a
                Failure DEVICE_LOST then, and until something is measured again, the next calls
                wait for `AWAY_PATIENCE_S` only.
            deployment: The form in which networks are measured and predicted.
        """
        self._client = client
        self._target = target
        self._pool = pool
        self._spec = spec or BenchmarkSpec()
        self._priority = priority
        self._patience_s = patience_s
        self._deployment = deployment
        self._is_away = False
        self._min_measurements = 0

    def programs(self, networks: Sequence[Network]) -> list[ProgramFile]:
        """Return the program of each network, in input order.

        Raises:
            ExportError: A network cannot be exported.
        """
        return export_all(self._pool, networks, self._deployment)

    def with_kernels(self, networks: Sequence[Network]) -> list[Architecture | Program]:
        """Return the networks in a form that has kernels: users' modules are exported for that.

        Raises:
            ExportError: A module cannot be exported.
        """
        return with_kernels(self._pool, networks, self._deployment)

    def predict(self, networks: Sequence[Network]) -> list[LatencyEstimate]:
        """Return the predicted latency of each network, in input order.

        Raises:
            NotReady: Too little was measured on the target.
            ExportError: A network must be exported for its kernels, and cannot be.
        """
        return self.predict_known(self.with_kernels(networks))

    def predict_known(
        self, networks: Sequence[Architecture | Program], *, strict: bool = False
    ) -> list[LatencyEstimate]:
        """Return the predicted latency of each network, in input order.

        Args:
            networks: Networks that have kernels.
            strict: Refuse networks with kernels of a kind that was never measured.

        Raises:
            NotReady: Too little was measured on the target.
            UnknownKernelKinds: `strict` is set, and some kinds were never measured.
        """
        return self._client.predict(
            self._target.id,
            [kernels_of(network, self._deployment) for network in networks],
            min_measurements=self._min_measurements,
            strict=strict,
        )

    def measure(
        self,
        networks: Sequence[Network],
        on_done: Callable[[int], None] = lambda done: None,
        on_estimate: OnEstimate = lambda position, estimate: None,
        *,
        fresh: bool = False,
        pause_when_left: bool = False,
    ) -> list[Measured | Failure]:
        """Measure networks as they would be deployed: see `measure_specs`."""
        sources = [program_source(network, self._deployment) for network in networks]
        return self.measure_specs(
            sources, on_done, on_estimate, fresh=fresh, pause_when_left=pause_when_left
        )

    def measure_specs(
        self,
        specs: Sequence[ProgramSource],
        on_done: Callable[[int], None] = lambda done: None,
        on_estimate: OnEstimate = lambda position, estimate: None,
        *,
        fresh: bool = False,
        pause_when_left: bool = False,
    ) -> list[Measured | Failure]:
        """Measure modules and programs, and return the outcome of each, in input order.

        Args:
            specs: What to export, and programs that are measured as they are.
            on_done: Called with the number of specs that have an outcome.
            on_estimate: Called after each visit with the position of a spec, from 0, and its
                provisional latency.
            fresh: Measure again what the lab has measured already.
            pause_when_left: If the call ends early, let the lab make no more visits for it. Those
                made are kept, and the same call goes on with them.
        """
        memory_bytes = self._client.memory_bytes(self._target.id)
        specs = [
            replace(spec, memory_bytes=memory_bytes) if isinstance(spec, ExportSpec) else spec
            for spec in specs
        ]
        distinct = list({identity(spec): spec for spec in specs}.values())
        take_turns = self._client.shares_host(self._target)
        turn = TURN_SIZE if take_turns else max(1, len(distinct))
        outcomes: dict[object, Measured | Failure] = {}  # by the spec's identity

        def report(keys: Collection[object], estimate: LatencyEstimate) -> None:
            for position, spec in enumerate(specs):
                if identity(spec) in keys:
                    on_estimate(position, estimate)

        for start in range(0, len(distinct), turn):
            outcomes |= self._measure(
                distinct[start : start + turn],
                on_done,
                report,
                done=len(outcomes),
                export_first=take_turns,
                fresh=fresh,
                pause_when_left=pause_when_left,
            )
        # The next predictions are to know what was measured now.
        self._min_measurements = self._client.target_status(self._target).measurements
        return [outcomes.get(identity(spec), NOT_REACHED) for spec in specs]

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        """Return the latencies of measurements, all corrected alike, in input order."""
        return self._client.look_up(measurement_ids)

    def export(self, architectures: Sequence[Architecture]) -> dict[Architecture, Failure]:
        """Export networks before they are measured; return those that cannot be exported."""
        specs = [export_spec(architecture, self._deployment) for architecture in architectures]
        exports = self._pool.export_all(specs)
        return {
            architecture: _export_failure(export)
            for architecture, export in zip(architectures, exports, strict=True)
            if isinstance(export, ExportError)
        }

    def compare(
        self,
        first: Network,
        second: Network,
        pairs: int,
        on_done: Callable[[int], None] = lambda visits: None,
    ) -> Comparison | Failure:
        """Measure two networks in turn, visit by visit, and compare them.

        Args:
            first: The network whose latency is divided.
            second: The network whose latency it is divided by.
            pairs: Number of visits to each.
            on_done: Called with the number of visits so far.

        Raises:
            ValueError: There are too few pairs.
            ExportError: A network cannot be exported.
        """
        from host.measuring.comparison import compare, paired_spec  # they load numpy

        spec = paired_spec(pairs)
        outcomes = self._client.measure(
            self._target.id,
            self.programs([first, second]),
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
        specs: Sequence[ProgramSource],
        on_done: Callable[[int], None],
        report: Callable[[Collection[object], LatencyEstimate], None],
        *,
        done: int,
        export_first: bool,
        fresh: bool,
        pause_when_left: bool,
    ) -> dict[object, Measured | Failure]:
        """Return the outcomes by the specs' identities; `done` specs have ended before."""
        keys: dict[str, set[object]] = defaultdict(set)  # the identities by the programs' SHA-256
        exported: list[tuple[object, Program]] = []  # in the order in which they are measured
        unexported: dict[object, Measured | Failure] = {}

        def programs() -> Iterator[ProgramFile]:
            for spec, export in export_each(self._pool, specs):
                if isinstance(export, ExportError):
                    unexported[identity(spec)] = _export_failure(export)
                else:
                    exported.append((identity(spec), export.program))
                    keys[export.program.sha256].add(identity(spec))
                    yield export

        outcomes = self._client.measure(
            self._target.id,
            list(programs()) if export_first else programs(),
            self._spec,
            fresh=fresh,
            priority=self._priority,
            pause_when_left=pause_when_left,
            patience_s=min(self._patience_s, AWAY_PATIENCE_S)
            if self._is_away
            else self._patience_s,
            on_progress=lambda visits, ended: on_done(done + ended + len(unexported)),
            on_estimate=lambda sha256, estimate: report(keys[sha256], estimate),
        )
        self._is_away = bool(outcomes) and all(
            isinstance(outcome, Failure) and outcome.kind in AWAY for outcome in outcomes
        )
        # If the call ran out of patience, the last exported programs may have no outcome.
        return unexported | {
            key: measured(outcome, program)
            for (key, program), outcome in zip(exported, outcomes, strict=False)
        }


def _export_failure(error: ExportError) -> Failure:
    return Failure(FailureKind.UNSUPPORTED, str(error))
