"""Store the outcomes of the visits that a device has made."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, wait

from host.agent.client import AgentClient
from host.devices.beside_visits.threads import SHARED_THREADS
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from latlab.domain.errors import LabError
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit

log = logging.getLogger(__name__)

RETRY_PAUSES_S = (0.1, 1.0)  # between the tries to store one outcome


class ResultWriter:
    """Stores outcomes of visits, and then acknowledges them, so that none is lost in between.

    A database that is busy or has no space left raises StorageError: the agent keeps the outcome,
    and the worker asks for it again later. An outcome that the database refuses for any other
    reason, several times, goes to the quarantine, and a Failure is stored in its place.
    """

    def __init__(self, board: Dispatcher, quarantine: ResultQuarantine) -> None:
        self._board = board
        self._quarantine = quarantine
        self._pending: Future[None] | None = None

    def store(
        self, agent: AgentClient, state: JobState, run_id: str, outcome: Visit | Failure
    ) -> None:
        """Store a visit's outcome, and acknowledge it to the agent.

        Raises StorageError and Unavailable.
        """
        if why := self._refusal(state, run_id, outcome):
            kept = self._quarantine.keep(run_id, outcome, why)
            message = (
                f"the database refuses the result ({why}): {kept} in the lab's folder holds it"
            )
            self._board.answer(state, run_id, Failure(FailureKind.AGENT_ERROR, message))
        agent.acknowledge(run_id)

    def store_later(
        self, agent: AgentClient, state: JobState, run_id: str, outcome: Visit | Failure
    ) -> None:
        """Store a visit's outcome while the device makes the next one; then put its job back.

        Raises what storing the outcome before this one has raised. Then this outcome is not
        stored, and the job stays with the caller.
        """
        self.settle()

        def store() -> None:
            try:
                self.store(agent, state, run_id, outcome)
            finally:
                self._board.put_back(state)

        self._pending = SHARED_THREADS.submit(store)

    def settle(self) -> None:
        """Wait until no outcome is being stored, and raise what storing the last one raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait until no outcome is being stored."""
        wait([self._pending] if self._pending is not None else [])

    def _refusal(self, state: JobState, run_id: str, outcome: Visit | Failure) -> str:
        """Store an outcome; return why it can never be stored, or "" if it is stored.

        Raises StorageError.
        """
        why = ""
        for pause_s in (0.0, *RETRY_PAUSES_S):
            time.sleep(pause_s)
            try:
                self._board.answer(state, run_id, outcome)
            except LabError:
                raise
            except Exception as error:  # databases and their drivers raise many kinds
                log.exception("the result of run %s cannot be stored", run_id)
                why = type(error).__name__
            else:
                return ""
        return why
