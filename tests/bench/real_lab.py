"""This machine's lab, with enough measurements for a predictor."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from host.home import lab_process
from host.home.paths import LabHome
from latency_models.measured_networks import newest_of_each
from latlab.client.client import LatencyClient
from latlab.domain.errors import LabError
from latlab.domain.failure import Failure
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target
from latlab.export import ExportPool, ExportSpec, ProgramCache
from search.latency.calibration import random_networks
from search.latency.networks import export_spec
from search.latency.target_lab import TargetLab
from search.space.space import mnasnet_space


@dataclass(frozen=True)
class RealLab:
    client: LatencyClient
    target: Target
    pool: ExportPool

    def measured(self, specs: Sequence[ExportSpec]) -> list[MeasuredNetwork | None]:
        """Return the newest measurement of each; None if it failed. Missing ones are measured."""
        print(f"measuring {len(specs)} networks on {self.target.name}", file=sys.stderr)
        outcomes = TargetLab(self.client, self.target, self.pool).measure_specs(
            specs, lambda done: print(f"\r{done}/{len(specs)}", end="", file=sys.stderr)
        )
        print(file=sys.stderr)
        for spec, outcome in zip(specs, outcomes, strict=True):
            if isinstance(outcome, Failure):
                print(f"{spec.key}: {outcome.message}", file=sys.stderr)
        newest = newest_of_each(self.client.measured_networks(self.target.id))
        return [
            newest.get(file.program.kernels)
            if isinstance(file, ProgramFile) and not isinstance(outcome, Failure)
            else None
            for file, outcome in zip(self.pool.export_all(specs), outcomes, strict=True)
        ]


@contextmanager
def real_lab() -> Iterator[RealLab]:
    """Open the lab with its default target.

    If the benchmark is interrupted or ended by SIGTERM, the target's open jobs are cancelled.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    home = LabHome.from_environment()
    lab_process.up(home)
    with (
        LatencyClient.connect(home.root) as client,
        ExportPool(ProgramCache(home.exports), workers=2) as pool,
    ):
        target = client.default_target()
        try:
            yield RealLab(client, target, pool)
        except BaseException:
            with suppress(LabError):  # there may be none, or no lab any more
                client.cancel_jobs(target=target.id)
            raise


@contextmanager
def calibrated(networks: int) -> Iterator[tuple[LatencyClient, Target]]:
    """Measure those of the first `networks` random networks that were not measured yet."""
    with real_lab() as opened:
        opened.measured(list(map(export_spec, random_networks(mnasnet_space(), networks))))
        yield opened.client, opened.target
