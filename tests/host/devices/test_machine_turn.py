from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from host.devices.machine_turn import MachineTurn
from latlab.common.turns.locks import TurnLocks


def test_within_a_turn_neither_the_daemons_nor_other_work_runs(tmp_path: Path) -> None:
    quiet, work = threading.Lock(), TurnLocks(tmp_path)
    turn = MachineTurn(quiet, tmp_path)
    for _ in range(2):
        with turn:
            assert quiet.locked()
            assert not work.begin_work()
        assert not quiet.locked()
        assert work.begin_work()
        work.end_work()


def test_work_that_does_not_stop_delays_a_visit_and_prevents_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("host.devices.machine_turn.PATIENCE_S", 0.0)
    work = TurnLocks(tmp_path)
    assert work.begin_work()
    with caplog.at_level(logging.WARNING), MachineTurn(threading.Lock(), tmp_path):
        assert work.is_visit_wanted()
    assert "did not stop in time" in caplog.text
    assert not work.is_visit_wanted()


def test_a_visit_goes_on_where_nothing_can_be_locked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = threading.Lock()
    with caplog.at_level(logging.WARNING), MachineTurn(quiet, tmp_path / "missing"):
        assert quiet.locked()
    assert "visit.lock" in caplog.text
    assert not quiet.locked()


def test_a_visit_that_fails_ends_its_turn(tmp_path: Path) -> None:
    quiet = threading.Lock()
    with pytest.raises(ZeroDivisionError), MachineTurn(quiet, tmp_path):
        raise ZeroDivisionError
    assert not quiet.locked()
    assert TurnLocks(tmp_path).begin_work()
