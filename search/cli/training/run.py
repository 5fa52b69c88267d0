"""The training of a study's best networks as `latlab train` runs it: train, export, measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID

from host.cli.console import console, progress_bar, reported
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest, LabError
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.precision import Precision
from search.cli.session import MOST_SEED
from search.latency.lab import latencies
from search.space.architecture import Architecture
from search.space.zoo import NAMES, ZOO
from search.study.settings import FullTraining, StudyError, TrainingSource
from search.study.study import Study
from search.study.trial import best_by_reward

if TYPE_CHECKING:
    from search.accuracy.accuracy import AccuracyFailure
    from search.accuracy.data.datasets import OpenDataset
    from search.finalists import Finalist

# Only the latencies are shown, and traced visits would take time.
UNTRACED = BenchmarkSpec(traced_visits=0)
COMPARED = ("mobilenet-v2", "mnasnet-a1", "mnasnet-b1")  # by the MnasNet paper


@dataclass(frozen=True)
class TrainingImages:
    """The images to train on.

    Attributes:
        dataset: Their source, as `search.accuracy.data.datasets.open_dataset` takes it.
        train_images: Number of images to train on, at most.
        val_images: Number of images that score networks, at most.
        augment: Whether to learn from random crops; None stands for doing so with image files.
    """

    dataset: str
    train_images: int
    val_images: int
    augment: bool | None


@dataclass(frozen=True)
class TrainingRequest:
    """Trainings that the user asks for.

    Attributes:
        study: The study whose best networks are trained.
        top: Number of these networks.
        beside: Published networks to train beside them.
        images: The images to train on.
        recipe: How to train; the images decide whether it augments.
        seeds: Number of trainings of each network, from the seed of the recipe on.
        target: Id or name of the target to measure on.
        precisions: The precisions to export in.
    """

    study: Study
    top: int
    beside: Sequence[Architecture]
    images: TrainingImages
    recipe: FullTraining
    seeds: int
    target: str
    precisions: Sequence[Precision]

    def architectures(self) -> list[Architecture]:
        """Return the networks to train, each once, the study's best ones first.

        Raises:
            StudyError: The study has no network with a reward.
        """
        best = best_by_reward(self.study.latest().values(), self.top)
        if not best:
            raise StudyError(f"no candidate of the study in {self.study.directory} has a reward")
        return list(dict.fromkeys([*(trial.architecture for trial in best), *self.beside]))

    def compared_precision(self) -> Precision:
        """Return the precision in which networks are compared: the study's if it is exported."""
        searched = self.study.settings.deployment.precision
        return searched if searched in self.precisions else self.precisions[0]

    def recipes(self, augment: bool) -> list[FullTraining]:
        """Return the recipe with each of the seeds."""
        first = self.recipe.seed
        return [
            replace(self.recipe, augment=augment, seed=(first + number) % (MOST_SEED + 1))
            for number in range(self.seeds)
        ]


def published(names: Sequence[str]) -> list[Architecture]:
    """Return the published networks that the values of `--with` name.

    Raises:
        InvalidRequest: There is no network of that name.
    """
    for name in names:
        if name != "zoo" and name not in ZOO:
            raise InvalidRequest(
                f"there is no published network {name!r}: name zoo, {', '.join(ZOO)}"
            )
    wanted = (each for name in names for each in (COMPARED if name == "zoo" else (name,)))
    return [ZOO[name] for name in dict.fromkeys(wanted)]


def run(request: TrainingRequest) -> None:
    """Train, export and measure networks, and show what came of them."""
    # PyTorch and its dependencies take seconds to import, which other errors need not wait for.
    from accelerate import PartialState

    from search.accuracy.data.readers import DatasetError
    from search.cli.training.results import show_results

    with reported(DatasetError):
        chosen = request.architectures()
        data = open_images(request)
        augment = request.images.augment
        recipes = request.recipes(data.is_of_files if augment is None else augment)
        if PartialState().is_main_process:
            console.print(f"Accuracy: {data.note}.")
        folder = request.study.directory / "trained"
        failures = _trained(chosen, data, recipes, folder)
        if not PartialState().is_main_process:
            return
        precisions = list(dict.fromkeys(request.precisions))
        finalists = [
            finalist
            for architecture in chosen
            for finalist in _exported(architecture, data, recipes, folder, precisions, failures)
        ]
        finalists = _measured(finalists, request.target)
        show_results(finalists, data, recipes, folder, request.compared_precision())
    if any(finalist.failure for finalist in finalists):
        raise typer.Exit(1)


def open_images(request: TrainingRequest) -> OpenDataset:
    """Open the images.

    The search has not used those that score networks, unless an earlier version made the study.
    """
    from search.accuracy.data.datasets import Use, open_dataset

    accuracy, images, recipe = request.study.settings.accuracy, request.images, request.recipe
    is_apart = isinstance(accuracy, TrainingSource) and accuracy.keeps_test_images
    return open_dataset(
        images.dataset,
        resolution=recipe.resolution,
        train_images=images.train_images,
        val_images=images.val_images,
        seed=recipe.seed,
        use=Use.TEST if is_apart else Use.BOTH,
    )


# Why trainings have failed, by the network and the seed.
Failures = dict[tuple[Architecture, int], "AccuracyFailure"]


def _trained(
    chosen: Sequence[Architecture],
    data: OpenDataset,
    recipes: Sequence[FullTraining],
    folder: Path,
) -> Failures:
    """Train all networks with all seeds, and return the trainings that have failed."""
    from search.finalists import train_one, training_folder

    failures: Failures = {}
    with progress_bar() as bar:
        for recipe in recipes:
            seeded = training_folder(folder, recipe.seed, recipes[0].seed)
            for number, architecture in enumerate(chosen, 1):
                name = NAMES.get(architecture, architecture.id)
                label = f"{number} of {len(chosen)}: {name}, seed {recipe.seed}, epochs"
                task = bar.add_task(label, total=recipe.epochs)
                advance = partial(_advance, bar, task)
                failure = train_one(architecture, data, recipe, seeded, advance)
                if failure is not None:
                    failures[architecture, recipe.seed] = failure
    return failures


def _exported(
    architecture: Architecture,
    data: OpenDataset,
    recipes: Sequence[FullTraining],
    folder: Path,
    precisions: Sequence[Precision],
    failures: Failures,
) -> Iterator[Finalist]:
    """Yield the network of the first seed in each precision, with the scores of all seeds."""
    from search.finalists import export_trained, trained_score, training_folder, untrained

    first, *others = recipes
    failure = failures.get((architecture, first.seed))
    if failure is not None:
        yield from untrained(architecture, failure, precisions)
        return
    found = [
        trained_score(architecture, data, training_folder(folder, recipe.seed, first.seed))
        for recipe in others
        if (architecture, recipe.seed) not in failures
    ]
    scores = [score for score in found if score is not None]
    lost = ", ".join(
        f"seed {seed}: {each.message}"
        for (trained, seed), each in failures.items()
        if trained == architecture
    )
    for finalist in export_trained(architecture, data, first, folder, precisions):
        if finalist.precision is Precision.FP32:
            finalist = replace(finalist, scores=(*finalist.scores, *scores))
        yield replace(finalist, failure=finalist.failure or lost or None)


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
