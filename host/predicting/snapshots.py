"""Each target's predictor, refitted from the database as measurements come in."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from host.database.devices import measurement_counts
from host.database.engine import Database
from host.database.exclusions import decisions
from host.database.measurements import measured_networks, warn_once
from host.predicting.culprits import fit_without_culprits
from host.predicting.refitting import is_due, proven_predictor
from host.predicting.summaries import Summaries
from latlab.domain.errors import NotEnoughData, NotReady
from latlab.domain.measurement import Unusable

if TYPE_CHECKING:
    from latency_models.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Known:
    """What the database holds of a target: how many measurements to learn from, usable or not,
    and how often one was excluded or included."""

    measurements: int
    decisions: int


@dataclass(frozen=True, slots=True)
class Fit:
    """measurements: those it has learned from, of those `known` when it was fitted. set_aside:
    why it could not learn from others, by the ids of the measurements."""

    predictor: Predictor
    measurements: int
    fit_s: float
    known: Known
    set_aside: Mapping[str, str] = field(default_factory=dict)


class Predictors:
    """`quiet` is held by whoever needs the machine to itself: a local measurement, a fit."""

    def __init__(self, database: Database, summaries: Summaries, quiet: threading.Lock) -> None:
        self._database = database
        self._summaries = summaries
        self._quiet = quiet
        self._fitting = threading.Lock()
        self._fits: dict[str, Fit] = {}
        self._started_s = time.monotonic()
        self._spent_s = 0.0

    def get(self, target_id: str, known: Known) -> Fit:
        """The target's predictor, refitted first if that is due: as measurements come in, and
        always where one was excluded or included since.

        known: what the database holds of the target by now.
        Raises NotReady when that is too little.
        """
        with self._fitting:
            fit = self._fits.get(target_id)
            elapsed_s = time.monotonic() - self._started_s
            if (
                fit is None
                or fit.known.decisions != known.decisions
                or is_due(known.measurements, fit.known.measurements, self._spent_s, elapsed_s)
            ):
                fit = self._fit(target_id)
            return fit

    def refit(self, target_id: str) -> Fit:
        """Raises NotReady."""
        with self._fitting:
            return self._fit(target_id)

    def fitted_measurements(self, target_id: str) -> int:
        fit = self._fits.get(target_id)
        return 0 if fit is None else fit.measurements

    def fitted(self) -> list[str]:
        """The ids of the targets that have a predictor."""
        return list(self._fits)

    def set_aside(self, target_id: str) -> Mapping[str, str]:
        """Why the target's predictor could not learn from measurements that can be read, by
        their ids."""
        fit = self._fits.get(target_id)
        return {} if fit is None else fit.set_aside

    def _fit(self, target_id: str) -> Fit:
        self._summaries.complete()
        with self._database.reading() as connection:
            known = Known(
                measurement_counts(connection).get(target_id, 0), decisions(connection, target_id)
            )
            networks = {id_: of for _, id_, of in measured_networks(connection, target_id)}
        with self._quiet:
            start_s = time.monotonic()
            try:
                predictor, set_aside = fit_without_culprits(proven_predictor, networks)
            except NotEnoughData as error:
                before = self._fits.get(target_id)
                if before is not None and before.known.decisions != known.decisions:
                    del self._fits[target_id]  # it has learned from what is excluded now
                raise NotReady(f"{error}: measure more first (latlab calibrate)") from error
            fit_s = time.monotonic() - start_s
        for measurement_id, why in set_aside.items():
            warn_once(Unusable(measurement_id, target_id, why))
        self._spent_s += fit_s
        learned = len(networks) - len(set_aside)
        self._fits[target_id] = fit = Fit(predictor, learned, fit_s, known, set_aside)
        return fit
