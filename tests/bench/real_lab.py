"""The lab of this machine, with enough measured on it for a predictor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from host import lab
from host.client import LatencyClient
from host.domain import Target
from host.export import ExportPool, ProgramCache
from host.home import LabHome
from search.calibration import calibration_networks
from search.lab import TargetLab
from search.space import mnasnet_space


@contextmanager
def calibrated(networks: int) -> Iterator[tuple[LatencyClient, Target]]:
    """Measures what is missing of the first `networks` of the calibration."""
    home = LabHome.from_environment()
    lab.up(home)
    with (
        LatencyClient.connect(home) as client,
        ExportPool(ProgramCache(home.exports), workers=2) as pool,
    ):
        target = client.default_target()
        print(f"measuring {networks} networks on {target.name}", file=sys.stderr)
        wanted = calibration_networks(mnasnet_space(), networks)
        TargetLab(client, target, pool).measure(
            wanted, lambda done: print(f"\r{done}/{networks}", end="", file=sys.stderr)
        )
        print(file=sys.stderr)
        yield client, target
