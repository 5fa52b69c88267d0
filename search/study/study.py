"""A study on disk: what was asked for and, round by round, what was learned.

runs/<name>/
├── study.json    the settings, fixed when the study is made
├── journal.log   Optuna's journal file, one write a round; optuna-dashboard reads it
└── lock          held by the one search that may write"""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from latlab.common.files import read_regular, replacing, storing
from search.space.architecture import Architecture
from search.study.journal import Round, append_round, read_rounds
from search.study.json_values import check_types
from search.study.settings import StudyError, StudySettings
from search.study.trial import Trial

SETTINGS, JOURNAL = "study.json", "journal.log"
MAX_SETTINGS_BYTES = 1 << 20
LONGEST_NAME = 100  # characters
NAME = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


@dataclass
class Study:
    """The settings and the finished rounds."""

    directory: Path
    settings: StudySettings
    rounds: list[Round]

    def latest(self) -> dict[Architecture, Trial]:
        """The newest trial of each architecture, in the order they first appeared."""
        return {trial.architecture: trial for round in self.rounds for trial in round.trials}


@dataclass
class OpenStudy(Study):
    """A study under its lock, to which rounds can be appended.

    since_s: when, by the monotonic clock, the round that is appended next began: when the
    study was opened, or the round before ended.
    """

    since_s: float

    def append(self, trials: Sequence[Trial], *, asked: bool = True) -> None:
        """Add a finished round: one write, synced to disk. Killed at any byte of it, the study
        is as it was before or after.

        asked: whether the strategy was asked for these trials, in this order.
        """
        now_s = time.monotonic()
        finished = Round(len(self.rounds), asked, tuple(trials), now_s - self.since_s)
        with storing(self.directory / JOURNAL):
            append_round(self.directory / JOURNAL, self.directory.name, finished)
        self.rounds.append(finished)
        self.since_s = now_s


def study_folder(runs: Path, name: str) -> Path:
    """Return the folder of the study `name` in `runs`, which need not be there yet.

    Raises StudyError for any name that is not of letters, digits, ".", "_" and "-", begins with
    a dot, or is too long. A study in `runs` that older versions made by another name is found.
    """
    if NAME.fullmatch(name) or _is_there(runs, name):
        return runs / name
    raise StudyError(
        f"no study can be named {name!r}: a name is of letters, digits, '.', '_' and '-', does "
        f"not begin with '.', and has 1 to {LONGEST_NAME} characters"
    )


def _is_there(runs: Path, name: str) -> bool:
    """Whether a study of this name lies in `runs`, wherever the name would lead."""
    parts = name.split("/")
    inside = all(part not in ("", ".", "..") for part in parts)
    if inside and name.isprintable():
        with suppress(OSError):  # the name may be too long for a file
            return (runs / name / SETTINGS).is_file()
    return False


def read_settings(directory: Path) -> StudySettings:
    """Raises StudyError where there is no study."""
    path = directory / SETTINGS
    try:
        settings = StudySettings(**json.loads(read_regular(path, MAX_SETTINGS_BYTES)))
        check_types(settings)
    except (FileNotFoundError, NotADirectoryError):
        raise StudyError(f"there is no study in {directory}") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise StudyError(f"{path} was made by another version or is damaged: {error}") from error
    return settings


def read_study(directory: Path) -> Study:
    """The finished rounds, even while a search runs. Raises StudyError where there are none."""
    settings = read_settings(directory)
    rounds, _ = _read_journal(directory)
    if not rounds:
        raise StudyError(f"the study in {directory} is empty: no round of it has finished")
    return Study(directory, settings, rounds)


@contextmanager
def open_study(directory: Path, settings: StudySettings) -> Iterator[OpenStudy]:
    """Make a study or resume one, without the round that did not finish.

    Raises StudyError where another search holds it or its settings are others.
    """
    with storing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        lock_file = (directory / "lock").open("a")
    with lock_file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however
        except BlockingIOError:
            raise StudyError(f"another search is running the study in {directory}") from None
        if (directory / SETTINGS).exists():
            _check_same(directory, read_settings(directory), settings)
        else:
            with replacing(directory / SETTINGS) as draft:
                draft.write_text(json.dumps(asdict(settings), indent=2) + "\n")
        rounds, end = _read_journal(directory)
        with storing(directory / JOURNAL), (directory / JOURNAL).open("ab") as journal:
            journal.truncate(end)
        yield OpenStudy(directory, settings, rounds, time.monotonic())


def _read_journal(directory: Path) -> tuple[list[Round], int]:
    try:
        return read_rounds(directory / JOURNAL)
    except ValueError as error:
        raise StudyError(str(error)) from error


def _check_same(directory: Path, made_with: StudySettings, asked_for: StudySettings) -> None:
    differences = [
        f"{setting.name} was {before!r} and is now {now!r}"
        for setting in fields(StudySettings)
        if (before := getattr(made_with, setting.name)) != (now := getattr(asked_for, setting.name))
    ]
    if differences:
        raise StudyError(
            f"the study in {directory} was made with other settings: {'; '.join(differences)}. "
            "Use those, or another name"
        )
