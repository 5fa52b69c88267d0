"""Accuracy by a program of the user's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search.accuracy.proxy_training import AccuracyFailure
from search.space.architecture import Architecture

MAX_TAIL_BYTES = 1 << 16  # kept of what a program says, from its end


@dataclass(frozen=True)
class CommandAccuracy:
    """The program is given an architecture as one JSON object on its standard input, as
    `Architecture.to_dict` makes it, with its `id`. The last line that it prints is the
    accuracy, a number from 0 to 1. Anything else, or another exit code than 0, has failed.

    command: split as a shell would, but run without one, in a process group of its own.
    limit_s: of one attempt, after which the whole group is killed.
    attempts: before it is a failure, the first one included. jobs: how many run at once.

    Raises ValueError where there is no such program.
    """

    command: str
    limit_s: float = 3600.0
    attempts: int = 2
    jobs: int = 1

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise ValueError(
                f"the accuracy command {self.command!r} is no shell's: {error}"
            ) from error
        if not words or shutil.which(words[0]) is None:
            raise ValueError(f"there is no program to run in the accuracy command {self.command!r}")
        if self.limit_s <= 0 or self.attempts < 1 or self.jobs < 1:
            raise ValueError("an accuracy command needs time, and at least one attempt and job")

    def evaluate(
        self,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> list[float | AccuracyFailure]:
        """In the order asked. `on_progress` is told how many are done as each one ends.
        Interrupted, it leaves no program running."""
        return asyncio.run(self._evaluate(architectures, on_progress))

    async def _evaluate(
        self, architectures: Sequence[Architecture], on_progress: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        slots = asyncio.Semaphore(self.jobs)
        done = 0

        async def one(architecture: Architecture) -> float | AccuracyFailure:
            nonlocal done
            async with slots:
                outcome = await self._attempt(architecture)
                for _ in range(self.attempts - 1):
                    if isinstance(outcome, AccuracyFailure):
                        outcome = await self._attempt(architecture)
            done += 1
            on_progress(done)
            return outcome

        return list(await asyncio.gather(*map(one, architectures)))

    async def _attempt(self, architecture: Architecture) -> float | AccuracyFailure:
        document = json.dumps({"id": architecture.id, **architecture.to_dict()}).encode() + b"\n"
        try:
            process = await asyncio.create_subprocess_exec(
                *shlex.split(self.command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return AccuracyFailure(f"the accuracy command does not start: {error.strerror}")
        try:
            said, complained = await asyncio.wait_for(_talk(process, document), self.limit_s)
        except asyncio.TimeoutError:
            return AccuracyFailure(f"the accuracy command took more than {self.limit_s:g} s")
        finally:
            # Also of what it started and left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0:
            return AccuracyFailure(
                f"the accuracy command ended with {process.returncode}: {_last_line(complained)}"
            )
        return _accuracy(_last_line(said))


async def _talk(process: asyncio.subprocess.Process, document: bytes) -> tuple[bytes, bytes]:
    """The ends of its output and of its complaints, once it has closed both."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read
        process.stdin.write(document)
        await process.stdin.drain()
    process.stdin.close()
    said, complained = await asyncio.gather(_tail(process.stdout), _tail(process.stderr))
    await process.wait()
    return said, complained


async def _tail(stream: asyncio.StreamReader) -> bytes:
    end = b""
    while chunk := await stream.read(MAX_TAIL_BYTES):
        end = (end + chunk)[-MAX_TAIL_BYTES:]
    return end


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _accuracy(line: str) -> float | AccuracyFailure:
    try:
        accuracy = float(line)
    except ValueError:
        return AccuracyFailure(f"the accuracy command ended with no number: {line[:200]}")
    if not 0 <= accuracy <= 1:
        return AccuracyFailure(f"the accuracy command gave {line}, which is not from 0 to 1")
    return accuracy
