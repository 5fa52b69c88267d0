"""export.*: direct lowering compared with ExecuTorch's: time, equality, latency and memory.

python -m tests.bench.bench_export [EQUAL]: the number of architectures that are compared node by
node beside the published ones, by default 50.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latlab.export import ExportPool, ProgramCache, export_program
from latlab.export.lowering.stock import lower as stock_lower
from search.latency.networks import export_spec
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from tests.bench.bench_agent import bare_visit_ns
from tests.bench.figures import at_least, at_most, exactly, report, within

if TYPE_CHECKING:
    from torch import nn

SEED = 20263
TIMED = 10
A1_EXPORTS = 9
VISIT_PAIRS = 8
RSS_EXPORTS = 200


def main() -> None:
    equal = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    space, rng = mnasnet_space(), np.random.default_rng(SEED)
    networks = [space.resolve(space.sample(rng)) for _ in range(max(equal, RSS_EXPORTS))]
    with tempfile.TemporaryDirectory() as folder:
        programs = speed(networks[:TIMED], Path(folder))
        latency(programs)
        memory(networks[:RSS_EXPORTS], Path(folder))
    equality([*networks[:equal], *ZOO.values()])


def speed(networks: list[Architecture], folder: Path) -> list[tuple[Path, Path]]:
    """Return both programs of each network: by direct and by stock lowering."""
    one_core()
    for way in (direct, stock):
        way(ZOO["mnasnet-small"])  # imports the modules
    ratios, stocks_s, programs = [], [], []
    for index, network in enumerate(networks):
        paths = folder / f"{index}-direct.pte", folder / f"{index}-stock.pte"
        direct_s = timed_s(direct, network, paths[0])
        stock_s = timed_s(stock, network, paths[1])
        ratios.append(stock_s / direct_s)
        stocks_s.append(stock_s)
        programs.append(paths)
    report(
        "export.ratio",
        round(statistics.median(ratios), 1),
        "ratio",
        at_least(30),
        networks=len(networks),
        seed=SEED,
        each=[round(ratio, 1) for ratio in ratios],
    )
    a1_s = [timed_s(direct, ZOO["mnasnet-a1"]) for _ in range(A1_EXPORTS)]
    report(
        "export.a1_s",
        round(statistics.median(a1_s), 3),
        "s",
        at_most(0.35),
        exports=A1_EXPORTS,
        stock_median_s=round(statistics.median(stocks_s), 2),
    )
    return programs


def latency(programs: list[tuple[Path, Path]]) -> None:
    """Compare latencies by the bare runner, with alternating visits."""
    shape = "x".join(map(str, DEFAULT_DEPLOYMENT.input_shape))
    ratios = []
    for direct_program, stock_program in programs:
        pairs = []
        for turn in range(VISIT_PAIRS):
            order = (direct_program, stock_program) if turn % 2 else (stock_program, direct_program)
            ns = {program: bare_visit_ns(program, shape, cpu=1) for program in order}
            pairs.append(ns[direct_program] / ns[stock_program])
        ratios.append(statistics.median(pairs))
    report(
        "export.latency_ratio",
        round(statistics.median(ratios), 4),
        "ratio",
        within(1, 0.02),
        networks=len(programs),
        visit_pairs=VISIT_PAIRS,
        each=[round(ratio, 3) for ratio in ratios],
    )


def memory(networks: list[Architecture], folder: Path) -> None:
    """Measure the memory of a pool with one worker, from its first export to its last."""
    specs = list(map(export_spec, networks))
    with ExportPool(ProgramCache(folder)) as pool:
        rss_bytes = []
        for _ in pool.export_each(specs):
            [worker] = multiprocessing.active_children()
            rss_bytes.append(_rss_bytes(worker.pid))
    report(
        "export.rss_growth_mb",
        round((rss_bytes[-1] - rss_bytes[0]) / 1e6, 1),
        "MB",
        at_most(50),
        exports=len(networks),
        first_mb=round(rss_bytes[0] / 1e6),
        largest_mb=round(max(rss_bytes) / 1e6),
        last_mb=round(rss_bytes[-1] / 1e6),
    )


def equality(networks: list[Architecture]) -> None:
    """Check for the same nodes in the same order and for the same outputs."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as workers:
        equal = list(workers.map(_equal, networks))
    report(
        "export.nodes_equal",
        sum(equal) / len(equal),
        "share",
        exactly(1),
        networks=len(equal),
        seed=SEED,
    )


def direct(network: Architecture) -> bytes:
    program, data = export_program(_module(network), DEFAULT_DEPLOYMENT.input_shape)
    assert program.exporter.startswith("direct")
    return data


def stock(network: Architecture) -> bytes:
    from latlab.export.lowering.preparation import prepare

    shape = DEFAULT_DEPLOYMENT.input_shape
    return stock_lower(prepare(_module(network), shape), shape).data


def timed_s(
    way: Callable[[Architecture], bytes], network: Architecture, path: Path | None = None
) -> float:
    start_s = time.perf_counter()
    data = way(network)
    wall_s = time.perf_counter() - start_s
    if path is not None:
        path.write_bytes(data)
    return wall_s


def _module(network: Architecture) -> nn.Module:
    from search.space.network import build_network

    return build_network(network, seed=0)


def _equal(network: Architecture) -> bool:
    from latlab.export.lowering import proof

    one_core()
    return proof.agrees(_module(network), DEFAULT_DEPLOYMENT.input_shape)


def _rss_bytes(pid: int | None) -> int:
    resident_pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return resident_pages * resource.getpagesize()


def one_core() -> None:
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
