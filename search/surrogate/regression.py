"""A surrogate of accuracy: a ridge regression on the networks that a search has trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.space import Space

FloatArray = NDArray[np.float64]

PENALTIES = np.logspace(0, 3, 13)  # the one with the best leave-one-out error is used


def surrogate_features(space: Space, architectures: Sequence[Architecture]) -> FloatArray:
    """Return the features (architectures, features) of networks.

    A feature says for each choice of each decision whether the network has it. Two more are the
    logarithms of its parameters and of its multiply-adds.

    Raises:
        ValueError: A network does not lie in the space.
    """
    spelled = [space.spell(architecture) for architecture in architectures]
    if None in spelled:
        raise ValueError(f"a network does not lie in the space {space.name}")
    choices = np.array(spelled, dtype=np.int64).reshape(len(spelled), len(space.decisions))
    chosen = [
        np.arange(len(decision.choices)) == column[:, None]
        for decision, column in zip(space.decisions, choices.T, strict=True)
    ]
    sizes = [_log_sizes(architecture) for architecture in architectures]
    return np.hstack([*chosen, np.reshape(sizes, (-1, 2))], dtype=np.float64)


@lru_cache(maxsize=16_384)  # a search asks for the networks that it has trained again and again
def _log_sizes(architecture: Architecture) -> tuple[float, float]:
    size = counts(architecture)
    return math.log(size.parameters), math.log(size.multiply_adds)


@dataclass(frozen=True, eq=False)
class AccuracySurrogate:
    """A ridge regression of accuracies.

    Attributes:
        regression: The fitted regression.
        accuracies: The accuracies that it was fitted to (networks).
        fitted: What it says about the same networks (networks).
    """

    regression: Pipeline
    accuracies: FloatArray
    fitted: FloatArray

    @classmethod
    def fit(cls, features: FloatArray, accuracies: Sequence[float]) -> AccuracySurrogate:
        """Fit a regression.

        Args:
            features: The features of at least two networks (networks, features).
            accuracies: The accuracy of each network's own training, from 0 to 1.
        """
        known = np.asarray(accuracies, dtype=np.float64)
        regression = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(features, known)
        return cls(regression, known, regression.predict(features))

    def predict(self, features: FloatArray) -> FloatArray:
        """Return the predicted accuracy of each network, from 0 to 1 (networks).

        Args:
            features: The features of the networks (networks, features).
        """
        predicted: FloatArray = self.regression.predict(features)
        return np.clip(predicted, 0, 1)

    def smoothed(self, evaluations: Sequence[int]) -> FloatArray:
        """Return an accuracy of each trained network, from 0 to 1 (networks).

        It lies between the accuracies that the network's own evaluations and the regression give.
        What a network is beside the regression is taken to vary as much as one evaluation does.
        In simulation this never made the front worse, however noisy evaluations were.

        Args:
            evaluations: Number of evaluations that each network's accuracy is the mean of.
        """
        own_share = 1 - 1 / (1 + np.asarray(evaluations))
        smoothed = self.fitted + own_share * (self.accuracies - self.fitted)
        return np.clip(smoothed, 0, 1)
