"""The interface to sources of accuracies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from search.space.architecture import Architecture


@dataclass(frozen=True)
class AccuracyFailure:
    """An accuracy could not be found out. It is a type, so that no number stands for it.

    Attributes:
        message: Why it failed, in one line.
    """

    message: str


class Accuracy(Protocol):
    """A source of accuracies."""

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None], /
    ) -> Sequence[float | AccuracyFailure]:
        """Return the accuracy of each architecture, from 0 to 1, in the order given.

        Args:
            architectures: The networks, all different.
            on_done: Called with the number of evaluations that have ended.
        """
        ...
