"""Accel-NASBench as a lab: accuracies fitted on its table, latencies predicted from it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from latency_models.packing import pack
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure
from latlab.domain.measured_network import MeasuredNetwork
from search.accuracy.table import FittedTable, read_architecture, read_table
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.space.kernels import kernels
from search.space.space import accel_nas_bench_space
from search.study.pareto import hypervolume, reference_point
from search.study.settings import OtherSource, SearchTarget, StrategyName, StudySettings

SPACE = accel_nas_bench_space()
SEED = 0
LEARNED_FROM = 300  # the predictor knows the latencies of so many networks

_kernels = cache(kernels)


@dataclass(frozen=True)
class TableLab:
    """A search's `Lab` that predicts and never measures.

    Attributes:
        accuracies: The accuracies of the table's networks, by the same models.
        latencies_ns: Their latencies.
    """

    accuracy: FittedTable
    predictor: WholeNetworkPredictor
    accuracies: list[float]
    latencies_ns: list[int]

    @classmethod
    def of(cls, path: Path) -> TableLab:
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["latency_zcu102_mean"]]
        networks = [read_architecture(row, SPACE, str(path)) for row in rows]
        drawn = np.random.default_rng(SEED).permutation(len(rows))[:LEARNED_FROM]
        predictor = WholeNetworkPredictor.fit(
            [_measured(networks[i], float(rows[i]["latency_zcu102_mean"])) for i in drawn]
        )
        accuracy = FittedTable.fit(read_table(path, SPACE, "val_top1"), seed=SEED)
        accuracies = accuracy.evaluate(networks, lambda done: None)
        return cls(
            accuracy,
            predictor,
            [value for value in accuracies if isinstance(value, float)],
            [estimate.latency_ns for estimate in _predict(predictor, networks)],
        )

    @property
    def target_ns(self) -> int:
        """The target latency of searches: that of a usual network."""
        return int(np.median(self.latencies_ns))

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        return _predict(self.predictor, architectures)

    def measure(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[Measured | Failure]:
        raise AssertionError("a table has no device")

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        assert not measurement_ids
        return []

    def hypervolume(self, accuracies: Sequence[float], latencies_ns: Sequence[int]) -> float:
        """Return the hypervolume above the table's reference point, in units of its ranges."""
        reference = reference_point(self.accuracies, self.latencies_ns)
        unit = np.ptp(self.accuracies) * np.ptp(self.latencies_ns)
        return hypervolume(accuracies, latencies_ns, *reference) / float(unit)


def table_settings(strategy: StrategyName, target_ns: int, **others: Any) -> StudySettings:  # noqa: ANN401
    """Return the settings of a study whose accuracies come from the table.

    Args:
        strategy: What proposes candidates.
        target_ns: The target latency.
        **others: Other fields of the settings.
    """
    return StudySettings(
        space=SPACE.name,
        strategy=strategy,
        targets=(SearchTarget("simulated", target_ns),),
        accuracy=OtherSource({"table": "anb_dev.csv"}),
        **others,
    )


def _predict(
    predictor: WholeNetworkPredictor, architectures: Sequence[Architecture]
) -> list[LatencyEstimate]:
    return predictor.predict(*pack(map(_kernels, architectures)), now_unix_ns=0)


def _measured(network: Architecture, latency_ms: float) -> MeasuredNetwork:
    """Return a measured network; the table has no errors of latencies."""
    latency_ns = 1e6 * latency_ms
    return MeasuredNetwork(_kernels(network), None, latency_ns, latency_ns, latency_ns, unix_ns=0)
