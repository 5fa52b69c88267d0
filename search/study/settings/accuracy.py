"""The settings of where a search's accuracies come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class ProxyBudget:
    """The cost of the proxy task, which is the short training of one candidate.

    Accuracies under two budgets do not compare.

    Attributes:
        train_images: Number of images to train on, at most.
        val_images: Number of images to validate on, at most.
        resolution: Height and width of the images, in pixels. From 33 pixels on, the four strides
            of the spaces leave 3 pixels, on which all kernel sizes still differ.
        epochs: Number of passes over the training images.
        width_multiplier: Factor of the channels of the trained networks.
        distinct_networks: Whether two different candidates are always trained as two different
            networks. Otherwise channels are rounded to multiples of 8, which trains some
            candidates as one network, as studies of earlier versions did.
        stem_stride: Stride of the first convolution.
        batch_size: Images for each step. With `learning_rate` it is the setting under which the
            accuracies of twelve random architectures agreed best between two seeds, for its cost
            (among rates from 0.03 to 0.3; AdamW learned less).
        learning_rate: Peak learning rate of SGD.
        weight_decay: Weight decay of SGD.
        seed: Seed of the drawn images, the initial weights and the order of the images.
        limit_s: Wall time of one training since it began or was resumed. A training that takes
            longer has failed.
    """

    train_images: int = 2048
    val_images: int = 1024
    resolution: int = 33
    epochs: int = 2
    width_multiplier: float = 0.25
    distinct_networks: bool = True
    stem_stride: int = 1
    batch_size: int = 32
    learning_rate: float = 0.05
    weight_decay: float = 1e-4
    seed: int = 0
    limit_s: float = 300.0


@dataclass(frozen=True)
class TrainingSource:
    """Accuracies from the proxy task: each candidate is trained briefly on real images.

    Attributes:
        dataset: Name of the images, or what `search.accuracy.data.datasets.load_dataset` takes.
        budget: What one training may cost.
        keeps_test_images: Whether candidates are scored on a part of the training images, so that
            the images that score networks after their full training select none. Studies of
            earlier versions use the same images for both.
    """

    kind: ClassVar = "training"
    dataset: str
    budget: ProxyBudget = field(default_factory=ProxyBudget)
    keeps_test_images: bool = True

    @property
    def description(self) -> str:
        """The source in a few words, which complete "accuracy of"."""
        return f"the proxy task on {self.dataset}"


@dataclass(frozen=True)
class TableSource:
    """Accuracies from a table of networks that others have trained.

    Attributes:
        table: Path of the CSV file; a study keeps its name.
        column: Name of the column that holds the accuracies.
        fit: Predict accuracies by trees fitted on the table. Otherwise they are looked up.
        fingerprint: First twelve hexadecimal digits of the SHA-256 of the file's text; empty
            until the table was read.
    """

    kind: ClassVar = "table"
    table: str
    column: str = "accuracy"
    fit: bool = True
    fingerprint: str = ""

    @property
    def description(self) -> str:
        """The source in a few words, which complete "accuracy of"."""
        return f"the table {self.table}"


@dataclass(frozen=True)
class CommandSource:
    """Accuracies from a program of the user's.

    Attributes:
        command: The program and its arguments, split as a shell splits them.
        limit_s: Seconds that one run of the program may take. A resumed study may have another
            limit.
    """

    kind: ClassVar = "command"
    command: str
    limit_s: float = field(default=3600.0, compare=False)

    @property
    def description(self) -> str:
        """The source in a few words, which complete "accuracy of"."""
        return f"the command {self.command}"


@dataclass(frozen=True)
class OtherSource:
    """Accuracies from code of the caller's own, which called `search.loop.run_search` itself.

    Attributes:
        facts: What tells this source from others, in JSON's types.
    """

    kind: ClassVar = "other"
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """The source in a few words, which complete "accuracy of"."""
        return "the search"


AccuracySource = TrainingSource | TableSource | CommandSource | OtherSource
