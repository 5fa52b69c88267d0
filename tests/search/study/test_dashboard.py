from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import optuna
import pytest

from search.study.dashboard import ReadOnlyJournal, make_dashboard
from search.study.journal import read_rounds
from search.study.settings import StudyError
from search.study.study import open_study, read_study
from search.study.trial import Trial
from tests.search.fakes import settings, small_space
from tests.search.report.studies import searched

DEADLINE_S = 30.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return searched(tmp_path / "study", rounds=2).directory


def opened(directory: Path) -> optuna.Study:
    journal = ReadOnlyJournal(directory / "journal.log", small_space())
    storage = optuna.storages.JournalStorage(journal)
    return optuna.load_study(study_name=directory.name, storage=storage)


def appended(directory: Path, trials: list[Trial]) -> None:
    with open_study(directory, settings()) as study:
        study.append(trials, asked=False)


def test_notes_and_deletions_do_not_reach_the_file(directory: Path) -> None:
    before = (directory / "journal.log").read_bytes()
    study = opened(directory)
    study.set_user_attr("note", "promising")
    assert study.user_attrs == {"note": "promising"}
    optuna.delete_study(study_name=directory.name, storage=study._storage)
    assert (directory / "journal.log").read_bytes() == before
    assert opened(directory).user_attrs == {}


def test_rounds_appear_as_they_finish_notes_or_not(directory: Path) -> None:
    study = opened(directory)
    rounds, _ = read_rounds(directory / "journal.log")
    trials = sum(len(finished.trials) for finished in rounds)
    assert len(study.trials) == trials
    study.set_user_attr("note", "promising")
    appended(directory, list(rounds[0].trials))
    assert len(study.trials) == trials + len(rounds[0].trials)
    assert study.user_attrs == {"note": "promising"}


def test_an_unfinished_round_is_not_shown(directory: Path) -> None:
    journal = directory / "journal.log"
    whole = journal.read_bytes()
    study = opened(directory)
    trials = len(study.trials)
    of_six = next(line for line in whole.splitlines(True) if b'"round_size": 6' in line)
    journal.write_bytes(whole + of_six + of_six[:-9])
    assert len(study.trials) == trials
    appended(directory, list(read_study(directory).rounds[0].trials))
    assert len(study.trials) == trials + 6


def test_decisions_are_parameters(directory: Path) -> None:
    space = small_space()
    rounds, _ = read_rounds(directory / "journal.log")
    ours = [trial for finished in rounds for trial in finished.trials]
    for shown, trial in zip(opened(directory).trials, ours, strict=True):
        choices = space.spell(trial.architecture)
        assert choices is not None
        assert list(shown.params) == [decision.name for decision in space.decisions]
        assert shown.params["block2.kernel_size"] in ("3", "5")
        assert shown.params["block1.convolution"] in ("conv 1", "mbconv 3")
        indices = [
            shown.distributions[name].to_internal_repr(value)
            for name, value in shown.params.items()
        ]
        assert tuple(indices) == choices


def test_a_network_that_failed_is_shown_as_failed_also_from_an_older_version(
    directory: Path,
) -> None:
    [trial, *_] = read_study(directory).rounds[0].trials
    appended(directory, [replace(trial, measurement_id=None, failure="it crashed", reward=0.5)])
    journal = directory / "journal.log"
    lines = journal.read_text().splitlines()
    as_then = json.loads(lines[-1]) | {"state": 1, "values": [0.5, 3.0]}
    journal.write_text("".join(f"{line}\n" for line in [*lines[:-1], json.dumps(as_then)]))
    shown = opened(directory).trials[-1]
    assert (shown.state.name, shown.values) == ("FAIL", None)
    assert len(shown.params) == len(small_space().decisions)


def test_where_it_is_not_installed_the_error_says_what_to_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(StudyError, match=r"pip install 'latency-lab\[dashboard\]'"):
        make_dashboard(directory, 0)


@contextmanager
def served(directory: Path) -> Iterator[str]:
    pytest.importorskip("optuna_dashboard")
    with make_dashboard(directory, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(DEADLINE_S)


def called(url: str, method: str = "GET", body: object = None) -> Any:  # noqa: ANN401
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=DEADLINE_S) as response:
        return json.loads(response.read() or "null")


def test_the_real_dashboard_shows_a_study_and_cannot_change_it(directory: Path) -> None:
    before = (directory / "journal.log").read_bytes()
    rounds = read_study(directory).rounds
    with served(directory) as url:
        [study] = called(f"{url}/api/studies")["study_summaries"]
        assert study["study_name"] == directory.name
        shown = called(f"{url}/api/studies/{study['study_id']}?after=0")
        assert len(shown["trials"]) == sum(len(finished.trials) for finished in rounds)
        assert shown["objective_names"] == ["accuracy", "latency_ms"]
        note = {"body": "promising", "version": 1}
        called(f"{url}/api/studies/{study['study_id']}/note", "PUT", note)
        shown = called(f"{url}/api/studies/{study['study_id']}?after=0")
        assert shown["note"]["body"] == "promising"
        called(f"{url}/api/studies/{study['study_id']}", "DELETE")
        assert called(f"{url}/api/studies")["study_summaries"] == []
    assert (directory / "journal.log").read_bytes() == before
    assert read_study(directory).rounds == rounds


def test_a_port_that_is_taken_is_named(directory: Path) -> None:
    with served(directory) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(StudyError, match=f"port {port} .*--port"):
            make_dashboard(directory, port)
