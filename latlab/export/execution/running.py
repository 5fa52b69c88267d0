"""Run programs on this machine for what they compute, never for their latency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

from latlab.export.execution.quiet import quiet, silent

if TYPE_CHECKING:
    from executorch.runtime import Method


def load(data: bytes) -> Method:
    """Return the program's method.

    Raises:
        RuntimeError: ExecuTorch cannot load the program.
    """
    with quiet():
        from executorch.runtime import Runtime

    program = Runtime.get().load_program(data)
    with silent():  # the thread pool prints errors on processors other than ARM
        return program.load_method("forward")


def results(data: bytes, x: Tensor) -> list[Any]:
    """Return all outputs of a program of one input.

    Raises:
        RuntimeError: The program does not run.
    """
    method = load(data)
    with silent():  # the error says the same
        return list(method.execute([x]))


def outputs(data: bytes, inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the output for each input of a program of one input and one output."""
    method = load(data)
    for x in inputs:
        (output,) = method.execute([x])
        yield output.clone()  # the next call overwrites the program's memory
