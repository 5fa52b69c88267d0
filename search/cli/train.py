"""`latlab train`: the best of a study, trained in full and measured as they would be deployed."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
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
from search.cli.report import DEFAULT_RUNS, RunsOption
from search.cli.session import MOST_EPOCHS, MOST_IMAGES, MOST_PIXELS, MOST_SEED
from search.latency.target_lab import latencies
from search.report.drawing.words import interval
from search.space.architecture import Architecture
from search.space.deployment import RESOLUTION
from search.study.settings import StudyError
from search.study.study import read_study, study_folder

if TYPE_CHECKING:
    from search.accuracy.proxy_training import AccuracyFailure
    from search.finalists import Finalist

# The trace of an int8 program tells fewer kernels than its list; and no predictor is asked for
# int8.
UNTRACED = BenchmarkSpec(traced_visits=0)


def train(
    study: Annotated[str, typer.Option(help="Its name.")] = "first",
    top: Annotated[int, typer.Option(min=1, max=10_000, help="So many, the best by reward.")] = 15,
    dataset: Annotated[
        str,
        typer.Option(help="digits, fashion-mnist[:DIR], an .npz, an image folder; auto."),
    ] = "auto",
    train_images: Annotated[
        int, typer.Option(min=1, max=MOST_IMAGES, help="At most.")
    ] = MOST_IMAGES,
    val_images: Annotated[int, typer.Option(min=1, max=MOST_IMAGES, help="At most.")] = MOST_IMAGES,
    resolution: Annotated[
        int, typer.Option(min=32, max=MOST_PIXELS, help="Of images and network.")
    ] = RESOLUTION,
    epochs: Annotated[int, typer.Option(min=1, max=MOST_EPOCHS, help="Of each training.")] = 350,
    batch_size: Annotated[
        int, typer.Option(min=2, max=65_536, help="The rate is scaled with it.")
    ] = 256,
    augment: Annotated[
        bool | None,
        typer.Option(help="Learn from random crops, mirrored or not; by default of image files."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of everything random.")] = 0,
    target: Annotated[
        str | None, typer.Option(help="Id or name; by default the study's first.")
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Train a study's best networks in full, export them as float32 and int8, and measure both.

    The paper's recipe: RMSProp, warm-up, decay, dropout, averaged weights. Interrupted, the
    same command goes on where it stopped. `accelerate launch` spreads it over GPUs. Without
    a running lab everything but the latencies is done; the same command adds them.
    """
    found = read_study(study_folder(runs, study))

    # PyTorch and its kin take seconds to import: not for a study that is not there.
    from accelerate import PartialState

    from search.accuracy.data.datasets import open_dataset
    from search.accuracy.data.readers import DatasetError
    from search.accuracy.full_training import Recipe
    from search.finalists import best, export_both, train_one, untrained, write_results

    with reported(DatasetError):
        chosen = [trial.architecture for trial in best(found.latest().values(), top)]
        if not chosen:
            raise StudyError(f"no candidate of the study in {found.directory} has a reward")
        data = open_dataset(
            dataset,
            resolution=resolution,
            train_images=train_images,
            val_images=val_images,
            seed=seed,
        )
        recipe = Recipe(
            epochs=epochs,
            resolution=resolution,
            batch_size=batch_size,
            augment=data.is_of_files if augment is None else augment,
            seed=seed,
        )
        if PartialState().is_main_process:
            console.print(f"Accuracy: {data.note}.")
        folder = found.directory / "trained"
        failures: dict[Architecture, AccuracyFailure | None] = {}
        with progress_bar() as bar:
            for number, architecture in enumerate(chosen, 1):
                label = f"{number} of {len(chosen)}: {architecture.id}, epochs"
                task = bar.add_task(label, total=epochs)
                failures[architecture] = train_one(
                    architecture, data, recipe, folder, partial(_advance, bar, task)
                )
        if not PartialState().is_main_process:
            return
        finalists: list[Finalist] = []
        for architecture, failure in failures.items():
            finalists += (
                untrained(architecture, failure)
                if failure
                else export_both(architecture, data, recipe, folder)
            )
        finalists = _measured(finalists, target or found.settings.target_id)
        path = folder / "results.json"
        facts = {
            "dataset": data.note,
            "unreadable": sorted(data.unreadable),
            "recipe": asdict(recipe),
        }
        write_results(path, finalists, facts)
        show(_table(finalists))
        if data.unreadable:
            console.print(
                f"Unreadable images, left out: {len(data.unreadable)}, the first "
                f"{min(data.unreadable)}. {path.name} names them all.",
                soft_wrap=True,
            )
        console.print(f"Results: {path}", soft_wrap=True)
    if any(finalist.failure for finalist in finalists):
        raise typer.Exit(1)


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
        console.print(f"Not measured: {error}", style="yellow")
        failure = Failure(FailureKind.DEVICE_LOST, str(error))
        return with_outcomes(finalists, [failure] * len(programs))


def _table(finalists: list[Finalist]) -> Table:
    table = Table("network", "precision", "accuracy", "size", "latency (ms)", "")
    for finalist in finalists:
        accuracy, file, latency = finalist.accuracy, finalist.program, finalist.latency
        table.add_row(
            finalist.architecture.id,
            finalist.precision,
            "" if accuracy is None else f"{accuracy:.1%}",
            "" if file is None else f"{file.program.size_bytes / 1e6:.2f} MB",
            "" if latency is None else interval(latency),
            finalist.failure or "",
        )
    return table
