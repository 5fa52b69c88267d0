"""Architectures to latencies on one target: the search's view of the lab."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from host.client import LatencyClient
from host.domain import BenchmarkSpec, Failure, FailureKind, ProgramFile, Target
from host.errors import ExportError
from host.export import ExportPool, ExportSpec
from host.summary import measured_estimate
from latency_models.estimate import LatencyEstimate
from latency_models.kernel import Kernel
from search.architecture import Architecture
from search.kernels import kernels

if TYPE_CHECKING:
    from torch import nn

# Latency is of the network as it would be deployed.
RESOLUTION = 224
CLASSES = 1000
INPUT_SHAPE = (1, 3, RESOLUTION, RESOLUTION)

_kernels: Callable[[Architecture], tuple[Kernel, ...]] = cache(
    partial(kernels, resolution=RESOLUTION, classes=CLASSES)
)


class TargetLab:
    """Exports what is to be measured, and all of it before the first visit: on this
    machine's own processor exporting and measuring would disturb each other."""

    def __init__(
        self,
        client: LatencyClient,
        target: Target,
        pool: ExportPool,
        spec: BenchmarkSpec | None = None,
    ) -> None:
        self._client = client
        self._target = target
        self._pool = pool
        self._spec = spec or BenchmarkSpec()

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        """Raises NotReady before enough was measured."""
        return self._client.predict(self._target.id, [_kernels(a) for a in architectures])

    def measure(
        self,
        architectures: Sequence[Architecture],
        on_done: Callable[[int], None] = lambda done: None,
        *,
        fresh: bool = False,
    ) -> list[tuple[LatencyEstimate, str] | Failure]:
        """Of each, its latency and the id of its measurement, in their order. `on_done` is
        told how many have ended. What the lab holds already is not measured again unless
        `fresh`."""
        exported = self._pool.export_all(list(map(export_spec, architectures)))
        files = list({f.program.sha256: f for f in exported if isinstance(f, ProgramFile)}.values())
        measured = self._client.measure(
            self._target.id,
            files,
            self._spec,
            fresh=fresh,
            on_progress=lambda visits, ended: on_done(ended),
        )
        by_program = {
            file.program.sha256: outcome for file, outcome in zip(files, measured, strict=True)
        }
        now_unix_ns = time.time_ns()
        outcomes: list[tuple[LatencyEstimate, str] | Failure] = []
        for export in exported:
            if isinstance(export, ExportError):
                outcomes.append(Failure(FailureKind.UNSUPPORTED, str(export)))
                continue
            outcome = by_program[export.program.sha256]
            if isinstance(outcome, Failure):
                outcomes.append(outcome)
            else:
                outcomes.append((measured_estimate(outcome, now_unix_ns), outcome.id))
        return outcomes


def export_spec(architecture: Architecture) -> ExportSpec:
    """The network as it would be deployed, its weights seeded."""
    return ExportSpec(
        key=f"architecture {architecture.id}, {CLASSES} classes, input {INPUT_SHAPE}",
        build=partial(_build, architecture),
        input_shape=INPUT_SHAPE,
    )


def _build(architecture: Architecture) -> nn.Module:
    """In a worker: nobody else needs to wait for torch's import."""
    from search.network import build_network

    return build_network(architecture, classes=CLASSES, seed=0)
