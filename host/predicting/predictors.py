"""The newest predictor of each target, refitted in the background as measurements come in."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Connection

from host.database.devices import measurement_counts
from host.database.engine import Database
from host.database.measurements import warn_once
from host.database.stored_measurements import decisions, learned_networks
from host.predicting.fitting import REFIT_AFTER, check_enough, is_due
from host.predicting.refit_history import RefitHistory
from host.predicting.snapshot import Snapshot, StoredCounts
from host.predicting.summaries import Summarizer
from latency_models.predictor import Predictor
from latlab.common.telemetry.activities import OUTCOME, REFIT, activity
from latlab.domain.errors import LabError, NotEnoughData, NotReady, Unavailable
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Unusable

log = logging.getLogger(__name__)

Fit: TypeAlias = Callable[[Mapping[str, MeasuredNetwork]], tuple[Predictor, dict[str, str]]]

WAIT_S = 300.0
# So often the database is asked what other labs on it have added, and failed fits are retried.
POLL_S = 60.0
POLLING_SHARE = 0.01  # of the time: counting a million measurements takes seconds
STOP_S = 10.0


@dataclass
class _Refits:
    """The refits of a target that somebody has asked about.

    Attributes:
        begun: How many have begun.
        ended: How many have ended, with a snapshot or with an error.
        is_due: Whether the next is to begin.
        revision: How often all earlier snapshots have become invalid.
        measured: How many measurements were stored when the last began, and since.
        fitted: How many were stored when the last began.
        error: Why the last brought no snapshot.
    """

    begun: int = 0
    ended: int = 0
    is_due: bool = False
    revision: int = 0
    measured: int = 0
    fitted: int = 0
    error: LabError | None = None

    @property
    def is_running(self) -> bool:
        return self.begun > self.ended


class Predictors:
    """The predictor of each target, as a snapshot.

    A target is fitted when somebody first asks for its snapshot, who waits for it. From then on
    one thread refits it as measurements come in, and swaps the new snapshot in. Reading a
    snapshot takes no lock and no look into the database.

    Args:
        database: Where measurements are read.
        summarizer: Completes the summaries that fits read.
        quiet: A lock held by whoever needs this machine to itself: a visit of the local device,
            or a fit.
        fit: Fits a predictor. What it raises becomes an error of those who wait, and the fit is
            tried again later.

    Attributes:
        history: The refits of each target.
    """

    def __init__(
        self, database: Database, summarizer: Summarizer, quiet: threading.Lock, fit: Fit
    ) -> None:
        self.history = RefitHistory(database)
        self._database = database
        self._summarizer = summarizer
        self._quiet = quiet
        self._fit = fit
        self._changed = threading.Condition()
        self._snapshots: dict[str, Snapshot] = {}
        self._refits: dict[str, _Refits] = defaultdict(_Refits)
        self._stopping = False
        self._started_s = time.monotonic()
        self._spent_s = 0.0
        self._thread = threading.Thread(target=self._run, name="refits", daemon=True)

    def start(self) -> None:
        """Start to refit predictors in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop refitting predictors. The caller must end a fit that is under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(STOP_S)

    def get(self, target_id: str, min_measurements: int = 0, timeout_s: float = WAIT_S) -> Snapshot:
        """Return the snapshot of the target's predictor.

        Args:
            target_id: The target's id.
            min_measurements: How many measurements must have been stored when it was fitted.
                A snapshot that knows fewer is refitted first.
            timeout_s: How long to wait for a fit.

        Raises:
            NotReady: Too little was measured, or the fit did not end in time.
            Unavailable: The fit failed.
        """
        snapshot = self._snapshots.get(target_id)
        if snapshot is not None and snapshot.knows(min_measurements):
            return snapshot
        snapshot = self._wait(target_id, timeout_s, lambda new: new.knows(min_measurements))
        if not snapshot.knows(min_measurements):
            raise NotReady(
                f"{snapshot.stored.measurements} measurements of the target are stored, fewer"
                f" than the {min_measurements} that the predictor is to know"
            )
        return snapshot

    def refit(self, target_id: str, timeout_s: float = WAIT_S) -> Snapshot:
        """Fit the target's predictor anew and return its snapshot. Raises as `get` does."""
        return self._wait(target_id, timeout_s, lambda new: False)

    def request(self, target_id: str) -> None:
        """Have the target fitted in the background, if it has no snapshot."""
        with self._changed:
            refits = self._refits[target_id]
            if refits.begun == 0 and not refits.is_due:
                refits.is_due = True
                self._changed.notify_all()

    def find(self, target_id: str) -> Snapshot | None:
        """Return the snapshot of the target's predictor; None if there is none yet."""
        return self._snapshots.get(target_id)

    def fitted_targets(self) -> list[str]:
        """Return the ids of the targets that have a predictor."""
        return list(self._snapshots)

    def set_aside(self, target_id: str) -> Mapping[str, str]:
        """Return why the predictor could not learn from some readable measurements, by id."""
        snapshot = self._snapshots.get(target_id)
        return {} if snapshot is None else snapshot.set_aside

    def measured(self, target_id: str) -> None:
        """Take note of a new measurement on the target. A refit follows when it is due."""
        with self._changed:
            if (refits := self._refits.get(target_id)) is not None:
                refits.measured += 1
                self._mark_if_due(refits, refits.measured)

    def forget(self, target_id: str) -> None:
        """Drop the target's predictor: a measurement was excluded, or is used again."""
        with self._changed:
            if (refits := self._refits.get(target_id)) is not None:
                refits.revision += 1
                refits.is_due |= self._snapshots.pop(target_id, None) is not None
                self._changed.notify_all()

    def _wait(
        self, target_id: str, timeout_s: float, suits: Callable[[Snapshot], bool]
    ) -> Snapshot:
        """Wait for a snapshot that suits, but for at most one refit that begins from now on."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            refits = self._refits[target_id]
            last = refits.begun + 1
            while refits.ended < last:
                snapshot = self._snapshots.get(target_id)
                if snapshot is not None and suits(snapshot):
                    return snapshot
                if not refits.is_running and not refits.is_due:
                    refits.is_due = True
                    self._changed.notify_all()
                if self._stopping or not self._changed.wait(deadline_s - time.monotonic()):
                    raise NotReady("the predictor is still being fitted: ask again in a minute")
            snapshot = self._snapshots.get(target_id)
            if refits.error is not None or snapshot is None:
                raise refits.error or NotReady("the predictor is being fitted anew: ask again")
            return snapshot

    def _run(self) -> None:
        next_poll_s = time.monotonic() + POLL_S
        while not self._stopping:
            with self._changed:
                due = [id_ for id_, refits in self._refits.items() if refits.is_due]
                if not due:
                    self._changed.wait(POLL_S)
            for target_id in due:
                self._refit(target_id)
            if (started_s := time.monotonic()) >= next_poll_s:
                self._poll()
                ended_s = time.monotonic()
                next_poll_s = ended_s + max(POLL_S, (ended_s - started_s) / POLLING_SHARE)

    def _refit(self, target_id: str) -> None:
        """Fit the target, and swap the snapshot in, or keep the error for those who wait."""
        with self._changed:
            refits = self._refits[target_id]
            refits.begun += 1
            refits.is_due = False
            revision = refits.revision
        snapshot: Snapshot | None = None
        error: LabError | None = None
        with activity(REFIT, target_id=target_id) as refit:
            try:
                snapshot = self._fitted(target_id)
            except NotEnoughData as few:
                error = NotReady(f"{few}: measure more first (latlab calibrate)")
            except Exception as failure:  # it may not end the thread that all wait for
                if not self._stopping:
                    log.exception("the predictor of target %s could not be fitted", target_id)
                kind = type(failure).__name__
                why = f"the predictor could not be fitted ({kind}): see the lab's log"
                error = failure if isinstance(failure, LabError) else Unavailable(why)
            refit[OUTCOME] = "fitted" if error is None else type(error).__name__
        with self._changed:
            is_outdated = refits.revision != revision  # it has read what is excluded by now
            if is_outdated:
                refits.begun -= 1
                refits.is_due = True
            else:
                refits.ended += 1
                refits.error = error
                if snapshot is not None:
                    self._snapshots[target_id] = snapshot
            self._changed.notify_all()
        if snapshot is not None and not is_outdated:
            self.history.add(target_id, snapshot)

    def _fitted(self, target_id: str) -> Snapshot:
        """Wait until nothing is measured on this machine, read what was measured, and fit."""
        self._summarizer.complete(lambda: not self._stopping)
        if self.find(target_id) is None:  # or else there were enough, and counting takes seconds
            with self._database.reading() as connection:
                check_enough(self._count(connection, target_id).measurements)
        with self._quiet:
            start_s = time.monotonic()
            with self._database.reading() as connection:
                stored = self._count(connection, target_id)
                networks = learned_networks(connection, target_id)
            try:
                predictor, set_aside = self._fit(networks)
            finally:
                fit_s = time.monotonic() - start_s
                self._spent_s += fit_s
            snapshot = Snapshot(predictor, len(networks) - len(set_aside), fit_s, stored, set_aside)
            snapshot = self.history.describe(target_id, snapshot, networks)
        for measurement_id, why in set_aside.items():
            warn_once(Unusable(measurement_id, target_id, why))
        return snapshot

    def _count(self, connection: Connection, target_id: str) -> StoredCounts:
        """Count what is stored, and take note of it."""
        measurements = measurement_counts(connection).get(target_id, 0)
        with self._changed:
            refits = self._refits[target_id]
            refits.fitted = refits.measured = measurements
        return StoredCounts(measurements, decisions(connection, target_id))

    def _poll(self) -> None:
        """Notice what other labs on this database did, and what is to be tried again."""
        try:
            with self._database.reading() as connection:
                counts = measurement_counts(connection)
                decided = {id_: decisions(connection, id_) for id_ in self.fitted_targets()}
        except Exception:  # the next poll may succeed
            log.exception("the stored measurements could not be counted")
            return
        for target_id, number in decided.items():
            if (old := self._snapshots.get(target_id)) and old.stored.decisions != number:
                self.forget(target_id)
        with self._changed:
            for target_id, refits in self._refits.items():
                refits.measured = max(refits.measured, counts.get(target_id, 0))
                has_failed = refits.error is not None and not isinstance(refits.error, NotReady)
                self._mark_if_due(refits, refits.measured + has_failed * REFIT_AFTER)

    def _mark_if_due(self, refits: _Refits, measured: int) -> None:
        """The caller holds the condition."""
        if is_due(measured, refits.fitted, self._spent_s, time.monotonic() - self._started_s):
            refits.is_due = True
            self._changed.notify_all()
