from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from host.jobs import campaign
from host.jobs.campaign import Campaign, ProgramRequest
from host.jobs.dispatcher import Dispatcher
from latlab.domain.errors import InvalidRequest


def test_whatever_ends_the_naming_of_programs_ends_the_campaign(tmp_path: Path) -> None:
    def wanted() -> Iterator[ProgramRequest]:
        raise OSError("the disk is gone")
        yield

    database = Database(sqlite_url(tmp_path / "lab.db"))
    with pytest.raises(OSError, match="the disk is gone"):
        list(Campaign(database, Dispatcher(database)).run(wanted(), lambda: True))
    database.close()


def test_a_client_that_names_no_program_does_not_stay_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "IDLE_S", 0.0)
    monkeypatch.setattr(campaign, "EVENT_POLL_S", 0.01)
    gone = threading.Event()

    def wanted() -> Iterator[ProgramRequest]:
        gone.wait(60)
        yield from ()

    database = Database(sqlite_url(tmp_path / "lab.db"))
    with pytest.raises(InvalidRequest, match="no program was named"):
        list(Campaign(database, Dispatcher(database)).run(wanted(), lambda: True))
    gone.set()
    database.close()


def test_a_campaign_that_has_ended_waits_for_no_garbage_collection(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    gc.disable()
    try:
        ended = Campaign(database, Dispatcher(database))
        assert list(ended.run([], lambda: True)) == []
        events = weakref.ref(ended._events)  # may hold measurements with all their samples
        del ended
        assert events() is None
    finally:
        gc.enable()
    database.close()
