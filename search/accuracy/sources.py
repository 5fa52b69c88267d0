"""Where a search's accuracies come from, as its command's options say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.space.space import Space

if TYPE_CHECKING:
    from search.accuracy.accuracy import Accuracy
    from search.accuracy.data.datasets import Dataset
    from search.accuracy.proxy_training import ProxyBudget


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


def _images(dataset: str, budget: ProxyBudget) -> Dataset:
    from search.accuracy.data.datasets import load_dataset

    return load_dataset(
        dataset,
        resolution=budget.resolution,
        train_images=budget.train_images,
        val_images=budget.val_images,
        seed=budget.seed,
    )
