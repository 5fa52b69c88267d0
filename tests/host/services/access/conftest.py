from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from latlab.domain.access.token import AccessToken, Scope
from tests.host.stored_lab import TOKEN, Stored, served, write_ordinary


class TeamLab:
    """A lab that serves a few stored measurements, with clients of several tokens."""

    def __init__(self, address: str, stored: list[Stored], stack: ExitStack) -> None:
        self.address = address
        self.stored = stored
        self._stack = stack
        self.admin = self.client(TOKEN)

    def client(self, secret: str) -> LatencyClient:
        return self._stack.enter_context(LatencyClient(self.address, secret))

    def member(self, *scopes: Scope, owner: str = "team") -> tuple[AccessToken, LatencyClient]:
        token, secret = self.admin.access.create_token(owner, scopes)
        return token, self.client(secret)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    yield database
    database.close()


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Iterator[TeamLab]:
    stored = write_ordinary(database, tmp_path, count=2)
    with served(database, tmp_path) as (address, _), ExitStack() as stack:
        yield TeamLab(address, stored, stack)
