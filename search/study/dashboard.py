"""optuna-dashboard on a study, which it cannot change."""

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

from search.space.architecture import Architecture
from search.space.space import SPACES, Space
from search.study.journal import read_rounds
from search.study.settings import StudyError
from search.study.study import JOURNAL, read_study


def make_dashboard(directory: Path, port: int) -> WSGIServer:
    """Listening on loopback, on any free port where it is 0. Raises StudyError where there is
    no study, no optuna-dashboard, or where another listens there."""
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
    """A study's journal, read on as rounds finish. What is written here (notes, deletions)
    stays in memory: in the file it could follow half a line of a search that was killed.

    space: its decisions become Optuna's parameters, which the journal has no need of.
    """

    def __init__(self, path: Path, space: Space | None) -> None:
        self._path = path
        self._space = space
        self._read_to = 0  # bytes
        self._records: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        if self._path.stat().st_size > self._read_to:
            _, end = read_rounds(self._path)
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                lines = file.read(end - self._read_to).splitlines()
            self._records += [self._with_parameters(json.loads(line)) for line in lines]
            self._read_to = end
        return self._records[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._records += logs

    def _with_parameters(self, record: dict[str, Any]) -> dict[str, Any]:
        """Those of a network outside the space stay unknown."""
        if self._space is None or "user_attrs" not in record:
            return record
        architecture = Architecture.from_dict(record["user_attrs"]["architecture"])
        choices = self._space.spell(architecture)
        if choices is None:
            return record
        decisions = self._space.decisions
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
    """Without a line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        pass
