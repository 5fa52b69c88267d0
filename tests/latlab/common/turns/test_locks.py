from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from latlab.common.turns.locks import TurnLocks
from latlab.domain.errors import StorageError


@pytest.fixture
def process(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], TurnLocks]:
    """Locks conflict between open files, so each TurnLocks stands for a process."""

    def opened() -> TurnLocks:
        locks = TurnLocks(tmp_path)
        request.addfinalizer(locks.close)
        return locks

    return opened


def test_a_visit_begins_at_once_where_nothing_works(process: Callable[[], TurnLocks]) -> None:
    lab, idle = process(), process()
    assert not idle.is_visit_wanted()
    assert lab.begin_visit(0)
    assert idle.is_visit_wanted()
    assert not idle.begin_work()
    lab.end_visit()
    assert not idle.is_visit_wanted()
    assert idle.begin_work()


def test_a_visit_waits_until_all_work_has_stopped(process: Callable[[], TurnLocks]) -> None:
    lab, one, other = process(), process(), process()
    assert one.begin_work()
    assert other.begin_work()
    assert not lab.begin_visit(0)
    assert one.is_visit_wanted()
    one.end_work()
    assert not lab.begin_visit(0)
    other.end_work()
    assert lab.begin_visit(0)


def test_no_work_begins_while_a_visit_waits(process: Callable[[], TurnLocks]) -> None:
    lab, working, new = process(), process(), process()
    assert working.begin_work()
    assert not lab.begin_visit(0)
    assert not new.begin_work()
    working.end_work()
    assert not working.begin_work()


def test_a_process_that_ends_leaves_nothing_locked(process: Callable[[], TurnLocks]) -> None:
    lab, working = process(), process()
    assert working.begin_work()
    working.close()
    assert lab.begin_visit(0)
    lab.close()
    assert process().begin_work()


def test_a_folder_that_is_missing_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"visit\.lock"):
        TurnLocks(tmp_path / "missing")
