"""Commands that are given hostile values, beside a lab that refuses to work."""

from __future__ import annotations

import functools
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import typer
import typer.testing
from typer.core import TyperGroup
from typer.testing import CliRunner

from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.client.connection.calls import Calls
from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.steps import Attempt, Wait
from latlab.convert.latency import target_to_message
from latlab.domain.errors import Unavailable
from latlab.domain.target import Target
from latlab.v1 import latency_pb2
from search.accuracy.checkpoint import CheckpointError
from search.cli import app
from tests.search.cli.hostile_values import Scratch

TIMEOUT_S = 30
HOME = "LATLAB_HOME"
USAGE = {0, 1, 2}  # what a command may end with that names no exit codes
# What a required argument is where another value is the hostile one.
SOUND = {"networks": "mnasnet-a1", "first": "mnasnet-a1", "second": "mnasnet-b1"}
# What lets more of a command run.
BESIDE = {
    "search": ["--target-latency", "5"],
    "train": ["--top", "1", "--resolution", "32", "--epochs", "1"],
}
NEEDED = {
    "table_column": ["--table", "inputs/lone.csv"],
    "accuracy_limit_s": ["--accuracy-command", "true"],
}
NEEDED["table_fit"] = NEEDED["table_column"]
SLOW_CHECKS = {"check_adb", "check_usb", "check_phones", "check_loopback", "check_processor"}


class Hangs(BaseException):
    """Raised in a command that takes too long; no command catches it."""


@dataclass(frozen=True)
class Case:
    """A command, as its words; which of its parameters is hostile, by its name or HOME."""

    command: tuple[str, ...]
    parameter: str
    value: str
    arguments: tuple[str, ...]
    may_write: tuple[Path, ...] = ()  # with all that lies in them

    def __str__(self) -> str:
        value = repr(self.value if len(self.value) < 60 else f"{self.value[:30]}…")
        return f"latlab {' '.join(self.command)}: {self.parameter} = {value}"


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    parameters: tuple[Any, ...]
    exit_codes: frozenset[int]

    def case(self, scratch: Scratch, parameter: str, value: str) -> Case:
        arguments = list(BESIDE.get(self.words[0], ()))
        arguments += NEEDED.get(parameter, ())
        positional: list[str] = []
        for each in self.parameters:
            hostile = each.name == parameter
            if each.param_type_name == "argument":
                if hostile or each.required:
                    positional.append(value if hostile else SOUND.get(each.name, "first"))
            elif hostile:
                arguments += [f"{each.opts[0]}={value}"] if each.is_flag else [each.opts[0], value]
        # Values like "--help" are meant to be values.
        arguments += ["--", *positional] if positional else []
        return Case(
            self.words, parameter, value, tuple(arguments), self._places(scratch, parameter, value)
        )

    def _places(self, scratch: Scratch, parameter: str, value: str) -> tuple[Path, ...]:
        """Where this may write. Of `runs` that is in its studies, not beside them."""
        places = [scratch.home, scratch.work / "first-phone.log", scratch.work / "parity.png"]
        runs = scratch.work / "runs"
        if self.is_path(parameter):
            named = Path(os.path.normpath(scratch.work / value))
            # Of "a/../b" both are made, but what was there before is not its own.
            way = (os.path.normpath(scratch.work / part) for part in Path(value).parents)
            made = [Path(part) for part in way if not scratch.work.is_relative_to(part)]
            places += [named, *made, scratch.user]
            runs = named if parameter == "runs" else runs
        return (
            *places,
            *(runs / name for name in ("first", "comparisons", value) if _is_name(name)),
        )

    def is_path(self, parameter: str) -> bool:
        return parameter == HOME or any(
            each.name == parameter and each.opts[-1] in ("--output", "--plot", "--runs")
            for each in self.parameters
        )


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[\w-][\w.-]*", text) is not None


def commands() -> list[Command]:
    """All that there are, with the exit codes that their help names."""
    return list(_commands(typer.main.get_command(app), ()))


def _commands(group: Any, words: tuple[str, ...]) -> Iterator[Command]:  # noqa: ANN401
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, (*words, name))
        else:
            named = re.findall(r"\b(\d+) (?:when|for)\b", command.epilog or "")
            codes = frozenset(map(int, named)) - {130} or USAGE
            parameters = (each for each in command.params if each.name not in ("help", "context"))
            yield Command((*words, name), tuple(parameters), frozenset(codes))


