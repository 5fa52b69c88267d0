"""The programs of the lab: uploads, whole or in parts, and the names under which some are kept."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from host.database import programs as program_rows
from host.database.engine import Database
from host.jobs.dispatcher import Dispatcher
from host.services.access.caller import caller
from host.services.programs.partial_uploads import PartialUploads
from latlab.common.program_store import ProgramStore
from latlab.common.upload import read_chunks
from latlab.domain.errors import InvalidRequest, NotFound, UnreadableRow, WrongOffset
from latlab.domain.kernel import Kernel
from latlab.domain.program import Baseline, Program

# The programs of baselines are never removed, so their number is bounded.
MAX_BASELINES = 100
# Predictions by program need the kernels of the same programs again and again.
KNOWN_PROGRAMS = 1_024


@dataclass(frozen=True, slots=True)
class Received:
    """The parts of a program that the lab has.

    Attributes:
        received_bytes: The number of its bytes, from the beginning.
        is_complete: Whether the lab has all of them and has read the program.
    """

    received_bytes: int
    is_complete: bool


class LabPrograms:
    """Stores the programs that clients upload. Thread-safe.

    Args:
        database: Where programs are described.
        dispatcher: Knows the programs in use, which stay.
        store: Where their bytes are.
        describe: Returns an uploaded program as its bytes describe it, which lie at the path. It
            may raise InvalidRequest.
    """

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        store: ProgramStore,
        describe: Callable[[Program, Path], Program],
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._programs = store
        self._describe = describe
        self._partial = PartialUploads(store.directory / "unfinished")
        # Only programs that are found are remembered: their kernels never change.
        self.kernels = functools.lru_cache(KNOWN_PROGRAMS)(self._kernels)

    def received(self, sha256: str) -> Received:
        """Return what the lab has of a program. Raises InvalidRequest for a bad name."""
        known = self._known_program(sha256)
        if known is not None and self._programs.has(sha256, known.size_bytes):
            return Received(known.size_bytes, True)
        return Received(self._partial.received_bytes(sha256), False)

    def write(self, program: Program, offset_bytes: int, chunks: Iterable[bytes]) -> Received:
        """Go on with the upload of a program, from the beginning or where another has stopped.

        The bytes of a call that breaks off are kept. A program that the lab has takes none.

        Raises:
            WrongOffset: The offset is not where the lab's bytes end.
            InvalidRequest: The bytes are not those announced, or no program. They are forgotten.
            TooLarge: The program exceeds a limit.
            LimitReached: The owner may upload the program later.
            StorageError: The bytes cannot be stored.
        """
        sha256, size_bytes = program.sha256, program.size_bytes
        self._programs.check_size(size_bytes)
        if self._programs.has(sha256, size_bytes):
            self.add_program(program, ())
            return Received(size_bytes, True)
        self._programs.keep_reserve({*self._dispatcher.programs_in_use(), sha256})
        if offset_bytes == 0:
            self._dispatcher.use.upload(caller().owner, size_bytes)
        with self._partial.writing(sha256, size_bytes, offset_bytes) as writer:
            try:
                is_whole = any(map(writer.write, chain([b""], chunks)))
            except WrongOffset:  # another client has sent the last bytes
                if self._programs.has(sha256, size_bytes):
                    return self.received(sha256)
                raise
            if not is_whole:
                return Received(self._partial.received_bytes(sha256), False)
            try:
                self._add(program, read_chunks(self._partial.path(sha256)))
            except InvalidRequest:
                self._partial.remove(sha256)
                raise
            self._partial.remove(sha256)
        return Received(size_bytes, True)

    def add_program(self, program: Program, chunks: Iterable[bytes]) -> None:
        """Store a program. Its bytes are taken only if the lab does not have them.

        What the client says about a program is only a hint: its kernels are those that its bytes
        hold. A program that the lab knows keeps the kernels on which its measurements rest.

        Raises InvalidRequest, TooLarge, LimitReached and StorageError. If storage is full, the lab
        takes no program, and so no job, while what is being measured can still be stored.
        """
        if not self._programs.has(program.sha256, program.size_bytes):
            self._dispatcher.use.upload(caller().owner, program.size_bytes)
        self._add(program, chunks)

    def _add(self, program: Program, chunks: Iterable[bytes]) -> None:
        in_use = self._dispatcher.programs_in_use()
        self._programs.keep_reserve({*in_use, program.sha256})
        if not self._programs.has(program.sha256, program.size_bytes):
            self._programs.add(program.sha256, program.size_bytes, chunks, in_use)
        known = self._known_program(program.sha256)
        if known is None:
            program = self._described(program, in_use)
        else:
            program = replace(
                program,
                inputs=program.inputs or known.inputs,
                kernels=known.kernels,
                undelegated=known.undelegated,
            )
        with self._database.writing() as connection:
            program_rows.add_program(connection, program)

    def set_baseline(self, name: str, program_sha256: str) -> None:
        """Keep an uploaded program under a name, in place of the one that had it.

        Raises InvalidRequest if there are MAX_BASELINES others, and NotFound if the program was
        not uploaded.
        """
        self._programs.get(program_sha256)
        with self._database.writing() as connection:
            others = {each.name for each in program_rows.stored_baselines(connection)} - {name}
            if len(others) >= MAX_BASELINES:
                raise InvalidRequest(
                    f"the lab keeps {len(others)} baselines and no more: remove one with"
                    " `latlab baselines remove NAME`"
                )
            if program_rows.get_program(connection, program_sha256) is None:
                raise NotFound(f"no program {program_sha256[:12]} was uploaded: upload it first")
            program_rows.set_baseline(connection, name, program_sha256, time.time_ns())

    def baseline(self, name: str) -> Program:
        """Return the program that is kept under a name. Raises NotFound."""
        with self._database.reading() as connection:
            found = [e for e in program_rows.stored_baselines(connection) if e.name == name]
            program = (
                program_rows.get_program(connection, found[0].program_sha256) if found else None
            )
        if program is None:
            raise _no_baseline(name)
        if not self._programs.has(program.sha256, program.size_bytes):
            raise NotFound(
                f"the program of the baseline {name!r} is gone from the lab's folder: set it again"
                f" with `latlab baselines set {name} NETWORK`"
            )
        return program

    def baselines(self) -> list[Baseline]:
        """Return the programs that are kept under a name, in the order of the names."""
        with self._database.reading() as connection:
            return program_rows.stored_baselines(connection)

    def remove_baseline(self, name: str) -> None:
        """Forget a name. Raises NotFound."""
        with self._database.writing() as connection:
            if not program_rows.remove_baseline(connection, name):
                raise _no_baseline(name)

    def _kernels(self, sha256: str) -> tuple[Kernel, ...]:
        """Return the kernels of an uploaded program. Raises NotFound and UnreadableRow."""
        with self._database.reading() as connection:
            program = program_rows.get_program(connection, sha256)
        if program is None:
            raise NotFound(f"no program {sha256[:12]} was uploaded: upload it first")
        return program.kernels

    def _known_program(self, sha256: str) -> Program | None:
        try:
            with self._database.reading() as connection:
                return program_rows.get_program(connection, sha256)
        except UnreadableRow:  # it is replaced
            return None

    def _described(self, program: Program, in_use: Collection[str]) -> Program:
        """Return a new program as its bytes describe it. Bytes that are of no use are removed."""
        try:
            return self._describe(program, self._programs.path(program.sha256))
        except InvalidRequest:
            if program.sha256 not in in_use:
                self._programs.remove(program.sha256)
            raise


def _no_baseline(name: str) -> NotFound:
    return NotFound(f"no baseline {name!r}: `latlab baselines list` lists them")
