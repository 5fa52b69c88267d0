"""A study's rounds in Optuna's journal file, each whole or not at all.

Optuna's own backend writes and syncs trial by trial, so a kill can leave half a round. Here
Optuna makes a round's records in memory and one write appends them all, to a file that its
`JournalFileBackend`, and so optuna-dashboard, reads like its own.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from latlab.common.files import read_regular
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import LatencyEstimate, Source
from search.space.architecture import Architecture
from search.study.combined_latency import CombinedEstimate
from search.study.json_values import check_types
from search.study.trial import Trial

MAX_BYTES = 1 << 30

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Round:
    """`asked`: the strategy was asked for these trials and is told of them, in this order.
    The other rounds measure, once the search is over, what had only been predicted; the first
    of all may be a warm start.

    duration_s: what the round took; zero where an older journal does not tell. No part of
    what makes two rounds equal.
    """

    index: int
    asked: bool
    trials: tuple[Trial, ...]
    duration_s: float = field(default=0.0, compare=False)


def append_round(path: Path, study_name: str, finished: Round) -> None:
    """One write and one sync. `path` has no unfinished round, and may be empty. Raises
    OSError, e.g. on a full disk, and may then leave a part that `read_rounds` passes over."""
    records = _records(study_name, finished)
    with path.open("a") as file:
        if file.tell() > 0:
            records = records[-len(finished.trials) :]  # without those that make the study
        file.write("".join(json.dumps(record) + "\n" for record in records))
        file.flush()
        os.fsync(file.fileno())


def read_rounds(path: Path) -> tuple[list[Round], int]:
    """The finished rounds, and the offset in bytes at which what belongs to them ends; behind
    it lies what a kill left of another. Raises ValueError where the file is damaged."""
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
                trials = tuple(_to_trial(values) for values in attributes)
                asked, duration_s = attributes[0]["asked"], _duration_s(record)
                rounds.append(Round(len(rounds), asked, trials, duration_s))
                attributes = []
            if rounds and not attributes:
                end = offset
        except (ValueError, LookupError, TypeError, RecursionError, InvalidRequest) as error:
            raise ValueError(f"line {number} of {path} is damaged: {error!r}") from error
    return rounds, end


class _Memory(BaseJournalBackend):
    """Optuna's records, kept in a list."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.records[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.records += logs


def _records(study_name: str, finished: Round) -> list[dict[str, Any]]:
    """Optuna's records of a new study with this round in it, the trials' last."""
    memory = _Memory()
    study = optuna.create_study(
        study_name=study_name,
        storage=optuna.storages.JournalStorage(memory),
        directions=["maximize", "minimize"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(["accuracy", "latency_ms"])
    study.add_trials(_to_optuna(trial, finished) for trial in finished.trials)
    return memory.records


def _to_optuna(trial: Trial, finished: Round) -> FrozenTrial:
    attributes: dict[str, Any] = asdict(trial) | {
        "architecture": trial.architecture.to_dict(),
        "architecture_id": trial.architecture.id,
        "round_size": len(finished.trials),
        "asked": finished.asked,
    }
    if trial.accuracy is None or trial.latency is None:
        made = optuna.create_trial(state=TrialState.FAIL, user_attrs=attributes)
    else:
        values = [trial.accuracy, trial.latency.latency_ns / 1e6]
        made = optuna.create_trial(values=values, user_attrs=attributes)
    made.datetime_complete = datetime.now()
    made.datetime_start = made.datetime_complete - timedelta(seconds=finished.duration_s)
    return made


def _duration_s(record: dict[str, Any]) -> float:
    started, ended = record["datetime_start"], record["datetime_complete"]
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def _to_trial(attributes: dict[str, Any]) -> Trial:
    trial = Trial(
        architecture=Architecture.from_dict(attributes["architecture"]),
        round=attributes["round"],
        accuracy=attributes["accuracy"],
        latency=to_estimate(attributes["latency"]),
        reward=attributes["reward"],
        predicted=to_estimate(attributes["predicted"]),
        measurement_id=attributes["measurement_id"],
        failure=attributes["failure"],
        device_s=attributes.get("device_s", 0.0),  # older studies have neither
        disturbed=attributes.get("disturbed", 0),
    )
    check_types(trial)
    if trial.accuracy is not None and not 0 <= trial.accuracy <= 1:
        raise ValueError(f"the accuracy is {trial.accuracy}")
    return trial


def to_estimate(values: dict[str, Any] | None) -> LatencyEstimate | None:
    """What `asdict` made of it, and JSON."""
    return None if values is None else _to_estimate(values)


def _to_estimate(values: dict[str, Any]) -> LatencyEstimate:
    values = values | {"source": Source(values["source"])}
    if "parts" not in values:
        estimate = LatencyEstimate(**values)
    else:
        parts = tuple(map(_to_estimate, values["parts"]))
        estimate = CombinedEstimate(**values | {"parts": parts})
    check_types(estimate)
    if estimate.latency_ns <= 0:
        raise ValueError(f"the latency is {estimate.latency_ns} ns")
    return estimate
