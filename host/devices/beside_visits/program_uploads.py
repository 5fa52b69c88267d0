"""Send programs to a remote device while it measures others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, wait

from host.agent.client import AgentClient
from host.devices.beside_visits.threads import SHARED_THREADS
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import LabError
from latlab.domain.program import Program

log = logging.getLogger(__name__)


class ProgramUploads:
    """Uploads one program at a time, beside the visits.

    Attributes:
        waiting: How many programs of jobs whose turn comes soon were still to be sent when the
            last upload began.

    An upload disturbs a visit little, and the samples show it if it does. Without this, a device
    behind a slow network would idle during each upload.
    """

    waiting: int = 0

    def __init__(self, programs: ProgramStore) -> None:
        self._programs = programs
        self._sent: set[str] = set()
        self._current: tuple[str, Future[None]] | None = None

    @property
    def is_sending(self) -> bool:
        """True while a program is being sent."""
        return self._current is not None and not self._current[1].done()

    def start_next(self, agent: AgentClient, upcoming: Sequence[Program]) -> None:
        """Start to send the first upcoming program that was not sent, unless one is being sent."""
        if self.is_sending:
            return
        self._sent.intersection_update(program.sha256 for program in upcoming)
        self.waiting = max(0, len(upcoming) - len(self._sent) - 1)  # one is sent now
        for program in upcoming:
            if program.sha256 not in self._sent and self._programs.has(
                program.sha256, program.size_bytes
            ):
                self._sent.add(program.sha256)
                sending = SHARED_THREADS.submit(self._send, agent, program)
                self._current = program.sha256, sending
                return

    def wait_for(self, program: Program) -> None:
        """Wait until the program is not being sent. The device may have dropped it since."""
        if self._current is not None and self._current[0] == program.sha256:
            self._current[1].result()

    def close(self) -> None:
        """Wait for the current upload."""
        wait([self._current[1]] if self._current is not None else [])

    def _send(self, agent: AgentClient, program: Program) -> None:
        try:
            agent.upload(program, self._programs.path(program.sha256))
        except (LabError, OSError) as error:  # its visit uploads it, or says why that fails
            log.info("an upload ahead of its visit failed: %s", error)
