"""Networks that users have written or exported, by the place where they are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from latlab.domain.program import TensorSpec

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs


@dataclass(frozen=True)
class UserNetwork:
    """A network in a user's file or package.

    Attributes:
        reference: "FILE.py:NAME", "package.module:NAME" or "FILE.pt2". NAME is a module, or a
            function without arguments that returns one.
        inputs: The inputs that the user names; empty if the network brings its own.
    """

    reference: str
    inputs: tuple[TensorSpec, ...] = ()

    def load(self) -> tuple[nn.Module, Inputs]:
        """Run the user's code, and return the module and its inputs.

        torch's random numbers are seeded first, so that random weights are always the same.

        Raises:
            ExportError: There is no such network, or its code fails. The message says where.
        """
        raise NotImplementedError
