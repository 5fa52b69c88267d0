"""Compare what a client says about a program with what the program's bytes say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from host.services.requests.checks import check_program
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import Program, TensorSpec
from latlab.programs.reader import Listing


def described(read: Callable[[Path], Listing], announced: Program, path: Path) -> Program:
    """Return an announced program with the kernels, inputs and operators that its bytes hold.

    Of the inputs only the ranges of integers are taken from the client: bytes do not say them.

    Args:
        read: Reads the bytes.
        announced: The program as a client describes it. It may leave out what its bytes say.
        path: The file with its bytes.

    Raises:
        UnreadableProgram: The bytes are not a program that can be measured.
        InvalidRequest: They take other inputs than those announced, or exceed the lab's limits.
    """
    listing = read(path)
    inputs = announced.inputs or listing.inputs
    if _without_ranges(inputs) != _without_ranges(listing.inputs):
        raise InvalidRequest(
            f"the program takes the inputs {_listed(listing.inputs)}, not"
            f" {_listed(announced.inputs)}"
        )
    return check_program(
        replace(announced, inputs=inputs, kernels=listing.kernels, undelegated=listing.undelegated)
    )


def _without_ranges(inputs: Sequence[TensorSpec]) -> list[TensorSpec]:
    return [TensorSpec(spec.shape, spec.dtype) for spec in inputs]


def _listed(inputs: Sequence[TensorSpec]) -> str:
    return ", ".join(map(str, inputs)) or "none"
