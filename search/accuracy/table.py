"""Accuracy from a table of networks that others have trained, looked up or fitted."""

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
from search.accuracy.accuracy import AccuracyFailure
from search.space.architecture import Architecture
from search.space.space import Space

FloatArray = NDArray[np.float64]

MAX_BYTES = 1 << 30
HELD_OUT_SHARE = 0.2
NAMED = 3  # missing columns in a message; a table of another space lacks many
MIN_FITTED = 50  # networks; fewer say nothing about a space


class TableError(LabError):
    """A table cannot be used. The message says where and why."""


@dataclass(frozen=True, eq=False)
class AccuracyTable:
    """The accuracies of the networks in a table.

    Attributes:
        space: The space whose networks the table holds.
        accuracies: Accuracy of each network, from 0 to 1. The last one counts where a network
            stands in several rows.
        fingerprint: First twelve hexadecimal digits of the SHA-256 of the file's text.
    """

    space: Space
    accuracies: dict[Architecture, float]
    fingerprint: str


def read_table(path: Path, space: Space, accuracy_column: str) -> AccuracyTable:
    """Read a CSV file with a header, a column for each decision and one of accuracies.

    Columns and cells are spelled as the `Decision`s of the space say. Accuracies are shares, or
    percentages where one of them is above 1. Rows without an accuracy are skipped.

    Raises:
        TableError: The file cannot be read as such a table.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{path} cannot be read: {error}") from error
    try:
        return _table(path, text, space, accuracy_column)
    except csv.Error as error:
        raise TableError(f"{path} is not a CSV file: {error}") from error


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
        raise TableError(f"{path} holds no accuracies in its column {accuracy_column}")
    scale = 100 if max(accuracies.values()) > 1 else 1
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
    return AccuracyTable(space, {a: v / scale for a, v in accuracies.items()}, fingerprint)


@dataclass(frozen=True)
class LookedUpTable:
    """A source of accuracies that looks networks up in a table, and fails for all others."""

    table: AccuracyTable

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        """Return the table's accuracy of each architecture, in the order given.

        Args:
            architectures: Networks of the table's space.
            on_done: Called with the number of evaluations that have ended.
        """
        on_done(len(architectures))
        missing = AccuracyFailure("the network is not in the accuracy table")
        return [self.table.accuracies.get(a, missing) for a in architectures]


@dataclass(frozen=True, eq=False)
class FittedTable:
    """A source of accuracies that trees, fitted on a table, predict for its whole space.

    The accuracies of networks in the table are predicted as well, so that all networks are
    judged alike.

    Attributes:
        space: The table's space.
        trees: Gradient-boosted trees, fitted on the whole table.
        kendall: Kendall's τ on HELD_OUT_SHARE of the table, of trees fitted on the rest.
        r2: R² of the same trees on the same networks.
    """

    space: Space
    trees: HistGradientBoostingRegressor
    kendall: float
    r2: float

    @classmethod
    def fit(cls, table: AccuracyTable, *, seed: int = 0) -> FittedTable:
        """Fit trees on a table of accuracies.

        Args:
            table: The table.
            seed: Seed of the draw of held-out networks.

        Raises:
            TableError: The table is too small.
        """
        if len(table.accuracies) < MIN_FITTED:
            raise TableError(
                f"the table has {len(table.accuracies)} networks, and {MIN_FITTED} are needed to "
                "fit it: give a larger one, or look accuracies up with --no-table-fit"
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
        """Return the predicted accuracy of each architecture of the space, in the order given.

        Args:
            architectures: Networks of the table's space.
            on_done: Called with the number of evaluations that have ended.

        Raises:
            TableError: A network lies outside the space.
        """
        on_done(len(architectures))
        predicted = self.trees.predict(_features(self.space, architectures))
        return [float(accuracy) for accuracy in np.clip(predicted, 0, 1)]


def _trees() -> HistGradientBoostingRegressor:
    """Return many small trees, because decisions add up and few of them interact."""
    return HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=1000, max_leaf_nodes=8, early_stopping=False
    )


def _features(space: Space, architectures: Sequence[Architecture]) -> FloatArray:
    """Return the choices (architectures, decisions), which are ordered by size."""
    spelled = [space.spell(architecture) for architecture in architectures]
    if None in spelled:
        raise TableError(f"a network does not belong to the space {space.name}")
    return np.array(spelled, dtype=np.float64)


def read_architecture(row: dict[str, str], space: Space, where: str) -> Architecture:
    """Return the network that a row describes by the columns of the space's decisions.

    Raises:
        TableError: A cell is no choice of its decision. The message begins with `where`.
    """
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
        raise TableError(f"{where} is {cell!r}: an accuracy must be from 0 to 1, or to 100 %")
    return value
