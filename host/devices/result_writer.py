"""Store the outcomes of the visits that a device has made."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from host.agent.client import AgentClient
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from latlab.domain.failure import Failure
from latlab.domain.measurement import Visit


class ResultWriter:
    """Stores outcomes of visits, and then acknowledges them, so that none is lost in between."""

    def __init__(self, board: Dispatcher) -> None:
        self._board = board
        self._thread = ThreadPoolExecutor(1, "results")
        self._pending: Future[None] | None = None

    def store(
        self, agent: AgentClient, state: JobState, run_id: str, outcome: Visit | Failure
    ) -> None:
        """Store a visit's outcome, and acknowledge it to the agent. Raises LabErrors."""
        self._board.answer(state, run_id, outcome)
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

        self._pending = self._thread.submit(store)

    def settle(self) -> None:
        """Wait until no outcome is being stored, and raise what storing the last one raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait until no outcome is being stored, and end the thread."""
        self._thread.shutdown()
