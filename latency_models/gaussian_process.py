"""A Gaussian process that scikit-learn fits and that numpy and scipy predict with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters of the kernel `variance * Matern(length_scale, nu=2.5) + noise`."""

    variance: float
    length_scale: float
    noise: float


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior of a Gaussian process over standardized points, as plain arrays.

    Predicting needs no scikit-learn, so that a process that only predicts never imports it.

    Attributes:
        hyperparameters: The hyperparameters that it was fitted with.
        mean: (features,) what is subtracted from a point to standardize it.
        scale: (features,) what a point is then divided by.
        points: (samples, features) the standardized points that it was fitted on.
        weights: (samples,) the dual coefficients.
        factor: (samples, samples) the lower Cholesky factor of the samples' covariance.
    """

    hyperparameters: Hyperparameters
    mean: FloatArray
    scale: FloatArray
    points: FloatArray
    weights: FloatArray
    factor: FloatArray

    @classmethod
    def fit(
        cls, points: FloatArray, values: FloatArray, fixed: Hyperparameters | None = None
    ) -> GaussianProcess:
        """Fit a Gaussian process by scikit-learn.

        Args:
            points: (samples, features), not yet standardized.
            values: (samples,).
            fixed: Hyperparameters to keep. Fitting them is most of the cost.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
        from sklearn.preprocessing import StandardScaler

        if fixed is None:
            smooth = ConstantKernel(0.03, (1e-4, 3.0)) * Matern(2.0, (0.5, 30.0), nu=2.5)
            process = GaussianProcessRegressor(smooth + WhiteKernel(0.003, (1e-5, 0.3)))
        else:
            smooth = ConstantKernel(fixed.variance) * Matern(fixed.length_scale, nu=2.5)
            process = GaussianProcessRegressor(smooth + WhiteKernel(fixed.noise), optimizer=None)
        scaler = StandardScaler()
        with warnings.catch_warnings():
            # A hyperparameter may end at its bound: then nothing is left to explain.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(scaler.fit_transform(points), values)
        fitted = process.kernel_
        return cls(
            Hyperparameters(
                float(fitted.k1.k1.constant_value),
                float(fitted.k1.k2.length_scale),
                float(fitted.k2.noise_level),
            ),
            scaler.mean_,
            scaler.scale_,
            process.X_train_,
            process.alpha_,
            process.L_,
        )

    def predict(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Predict the values at (n, features) points.

        Returns:
            The (n,) posterior means, and the (n,) standard deviations of new values, noise
            included.
        """
        standardized = (points - self.mean) / self.scale
        length = self.hyperparameters.length_scale
        distances = np.sqrt(5.0) * cdist(standardized / length, self.points / length)
        covariance = (1.0 + distances + distances**2 / 3.0) * np.exp(-distances)
        covariance *= self.hyperparameters.variance
        explained = solve_triangular(self.factor, covariance.T, lower=True)
        variances = self.hyperparameters.variance - np.sum(explained**2, axis=0)
        noise = self.hyperparameters.noise
        return covariance @ self.weights, np.sqrt(np.maximum(variances, 0.0) + noise)
