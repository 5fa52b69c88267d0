"""The interface to sources of accuracies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from search.space.architecture import Architecture


@dataclass(frozen=True)
class AccuracyFailure:
    """An accuracy could not be found out. It is a type, so that no number stands for it.

    Attributes:
        message: Why it failed, in one line.
    """

    message: str


@dataclass(frozen=True)
class Score:
    """A trained network's accuracy on the images that score it.

    Attributes:
        accuracy: The share of images whose label the network names, from 0 to 1.
        images: Number of images.
        right: For each image, in their order, "1" if the network names its label, else "0"; empty
            if this is not known. Networks scored on the same images can be compared image by image.
    """

    accuracy: float
    images: int
    right: str = ""


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


class Repeat(NamedTuple):
    """Another evaluation of a network.

    Attributes:
        architecture: The network.
        number: Number of the evaluation, from 1; the first evaluation of all has none.
    """

    architecture: Architecture
    number: int


@runtime_checkable
class RepeatableAccuracy(Accuracy, Protocol):
    """A source whose accuracies depend on a seed, and which can evaluate with other seeds.

    A source of exact accuracies, such as a table, is an `Accuracy` only.
    """

    def evaluate_again(
        self, repeats: Sequence[Repeat], on_done: Callable[[int], None], /
    ) -> Sequence[float | AccuracyFailure]:
        """Return the accuracy that each repeat has, from 0 to 1, in the order given.

        The number of a repeat decides its seed, so the same repeat has the same accuracy.

        Args:
            repeats: The evaluations, all different.
            on_done: Called with the number of evaluations that have ended.
        """
        ...
