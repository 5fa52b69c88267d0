"""Accuracies from a table of networks that others have trained: looked up, or predicted by
what is fitted on it."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score

from latlab.common.files import read_regular
from latlab.domain.errors import LabError
from search.accuracy.proxy_training import AccuracyFailure
from search.space.architecture import Architecture
from search.space.space import Space

FloatArray = NDArray[np.float64]

MAX_BYTES = 1 << 30
HELD_OUT_SHARE = 0.2
NAMED = 3  # missing columns; many are those of another space
MIN_FITTED = 50  # networks; fewer tell nothing of a space


class TableError(LabError):
    """A table that cannot be used; says where and why."""


@dataclass(frozen=True, eq=False)
class AccuracyTable:
    """accuracies: 0 to 1, of each network; of one that stands in several rows, the last.
    fingerprint: of the file's bytes, twelve hexadecimal digits."""

    space: Space
    accuracies: dict[Architecture, float]
    fingerprint: str


def read_table(path: Path, space: Space, accuracy_column: str) -> AccuracyTable:
    """A CSV file with a header: a column for each decision of the space, in the names and
    cells that its `Decision`s tell, and one of accuracies, as shares; as percent where one is
    above 1. Rows without an accuracy are passed over. Raises TableError."""
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{path} cannot be read: {error}") from error
    try:
        return _table(path, text, space, accuracy_column)
    except csv.Error as error:
        raise TableError(f"{path} is no CSV file: {error}") from error


def _table(path: Path, text: str, space: Space, accuracy_column: str) -> AccuracyTable:
    rows = csv.DictReader(text.splitlines())
    header = rows.fieldnames or []
    wanted = [*(decision.column for decision in space.decisions), accuracy_column]
    if missing := [column for column in wanted if column not in header]:
        raise TableError(
            f"{path} has no column {', '.join(missing[:NAMED])}"
            + (f" and {len(missing) - NAMED} more of {space.name}" if len(missing) > NAMED else "")
            + f"; it has: {', '.join(header)}"
        )
    accuracies: dict[Architecture, float] = {}
    for row in rows:
        if row[accuracy_column]:
            where = f"{path}, line {rows.line_num}"
            accuracy = _accuracy(row[accuracy_column], f"{where}, {accuracy_column}")
            accuracies[read_architecture(row, space, where)] = accuracy
    if not accuracies:
        raise TableError(f"{path} holds no accuracies in {accuracy_column}")
    scale = 100 if max(accuracies.values()) > 1 else 1
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
    return AccuracyTable(space, {a: v / scale for a, v in accuracies.items()}, fingerprint)


@dataclass(frozen=True)
class LookedUp:
    """The table's own accuracies; a network that is not in it is a failure."""

    table: AccuracyTable

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        on_done(len(architectures))
        missing = AccuracyFailure("the table does not hold it")
        return [self.table.accuracies.get(a, missing) for a in architectures]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Gradient-boosted trees on the table, for every network of its space; also for those in
    it, so that all are judged alike.

    kendall, r2: on HELD_OUT_SHARE of the table, by trees that have not seen it.
    """

    space: Space
    trees: HistGradientBoostingRegressor
    kendall: float
    r2: float

    @classmethod
    def fit(cls, table: AccuracyTable, *, seed: int = 0) -> Fitted:
        """seed: of the draw that is held out. Raises TableError for too small a table."""
        if len(table.accuracies) < MIN_FITTED:
            raise TableError(
                f"{MIN_FITTED} networks are needed to fit a table, it has {len(table.accuracies)}"
            )
        features = _features(table.space, list(table.accuracies))
        accuracies = np.array(list(table.accuracies.values()))
        order = np.random.default_rng(seed).permutation(len(accuracies))
        held_out, rest = np.split(order, [round(HELD_OUT_SHARE * len(order))])
        predicted = _trees().fit(features[rest], accuracies[rest]).predict(features[held_out])
        return cls(
            table.space,
            _trees().fit(features, accuracies),
            float(kendalltau(predicted, accuracies[held_out]).statistic),
            float(r2_score(accuracies[held_out], predicted)),
        )

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        """All of them of the space."""
        on_done(len(architectures))
        predicted = self.trees.predict(_features(self.space, architectures))
        return [float(accuracy) for accuracy in np.clip(predicted, 0, 1)]


def _trees() -> HistGradientBoostingRegressor:
    """Small ones, and many: decisions add up, and few of them interact."""
    return HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=1000, max_leaf_nodes=8, early_stopping=False
    )


def _features(space: Space, architectures: Sequence[Architecture]) -> FloatArray:
    """(architectures, decisions) the choices, whose order is one of size."""
    spelled = [space.spell(architecture) for architecture in architectures]
    if None in spelled:
        raise TableError(f"a network does not belong to the space {space.name}")
    return np.array(spelled, dtype=np.float64)


def read_architecture(row: dict[str, str], space: Space, where: str) -> Architecture:
    """By the columns of the space's decisions. Raises TableError, which says `where`."""
    choices = []
    for decision in space.decisions:
        cell = row[decision.column]
        if cell not in decision.cells:
            raise TableError(
                f"{where}: {decision.column} is {cell!r}, not one of {', '.join(decision.cells)}"
            )
        choices.append(decision.cells.index(cell))
    return space.resolve(choices)


def _accuracy(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise TableError(f"{where} is {cell!r}, not an accuracy")
    return value
