"""`latlab token`, against the real services."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from latlab.domain.errors import PermissionDenied, Unauthenticated
from search.cli import app
from tests.host.stored_lab import TOKEN, served

DAY_NS = 24 * 3_600 * 10**9


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with served(database, tmp_path) as (address, _):
        monkeypatch.setattr(
            LatencyClient, "connect", staticmethod(lambda: LatencyClient(address, TOKEN))
        )
        yield address
    database.close()


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["token", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == exit_code, result.output
    return result.output


def test_a_token_is_made_used_listed_and_revoked(address: str) -> None:
    said = run("create", "--owner", "ci", "--scopes", "read, predict", "--note", "nightly")
    [secret] = re.findall(r"latlab_\S{43}", said)
    [id_] = re.findall(r"Token ([0-9a-f]{16}) of ci is valid until \d{4}-", said)
    assert "read, predict" in said
    assert "LATLAB_TOKEN" in said
    assert f"latlab token revoke {id_}" in said
    with LatencyClient(address, secret) as client:
        client.targets()
        with pytest.raises(PermissionDenied):
            client.set_note("serial", "mine")
        listed = run("list")
        for expected in (id_, "ci", "read, predict", "nightly"):
            assert expected in listed
        assert secret not in listed
        assert run("revoke", id_) == f"The token {id_} of ci is revoked.\n"
        with pytest.raises(Unauthenticated):
            client.targets()
    assert id_ not in run("list")
    assert "revoked 2" in run("list", "--all")
    noted = run("audit")
    for expected in ("AccessService/CreateToken", f"tokens/{id_}", "PERMISSION_DENIED", "local"):
        assert expected in noted
    assert "CreateToken" not in run("audit", "--owner", "ci")
    assert len(json.loads(run("audit", "--limit", "1", "--json"))) == 1
    assert json.loads(run("audit", "--since", "12h", "--json"))[0]["status"] == "UNAUTHENTICATED"


def test_documents_are_for_scripts(address: str) -> None:
    now_ns = time.time_ns()
    made = json.loads(run("create", "--owner", "ann", "--expires", "30d", "--json"))
    assert made["scopes"] == ["measure", "predict", "read"]
    assert made["secret"].startswith("latlab_")
    assert 0 <= made["expires_unix_ns"] - now_ns - 30 * DAY_NS < DAY_NS
    [listed] = json.loads(run("list", "--json"))
    assert {**listed, "secret": made["secret"]} == made
    forever = json.loads(run("create", "--owner", "ann", "--expires", "never", "--json"))
    assert forever["expires_unix_ns"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--owner", "a b"], "the owner's name is 'a b'"),
        (["create", "--owner", "ann\x1b[31m"], r"the owner's name is 'ann\x1b[31m'"),
        (["create", "--owner", "ann", "--scopes", "read,write"], "--scopes holds 'write'"),
        (["create", "--owner", "ann", "--scopes", ""], "--scopes holds ''"),
        (["create", "--owner", "ann", "--expires", "soon"], "--expires is 'soon'"),
        (["create", "--owner", "ann", "--expires", "0d"], "--expires is '0d'"),
        (["create", "--owner", "ann", "--expires", "²d"], "--expires is '²d'"),
        (["audit", "--since", "-1h"], "--since is '-1h'"),
        (["revoke", "0" * 16], "there is no token"),
        (["revoke", "local"], "the lab's own token"),
        (["create"], "--owner"),
    ],
)
@pytest.mark.usefixtures("address")
def test_mistakes_are_explained_in_one_line(arguments: list[str], message: str) -> None:
    said = run(*arguments, exit_code=2)
    assert message in said
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
