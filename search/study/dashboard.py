"""A server that shows a study in optuna-dashboard, without changing it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from search.space.architecture import Architecture
from search.space.space import SPACES, Space
from search.study.document import trial_from_document
from search.study.journal import read_rounds
from search.study.settings import StudyError
from search.study.study import JOURNAL, read_study
from search.study.trial import has_failed


def make_dashboard(directory: Path, port: int) -> WSGIServer:
    """Return a server of optuna-dashboard that listens on loopback.

    Args:
        directory: The study's folder.
        port: The port to listen on; 0 stands for any free port.

    Raises:
        StudyError: There is no study, optuna-dashboard is not installed, or the port is taken.
    """
    study = read_study(directory)
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise StudyError(
            "optuna-dashboard is not installed: pip install 'latency-lab[dashboard]'"
        ) from None
    journal = ReadOnlyJournal(directory / JOURNAL, SPACES.get(study.settings.space))
    try:
        return make_server("127.0.0.1", port, wsgi(JournalStorage(journal)), _Server, _Quiet)
    except OSError as error:
        raise StudyError(
            f"the dashboard cannot listen on port {port} ({error.strerror}): "
            "choose another with --port"
        ) from error


class ReadOnlyJournal(BaseJournalBackend):
    """A study's journal for Optuna, which reads further as rounds finish.

    What the dashboard writes (notes, deletions) stays in memory. In the file it could follow
    half a line of a search that was killed.

    Args:
        path: The journal's file.
        space: The space whose decisions become Optuna's parameters, which the journal does not
            hold. None leaves the trials without parameters.
    """

    def __init__(self, path: Path, space: Space | None) -> None:
        self._path = path
        self._space = space
        self._read_to = 0  # bytes
        self._records: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return Optuna's records from a number on, those of new rounds included."""
        if self._path.stat().st_size > self._read_to:
            _, end = read_rounds(self._path)
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                lines = file.read(end - self._read_to).splitlines()
            self._records += [self._as_shown(json.loads(line)) for line in lines]
            self._read_to = end
        return self._records[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keep the records that the dashboard writes in memory, not in the file."""
        self._records += logs

    def _as_shown(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a trial's record with its parameters, and as failed if its network failed.

        It has no parameters if its network lies outside the space. Journals of older versions
        hold the values of networks whose measurements failed.
        """
        if "user_attrs" not in record:
            return record
        if has_failed(trial_from_document(record["user_attrs"])):
            record |= {"state": TrialState.FAIL.value, "value": None, "values": None}
        return record if self._space is None else self._with_parameters(record, self._space)

    @staticmethod
    def _with_parameters(record: dict[str, Any], space: Space) -> dict[str, Any]:
        architecture = Architecture.from_dict(record["user_attrs"]["architecture"])
        choices = space.spell(architecture)
        if choices is None:
            return record
        decisions = space.decisions
        return record | {
            "params": {d.name: index for d, index in zip(decisions, choices, strict=True)},
            "distributions": {
                d.name: distribution_to_json(CategoricalDistribution(list(map(_text, d.choices))))
                for d in decisions
            },
        }


def _text(choice: object) -> str:
    return " ".join(map(str, choice)) if isinstance(choice, tuple) else str(choice)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """A request handler that does not log each request."""

    def log_message(self, format: str, *args: object) -> None:
        pass
