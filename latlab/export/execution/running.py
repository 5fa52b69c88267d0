"""Run programs on this machine to compare their outputs with their module's; never to time them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

from latlab.export.execution.quiet import quiet, silent

if TYPE_CHECKING:
    from executorch.runtime import Method


def load(data: bytes) -> Method:
    """Load a program with ExecuTorch, and return its method, which runs it.

    Raises:
        RuntimeError: ExecuTorch cannot load the program.
    """
    with quiet():
        from executorch.runtime import Runtime

    program = Runtime.get().load_program(data)
    with silent():  # the thread pool prints errors on processors other than ARM
        return program.load_method("forward")


def results(data: bytes, x: Tensor) -> list[Any]:
    """Run a program of one input, and return all its outputs.

    Raises:
        RuntimeError: The program does not run.
    """
    method = load(data)
    with silent():  # the error says the same
        return list(method.execute([x]))


def outputs(data: bytes, inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """Run a program of one input and one output on each input, and yield each output."""
    method = load(data)
    for x in inputs:
        (output,) = method.execute([x])
        yield output.clone()  # the next call overwrites the program's memory
