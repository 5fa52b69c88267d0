"""Predictions without scikit-learn equal those of scikit-learn."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latency_models.gaussian_process import GaussianProcess, Hyperparameters
from latency_models.packing import pack
from latency_models.predictor import Predictor
from latlab.domain.measured_network import MeasuredNetwork


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    samples=st.integers(8, 60),
    variance=st.floats(1e-4, 3.0),
    length_scale=st.floats(0.5, 30.0),
    noise=st.floats(1e-5, 0.3),
)
def test_it_predicts_as_scikit_learn_does(
    seed: int, samples: int, variance: float, length_scale: float, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    points, values = rng.uniform(0, 12, (samples, 5)), rng.normal(size=samples)
    new = rng.uniform(-3, 15, (20, 5))
    kernel = ConstantKernel(variance) * Matern(length_scale, nu=2.5) + WhiteKernel(noise)
    pipeline = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, optimizer=None))
    expected, deviations = pipeline.fit(points, values).predict(new, return_std=True)
    process = GaussianProcess.fit(points, values, Hyperparameters(variance, length_scale, noise))
    predicted, uncertain = process.predict(new)
    assert predicted == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert uncertain**2 == pytest.approx(deviations**2, rel=1e-6, abs=1e-9)


def test_hyperparameters_are_fitted_and_kept() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 8, (40, 3))
    values = np.sin(points.sum(axis=1))
    process = GaussianProcess.fit(points, values)
    assert process.predict(points)[0] == pytest.approx(values, abs=0.1)
    again = GaussianProcess.fit(points, values, process.hyperparameters)
    assert again.hyperparameters == process.hyperparameters
    assert again.predict(points)[0] == pytest.approx(process.predict(points)[0], rel=1e-6, abs=1e-6)


def test_a_fitted_predictor_is_used_without_scikit_learn(
    predictor: Predictor, measured: list[MeasuredNetwork]
) -> None:
    """The daemon uses what the refit process sends in this way."""
    packed = pack(network.kernels for network in measured)
    code = (
        "import pickle, sys\n"
        "predictor, packed = pickle.load(sys.stdin.buffer)\n"
        "pickle.dump(predictor.predict(*packed, 0), sys.stdout.buffer)\n"
        "assert not {'sklearn', 'torch'} & sys.modules.keys()\n"
    )
    sent = pickle.dumps((predictor, packed))
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert pickle.loads(done.stdout) == predictor.predict(*packed, 0)
