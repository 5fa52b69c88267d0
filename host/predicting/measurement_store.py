"""Show, exclude and look up stored measurements."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from host.database import measurements as measurement_rows
from host.database import programs as program_rows
from host.database import stored_measurements as stored_rows
from host.database.engine import Database
from host.measuring.breakdown import breakdown_of
from host.predicting.estimates import current_steadying, look_up
from host.predicting.predictors import WAIT_S, Predictors
from host.predicting.summaries import Summarizer
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement, StoredMeasurement
from latlab.domain.records.breakdown import Breakdown

MAX_WHY = 1_000
REREAD_S = 600.0
PAGE = 200  # measurements read in one transaction

T = TypeVar("T")


class MeasurementStore:
    """The stored measurements, and what the predictors make of them."""

    def __init__(self, database: Database, summarizer: Summarizer, predictors: Predictors) -> None:
        self._database = database
        self._summarizer = summarizer
        self._predictors = predictors
        self._usable: set[str] = set()  # ids of measurements that could be read
        self._read_s = time.monotonic()

    def get(self, measurement_id: str) -> Measurement:
        """Return a measurement with its visits. Raises NotFound and UnreadableRow."""
        with self._database.reading() as connection:
            measurement = measurement_rows.get_measurement(connection, measurement_id)
        if measurement is None:
            raise NotFound(f"no measurement {measurement_id!r}: see `latlab measurements list`")
        return measurement

    def breakdown(self, measurement_id: str) -> Breakdown:
        """Return where the time of a measurement goes. Raises NotFound and UnreadableRow."""
        measurement = self.get(measurement_id)
        with self._database.reading() as connection:
            program = program_rows.get_program(connection, measurement.program_sha256)
        assert program is not None, "a measurement refers to its program"
        return breakdown_of(program, measurement)

    def look_up(
        self,
        measurement_ids: Sequence[str],
        timeout_s: float = WAIT_S,
        is_active: Callable[[], bool] = lambda: True,
    ) -> list[LatencyEstimate]:
        """Return the latency estimate of each measurement, in input order.

        All of one target are corrected by one revision of the correction, also if a refit ends
        meanwhile.

        Args:
            measurement_ids: The ids of the measurements.
            timeout_s: How long to wait for the first fit of a target.
            is_active: Returns False once the client has gone.

        Raises:
            NotFound: There is no measurement with one of the ids.
            UnreadableRow: One cannot be used.
        """
        self._summarizer.complete(is_active)
        steadying_of = functools.cache(
            partial(current_steadying, self._predictors, timeout_s=timeout_s)
        )
        return look_up(self._database, measurement_ids, steadying_of)

    def measured_networks(self, target_id: str) -> Iterator[tuple[str, str, MeasuredNetwork]]:
        """Return (program SHA-256, measurement id, network) of each measurement that a predictor
        can learn from, the oldest first."""
        self._summarizer.complete()
        set_aside = self._predictors.set_aside(target_id)
        found = self._paged(
            lambda connection: measurement_rows.trusted_ids(connection, target_id),
            lambda connection, ids: list(
                measurement_rows.measured_networks(connection, target_id, ids)
            ),
        )
        return (each for each in found if each[1] not in set_aside)

    def list(self, target_id: str, prefix: str) -> Iterator[StoredMeasurement]:
        """Yield stored measurements, the newest first.

        A measurement that a predictor could not learn from is shown as unusable too.

        Args:
            target_id: Whose measurements to list; "" for those of all targets.
            prefix: What their ids begin with; "" for all.

        Raises:
            InvalidRequest: The prefix is too short or cannot begin an id.
        """
        if prefix:
            _check_prefix(prefix)
        self._summarizer.complete()
        found = self._paged(
            lambda connection: stored_rows.measurement_ids(connection, target_id, prefix),
            stored_rows.stored_measurements,
        )
        for stored in found:
            why = self._predictors.set_aside(stored.target_id).get(stored.id, "")
            yield stored if stored.unusable else replace(stored, unusable=why)

    def list_unusable(
        self, target_id: str, is_active: Callable[[], bool]
    ) -> Iterator[StoredMeasurement]:
        """Yield measurements that cannot be used and that nobody has excluded, the newest first.

        The first call may take long. Measurements that it could read are not read again for
        REREAD_S, so that a client that gave up gets further the next time.

        Args:
            target_id: Whose measurements to list; "" for those of all targets.
            is_active: Returns False once the client has gone.
        """
        self._summarizer.complete(is_active)
        if time.monotonic() - self._read_s > REREAD_S:
            self._usable, self._read_s = set(), time.monotonic()
        usable = self._usable
        found = self._paged(
            lambda connection: [
                id_
                for id_ in stored_rows.measurement_ids(connection, target_id)
                if id_ not in usable
            ],
            stored_rows.stored_measurements,
        )
        for stored in found:
            if not is_active():
                return
            if not stored.unusable:
                usable.add(stored.id)
            elif stored.exclusion is None:
                yield stored
        for known_id in [target_id] if target_id else self._predictors.fitted_targets():
            for measurement_id in self._predictors.set_aside(known_id):
                for stored in self.list(known_id, measurement_id):
                    if stored.exclusion is None:
                        yield stored

    def _paged(
        self,
        find: Callable[[Connection], Sequence[str]],
        read: Callable[[Connection, Sequence[str]], Sequence[T]],
    ) -> Iterator[T]:
        """Yield what `read` returns for the ids that `find` returns.

        No transaction is open while a page waits for its reader, who may be slow.
        """
        with self._database.reading() as connection:
            ids = find(connection)
        for start in range(0, len(ids), PAGE):
            with self._database.reading() as connection:
                page = read(connection, ids[start : start + PAGE])
            yield from page

    def exclude(self, prefix: str, why: str) -> str:
        """Exclude the measurement whose id begins with the prefix, and return its id.

        Raises NotFound and InvalidRequest.
        """
        if not why.strip():
            raise InvalidRequest("say why the measurement is to be excluded: --why TEXT", "why")
        if len(why) > MAX_WHY:
            raise InvalidRequest(f"the reason is too long: at most {MAX_WHY} characters", "why")
        if "\0" in why:
            raise InvalidRequest("the reason holds a NUL character, which cannot be stored", "why")
        with self._database.writing() as connection:
            measurement_id, target_id = _one_measurement(connection, prefix)
            stored_rows.exclude(connection, measurement_id, why, time.time_ns())
        self._predictors.forget(target_id)
        return measurement_id

    def include(self, prefix: str) -> str:
        """Use the excluded measurement with this id or prefix again, and return its id.

        Raises NotFound and InvalidRequest.
        """
        with self._database.writing() as connection:
            measurement_id, target_id = _one_measurement(connection, prefix)
            stored_rows.include(connection, measurement_id, time.time_ns())
        self._predictors.forget(target_id)
        return measurement_id


def _one_measurement(connection: Connection, prefix: str) -> tuple[str, str]:
    """Return the id and the target's id of the one measurement whose id begins so."""
    _check_prefix(prefix)
    match stored_rows.find(connection, prefix):
        case [found]:
            return found
        case []:
            raise NotFound(f"no measurement {prefix!r}: `latlab measurements list` shows them")
        case _:
            raise InvalidRequest(
                f"several measurements begin with {prefix!r}: give more characters of the id"
            )


def _check_prefix(prefix: str) -> None:
    if len(prefix) < stored_rows.MIN_PREFIX or not prefix.isalnum():
        raise InvalidRequest(
            f"{prefix[:80]!r} is not the id of a measurement: give the id, or at least its first"
            f" {stored_rows.MIN_PREFIX} characters"
        )
