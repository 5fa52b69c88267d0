"""Writing down what a device answered."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor

from host.agent.client import AgentClient
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from latlab.domain.failure import Failure
from latlab.domain.measurement import Visit


class Filing:
    """First in the database, then acknowledged, so that nothing is lost in between."""

    def __init__(self, board: Dispatcher) -> None:
        self._board = board
        self._thread = ThreadPoolExecutor(1, "filing")
        self._under_way: Future[None] | None = None

    def file(
        self, agent: AgentClient, state: JobState, run_id: str, outcome: Visit | Failure
    ) -> None:
        """Raises StorageError, Unavailable."""
        self._board.answer(state, run_id, outcome)
        agent.acknowledge(run_id)

    def file_beside(
        self,
        agent: AgentClient,
        state: JobState,
        run_id: str,
        outcome: Visit | Failure,
        held: contextlib.ExitStack,
    ) -> None:
        """While the device makes its next visit; what `held` holds is let go when it is done.
        Raises what the filing before this one has raised; then `held` holds it still."""
        self.settle()
        taken_over = held.pop_all()

        def file() -> None:
            with taken_over:
                self.file(agent, state, run_id, outcome)

        self._under_way = self._thread.submit(file)

    def settle(self) -> None:
        """Waits until nothing is being filed, and raises what filing it raised."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        self._thread.shutdown()
