"""Each target's predictor, refitted from the database as measurements come in."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from host.database.engine import Database
from host.database.measurements import measured_networks
from host.errors import NotReady
from latency_models.observation import MeasuredNetwork
from latency_models.predictor import MIN_NETWORKS, NotEnoughData, Predictor
from latency_models.whole_network import WholeNetworkPredictor

REFIT_AFTER = 8
REFIT_AFTER_SHARE = 0.1
MAX_FIT_SHARE = 1 / 20


@dataclass(frozen=True, slots=True)
class Fit:
    predictor: Predictor | WholeNetworkPredictor
    measurements: int
    fit_s: float


def is_due(measured: int, fitted: int, spent_s: float, elapsed_s: float) -> bool:
    """Whether measurements have grown by 8 or a tenth since the last fit, and fitting has
    taken at most a twentieth of the time."""
    grown = measured - fitted
    enough = grown >= REFIT_AFTER or grown >= max(1, REFIT_AFTER_SHARE * fitted)
    return enough and spent_s <= MAX_FIT_SHARE * elapsed_s


def fit_predictor(networks: Sequence[MeasuredNetwork]) -> Predictor | WholeNetworkPredictor:
    """From times of kernels, where there are such; else from latencies of networks alone: a
    runtime that does not trace, or a spec without traced visits. Raises NotEnoughData."""
    if sum(network.kernel_ns is not None for network in networks) >= MIN_NETWORKS:
        return Predictor.fit(networks)
    return WholeNetworkPredictor.fit(networks)


class Predictors:
    """`quiet` is held by whoever needs the machine to itself: a local measurement, a fit."""

    def __init__(self, database: Database, quiet: threading.Lock) -> None:
        self._database = database
        self._quiet = quiet
        self._fitting = threading.Lock()
        self._fits: dict[str, Fit] = {}
        self._started_s = time.monotonic()
        self._spent_s = 0.0

    def get(self, target_id: str, measured: int) -> Fit:
        """The target's predictor, refitted first if that is due.

        measured: how many measurements the target has by now.
        Raises NotReady when they are too few.
        """
        with self._fitting:
            fit = self._fits.get(target_id)
            elapsed_s = time.monotonic() - self._started_s
            if fit is None or is_due(measured, fit.measurements, self._spent_s, elapsed_s):
                fit = self._fit(target_id)
            return fit

    def refit(self, target_id: str) -> Fit:
        """Raises NotReady."""
        with self._fitting:
            return self._fit(target_id)

    def fitted_measurements(self, target_id: str) -> int:
        fit = self._fits.get(target_id)
        return 0 if fit is None else fit.measurements

    def _fit(self, target_id: str) -> Fit:
        with self._database.reading() as connection:
            networks = [network for _, _, network in measured_networks(connection, target_id)]
        with self._quiet:
            start_s = time.monotonic()
            try:
                predictor = fit_predictor(networks)
            except NotEnoughData as error:
                raise NotReady(f"{error}: measure more first (latlab calibrate)") from error
            fit_s = time.monotonic() - start_s
        self._spent_s += fit_s
        self._fits[target_id] = fit = Fit(predictor, len(networks), fit_s)
        return fit
