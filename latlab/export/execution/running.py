"""Programs run where they were made, for what they compute and never for their time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

from latlab.export.execution.quiet import quiet, silent

if TYPE_CHECKING:
    from executorch.runtime import Method


def load(data: bytes) -> Method:
    """The program's method. Raises RuntimeError where ExecuTorch cannot load it."""
    with quiet():
        from executorch.runtime import Runtime

    program = Runtime.get().load_program(data)
    with silent():  # its thread pool asks for an ARM processor's facts, and complains
        return program.load_method("forward")


def results(data: bytes, x: Tensor) -> list[Any]:
    """All outputs of a program of one input. Raises RuntimeError where it does not run."""
    method = load(data)
    with silent():  # the error says what else it would print
        return list(method.execute([x]))


def outputs(data: bytes, inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """The output for each input, of a program of one input and one output, loaded once."""
    method = load(data)
    for x in inputs:
        (output,) = method.execute([x])
        yield output.clone()  # it lies in the program's own memory
