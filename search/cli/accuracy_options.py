"""The options of `latlab search` about accuracy, in the panels of its help.

Here too is what a resumed study keeps where no option is given.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from search.cli.session import MOST_EPOCHS, MOST_IMAGES, MOST_PIXELS, MOST_SECONDS, finite
from search.study.settings import (
    AccuracySource,
    ProxyBudget,
    SurrogateSettings,
    TrainingSource,
)
from search.study.study import SETTINGS, read_settings

TRAINING_PANEL = "Accuracy from a proxy task (the default)"
TABLE_PANEL = "Accuracy from a table"
COMMAND_PANEL = "Accuracy from a program"

DATASET_HELP = (
    "Images to train on: digits, fashion-mnist, fashion-mnist:DIR, an .npz file, or a folder"
    " with one folder of images for each class. auto stands for Fashion-MNIST if it is installed,"
    " else digits."
)
DatasetOption = Annotated[str, typer.Option(help=DATASET_HELP, rich_help_panel=TRAINING_PANEL)]
_Images = {"min": 1, "max": MOST_IMAGES, "rich_help_panel": TRAINING_PANEL}
ProxyTrainImagesOption = Annotated[
    int, typer.Option(help="Number of images that a candidate trains on, at most.", **_Images)
]
ProxyValImagesOption = Annotated[
    int, typer.Option(help="Number of images that a candidate is validated on, at most.", **_Images)
]
ProxyResolutionOption = Annotated[
    int | None,
    typer.Option(
        min=8,
        max=MOST_PIXELS,
        help="Height and width, in pixels, of the images that candidates train on. A resumed study"
        " keeps its own.",
        show_default=str(ProxyBudget().resolution),
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyWidthOption = Annotated[
    float,
    typer.Option(
        "--proxy-width",
        min=0.05,
        max=2,
        callback=finite,
        help="Factor of the channels of the networks that are trained in place of candidates.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyStemStrideOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=2,
        help="Stride of the first convolution of trained networks. Use 2 for large images.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyEpochsOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=MOST_EPOCHS,
        help="Number of epochs that a candidate trains for.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyLimitOption = Annotated[
    float,
    typer.Option(
        min=1,
        max=MOST_SECONDS,
        callback=finite,
        help="Seconds after which a candidate's training has failed.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
RepeatShareOption = Annotated[
    float,
    typer.Option(
        "--proxy-repeat-share",
        show_default="1/4",
        min=0,
        max=1,
        callback=finite,
        help="Number of further trainings with other seeds at the end, for the candidates near the"
        " front, as a share of all candidates.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
TableOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV file of networks of the space and their accuracies, to use in place of training.",
        rich_help_panel=TABLE_PANEL,
    ),
]
TableColumnOption = Annotated[
    str,
    typer.Option(
        help="Name of the table's column that holds accuracies.", rich_help_panel=TABLE_PANEL
    ),
]
TableFitOption = Annotated[
    bool,
    typer.Option(
        help="Predict accuracies by boosted trees fitted on the table, or only look them up.",
        rich_help_panel=TABLE_PANEL,
    ),
]
AccuracyCommandOption = Annotated[
    str | None,
    typer.Option(
        help="Program to run in place of training. It reads an architecture as JSON from its"
        " standard input and prints the accuracy, from 0 to 1, as its last line.",
        rich_help_panel=COMMAND_PANEL,
    ),
]
AccuracyLimitOption = Annotated[
    float,
    typer.Option(
        min=1,
        max=MOST_SECONDS,
        callback=finite,
        help="Seconds after which a run of the program has failed.",
        rich_help_panel=COMMAND_PANEL,
    ),
]
SurrogateOption = Annotated[
    bool | None,
    typer.Option(
        "--surrogate/--no-surrogate",
        show_default="--surrogate where candidates are trained",
        help="Predict accuracies from the networks trained so far: train only those of many drawn"
        " candidates that may be on the front, and smooth the noise of their trainings.",
        rich_help_panel=TRAINING_PANEL,
    ),
]


def as_before(
    accuracy: AccuracySource, folder: Path, proxy_resolution: int | None
) -> AccuracySource:
    """Return a source with those choices of an existing study that no option has made.

    Args:
        accuracy: The source that the options ask for.
        folder: The study's folder, which need not exist yet.
        proxy_resolution: The resolution of the proxy task that an option gives, or None.
    """
    if not isinstance(accuracy, TrainingSource) or not (folder / SETTINGS).is_file():
        return accuracy
    before = read_settings(folder).accuracy
    if not isinstance(before, TrainingSource):
        return accuracy
    budget = replace(
        accuracy.budget,
        distinct_networks=before.budget.distinct_networks,
        resolution=before.budget.resolution if proxy_resolution is None else proxy_resolution,
    )
    return replace(accuracy, budget=budget, keeps_test_images=before.keeps_test_images)


def surrogate_settings(
    is_wanted: bool | None, folder: Path, source: AccuracySource
) -> SurrogateSettings | None:
    """Return how a search uses a surrogate; None for not at all.

    Args:
        is_wanted: What the user asks for; None for the default. By default a resumed study keeps
            what it began with, and a new one uses a surrogate if its candidates are trained.
        folder: The study's folder, which need not exist yet.
        source: Where accuracies come from.

    Raises:
        StudyError: The study's settings cannot be read.
    """
    made_with = read_settings(folder) if (folder / SETTINGS).is_file() else None
    if is_wanted is None and made_with is not None:
        return made_with.surrogate
    if is_wanted is False or (is_wanted is None and not isinstance(source, TrainingSource)):
        return None
    return (made_with and made_with.surrogate) or SurrogateSettings()
