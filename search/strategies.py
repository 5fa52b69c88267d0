"""What proposes architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from search.architecture import Architecture
from search.trial import Trial


class Strategy(Protocol):
    """Asked and told in turn. The same seed, asked and told the same, proposes the same, so
    that a finished round is replayed by asking for it and telling its trials."""

    def ask(self, n: int) -> list[Architecture]: ...

    def tell(self, trials: Sequence[Trial]) -> None:
        """The trials of what was last asked for, in its order."""
        ...
