"""The kernels of NAS-Bench-201's networks (Dong and Yang, 2020, section 2.1, CIFAR-10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape
from latlab.domain.measured_network import Structure

# The (from, to) of each edge of a cell, in the order of the architecture strings.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OUTPUT_NODE = 3
CELLS_A_STAGE = 5
STAGES: tuple[Shape, ...] = ((1, 32, 32, 16), (1, 16, 16, 32), (1, 8, 8, 64))
CLASSES = 10


def kernels(operations: Sequence[str]) -> tuple[Kernel, ...]:
    """Return the kernels of a network.

    Operations that do not reach the output of a cell are left out, as exporters leave them out.
    Within a cell the kernels have no particular order.

    Args:
        operations: The operations on the cell's edges, by the benchmark's names.
    """
    first, *_, last = STAGES
    listed = [_convolution((*first[:-1], 3), first, 3)]
    for stage, shape in enumerate(STAGES):
        if stage:
            listed += _reduction(STAGES[stage - 1], shape)
        listed += CELLS_A_STAGE * _cell(operations, live_edges(operations), shape)
    pooled = (1, 1, 1, last[-1])
    listed.append(Kernel(k.GLOBAL_AVG_POOL2D, (last,), pooled))
    listed.append(Kernel(k.FULLY_CONNECTED, (pooled,), (1, CLASSES)))
    return tuple(listed)


def structure(operations: Sequence[str]) -> Structure:
    """Return the kernels that do not reach the output, and the operation on each edge."""
    present = {edge for edge, operation in enumerate(operations) if operation != "none"}
    dead: list[Kernel] = []
    for shape in STAGES:
        everything = Counter(_cell(operations, present, shape))
        everything.subtract(_cell(operations, live_edges(operations), shape))
        dead += CELLS_A_STAGE * list(everything.elements())
    return Structure(tuple(dead), tuple(f"edge {i}: {op}" for i, op in enumerate(operations)))


def live_edges(operations: Sequence[str]) -> set[int]:
    """Return the edges whose operation reaches the output of the cell."""
    needed, live = {OUTPUT_NODE}, set()
    for edge in reversed(range(len(EDGES))):
        source, node = EDGES[edge]
        if operations[edge] != "none" and node in needed:
            needed.add(source)
            live.add(edge)
    return live


def _cell(operations: Sequence[str], edges: Set[int], shape: Shape) -> list[Kernel]:
    """Return the kernels of a cell with only some of its edges."""
    listed = [kernel for edge in sorted(edges) for kernel in _operation(operations[edge], shape)]
    additions = len(edges) - len({EDGES[edge][1] for edge in edges})
    return listed + additions * [Kernel(k.ADD, (shape, shape), shape)]


def _operation(operation: str, shape: Shape) -> list[Kernel]:
    if operation == "skip_connect":
        return []
    if operation == "avg_pool_3x3":
        return [Kernel(k.AVG_POOL2D, (shape,), shape, kernel_size=(3, 3))]
    size = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}[operation]
    return [Kernel(k.CLAMP, (shape,), shape), _convolution(shape, shape, size)]


def _reduction(before: Shape, after: Shape) -> list[Kernel]:
    """Return a residual block of stride 2, with an average pool and a convolution as shortcut."""
    pooled = (*after[:-1], before[-1])
    return [
        Kernel(k.CLAMP, (before,), before),
        _convolution(before, after, 3),
        Kernel(k.CLAMP, (after,), after),
        _convolution(after, after, 3),
        Kernel(k.AVG_POOL2D, (before,), pooled, kernel_size=(2, 2), stride=(2, 2)),
        _convolution(pooled, after, 1),
        Kernel(k.ADD, (after, after), after),
    ]


def _convolution(before: Shape, after: Shape, size: int) -> Kernel:
    stride = before[1] // after[1]
    return Kernel(k.CONV2D, (before,), after, kernel_size=(size, size), stride=(stride, stride))
