"""Ask the database for what an operator wants to know, without waiting for it for long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass

from host.database import devices as device_rows
from host.database import refits as refit_rows
from host.database.engine import Database
from latlab.domain.errors import Unavailable
from latlab.domain.estimate import PredictionScore
from latlab.domain.target import Target

log = logging.getLogger(__name__)

PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The facts that the database holds about itself and about the targets.

    Attributes:
        size_bytes: Its size on disk.
        targets: All targets.
        scores: The newest score of each target's predictor, by the target's id.
    """

    size_bytes: int
    targets: Sequence[Target]
    scores: Mapping[str, PredictionScore]


class DatabaseWatch:
    """Reads a database in a thread of its own, one reading at a time, however many ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._reading: Future[DatabaseFacts] | None = None

    def facts(self, patience_s: float = PATIENCE_S) -> DatabaseFacts:
        """Return what the database says. Raises Unavailable if it does not answer in time."""
        with self._lock:
            if self._reading is None or self._reading.done():
                self._reading = Future()
                thread = threading.Thread(
                    target=self._read, args=[self._reading], name="database-watch", daemon=True
                )
                thread.start()
            reading = self._reading
        try:
            return reading.result(patience_s)
        except NotInTime:
            raise Unavailable(f"the database has not answered for {patience_s:g} s") from None
        except Exception as error:  # the database's driver raises many kinds
            raise Unavailable(f"the database does not answer: {error}") from error

    def _read(self, reading: Future[DatabaseFacts]) -> None:
        try:
            with self._database.reading() as connection:
                facts = DatabaseFacts(
                    self._database.size_bytes(connection),
                    device_rows.all_targets(connection),
                    refit_rows.newest_scores(connection),
                )
        except Exception as error:
            log.warning("the database could not be asked for its state: %s", error)
            reading.set_exception(error)
        else:
            reading.set_result(facts)
