"""The program that a lowering makes of a network."""

from __future__ import annotations

from typing import NamedTuple

from latlab.domain.kernel import Kernel
from latlab.domain.program import KernelSource


class LoweredProgram(NamedTuple):
    """A program that has not been compared with its network yet.

    Attributes:
        data: The program's bytes.
        kernels: The kernels in execution order.
        undelegated: The operators outside the delegate.
        sources: Where each kernel comes from in the network's code, parallel to the kernels;
            empty where nothing is known.
    """

    data: bytes
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    sources: tuple[KernelSource | None, ...]
