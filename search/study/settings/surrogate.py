"""The settings of the surrogate of accuracy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SurrogateSettings:
    """The use of a surrogate, which predicts accuracies from those of the trained networks.

    Attributes:
        draws: Number of candidates that the strategy draws for each one that is trained.
        min_trained: Number of trained networks from which on the surrogate is used.

    Raises:
        ValueError: A value is out of its range.
    """

    draws: int = 16
    min_trained: int = 16

    def __post_init__(self) -> None:
        for name, least in (("draws", 1), ("min_trained", 2)):
            if not least <= getattr(self, name) <= 10_000:
                raise ValueError(
                    f"the surrogate's {name} must be from {least} to 10,000, not "
                    f"{getattr(self, name)}"
                )
