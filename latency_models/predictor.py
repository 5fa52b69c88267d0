"""The interface of all latency predictors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latency_models.interference import Steadying
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

IntArray = NDArray[np.int64]

MIN_NETWORKS = 4  # a predictor is fitted on at least so many measured networks


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
