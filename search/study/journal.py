"""A study's rounds in Optuna's journal file, where each round is complete or absent.

Optuna's own backend writes and syncs trial by trial, so a kill can leave half a round. Here
Optuna makes the records of a round in memory, and one write appends them all. Optuna's
`JournalFileBackend`, and so optuna-dashboard, can read the file.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from latlab.common.files import read_regular
from search.study.combined_latency import on_each_target
from search.study.document import statistics_from_document, trial_from_document, trial_to_document
from search.study.trial import Trial, has_failed

MAX_BYTES = 1 << 30

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Round:
    """The trials that one write added to a study.

    Attributes:
        index: Number of the round in its study, from 0.
        asked: Whether the strategy was asked for these trials, and told about them, in this
            order. The other rounds measure candidates of earlier rounds, and the first one may be
            a warm start.
        trials: The round's trials.
        duration_s: How long the round took; zero where an older journal does not say. Rounds
            that differ in it alone are equal.
        statistics: What the strategy reported about its learning from this round, by name; empty
            if it reports nothing, or where an older journal does not say.
    """

    index: int
    asked: bool
    trials: tuple[Trial, ...]
    duration_s: float = field(default=0.0, compare=False)
    statistics: Mapping[str, float] = field(default_factory=dict)


def append_round(
    path: Path, study_name: str, finished: Round, separate_targets: Sequence[str] = ()
) -> None:
    """Append a round by one write and one sync.

    Args:
        path: The journal, which holds no unfinished round and may be empty.
        study_name: Name of the study, as Optuna shows it.
        finished: The round to append.
        separate_targets: The ids of the targets whose latencies are Optuna's objectives, always
            the same in one journal. Without any, the combined latency is an objective.

    Raises:
        OSError: The disk is full or cannot be written. The journal may then end with a part of
            the round, which `read_rounds` ignores.
    """
    records = _records(study_name, finished, separate_targets)
    with path.open("a") as file:
        if file.tell() > 0:
            records = records[-len(finished.trials) :]  # without those that make the study
        file.write("".join(json.dumps(record) + "\n" for record in records))
        file.flush()
        os.fsync(file.fileno())


def read_rounds(path: Path) -> tuple[list[Round], int]:
    """Return the finished rounds and the offset in bytes at which they end.

    Behind the offset lies what a killed search left of an unfinished round.

    Raises:
        ValueError: The file cannot be read or is damaged.
    """
    rounds: list[Round] = []
    attributes: list[dict[str, Any]] = []
    offset = end = 0
    try:
        lines = read_regular(path, MAX_BYTES).splitlines(keepends=True)
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        offset += len(line)
        if not line.endswith(b"\n"):
            break
        try:
            record = json.loads(line)
            if "user_attrs" in record:  # of a trial; others make the study, or annotate it
                attributes.append(record["user_attrs"])
            if attributes and len(attributes) == attributes[0]["round_size"]:
                trials = tuple(map(trial_from_document, attributes))
                asked, duration_s = attributes[0]["asked"], _duration_s(record)
                statistics = statistics_from_document(attributes[0].get("statistics", {}))
                rounds.append(Round(len(rounds), asked, trials, duration_s, statistics))
                attributes = []
            if rounds and not attributes:
                end = offset
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(f"line {number} of {path} is damaged: {error!r}") from error
    return rounds, end


class _Memory(BaseJournalBackend):
    """A backend that keeps Optuna's records in a list."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.records[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.records += logs


def _records(
    study_name: str, finished: Round, separate_targets: Sequence[str]
) -> list[dict[str, Any]]:
    """Return Optuna's records of a new study that holds this round; its trials come last."""
    memory = _Memory()
    latencies = [f"latency_ms on {id_}" for id_ in separate_targets] or ["latency_ms"]
    study = optuna.create_study(
        study_name=study_name,
        storage=optuna.storages.JournalStorage(memory),
        directions=[StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * len(latencies)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(["accuracy", *latencies])
    study.add_trials(
        _to_optuna(trial, finished, bool(separate_targets)) for trial in finished.trials
    )
    return memory.records


def _to_optuna(trial: Trial, finished: Round, separate_targets: bool) -> FrozenTrial:
    attributes = trial_to_document(trial) | {
        "architecture_id": trial.architecture.id,
        "round_size": len(finished.trials),
        "asked": finished.asked,
    }
    if finished.statistics:
        attributes["statistics"] = dict(finished.statistics)
    if trial.accuracy is None or trial.latency is None or has_failed(trial):
        made = optuna.create_trial(state=TrialState.FAIL, user_attrs=attributes)
    else:
        latencies = on_each_target(trial.latency) if separate_targets else (trial.latency,)
        values = [trial.accuracy, *(latency.latency_ns / 1e6 for latency in latencies)]
        made = optuna.create_trial(values=values, user_attrs=attributes)
    made.datetime_complete = datetime.now()
    made.datetime_start = made.datetime_complete - timedelta(seconds=finished.duration_s)
    return made


def _duration_s(record: dict[str, Any]) -> float:
    started, ended = record["datetime_start"], record["datetime_complete"]
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