def wrong(command: Command, case: Case, scratch: Scratch) -> str | None:
    """Run a command in this process; what is wrong with how it ends, in a line."""
    if case.parameter == HOME and ("\0" in case.value):
        return None  # no environment can hold it
    environment = {HOME: str(scratch.home), "HOME": str(scratch.user), "COLUMNS": "80"}
    if case.parameter == HOME:
        environment[HOME] = case.value
    folder = Path.cwd()
    os.chdir(scratch.work)
    signal.alarm(TIMEOUT_S)
    try:
        result = CliRunner().invoke(app, [*case.command, *case.arguments], env=environment)
    except Hangs:
        scratch.clear()
        return f"it takes more than {TIMEOUT_S} s"
    finally:
        signal.alarm(0)
        os.chdir(folder)
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        scratch.clear()
        return f"traceback: {type(error).__name__}: {error}"[:300]
    return wrong_end(command, case, scratch, result.exit_code, result.stdout, result.stderr)


def wrong_end(
    command: Command, case: Case, scratch: Scratch, code: int, output: str, errors: str
) -> str | None:
    strays = [path for path in scratch.changes() if not _belongs(path, case.may_write)]
    if "Traceback (most recent call last)" in output + errors:
        return f"traceback: {errors.strip().splitlines()[-2:]}"[:300]
    if code not in command.exit_codes:
        return f"exit code {code}, which its help does not name"
    if code and not (errors.strip() or output.strip()):
        return f"exit code {code} without a word"
    return f"wrote {', '.join(map(str, strays))}" if strays else None


def _belongs(path: Path, places: tuple[Path, ...]) -> bool:
    """In one of them, or a folder made on the way there."""
    return any(path.is_relative_to(place) or place.is_relative_to(path) for place in places)


@contextmanager
def refusing_lab(scratch: Scratch) -> Iterator[Callable[[bool], None]]:
    """Whatever would take long or need a device ends at once with an error. What is yielded
    says whether a lab runs at all."""
    target = Target("board", "os", "runtime", "build", "xnnpack", 1, "all")
    runs = [True]
    real_connect = LatencyClient.connect

    def connect(root: Path | None = None) -> LatencyClient:
        if not runs[0]:
            return real_connect(root)
        home = LabHome.from_environment() if root is None else LabHome(root)
        LockedProcess(home.daemon_file, home.lock_file).info()
        home.create()
        client = LatencyClient("127.0.0.1:1", home.token())
        client._calls = _Refusing(client._calls.endpoint, target)
        return client

    def hang(*_: object) -> NoReturn:
        raise Hangs

    import optuna_dashboard  # noqa: F401 -- imported here, it is not part of a command's time

    import search.accuracy.data.readers as readers
    import search.finalists
    import search.report.comparison.page
    import search.report.study.page  # noqa: F401

    command = typer.main.get_command(app)
    from host.doctor import checks

    quick = tuple(check for check in checks.CHECKS if check.__name__ not in SLOW_CHECKS)
    nothing = functools.partial(_return, None)
    with ExitStack() as stack:
        for name, replacement in {
            "typer.testing._get_command": functools.partial(_return, command),
            "latlab.client.client.LatencyClient.connect": connect,
            "host.doctor.checks.CHECKS": quick,
            "latlab.export.reference.export_sentinel": nothing,
            "latlab.common.background_process.subprocess.Popen": _refuse,
            "latlab.export.ExportPool.export_each": _refuse,
            "search.study.dashboard._Server.serve_forever": nothing,
            "search.accuracy.data.readers.read_digits": functools.cache(readers.read_digits),
            "search.finalists.train_one": _train,
            "search.report.study.page.plots.accuracy_latency": nothing,
            "search.report.study.page.plots.progress": nothing,
            "search.report.study.page.diversity": nothing,
            "search.report.study.page._search_parity": nothing,
            **{
                f"search.report.comparison.page.plots.{plot}": nothing
                for plot in ("hypervolumes", "fronts", "rewards", "by_reward", "diversity")
            },
        }.items():
            stack.enter_context(patch(name, replacement))
        before = signal.signal(signal.SIGALRM, hang)
        stack.callback(signal.signal, signal.SIGALRM, before)
        yield lambda is_up: runs.__setitem__(0, is_up)


class _Refusing(Calls):
    """Calls of a lab that knows one target and does nothing. Requests are made for real."""

    def __init__(self, endpoint: Endpoint, target: Target) -> None:
        super().__init__(endpoint)
        self._target = target

    def _do(self, step: Attempt | Wait) -> object:
        if isinstance(step, Attempt) and isinstance(step.request, latency_pb2.ListTargetsRequest):
            status = latency_pb2.TargetStatus(target=target_to_message(self._target), devices=1)
            return latency_pb2.ListTargetsResponse(targets=[status])
        _refuse()

    def open(self, *_: object, **__: object) -> Iterator[object]:
        _refuse()

    def stream(self, *_: object, **__: object) -> Iterator[NoReturn]:
        _refuse()


def _refuse(*_: object, **__: object) -> NoReturn:
    raise Unavailable("this lab refuses to work")


def _train(*_: object, **__: object) -> NoReturn:
    raise CheckpointError("nothing is trained here")


def _return(value: object, *_: object, **__: object) -> object:
    return value
