"""Summarise stored measurements that have no summary by this version of the statistic.

Their traces are aligned again as well, where an earlier version could not align them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy import Connection

from host.database.engine import Database
from host.database.measurements import get_measurement
from host.database.programs import get_program
from host.database.summaries import (
    Statistic,
    has_kernel_times,
    not_summarized,
    put_kernel_times,
    put_summary,
)
from host.measuring.kernel_times import kernel_times_ns
from host.measuring.statistics import VERSION, summary_or_reason
from latlab.domain.errors import TraceMismatch, UnreadableRow
from latlab.domain.measurement import Measurement, Summary

STATISTIC = Statistic(VERSION, summary_or_reason)
BATCH = 50  # written at once: others write in between

log = logging.getLogger(__name__)


class Summarizer:
    """Summarise the measurements of older versions. New ones are stored with their summary."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._working = threading.Lock()
        self._are_complete = False

    def start(self, goes_on: Callable[[], bool]) -> None:
        """Begin to `complete` in a thread of its own."""
        threading.Thread(target=self.complete, args=[goes_on], daemon=True).start()

    def complete(self, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Return once every measurement has its summary, or `goes_on` returns False.

        Several threads may wait at once: each does a batch in turn. Raises StorageError.
        """
        while not self._are_complete and goes_on():
            with self._working:
                self._summarize_some()

    def _summarize_some(self) -> None:
        with self._database.reading() as connection:
            ids = not_summarized(connection, VERSION, BATCH)
            found = [(id_, *_summary(connection, id_)) for id_ in ids]
        with self._database.writing() as connection:
            for id_, summary, program_sha256, kernel_ns in found:
                put_summary(connection, id_, VERSION, summary)
                if kernel_ns is not None:
                    put_kernel_times(connection, id_, program_sha256, kernel_ns)
        self._are_complete = not ids
        if ids:
            log.info("summarised %d measurements of older versions", len(ids))


def _summary(
    connection: Connection, measurement_id: str
) -> tuple[Summary | str, str, tuple[float, ...] | None]:
    """Return the summary or why there is none, the program, and kernel times that are new."""
    try:
        measurement = get_measurement(connection, measurement_id)
    except UnreadableRow as error:
        return str(error), "", None
    assert measurement is not None
    return (
        summary_or_reason(measurement.visits),
        measurement.program_sha256,
        _kernel_times_ns(connection, measurement),
    )


def _kernel_times_ns(connection: Connection, measurement: Measurement) -> tuple[float, ...] | None:
    """Return kernel times of a measurement without any, whose trace can be aligned by now."""
    if has_kernel_times(connection, measurement.id):
        return None
    try:
        program = get_program(connection, measurement.program_sha256)
        return kernel_times_ns(program, list(measurement.visits)) if program else None
    except (TraceMismatch, UnreadableRow):
        return None
