"""pipeline.*: how busy a device is kept from architectures to stored measurements.

python -m tests.bench.bench_pipeline [NETWORKS]: by default 100. The labs have homes of their own,
which are empty at first.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from sqlalchemy import select

from host.database.engine import Database
from host.database.schema import visits
from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure
from latlab.export import ExportPool, ProgramCache
from search.cli.session import EXPORT_WORKERS
from search.latency.target_lab import TargetLab
from search.space.architecture import Architecture
from search.space.space import mnasnet_space
from tests.bench.bench_export import one_core, stock, timed_s
from tests.bench.figures import at_least, at_most, report
from tests.bench.simulated_remote import simulated_remote_lab

SEED = 20262
STOCK_EXPORTS = 4


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    space, rng = mnasnet_space(), np.random.default_rng(SEED)
    networks = [space.resolve(space.sample(rng)) for _ in range(count)]
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder:
        local_device(networks, LabHome(Path(folder) / "local"))
        remote_device(networks, LabHome(Path(folder) / "remote"))


def local_device(networks: list[Architecture], home: LabHome) -> None:
    lab_process.up(home)
    try:
        with LatencyClient.connect(home.root) as client:
            wall_s, busy_s = campaign(client, home, networks, BenchmarkSpec(), EXPORT_WORKERS)
            warm_s, _ = campaign(client, home, networks, BenchmarkSpec(), EXPORT_WORKERS)
    finally:
        lab_process.down(home)
    conditions = {"networks": len(networks), "seed": SEED, "export_workers": EXPORT_WORKERS}
    report("pipeline.device_busy", round(busy_s / wall_s, 3), "share", at_least(0.85), **conditions)
    per_hour = 3600 * len(networks) / wall_s
    report("pipeline.networks_per_hour", round(per_hour), "networks/h", None, **conditions)
    # The rest of the pipeline is the same, so only exporting is timed.
    with ProcessPoolExecutor(EXPORT_WORKERS, get_context("spawn")) as workers:
        list(workers.map(stock_export_s, networks[:EXPORT_WORKERS]))  # imports the modules
        stock_s = statistics.fmean(workers.map(stock_export_s, networks[:STOCK_EXPORTS]))
    direct_s = (wall_s - busy_s) / len(networks)
    stock_per_hour = 3600 / (busy_s / len(networks) + stock_s / EXPORT_WORKERS)
    report(
        "pipeline.networks_per_hour_stock",
        round(stock_per_hour),
        "networks/h",
        None,
        **conditions,
        stock_export_s=round(stock_s, 2),
        other_than_measuring_s=round(direct_s, 3),
        how="measured device time plus the time of stock exports",
    )
    report("pipeline.warm_s", round(warm_s, 2), "s", at_most(5), **conditions)


def remote_device(networks: list[Architecture], home: LabHome) -> None:
    """Run a simulated remote device; its traced visits are untraced, as a timer has no kernels."""
    usual = BenchmarkSpec()
    spec = replace(
        usual,
        min_visits=usual.min_visits + usual.traced_visits,
        max_visits=usual.max_visits + usual.traced_visits,
        traced_visits=0,
    )
    with simulated_remote_lab(home) as client:
        wall_s, busy_s = campaign(client, home, networks, spec, workers=1)
    report(
        "pipeline.device_busy_remote",
        round(busy_s / wall_s, 3),
        "share",
        at_least(0.95),
        networks=len(networks),
        seed=SEED,
        export_workers=1,
        visits=f"{spec.min_visits} to {spec.max_visits}",
    )


def campaign(
    client: LatencyClient,
    home: LabHome,
    networks: list[Architecture],
    spec: BenchmarkSpec,
    workers: int,
) -> tuple[float, float]:
    """Return the wall time of the whole campaign and the time that runners lived, in seconds.

    A runner lives between the conditions that the agent reads right before and after each visit.
    """
    busy_before_s = _runners_s(home)
    start_s = time.perf_counter()
    with ExportPool(ProgramCache(home.exports), workers) as pool:
        outcomes = TargetLab(client, client.default_target(), pool, spec).measure(networks, _show)
        wall_s = time.perf_counter() - start_s
    print(file=sys.stderr)
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failures:
        print(f"{len(failures)} failures, the first: {failures[0]}", file=sys.stderr)
    return wall_s, _runners_s(home) - busy_before_s


def _runners_s(home: LabHome) -> float:
    """Return how long the lab's runners have lived, over all visits with samples."""
    database = Database(home.database_url)
    query = select(visits.c.conditions_before, visits.c.conditions_after)
    with database.reading() as connection:
        lived = connection.execute(query.where(visits.c.wall_ns.is_not(None))).all()
    database.close()
    lived_ns: int = sum(after["unix_ns"] - before["unix_ns"] for before, after in lived)
    return lived_ns / 1e9


def stock_export_s(architecture: Architecture) -> float:
    one_core()
    return timed_s(stock, architecture)


def _show(done: int) -> None:
    print(f"\r{done} measured", end="", file=sys.stderr)


if __name__ == "__main__":
    main()
