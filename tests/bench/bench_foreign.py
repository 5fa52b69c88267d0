"""export.foreign_*: how fast foreign networks lower, and how many direct lowering takes.

Every network that direct lowering takes is lowered by ExecuTorch's own lowering as well, and both
programs must have the same kernels. What was timed is kept until all are, so an interrupted run
continues where it stopped.

python -m tests.bench.bench_foreign
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from typing import TYPE_CHECKING

from latlab.export import export_program
from tests.bench import corpus, figures
from tests.bench.bench_export import one_core
from tests.bench.corpus import ForeignNetwork
from tests.bench.figures import at_least, exactly, report
from tests.bench.finished import Finished

if TYPE_CHECKING:
    from torch import nn

    from latlab.domain.kernel import Kernel
    from latlab.export.execution.example import Inputs

NETWORKS_OF_A_WORKER = 8  # each stock lowering leaks tens of MB
NETWORK_DEADLINE_S = 900


def main() -> None:
    networks = corpus.available()
    finished = Finished("foreign-networks")
    spawning = multiprocessing.get_context("spawn")
    with spawning.Pool(1, warm_up, maxtasksperchild=NETWORKS_OF_A_WORKER) as worker:
        for network in networks:
            if finished.get(network.name) is None:
                line = worker.apply_async(timed, (network,)).get(NETWORK_DEADLINE_S)
                finished.add(network.name, [line])
    lines = {network.name: finished.get(network.name) or [] for network in networks}
    report_ratio({name: line for name, (line,) in lines.items()})
    finished.forget()


def warm_up() -> None:
    """Import what an export needs, on one core."""
    import torch

    from latlab.export.lowering import direct, stock  # noqa: F401

    one_core()
    export_program(torch.nn.ReLU(), (1, 4))


def timed(network: ForeignNetwork) -> figures.Line:
    """Return how long each way takes, or why direct lowering does not take the network."""
    from latlab.domain.errors import ExportError
    from latlab.export.lowering.edge.graph import Unsupported
    from latlab.export.lowering.edge.layers import edge_module
    from latlab.export.lowering.preparation import prepare

    module, inputs = network.make()
    try:
        edge_module(prepare(module, inputs))
    except (ExportError, Unsupported) as reason:
        return {"stock_because": str(reason)}
    start_s = time.perf_counter()
    program, _ = export_program(module, inputs)
    direct_s = time.perf_counter() - start_s
    if not program.exporter.startswith("direct"):
        return {"stock_because": "its direct program did not compute what the network does"}
    start_s = time.perf_counter()
    kernels = stock(module, inputs)
    stock_s = time.perf_counter() - start_s
    return {"direct_s": direct_s, "stock_s": stock_s, "equal": kernels == program.kernels}


def stock(module: nn.Module, inputs: Inputs) -> tuple[Kernel, ...]:
    """Return the kernels of the program that ExecuTorch's own lowering makes."""
    from latlab.export.lowering.preparation import prepare
    from latlab.export.lowering.stock import lower

    return lower(prepare(module, inputs), inputs).kernels


def report_ratio(lines: dict[str, figures.Line]) -> None:
    ratios = {
        name: line["stock_s"] / line["direct_s"]
        for name, line in lines.items()
        if "direct_s" in line
    }
    report(
        "export.foreign_ratio",
        round(statistics.median(ratios.values()), 1) if ratios else 0.0,
        "ratio",
        at_least(10),
        networks=len(ratios),
        each={name: round(ratio, 1) for name, ratio in ratios.items()},
    )
    different = [name for name in ratios if not lines[name]["equal"]]
    report(
        "export.foreign_equal",
        1 - len(different) / max(1, len(ratios)),
        "share",
        exactly(1),
        networks=len(ratios),
        different=different,
    )
    report(
        "export.foreign_direct_share",
        round(len(ratios) / len(lines), 3),
        "share",
        at_least(0.5),
        networks=len(lines),
        stock={
            name: line["stock_because"] for name, line in lines.items() if "stock_because" in line
        },
    )


if __name__ == "__main__":
    main()
