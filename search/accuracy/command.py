"""Accuracy from a program of the user's."""

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

from search.accuracy.accuracy import AccuracyFailure
from search.space.architecture import Architecture

MAX_TAIL_BYTES = 1 << 16  # of a program's output, from its end


@dataclass(frozen=True)
class CommandAccuracy:
    """A source of accuracies that runs a program for each architecture.

    The program reads an architecture from its standard input, as one JSON object in the form of
    `Architecture.to_dict` with its `id`. The last line that it prints is the accuracy, a number
    from 0 to 1. Anything else, or another exit code than 0, is a failure.

    Attributes:
        command: The program and its arguments, split as a shell splits them. It runs without a
            shell, in a process group of its own.
        limit_s: Seconds for one attempt. Then the whole process group is killed.
        attempts: Number of attempts before the evaluation has failed.
        jobs: Number of programs that run at once.

    Raises:
        ValueError: There is no such program, or a number is out of its range.
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
                f"the accuracy command {self.command!r} cannot be split as a shell "
                f"splits it: {error}"
            ) from error
        if not words or shutil.which(words[0]) is None:
            raise ValueError(
                f"the accuracy command {self.command!r} names no program that can be run"
            )
        if self.limit_s <= 0 or self.attempts < 1 or self.jobs < 1:
            raise ValueError(
                "an accuracy command needs a time limit above zero, at least one attempt and at "
                "least one job"
            )

    def evaluate(
        self,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> list[float | AccuracyFailure]:
        """Return the accuracy of each architecture, in the order given.

        No program is left running after an interruption.

        Args:
            architectures: The networks.
            on_progress: Called with the number of evaluations that have ended.
        """
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
            return AccuracyFailure(f"the accuracy command cannot be started: {error.strerror}")
        try:
            output, errors = await asyncio.wait_for(_talk(process, document), self.limit_s)
        except asyncio.TimeoutError:
            return AccuracyFailure(f"the accuracy command took more than {self.limit_s:g} s")
        finally:
            # The group also holds what the program started and left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0:
            return AccuracyFailure(
                f"the accuracy command ended with exit code {process.returncode}: "
                f"{_last_line(errors)}"
            )
        return _accuracy(_last_line(output))


async def _talk(process: asyncio.subprocess.Process, document: bytes) -> tuple[bytes, bytes]:
    """Return the ends of the program's standard output and error, once it has closed both."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the program need not read
        process.stdin.write(document)
        await process.stdin.drain()
    process.stdin.close()
    output, errors = await asyncio.gather(_tail(process.stdout), _tail(process.stderr))
    await process.wait()
    return output, errors


async def _tail(stream: asyncio.StreamReader) -> bytes:
    end = b""
    while chunk := await stream.read(MAX_TAIL_BYTES):
        end = (end + chunk)[-MAX_TAIL_BYTES:]
    return end


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _accuracy(line: str) -> float | AccuracyFailure:
    try:
        accuracy = float(line)
    except ValueError:
        return AccuracyFailure(
            f"the last line of the accuracy command must be a number, not: {line[:200]}"
        )
    if not 0 <= accuracy <= 1:
        return AccuracyFailure(f"the accuracy command printed {line}: it must be from 0 to 1")
    return accuracy
