"""Where a search's accuracies come from, as its command's options say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host.console import progress_bar
from search.space import Space
from search.study import SETTINGS, StudyError, read_settings

if TYPE_CHECKING:
    from search.accuracy.agreement import Agreement
    from search.accuracy.datasets import Dataset
    from search.accuracy.training import ProxyBudget
    from search.judge import Accuracy

AGREEMENT_NETWORKS = 24  # random ones, by which the supernet is compared with the proxy


@dataclass(frozen=True)
class AccuracySource:
    """described: what the study records of it, in JSON's types; note: for people, a line."""

    accuracy: Accuracy
    described: dict[str, Any]
    note: str


def by_training(dataset: str, budget: ProxyBudget, checkpoints: Path) -> AccuracySource:
    """Raises DatasetError, and ValueError where RAY_ADDRESS names no cluster."""
    from search.accuracy.proxy import ProxyAccuracy

    data = _images(dataset, budget)
    described = {"dataset": data.name, **asdict(budget)}
    accuracy = ProxyAccuracy(data, budget, checkpoints=checkpoints)
    return AccuracySource(accuracy, described, data.note)


def by_table(path: Path, column: str, fit: bool, space: Space) -> AccuracySource:
    """Raises TableError."""
    from search.accuracy.table import Fitted, LookedUp, read_table

    table = read_table(path, space, column)
    described = {"table": path.name, "column": column, "fingerprint": table.fingerprint}
    note = f"{column} of {path}, {len(table.accuracies):,} networks"
    if not fit:
        return AccuracySource(LookedUp(table), described, f"{note}, looked up")
    fitted = Fitted.fit(table)
    scores = {"held_out_kendall": round(fitted.kendall, 3), "held_out_r2": round(fitted.r2, 3)}
    note += f"; trees fitted on it have on held-out networks Kendall's τ {fitted.kendall:.3f}"
    return AccuracySource(fitted, {**described, **scores}, f"{note} and R² {fitted.r2:.3f}")


def by_command(command: str, limit_s: float) -> AccuracySource:
    """Raises ValueError."""
    from search.accuracy.command import CommandAccuracy

    accuracy = CommandAccuracy(command, limit_s)
    return AccuracySource(accuracy, {"command": command}, f"what {command} says")


def by_supernet(
    dataset: str, task: ProxyBudget, epochs: int, space: Space, folder: Path
) -> AccuracySource:
    """Trained for so many epochs and compared with the proxy, or found so in a study's
    `folder`. Raises DatasetError, StudyError, ValueError."""
    from search.accuracy.checkpoint import CheckpointError
    from search.accuracy.supernet_training import SupernetAccuracy, SupernetBudget, train_supernet

    data, budget = _images(dataset, task), SupernetBudget(epochs)
    with progress_bar() as bar:
        training = bar.add_task("training the supernet: epochs", total=epochs)
        try:
            supernet = train_supernet(
                space,
                data,
                task,
                budget,
                folder / "supernet.safetensors",
                lambda finished: bar.update(training, completed=finished),
            )
        except (CheckpointError, FloatingPointError) as error:
            raise StudyError(str(error)) from error
    accuracy = SupernetAccuracy(supernet, data)
    agreed = _recorded(folder) or _agreement(accuracy, data, task, space)
    described = {"dataset": data.name, **asdict(task)}
    described |= {f"supernet_{name}": value for name, value in asdict(budget).items()}
    described |= {f"agreement_{name}": value for name, value in asdict(agreed).items()}
    note = f"a supernet trained on {data.note}; it ranks networks as the proxy does with {agreed}"
    if agreed.lower <= 0:
        note += ": too uncertain to be trusted, more images may help"
    return AccuracySource(accuracy, described, note)


def _recorded(folder: Path) -> Agreement | None:
    """What a study that is resumed has found; it was made with the same supernet."""
    from search.accuracy.agreement import Agreement

    known = read_settings(folder).accuracy if (folder / SETTINGS).is_file() else {}
    names = [field.name for field in fields(Agreement)]
    if not all(f"agreement_{name}" in known for name in names):
        return None
    return Agreement(**{name: known[f"agreement_{name}"] for name in names})


def _agreement(accuracy: Accuracy, data: Dataset, task: ProxyBudget, space: Space) -> Agreement:
    """With the proxy, on random networks. Raises ValueError where too few can be trained."""
    import numpy as np

    from search.accuracy.agreement import compared
    from search.accuracy.proxy import ProxyAccuracy

    rng = np.random.default_rng(task.seed)
    networks = [space.resolve(space.sample(rng)) for _ in range(AGREEMENT_NETWORKS)]
    with progress_bar() as bar:
        comparing = bar.add_task("comparing it with the proxy", total=len(networks))
        return compared(
            accuracy,
            ProxyAccuracy(data, task),
            networks,
            lambda done: bar.update(comparing, completed=done),
        )


def _images(dataset: str, budget: ProxyBudget) -> Dataset:
    from search.accuracy.datasets import load_dataset

    return load_dataset(
        dataset,
        resolution=budget.resolution,
        train_images=budget.train_images,
        val_images=budget.val_images,
        seed=budget.seed,
    )
