"""reader.equal and reader.ms: programs that are read from their own bytes.

- reader.equal: the share of networks whose kernels, as the reader lists them, are those of the
  graphs that were serialized into the program: the zoo's and random ones of the space, 113 in all,
  and those of the corpus that can be exported.
- reader.ms: the median time to read MnasNet-A1.

python -m tests.bench.bench_reader
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from latlab.domain.errors import ExportError
from latlab.export import EXPORTER, export_program
from latlab.export.lowering.proof import captured_graphs
from latlab.programs.reader import read_program
from search.space.architecture import Architecture
from search.space.network import build_network
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from tests.bench import corpus
from tests.bench.figures import at_most, exactly, quick, report
from tests.latlab.programs.captured_kernels import listed

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs

Maker: TypeAlias = "Callable[[], tuple[nn.Module, Inputs]]"

SEED = 20260
SHAPE = (1, 3, 224, 224)
READS = 200


def main() -> None:
    space, rng = mnasnet_space(), random.Random(SEED)
    sampled = [space.resolve(space.sample(rng)) for _ in range(quick(113 - len(ZOO)))]
    makers: list[Maker] = [partial(_make, network) for network in (*ZOO.values(), *sampled)]
    makers += [network.make for network in corpus.available()]
    outcomes = [_is_equal(make) for make in makers]
    read = [outcome for outcome in outcomes if outcome is not None]
    report(
        "reader.equal",
        sum(read) / len(read),
        "share",
        exactly(1),
        networks=len(read),
        not_exported=len(outcomes) - len(read),
        seed=SEED,
        exporter=EXPORTER,
    )
    _, data = export_program(build_network(ZOO["mnasnet-a1"], seed=0), SHAPE)
    times_ms = []
    for _ in range(READS):
        start_s = time.perf_counter()
        listing = read_program(data)
        times_ms.append(1e3 * (time.perf_counter() - start_s))
    report(
        "reader.ms",
        statistics.median(times_ms),
        "ms",
        at_most(20),
        network="mnasnet-a1",
        kernels=len(listing.kernels),
        reads=READS,
    )


def _make(architecture: Architecture) -> tuple[nn.Module, Inputs]:
    return build_network(architecture, seed=0), SHAPE


def _is_equal(make: Maker) -> bool | None:
    """Return whether both listings are equal; None for a network that cannot be exported."""
    try:
        with captured_graphs() as graphs:
            _, data = export_program(*make())
    except ExportError:
        return None
    listing = read_program(data)
    return (listing.kernels, listing.undelegated) == listed(data, graphs)


if __name__ == "__main__":
    main()
