"""Where accuracies come from, as a search sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from search.space.architecture import Architecture


class Failed(Protocol):
    """An accuracy that did not come about."""

    @property
    def message(self) -> str: ...


class Accuracy(Protocol):
    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None], /
    ) -> Sequence[float | Failed]:
        """Of each, 0 to 1, in the order given."""
        ...
