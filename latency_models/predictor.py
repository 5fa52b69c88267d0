"""The interface of all latency predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from latency_models.interference import Steadying
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork, Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_NETWORKS = 4  # a predictor is fitted on at least so many measured networks
# With so many, other targets hardly matter, and a prediction is spared the time that they take.
ENOUGH_NETWORKS = 100


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The prediction for a measured network by models that were not fitted on it.

    Attributes:
        latency_ns: The prediction.
        half_width: Half the width of the predicted 90 % interval of its logarithm.
    """

    latency_ns: float
    half_width: float


# By the networks' kernels and structures.
LeftOuts: TypeAlias = Mapping[tuple[tuple[Kernel, ...], Structure | None], LeftOut]


def left_outs(
    networks: Sequence[MeasuredNetwork], predicted_ns: FloatArray, half_widths: FloatArray
) -> LeftOuts:
    """Return what is predicted of networks that were left out; empty for ENOUGH_NETWORKS or more.

    Args:
        networks: Measured networks, each once.
        predicted_ns: (networks,) predictions, each without the network.
        half_widths: (networks,) as in LeftOut.
    """
    if len(networks) >= ENOUGH_NETWORKS:
        return {}
    numbers = zip(networks, predicted_ns.tolist(), half_widths.tolist(), strict=True)
    return {(n.kernels, n.structure): LeftOut(ns, half_width) for n, ns, half_width in numbers}


class Predictor(Protocol):
    """A model of one target that predicts the latencies of networks from their kernels."""

    @property
    def steadying(self) -> Steadying:
        """The correction for interference that the predictor has learned."""
        ...

    @property
    def samples(self) -> int:
        """The number of measured networks that the predictor was fitted on."""
        ...

    @property
    def newest_unix_ns(self) -> int:
        """The time of the newest measurement that the predictor was fitted on, in ns since 1970."""
        ...

    @property
    def left_out(self) -> LeftOuts:
        """The predictions for measured networks without each; empty where there are many."""
        ...

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork]) -> Predictor:
        """Fit a predictor on those of the networks that it learns from.

        Raises:
            NotEnoughData: There are too few such networks.
        """
        ...

    @staticmethod
    def learns_from(network: MeasuredNetwork) -> bool:
        """Return whether this kind of predictor can be fitted on the network."""
        ...

    def predict(
        self,
        table: Sequence[Kernel],
        lengths: IntArray,
        indices: IntArray,
        now_unix_ns: int,
        *,
        guess: bool = False,
    ) -> list[LatencyEstimate]:
        """Return the latency estimate of each network, in input order.

        Args:
            table: The distinct kernels of all networks.
            lengths: (networks,) the number of kernels of each network, at least 1.
            indices: (sum of lengths,) rows of `table`, network after network. `packing.pack`
                makes the three.
            now_unix_ns: The current time, from which the age of the estimates is counted.
            guess: Whether to guess the times of kernels of kinds that were never measured, from
                what work usually takes on the target. Such an estimate is a wide bound.

        Raises:
            UnknownKernelKinds: The predictor has not seen kernels of a kind, and may not guess.
            ValueError: The three arguments do not fit together.
        """
        ...
