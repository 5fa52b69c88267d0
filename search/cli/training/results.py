"""The results of `latlab train`, on disk and on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev

from rich.table import Table

from host.cli.console import console, show
from latlab.domain.precision import Precision
from search.accuracy.data.datasets import OpenDataset
from search.finalists import Finalist, write_results
from search.report.drawing.words import interval, raw_lines
from search.rivals import verdict_record, verdicts
from search.space.zoo import NAMES
from search.study.settings import FullTraining


def show_results(
    finalists: Sequence[Finalist],
    data: OpenDataset,
    recipes: Sequence[FullTraining],
    folder: Path,
    precision: Precision,
) -> None:
    """Write the results into a folder and show them.

    Args:
        finalists: The trained networks.
        data: The images that they were trained on.
        recipes: How they were trained, with each of the seeds.
        folder: The folder that receives `results.json`.
        precision: The precision in which found and published networks are compared.
    """
    path = folder / "results.json"
    answers = verdicts(finalists, precision)
    facts = {
        "dataset": data.note,
        "unreadable": sorted(data.unreadable),
        "recipe": asdict(recipes[0]),
        "seeds": [recipe.seed for recipe in recipes],
        "verdicts": [verdict_record(verdict, precision) for verdict in answers],
    }
    write_results(path, finalists, facts)
    show(_table(finalists))
    if data.unreadable:
        console.print(
            f"Unreadable images, left out: {len(data.unreadable)}. The first one is "
            f"{min(data.unreadable)}, and {path.name} names them all.",
            soft_wrap=True,
        )
    for verdict in answers:
        console.print(verdict.sentence, soft_wrap=True)
    console.print(f"Results: {path}", soft_wrap=True)


def _table(finalists: Sequence[Finalist]) -> Table:
    table = Table("network", "precision", "accuracy", "size", "latency (ms)", "")
    for finalist in finalists:
        file, latency = finalist.program, finalist.latency
        table.add_row(
            NAMES.get(finalist.architecture, finalist.architecture.id),
            finalist.precision.value,
            _accuracy(finalist),
            "" if file is None else f"{file.program.size_bytes / 1e6:.2f} MB",
            "" if latency is None else interval(latency) + raw_lines(latency),
            finalist.failure or "",
        )
    return table


def _accuracy(finalist: Finalist) -> str:
    """Return the accuracy, and after several trainings their mean and standard deviation."""
    if finalist.accuracy is None:
        return ""
    accuracies = [score.accuracy for score in finalist.scores]
    if len(accuracies) < 2:
        return f"{finalist.accuracy:.1%}"
    return (
        f"{finalist.accuracy:.1%}\n{mean(accuracies):.1%} ± {stdev(accuracies):.1%} "
        f"in {len(accuracies)} trainings"
    )
