"""Programs on their way to a remote device, while it measures others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from host.agent.client import AgentClient
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import LabError
from latlab.domain.program import Program

log = logging.getLogger(__name__)


class Uploads:
    """One at a time. What an upload takes from the device is little, and a visit that it
    does disturb is told by its samples; a device that waited for each would idle for as long
    as it measures where the way to it is slow."""

    def __init__(self, programs: ProgramStore) -> None:
        self._programs = programs
        self._thread = ThreadPoolExecutor(1, "uploads")
        self._sent: set[str] = set()
        self._under_way: tuple[str, Future[None]] | None = None

    def go_on(self, agent: AgentClient, upcoming: Sequence[Program]) -> None:
        """Begins with the first that was not sent, unless an upload is under way."""
        if self._under_way is not None and not self._under_way[1].done():
            return
        self._sent.intersection_update(program.sha256 for program in upcoming)
        for program in upcoming:
            if program.sha256 not in self._sent and self._programs.has(
                program.sha256, program.size_bytes
            ):
                self._sent.add(program.sha256)
                sending = self._thread.submit(self._send, agent, program)
                self._under_way = program.sha256, sending
                return

    def wait_for(self, program: Program) -> None:
        """Until it is not under way. Whether the device has it, the device tells: it may
        have dropped it since."""
        if self._under_way is not None and self._under_way[0] == program.sha256:
            self._under_way[1].result()

    def close(self) -> None:
        self._thread.shutdown()

    def _send(self, agent: AgentClient, program: Program) -> None:
        try:
            agent.upload(program, self._programs.path(program.sha256))
        except LabError as error:  # its visit will upload it, or say why not
            log.info("sending ahead failed: %s", error)
