"""`latlab train`: the best networks of a study, trained in full and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID
from rich.table import Table

from host.cli.console import console, progress_bar, reported, show
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import LabError
from latlab.domain.failure import Failure, FailureKind
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
from search.latency.lab import latencies
from search.report.drawing.words import interval, raw_lines
from search.space.architecture import Architecture
from search.study.settings import FullTraining, StudyError
from search.study.study import Study, read_study, study_folder
from search.study.trial import best_by_reward

if TYPE_CHECKING:
    from search.accuracy.data.datasets import OpenDataset
    from search.finalists import Finalist

# Only the latencies are shown, and traced visits would take time.
UNTRACED = BenchmarkSpec(traced_visits=0)
TRAINING_PANEL = "The training"
_IMAGES = {"min": 1, "max": MOST_IMAGES, "show_default": "all", "rich_help_panel": TRAINING_PANEL}


@dataclass(frozen=True)
class TrainingImages:
    """The images to train on, as `search.accuracy.data.datasets.open_dataset` takes them."""

    dataset: str
    train_images: int
    val_images: int


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
    runs: RunsOption = DEFAULT_RUNS,
    seed: SeedOption = 0,
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
        int, typer.Option(help="Number of images to validate on, at most.", **_IMAGES)
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
    Interrupted, the same command resumes. `accelerate launch` spreads it over several GPUs.
    Without a running lab the latencies are missing, and the same command adds them later.
    """
    found = read_study(study_folder(runs, study))
    searched, on = found.settings.deployment, target or found.settings.target_ids[0]
    size = resolution or searched.resolution
    recipe = FullTraining(epochs, size, batch_size, seed=seed, classes=classes)
    images = TrainingImages(dataset, train_images, val_images)
    wanted = dict.fromkeys(precisions or [Precision.FP32, Precision.INT8, searched.precision])
    train_best(found, top, images, recipe, augment, on, list(wanted))


def train_best(
    study: Study,
    top: int,
    images: TrainingImages,
    recipe: FullTraining,
    augment: bool | None,
    target: str,
    precisions: Sequence[Precision],
) -> None:
    """Train, export and measure the best networks of a study, and show what came of them.

    Args:
        study: The study.
        top: Number of networks.
        images: The images to train on.
        recipe: How to train; `augment` is set here.
        augment: Whether to learn from random crops; None stands for doing so with image files.
        target: Id or name of the target to measure on.
        precisions: The precisions to export in.
    """
    # PyTorch and its dependencies take seconds to import, which other errors need not wait for.
    from accelerate import PartialState

    from search.accuracy.data.datasets import open_dataset
    from search.accuracy.data.readers import DatasetError

    with reported(DatasetError):
        chosen = [trial.architecture for trial in best_by_reward(study.latest().values(), top)]
        if not chosen:
            raise StudyError(f"no candidate of the study in {study.directory} has a reward")
        data = open_dataset(
            images.dataset,
            resolution=recipe.resolution,
            train_images=images.train_images,
            val_images=images.val_images,
            seed=recipe.seed,
        )
        recipe = replace(recipe, augment=data.is_of_files if augment is None else augment)
        if PartialState().is_main_process:
            console.print(f"Accuracy: {data.note}.")
        folder = study.directory / "trained"
        finalists = _trained(chosen, data, recipe, folder, precisions)
        if not PartialState().is_main_process:
            return
        finalists = _measured(finalists, target)
        _show_results(finalists, data, recipe, folder / "results.json")
    if any(finalist.failure for finalist in finalists):
        raise typer.Exit(1)


def _trained(
    chosen: Sequence[Architecture],
    data: OpenDataset,
    recipe: FullTraining,
    folder: Path,
    precisions: Sequence[Precision],
) -> list[Finalist]:
    """Train all networks, and export them from the main process, which alone returns any."""
    from accelerate import PartialState

    from search.finalists import export_trained, train_one, untrained

    failures = {}
    with progress_bar() as bar:
        for number, architecture in enumerate(chosen, 1):
            label = f"{number} of {len(chosen)}: {architecture.id}, epochs"
            task = bar.add_task(label, total=recipe.epochs)
            failures[architecture] = train_one(
                architecture, data, recipe, folder, partial(_advance, bar, task)
            )
    finalists: list[Finalist] = []
    if PartialState().is_main_process:
        for architecture, failure in failures.items():
            finalists += (
                untrained(architecture, failure, precisions)
                if failure
                else export_trained(architecture, data, recipe, folder, precisions)
            )
    return finalists


def _advance(bar: ProgressBar, task: TaskID, finished: int) -> None:
    bar.update(task, completed=finished)


def _measured(finalists: list[Finalist], target: str) -> list[Finalist]:
    from search.finalists import with_outcomes

    programs = [finalist.program for finalist in finalists if finalist.program is not None]
    try:
        with LatencyClient.connect() as client, progress_bar() as bar:
            found = client.find_target(target)
            task = bar.add_task(f"measuring on {found.name}", total=len(programs))
            outcomes = client.measure(
                found.id,
                programs,
                UNTRACED,
                on_progress=lambda _, ended: _advance(bar, task, ended),
            )
            return with_outcomes(finalists, latencies(client, outcomes))
    except LabError as error:
        console.print(f"The programs are not measured: {error}", style="yellow")
        failure = Failure(FailureKind.DEVICE_LOST, str(error))
        return with_outcomes(finalists, [failure] * len(programs))


def _show_results(
    finalists: list[Finalist], data: OpenDataset, recipe: FullTraining, path: Path
) -> None:
    """Write the results to a file and show them."""
    from search.finalists import write_results

    facts = {
        "dataset": data.note,
        "unreadable": sorted(data.unreadable),
        "recipe": asdict(recipe),
    }
    write_results(path, finalists, facts)
    show(_table(finalists))
    if data.unreadable:
        console.print(
            f"Unreadable images, left out: {len(data.unreadable)}. The first one is "
            f"{min(data.unreadable)}, and {path.name} names them all.",
            soft_wrap=True,
        )
    console.print(f"Results: {path}", soft_wrap=True)


def _table(finalists: list[Finalist]) -> Table:
    table = Table("network", "precision", "accuracy", "size", "latency (ms)", "")
    for finalist in finalists:
        accuracy, file, latency = finalist.accuracy, finalist.program, finalist.latency
        table.add_row(
            finalist.architecture.id,
            finalist.precision.value,
            "" if accuracy is None else f"{accuracy:.1%}",
            "" if file is None else f"{file.program.size_bytes / 1e6:.2f} MB",
            "" if latency is None else interval(latency) + raw_lines(latency),
            finalist.failure or "",
        )
    return table
