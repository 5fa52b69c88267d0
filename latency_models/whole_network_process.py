"""A Gaussian process over whole networks, with errors that are now and then large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from latency_models.whole_network_covariance import NAMES, CostUnits, Covariance, Makeup, Prior

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Values that are added to a covariance's diagonal until it is positive definite, as shares of
# its trace. The last one dominates any such matrix.
_GROWTHS = (1e-14, 1e-12, 1e-10, 1e-8, 1e-4, 1.0)

# What is believed of the prior's hyperparameters before anything is measured: the normal
# distribution of their logarithms, around the values of `Prior()`. It keeps a few networks from
# ruling a term out, and is outweighed by many.
_USUAL = Prior()
_DEVIATIONS = {"octaves": 1.0, "decision_rate": 1.0}
_VARIANCE_DEVIATION = 3.0
_LEAST, _MOST = 1e-7, 1e3  # of any hyperparameter

# The posterior has several maxima: in one, costs explain nearly all, in another, decisions do. Each
# is climbed a little with few networks, and the highest to its top with more.
_STARTS = (
    Prior(),
    Prior(coefficient_variance=0.01**2, deviation_variance=0.03**2, decision_variance=0.3**2),
)
_START_NETWORKS, _START_STEPS = 150, 30
_MOST_NETWORKS, _MOST_STEPS = 300, 25

# Errors have Student's t distribution with so many degrees of freedom. A network's error variance
# follows from how well the others predict it, and all others follow again from that.
_FREEDOM = 3.0
_REWEIGHTINGS, _REWEIGHTING_STEPS = 4, 10
_SEED = 0


@dataclass(frozen=True)
class Process:
    """The posterior of a Gaussian process over measured networks.

    Latencies are in units of their mean.

    Attributes:
        units: The units of the cost terms.
        prior: The fitted prior.
        makeup: What the (networks,) measured networks are made of.
        weights: (networks,) the dual coefficients.
        inverse: (networks, networks) the inverse of the covariance of the measured latencies.
        left_out: (networks,) each latency, predicted from the others.
        left_out_deviations: (networks,) the standard deviations of new measurements around them.
    """

    units: CostUnits
    prior: Prior
    makeup: Makeup
    weights: FloatArray
    inverse: FloatArray
    left_out: FloatArray
    left_out_deviations: FloatArray

    @classmethod
    def fit(cls, units: CostUnits, makeup: Makeup, shares: FloatArray) -> Process:
        """Fit the process.

        Args:
            units: The units of the cost terms.
            makeup: What the networks are made of.
            shares: (networks,) their latencies in units of the mean.
        """
        order = np.random.default_rng(_SEED).permutation(len(shares))
        few, many = order[:_START_NETWORKS], order[:_MOST_NETWORKS]
        of_few = Covariance(units, makeup[few], makeup[few])
        of_many = Covariance(units, makeup[many], makeup[many])
        of_all = Covariance(units, makeup, makeup)
        precisions = np.ones(len(shares))
        likelihood = Likelihood(of_few, shares[few], precisions[few])
        climbed = [likelihood.climb(start, _START_STEPS) for start in _STARTS]
        prior, _ = max(climbed, key=lambda found: found[1])
        for steps in (_MOST_STEPS, *[_REWEIGHTING_STEPS] * _REWEIGHTINGS):
            prior, _ = Likelihood(of_many, shares[many], precisions[many]).climb(prior, steps)
            process = cls._posterior(units, prior, makeup, of_all(prior), shares, precisions)
            surprise = (shares - process.left_out) / process.left_out_deviations
            precisions = (_FREEDOM + 1) / (_FREEDOM + surprise**2)
        return process

    @classmethod
    def _posterior(
        cls,
        units: CostUnits,
        prior: Prior,
        makeup: Makeup,
        covariance: FloatArray,
        shares: FloatArray,
        precisions: FloatArray,
    ) -> Process:
        """Return the posterior where each error's variance is divided by its precision."""
        errors = prior.noise_variance / precisions
        factor = _definite(covariance + np.diag(errors))
        inverse = cho_solve(factor, np.eye(len(shares)))
        weights = inverse @ shares
        # Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 5.12.
        diagonal = np.diag(inverse)
        variances = np.maximum(1 / diagonal - errors, 0.0) + prior.noise_variance
        return cls(
            units,
            prior,
            makeup,
            weights,
            inverse,
            shares - weights / diagonal,
            np.sqrt(variances),
        )

    def predict(self, makeup: Makeup) -> tuple[FloatArray, FloatArray]:
        """Predict the (networks,) latencies of other networks.

        Returns:
            The means and the standard deviations of new measurements.
        """
        shared = Covariance(self.units, makeup, self.makeup)(self.prior)
        own = np.diag(Covariance(self.units, makeup, makeup)(self.prior))
        learned = np.einsum("ij,ij->i", shared @ self.inverse, shared)
        variances = np.maximum(own - learned, 0.0) + self.prior.noise_variance
        return shared @ self.weights, np.sqrt(variances)


