"""The history of each target's refits, with scores of the predictors that they replaced."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from host.database.engine import Database
from host.database.refits import add_refit, stored_refits
from host.predicting.snapshot import Snapshot
from latency_models.evaluate import score
from latlab.domain.estimate import PredictionScore, Refit
from latlab.domain.measured_network import MeasuredNetwork

log = logging.getLogger(__name__)

# The distributions that decide what is fitted on given measurements.
LIBRARIES = ("latency-lab", "numpy", "scipy", "scikit-learn")


class RefitHistory:
    """Stores every refit with a score of the predictor that it replaced.

    The score compares measurements with the predictions that were made before them. A network
    counts once, at the first refit after its first measurement. The predictor that is replaced is
    kept in memory only, so the first refit after a restart has no score.

    One thread calls `describe` and `add`. What goes wrong in them is logged and never raised.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest: dict[str, Snapshot] = {}

    def describe(
        self, target_id: str, snapshot: Snapshot, networks: Mapping[str, MeasuredNetwork]
    ) -> Snapshot:
        """Return a new snapshot with its refit, which `add` stores.

        Hashing and predicting take a tenth of a millisecond for each network, so that a fit takes
        far longer.

        Args:
            target_id: The target that was fitted.
            snapshot: The new snapshot.
            networks: The measured networks that it was fitted on, by the ids of their
                measurements. Those that were set aside are among them.
        """
        learned = {id_: each for id_, each in networks.items() if id_ not in snapshot.set_aside}
        refit = Refit(
            unix_ns=time.time_ns(),
            measurements=snapshot.measurements,
            fit_s=snapshot.fit_s,
            predictor=type(snapshot.predictor).__name__,
            fingerprint=fingerprint(learned),
            versions=library_versions(),
            score=self._score(target_id, learned.values()),
        )
        hashes = frozenset(hash(network.kernels) for network in networks.values())
        return replace(snapshot, network_hashes=hashes, refit=refit)

    def add(self, target_id: str, snapshot: Snapshot) -> None:
        """Store the refit of a snapshot that predicts from now on."""
        self._newest[target_id] = snapshot
        if snapshot.refit is None:
            return
        try:
            with self._database.writing() as connection:
                add_refit(connection, target_id, snapshot.refit)
        except Exception:
            log.exception("a refit of target %s could not be stored", target_id)

    def refits(self, target_id: str) -> list[Refit]:
        """Return the stored refits of the target, the oldest first. Raises StorageError."""
        with self._database.reading() as connection:
            return stored_refits(connection, target_id)

    def _score(self, target_id: str, networks: Iterable[MeasuredNetwork]) -> PredictionScore | None:
        """Score the newest snapshot on networks that were not measured when it was fitted.

        Returns:
            The score; None if there is no snapshot, no such network, or no score.
        """
        previous = self._newest.get(target_id)
        if previous is None:
            return None
        new = [n for n in networks if n.kernels and hash(n.kernels) not in previous.network_hashes]
        if not new:
            return None
        try:
            return score(previous.predictor, new)
        except Exception:  # a predictor may fail on odd networks, and the refit must not
            log.exception("the predictor of target %s could not be scored", target_id)
            return None


def fingerprint(measurement_ids: Iterable[str]) -> str:
    """Return the SHA-256 of the sorted ids of measurements, one in each line."""
    return hashlib.sha256("\n".join(sorted(measurement_ids)).encode()).hexdigest()


@functools.cache
def library_versions() -> Mapping[str, str]:
    """Return the version of each of LIBRARIES that is installed, by name.

    They are read once, at the first refit, because the process that fits goes on with the
    libraries that it has loaded then.
    """
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
