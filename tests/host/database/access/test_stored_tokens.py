"""Tokens and the audit log, in SQLite and PostgreSQL alike."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from host.database.access import audit, tokens
from host.database.engine import Database
from latlab.domain.access.audit import AuditEntry
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import TooLarge

YEAR_NS = tokens.KEPT_NS
NOW_NS = 2 * YEAR_NS


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def token(number: int, created_unix_ns: int = NOW_NS) -> AccessToken:
    return AccessToken(f"{number:016x}", "ann", frozenset({Scope.READ}), created_unix_ns)


def add(database: Database, *added: AccessToken) -> None:
    with database.writing() as connection:
        for one in added:
            tokens.add_token(connection, one, one.id.encode())


times = st.integers(NOW_NS, 2**63 - 1)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    scopes=st.frozensets(st.sampled_from(Scope)),
    expires=st.none() | times,
    revoked=st.none() | times,
    note=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
)
def test_tokens_come_back_as_they_were(
    database: Database, scopes: frozenset[Scope], expires: int, revoked: int, note: str
) -> None:
    made = AccessToken("1" * 16, "a" * 100, scopes, NOW_NS, expires, revoked, note)
    with database.writing() as connection:
        connection.execute(text("DELETE FROM tokens"))
    add(database, made)
    with database.reading() as connection:
        assert tokens.get_token(connection, made.id) == made
        assert tokens.all_tokens(connection) == {made.id.encode(): made}
        assert tokens.get_token(connection, "2" * 16) is None


def test_the_newest_come_first_and_pages_hold_each_once(database: Database) -> None:
    made = [token(number, NOW_NS + number // 3) for number in range(10)]
    add(database, *made)
    listed: list[AccessToken] = []
    with database.reading() as connection:
        while page := tokens.list_tokens(
            connection, 3, (listed[-1].created_unix_ns, listed[-1].id) if listed else None
        ):
            listed += page
    assert listed == sorted(made, key=lambda one: (-one.created_unix_ns, -int(one.id, 16)))


def test_every_change_changes_the_state(database: Database) -> None:
    states = []

    def note() -> None:
        with database.reading() as connection:
            states.append(tokens.tokens_state(connection))

    note()
    add(database, token(1))
    note()
    add(database, token(2))
    note()
    for _ in range(2):
        with database.writing() as connection:
            tokens.revoke_token(connection, token(1).id, 5)
        with database.reading() as connection:
            revoked = tokens.get_token(connection, token(1).id)
        assert revoked == replace(token(1), revoked_unix_ns=5)
    note()
    assert len(set(states)) == len(states)


def test_tokens_of_long_ago_are_dropped_and_their_number_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = replace(token(1, 1), expires_unix_ns=2)
    revoked = replace(token(2, 1), revoked_unix_ns=3)
    add(database, token(3, 1), replace(token(4, 1), expires_unix_ns=NOW_NS - 1), old, revoked)
    monkeypatch.setattr(tokens, "MAX_TOKENS", 3)
    add(database, token(5))
    with database.reading() as connection:
        kept = [one.id for one in tokens.list_tokens(connection, 10)]
    assert sorted(kept) == [token(number).id for number in (3, 4, 5)]
    with pytest.raises(TooLarge, match="keeps 3 tokens"):
        add(database, token(6))


def test_a_damaged_token_is_refused_and_the_others_work(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    add(database, token(1), token(2))
    with database.writing() as connection:
        damage = text("UPDATE tokens SET scopes = :scopes WHERE id = :id")
        connection.execute(damage, {"scopes": '["everything"]', "id": token(1).id})
    with caplog.at_level(logging.WARNING), database.reading() as connection:
        assert list(tokens.all_tokens(connection).values()) == [token(2)]
    assert "a token is refused" in caplog.text


def test_the_audit_log_is_listed_by_owner_time_and_page(database: Database) -> None:
    made = [
        AuditEntry(number, "ab"[number % 2], "t", "S/M", "r", "OK", "id", number % 3 == 0)
        for number in range(20)
    ]
    with database.writing() as connection:
        audit.add_entries(connection, made)
        audit.add_entries(connection, [])
    with database.reading() as connection:
        newest = audit.list_entries(connection, 100)
        assert [entry for _, entry in newest] == made[::-1]
        place = newest[4][0]
        assert [e for _, e in audit.list_entries(connection, 3, behind=place)] == made[14:11:-1]
        assert [e for _, e in audit.list_entries(connection, 100, "a", 10)] == made[18:9:-2]