@dataclass(frozen=True)
class Likelihood:
    """The likelihood of latencies as a function of the prior.

    Attributes:
        covariance: The covariance of the exact latencies.
        shares: (networks,) the latencies in units of their mean.
        precisions: (networks,) by how much the variance of each error is smaller than the noise.
    """

    covariance: Covariance
    shares: FloatArray
    precisions: FloatArray

    def climb(self, start: Prior, steps: int) -> tuple[Prior, float]:
        """Return a more probable prior, at most so many steps away, and that probability's log."""
        solution = minimize(
            self.surprise,
            _logs(start),
            jac=True,
            bounds=[(np.log(_LEAST), np.log(_MOST))] * len(NAMES),
            method="L-BFGS-B",
            options={"maxiter": steps},
        )
        return Prior(*np.exp(solution.x).tolist()), -float(solution.fun)

    def surprise(self, logs: FloatArray) -> tuple[float, FloatArray]:
        """Return the negative logarithm of the posterior, without its constant, and its gradient.

        See Rasmussen and Williams, equations 5.8 and 5.9.
        """
        prior = Prior(*np.exp(logs).tolist())
        terms = self.covariance.derivatives(prior)
        errors = prior.noise_variance / self.precisions
        factor = _definite(self.covariance.sum(terms) + np.diag(errors))
        inverse = cho_solve(factor, np.eye(len(self.shares)))
        weights = inverse @ self.shares
        slopes = inverse - np.outer(weights, weights)
        gradient = [0.5 * float(np.vdot(slopes, terms[name])) for name in NAMES[:-1]]
        gradient.append(0.5 * float(np.diag(slopes) @ errors))
        value = 0.5 * self.shares @ weights + np.log(np.diag(factor[0])).sum()
        unusual = (logs - _logs(_USUAL)) / _SCALES
        return float(value + 0.5 * unusual @ unusual), np.array(gradient) + unusual / _SCALES


def _logs(prior: Prior) -> FloatArray:
    return np.log([getattr(prior, name) for name in NAMES])


_SCALES = np.array([_DEVIATIONS.get(name, _VARIANCE_DEVIATION) for name in NAMES])


def _definite(covariance: FloatArray) -> tuple[FloatArray, bool]:
    """Return the Cholesky factor of a covariance matrix.

    If networks differ by many orders of magnitude, rounding makes the covariance indefinite.
    Then its diagonal is increased.
    """
    for growth in _GROWTHS:
        try:
            factor: tuple[FloatArray, bool] = cho_factor(covariance, lower=True)
        except np.linalg.LinAlgError:
            covariance = covariance + growth * np.trace(covariance) * np.eye(len(covariance))
        else:
            return factor
    factor = cho_factor(covariance, lower=True)
    return factor
