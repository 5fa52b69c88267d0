"""`latlab train`: its options."""

from __future__ import annotations

from typing import Annotated

import typer

from latlab.domain.precision import Precision
from search.cli.accuracy_options import DATASET_HELP
from search.cli.report import DEFAULT_RUNS, STUDY_PANEL, RunsOption
from search.cli.search_options import SeedOption
from search.cli.session import (
    MOST_CLASSES,
    MOST_EPOCHS,
    MOST_IMAGES,
    MOST_PIXELS,
    TARGETS_PANEL,
)
from search.cli.training.run import TrainingImages, TrainingRequest, published, run
from search.study.settings import FullTraining
from search.study.study import read_study, study_folder

TRAINING_PANEL = "The training"
_IMAGES = {"min": 1, "max": MOST_IMAGES, "show_default": "all", "rich_help_panel": TRAINING_PANEL}


def train(
    study: Annotated[
        str, typer.Option(help="Name of the study.", rich_help_panel=STUDY_PANEL)
    ] = "first",
    top: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Number of networks to train, the best ones by reward.",
            rich_help_panel=STUDY_PANEL,
        ),
    ] = 15,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="zoo|NETWORK",
            help="Train a published network too, by the same recipe on the same images, and say"
            " whether the search has beaten it. zoo stands for mobilenet-v2, mnasnet-a1 and"
            " mnasnet-b1. Repeat the option for several.",
            rich_help_panel=STUDY_PANEL,
        ),
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
    seed: SeedOption = 0,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="Number of trainings of each network, with consecutive seeds. The first ones are"
            " exported, and all of them say how certain an accuracy is.",
            rich_help_panel=TRAINING_PANEL,
        ),
    ] = 1,
    target: Annotated[
        str | None,
        typer.Option(
            help="Target to measure on, by id or name. The default is the study's first target.",
            rich_help_panel=TARGETS_PANEL,
        ),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=MOST_PIXELS,
            help="Height and width, in pixels, of the images and of the exported networks. The"
            " default is the study's.",
            rich_help_panel=TARGETS_PANEL,
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=MOST_CLASSES,
            help="Number of classes that the exported networks tell apart. The default is the"
            " number of classes of the images.",
            rich_help_panel=TARGETS_PANEL,
        ),
    ] = None,
    precisions: Annotated[
        list[Precision] | None,
        typer.Option(
            "--precision",
            help="Precision to export the networks in. Repeat the option for several. The default"
            " is fp32, int8 and the study's.",
            rich_help_panel=TARGETS_PANEL,
        ),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help=DATASET_HELP, rich_help_panel=TRAINING_PANEL)
    ] = "auto",
    train_images: Annotated[
        int, typer.Option(help="Number of images to train on, at most.", **_IMAGES)
    ] = MOST_IMAGES,
    val_images: Annotated[
        int, typer.Option(help="Number of images that score the networks, at most.", **_IMAGES)
    ] = MOST_IMAGES,
    epochs: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST_EPOCHS,
            help="Number of epochs that each network trains for.",
            rich_help_panel=TRAINING_PANEL,
        ),
    ] = 350,
    batch_size: Annotated[
        int,
        typer.Option(
            min=2,
            max=65_536,
            help="Number of images in a batch. The learning rate is scaled with it.",
            rich_help_panel=TRAINING_PANEL,
        ),
    ] = 256,
    augment: Annotated[
        bool | None,
        typer.Option(
            help="Learn from random crops, half of them mirrored. The default is to do so if each"
            " image is a file.",
            rich_help_panel=TRAINING_PANEL,
        ),
    ] = None,
) -> None:
    """Train a study's best networks in full, export them as float32 and int8, and measure them.

    The training follows the MnasNet paper: RMSProp, warm-up, decay, dropout and averaged weights.
    Accuracies are those on images that the search has not used. Interrupted, the same command
    resumes. `accelerate launch` spreads it over several GPUs.
    Without a running lab the latencies are missing, and the same command adds them later.
    """
    found = read_study(study_folder(runs, study))
    searched = found.settings.deployment
    size = resolution or searched.resolution
    request = TrainingRequest(
        study=found,
        top=top,
        beside=published(beside or ()),
        images=TrainingImages(dataset, train_images, val_images, augment),
        recipe=FullTraining(epochs, size, batch_size, seed=seed, classes=classes),
        seeds=seeds,
        target=target or found.settings.target_ids[0],
        precisions=precisions or [Precision.FP32, Precision.INT8, searched.precision],
    )
    run(request)
