"""kernels.equal: the share of architectures whose predicted kernels are the program's.

It compares `kernels(architecture)` with the exported program, over 200 random architectures by
direct lowering and over 20 by ExecuTorch's own.

python -m tests.bench.bench_kernels [DIRECT STOCK]: the numbers of architectures.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

from latlab.domain.kernel import Kernel
from latlab.export import EXPORTER, export_program
from search.space.architecture import Architecture
from search.space.kernels import kernels
from search.space.network import build_network
from search.space.space import mnasnet_space
from tests.bench.figures import exactly, report

SEED = 20260
SHAPE = (1, 3, 224, 224)


def main() -> None:
    direct, stock = map(int, sys.argv[1:] or ("200", "20"))
    _report(direct, "direct", by_direct_lowering)
    _report(stock, "stock", by_stock_lowering)


def by_direct_lowering(architecture: Architecture) -> tuple[Kernel, ...]:
    """Export by direct lowering, which must be able to lower every network of the space."""
    program, _ = export_program(build_network(architecture, seed=0), SHAPE)
    return program.kernels if program.exporter.startswith("direct") else ()


def by_stock_lowering(architecture: Architecture) -> tuple[Kernel, ...]:
    from latlab.export.lowering.preparation import prepare
    from latlab.export.lowering.stock import lower

    return lower(prepare(build_network(architecture, seed=0), SHAPE), SHAPE).kernels


def _report(
    number: int, lowering: str, listed: Callable[[Architecture], tuple[Kernel, ...]]
) -> None:
    space, rng = mnasnet_space(), random.Random(SEED)
    architectures = [space.resolve(space.sample(rng)) for _ in range(number)]
    equal = sum(kernels(architecture) == listed(architecture) for architecture in architectures)
    report(
        "kernels.equal",
        equal / number,
        "share",
        exactly(1),
        architectures=number,
        seed=SEED,
        lowering=f"{lowering} {EXPORTER}",
        resolution=SHAPE[-1],
    )


if __name__ == "__main__":
    main()
