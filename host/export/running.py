"""Programs run where they were made, for what they compute and never for their time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from host.export.quiet import quiet, silent


def outputs(data: bytes, inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """Of a program of one input and one output, loaded once."""
    with quiet():
        from executorch.runtime import Runtime

    program = Runtime.get().load_program(data)
    with silent():  # its thread pool asks for an ARM processor's facts, and complains
        method = program.load_method("forward")
    for x in inputs:
        (output,) = method.execute([x])
        yield output.clone()  # it lies in the program's own memory
