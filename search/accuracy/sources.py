"""Opening the source of a search's accuracies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from search.space.proxies import SMALLEST_MULTIPLIER, smallest_images
from search.space.space import Space
from search.study.settings import (
    AccuracySource,
    CommandSource,
    OtherSource,
    ProxyBudget,
    TableSource,
    TrainingSource,
)

if TYPE_CHECKING:
    from search.accuracy.accuracy import Accuracy


MOST_IN_MEMORY_BYTES = 256 << 20  # Each training holds four times as much, as floats.


@dataclass(frozen=True)
class OpenedSource:
    """A source of accuracies that can be asked.

    Attributes:
        accuracy: What evaluates architectures.
        settings: What the study records about the source, with what opening it found.
        note: The source in one line, for people.
    """

    accuracy: Accuracy
    settings: AccuracySource
    note: str


def open_source(source: AccuracySource, space: Space, checkpoints: Path) -> OpenedSource:
    """Open the source of accuracies that the settings describe.

    Args:
        source: The settings.
        space: The space whose networks are evaluated.
        checkpoints: Folder for the checkpoints of long trainings.

    Raises:
        ValueError: The dataset, the table, the program or the Ray cluster cannot be used. The
            message says what to do.
    """
    match source:
        case TrainingSource():
            return _open_training(source, space, checkpoints)
        case TableSource():
            return _open_table(source, space)
        case CommandSource():
            return _open_command(source)
        case OtherSource():
            raise ValueError(
                "accuracies come from the caller's own code: resume the study with run_search"
            )


def _open_training(source: TrainingSource, space: Space, checkpoints: Path) -> OpenedSource:
    from search.accuracy.data.datasets import Use, loaded, open_dataset
    from search.accuracy.proxy import ProxyAccuracy

    budget = source.budget
    _check_distinct(budget, space)
    opened = open_dataset(
        source.dataset,
        resolution=budget.resolution,
        train_images=budget.train_images,
        val_images=budget.val_images,
        seed=budget.seed,
        use=Use.SELECTION if source.keeps_test_images else Use.BOTH,
    )
    # Streaming normalizes by other statistics, so the bound is no machine's, and studies of earlier
    # versions go on in memory.
    is_streamed = source.keeps_test_images and opened.size_bytes > MOST_IN_MEMORY_BYTES
    dataset = opened if is_streamed else loaded(opened)
    accuracy = ProxyAccuracy(dataset, budget, checkpoints=checkpoints)
    note = f"{dataset.note}, read while networks train" if is_streamed else dataset.note
    return OpenedSource(accuracy, replace(source, dataset=dataset.name), note)


def _check_distinct(budget: ProxyBudget, space: Space) -> None:
    """Check that different networks of the space are different networks in the proxy task.

    Raises:
        ValueError: The multiplier or the images are so small that some networks would be equal.
    """
    if not budget.distinct_networks:
        return
    if budget.width_multiplier < SMALLEST_MULTIPLIER:
        raise ValueError(
            f"a width multiplier of {budget.width_multiplier:g} gives candidates of different "
            "widths the same channels in the proxy task: give --proxy-width "
            f"{SMALLEST_MULTIPLIER:g} or more"
        )
    smallest = smallest_images(space, budget.stem_stride)
    if budget.resolution < smallest:
        raise ValueError(
            f"on images of {budget.resolution} pixels the proxy task cannot tell the kernel sizes "
            f"of {space.name}'s last blocks apart, because the strides leave too few pixels: give "
            f"--proxy-resolution {smallest} or more"
        )


def _open_table(source: TableSource, space: Space) -> OpenedSource:
    from search.accuracy.table import FittedTable, LookedUpTable, read_table

    path = Path(source.table)
    table = read_table(path, space, source.column)
    settings = replace(source, table=path.name, fingerprint=table.fingerprint)
    note = f"{source.column} of {path}, {len(table.accuracies):,} networks"
    if not source.fit:
        return OpenedSource(LookedUpTable(table), settings, f"{note}, looked up")
    fitted = FittedTable.fit(table)
    note += (
        f"; on held-out networks the fitted trees have Kendall's τ {fitted.kendall:.3f} and "
        f"R² {fitted.r2:.3f}"
    )
    return OpenedSource(fitted, settings, note)


def _open_command(source: CommandSource) -> OpenedSource:
    from search.accuracy.command import CommandAccuracy

    accuracy = CommandAccuracy(source.command, source.limit_s)
    return OpenedSource(accuracy, source, f"printed by the program {source.command}")
