from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from host.jobs.campaign import Campaign, ProgramRequest
from host.jobs.dispatcher import Dispatcher


def test_whatever_ends_the_naming_of_programs_ends_the_campaign(tmp_path: Path) -> None:
    def wanted() -> Iterator[ProgramRequest]:
        raise OSError("the disk is gone")
        yield

    database = Database(sqlite_url(tmp_path / "lab.db"))
    with pytest.raises(OSError, match="the disk is gone"):
        list(Campaign(database, Dispatcher(database)).run(wanted(), lambda: True))
    database.close()
