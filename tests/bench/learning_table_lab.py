"""Accel-NASBench's table as a lab with simulated devices, whose predictor learns as it measures.

A device's latency of a network is what trees, fitted on the table's ZCU102 latencies, say, times
what the device makes of each kind of block at each place. That part differs from device to device,
and a predictor can learn it from measurements. A small rest of each network's own cannot be
learned. The predictor is the product's own for networks without kernel times, fitted anew after
each batch of measurements. So its errors and intervals differ from network to network.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from latency_models.packing import pack
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.failure import Failure
from latlab.domain.measured_network import MeasuredNetwork
from search.accuracy.table import read_architecture
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.space.kernels import kernels
from tests.bench.table_lab import SPACE

FloatArray = NDArray[np.float64]

CALIBRATION = 16  # the search's default of 28 would leave 17 of the hybrid's 45 measurements
QUIRK = 0.15  # standard deviation of what a device makes of one kind of block at one place
REST = 0.02  # of the factor that is each network's own
NOISE = 0.005  # of a measurement
HALF_WIDTH = 1.645  # standard deviations: half a 90 % interval
DEVICE_S = 1.0  # of each measurement

_kernels = cache(kernels)


@dataclass(frozen=True)
class TableLatencies:
    """Latencies of any network of the table's space, by trees that were fitted on the table.

    Attributes:
        trees: They predict the logarithm of the latency in ms from the choices.
    """

    trees: HistGradientBoostingRegressor

    @classmethod
    def fit(cls, path: Path) -> TableLatencies:
        """Fit trees on the table's ZCU102 latencies."""
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["latency_zcu102_mean"]]
        choices = [_spelled(read_architecture(row, SPACE, str(path))) for row in rows]
        latencies_ms = [float(row["latency_zcu102_mean"]) for row in rows]
        trees = HistGradientBoostingRegressor(max_iter=500, max_leaf_nodes=8, early_stopping=False)
        return cls(trees.fit(np.array(choices), np.log(latencies_ms)))

    def latencies_ns(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Return the (architectures,) latencies."""
        choices = np.array(list(map(_spelled, architectures)))
        latencies_ms: FloatArray = np.exp(self.trees.predict(choices))
        return 1e6 * latencies_ms


@dataclass
class LearningTableLab:
    """A search's `Lab`: one simulated device with its predictor.

    Attributes:
        latencies: The latencies before the device's own part.
        seed: Seed of the device, whose part and noise are drawn from it.
        learns: Whether the predictor learns from more than the calibration.
        measured: The measured networks by their measurements' ids, calibration included.
    """

    latencies: TableLatencies
    seed: int
    learns: bool = True
    measured: dict[str, Architecture] = field(default_factory=dict)
    _learned: list[MeasuredNetwork] = field(default_factory=list)
    _predictor: WholeNetworkPredictor | None = None

    def calibrate(self) -> None:
        """Measure CALIBRATION random networks."""
        rng = np.random.default_rng([self.seed, 1])
        networks = [SPACE.resolve(SPACE.sample(rng)) for _ in range(CALIBRATION)]
        self.measure(networks, lambda done: None)

    def true_ns(self, architectures: Sequence[Architecture]) -> list[int]:
        """Return the device's latency of each network, without the noise of a measurement."""
        if not architectures:
            return []
        factors = np.array(list(map(self._factor, architectures)))
        return [round(ns) for ns in factors * self.latencies.latencies_ns(architectures)]

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        if self._predictor is None:
            self._predictor = WholeNetworkPredictor.fit(self._learned)
        return self._predictor.predict(*pack(map(_kernels, architectures)), now_unix_ns=0)

    def measure(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[Measured | Failure]:
        for architecture, true_ns in zip(architectures, self.true_ns(architectures), strict=True):
            self.measured[architecture.id] = architecture
            ns = self._measured_ns(architecture, true_ns)
            made_of = _kernels(architecture)
            self._learned.append(MeasuredNetwork(made_of, None, ns, ns, ns, unix_ns=0))
        if self.learns:
            self._predictor = None
        on_done(len(architectures))
        ids = [architecture.id for architecture in architectures]
        estimates = zip(self.look_up(ids), ids, strict=True)
        return [Measured(estimate, id_, DEVICE_S) for estimate, id_ in estimates]

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        networks = [self.measured[id_] for id_ in measurement_ids]
        return list(map(_estimate, map(self._measured_ns, networks, self.true_ns(networks))))

    def _measured_ns(self, architecture: Architecture, true_ns: int) -> float:
        return true_ns * (1 + NOISE * self._draw("noise", architecture.id))

    def _factor(self, architecture: Architecture) -> float:
        quirks = [
            self._draw(place, block.op, block.expansion, block.kernel_size, block.se_ratio)
            for place, block in enumerate(architecture.blocks)
        ]
        rest = REST * self._draw("rest", architecture.id)
        return float((1 + QUIRK * np.mean(quirks)) * (1 + rest))

    def _draw(self, *key: object) -> float:
        """Return a standard normal draw that is always the same for a key."""
        return _normal(f"{self.seed} {key}")


@cache
def _normal(key: str) -> float:
    return random.Random(key).gauss(0, 1)


def _estimate(measured_ns: float) -> LatencyEstimate:
    half_ns = round(HALF_WIDTH * NOISE * measured_ns)
    ns = round(measured_ns)
    return LatencyEstimate(
        ns, ns - half_ns, ns + half_ns, Source.MEASURED, coverage=1.0, samples=1, age_s=0.0
    )


def _spelled(architecture: Architecture) -> tuple[int, ...]:
    choices = SPACE.spell(architecture)
    assert choices is not None
    return choices
