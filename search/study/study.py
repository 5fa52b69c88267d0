"""A study on disk: its settings and, round by round, its trials.

runs/<name>/
├── study.json    the settings, which are fixed when the study is made
├── journal.log   Optuna's journal file, one write for each round; optuna-dashboard reads it
└── lock          held by the one search that may write
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from latlab.common.files import read_regular, replacing, storing
from search.space.architecture import Architecture
from search.study.document import (
    DocumentError,
    flat_settings,
    settings_from_document,
    settings_to_document,
)
from search.study.journal import Round, append_round, read_rounds
from search.study.settings import StudyError, StudySettings
from search.study.trial import Trial, without_undue_reward

SETTINGS, JOURNAL = "study.json", "journal.log"
MAX_SETTINGS_BYTES = 1 << 20
LONGEST_NAME = 100  # characters
NAME = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


@dataclass
class Study:
    """A study's settings and finished rounds, to which rounds are only ever added."""

    directory: Path
    settings: StudySettings
    rounds: list[Round]
    _latest: dict[Architecture, Trial] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _rounds_in_latest: int = field(default=0, init=False, repr=False, compare=False)

    def latest(self) -> dict[Architecture, Trial]:
        """Return the newest trial of each architecture, in the order they first appeared.

        A network that failed has no reward, also in a study of an older version.
        """
        # Each round is added once. A search asks every round, and would take time that grows
        # with the square of its length.
        for finished in self.rounds[self._rounds_in_latest :]:
            self._latest |= _newest([finished])
        self._rounds_in_latest = len(self.rounds)
        return dict(self._latest)

    def latest_before(self, index: int) -> dict[Architecture, Trial]:
        """Return what `latest` returned before the round of an index was added."""
        return _newest(self.rounds[:index])


@dataclass
class OpenStudy(Study):
    """A study under its lock, to which rounds can be appended.

    Attributes:
        since_s: When the next round to append began, by the monotonic clock: when the study was
            opened, or when the round before ended.
    """

    since_s: float

    def append(
        self,
        trials: Sequence[Trial],
        *,
        asked: bool = True,
        statistics: Mapping[str, float] | None = None,
    ) -> None:
        """Add a finished round by one write that is synced to disk.

        If the process is killed during the write, the study is as it was before or after it.

        Args:
            trials: The round's trials, at least one.
            asked: Whether the strategy was asked for these trials, in this order.
            statistics: What the strategy reports about its learning from them, by name.

        Raises:
            StorageError: The disk is full or cannot be written.
        """
        now_s = time.monotonic()
        duration_s = now_s - self.since_s
        finished = Round(len(self.rounds), asked, tuple(trials), duration_s, statistics or {})
        with storing(self.directory / JOURNAL):
            append_round(
                self.directory / JOURNAL,
                self.directory.name,
                finished,
                self.settings.target_ids if self.settings.separate_targets else (),
            )
        self.rounds.append(finished)
        self.since_s = now_s


def _newest(rounds: Iterable[Round]) -> dict[Architecture, Trial]:
    return {t.architecture: without_undue_reward(t) for each in rounds for t in each.trials}


def study_folder(runs: Path, name: str) -> Path:
    """Return the folder of a study, which need not exist yet.

    A study in `runs` that an older version made under another kind of name is found as well.

    Raises:
        StudyError: The name holds other characters than letters, digits, ".", "_" and "-",
            begins with a dot, or is too long.
    """
    if NAME.fullmatch(name) or _exists(runs, name):
        return runs / name
    raise StudyError(
        f"a study cannot be named {name!r}: use letters, digits, '.', '_' and '-', do not begin "
        f"with '.', and use 1 to {LONGEST_NAME} characters"
    )


def _exists(runs: Path, name: str) -> bool:
    """Return whether a study of this name lies in `runs`, and not somewhere outside."""
    parts = name.split("/")
    inside = all(part not in ("", ".", "..") for part in parts)
    if inside and name.isprintable():
        with suppress(OSError):  # the name may be too long for a file
            return (runs / name / SETTINGS).is_file()
    return False


def read_settings(directory: Path) -> StudySettings:
    """Return the settings of the study in a folder.

    Raises:
        StudyError: There is no study, or its settings cannot be read.
    """
    path = directory / SETTINGS
    try:
        return settings_from_document(json.loads(read_regular(path, MAX_SETTINGS_BYTES)))
    except (FileNotFoundError, NotADirectoryError):
        raise StudyError(f"there is no study in {directory}") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    except (DocumentError, ValueError, ArithmeticError, RecursionError) as error:
        raise StudyError(f"{path} was made by another version or is damaged: {error}") from error


def read_study(directory: Path) -> Study:
    """Return the study in a folder with its finished rounds, also while a search runs.

    Raises:
        StudyError: There is no study, no round of it has finished, or it cannot be read.
    """
    settings = read_settings(directory)
    rounds, _ = _read_journal(directory)
    if not rounds:
        raise StudyError(f"the study in {directory} is empty: no round of it has finished")
    return Study(directory, settings, rounds)


@contextmanager
def open_study(directory: Path, settings: StudySettings) -> Iterator[OpenStudy]:
    """Make a study or resume one, without the round that did not finish.

    Raises:
        StudyError: Another search holds the study, it was made with other settings, or this
            system cannot lock it.
    """
    try:
        import fcntl  # Windows lacks it, and can read studies all the same
    except ImportError as error:
        raise StudyError(f"a search needs file locks, as Linux has them: {error}") from error
    with storing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        lock_file = (directory / "lock").open("a")
    with lock_file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released whenever the process ends
        except BlockingIOError:
            raise StudyError(f"another search is running the study in {directory}") from None
        if (directory / SETTINGS).exists():
            _check_same(directory, read_settings(directory), settings)
        else:
            with replacing(directory / SETTINGS) as draft:
                draft.write_text(json.dumps(settings_to_document(settings), indent=2) + "\n")
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
    before, now = flat_settings(made_with), flat_settings(asked_for)
    differences = [
        f"{name} was {before.get(name)!r} and is now {now.get(name)!r}"
        for name in before | now
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise StudyError(
            f"the study in {directory} was made with other settings: {'; '.join(differences)}. "
            "Use those settings, or another name"
        )
