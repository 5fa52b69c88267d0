"""Store tokens, without their secrets: only the SHA-256 of each is kept."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from host.database.access.tables import tokens
from host.database.raw import columns, parse, reading
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import TooLarge, UnreadableRow

log = logging.getLogger(__name__)

MAX_TOKENS = 10_000
# A token that expired or was revoked so long ago is no longer listed, and leaves its place.
KEPT_NS = 365 * 24 * 3_600 * 10**9

# It changes whenever a token is added, revoked or dropped.
State = tuple[int, int, int | None]


def add_token(connection: Connection, token: AccessToken, secret_sha256: bytes) -> None:
    """Store a token. Raises TooLarge if there are MAX_TOKENS others."""
    long_ago = token.created_unix_ns - KEPT_NS
    is_past = (tokens.c.expires_unix_ns < long_ago) | (tokens.c.revoked_unix_ns < long_ago)
    connection.execute(tokens.delete().where(is_past))
    if connection.scalars(select(func.count()).select_from(tokens)).one() >= MAX_TOKENS:
        raise TooLarge(
            f"the lab keeps {MAX_TOKENS} tokens and no more; those that expired or were revoked"
            " count for a year: use one token for several purposes"
        )
    connection.execute(
        tokens.insert().values(
            id=token.id,
            secret_sha256=secret_sha256,
            owner=token.owner,
            scopes=sorted(scope.value for scope in token.scopes),
            created_unix_ns=token.created_unix_ns,
            expires_unix_ns=token.expires_unix_ns,
            revoked_unix_ns=token.revoked_unix_ns,
            note=token.note,
        )
    )


def get_token(connection: Connection, token_id: str) -> AccessToken | None:
    """Return a token; None if there is none with this id. Raises UnreadableRow."""
    query = select(*columns(tokens)).where(tokens.c.id == token_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _token(row)


def list_tokens(
    connection: Connection, limit: int, behind: tuple[int, str] | None = None
) -> list[AccessToken]:
    """Return tokens, the newest first; those that are damaged are logged and left out.

    Args:
        connection: A connection to read with.
        limit: The most tokens to return.
        behind: The creation time and the id of the token after which the list goes on.
    """
    place = tuple_(tokens.c.created_unix_ns, tokens.c.id)
    query = select(*columns(tokens))
    if behind is not None:
        query = query.where(place < behind)
    order = (tokens.c.created_unix_ns.desc(), tokens.c.id.desc())
    return [token for token, _ in _read(connection.execute(query.order_by(*order).limit(limit)))]


def all_tokens(connection: Connection) -> dict[bytes, AccessToken]:
    """Return every token that can be read by the SHA-256 of its secret."""
    rows = connection.execute(select(*columns(tokens)))
    return {secret_sha256: token for token, secret_sha256 in _read(rows)}


def tokens_state(connection: Connection) -> State:
    """Return a value that differs after any change of the tokens."""
    query = select(
        func.count(), func.count(tokens.c.revoked_unix_ns), func.max(tokens.c.created_unix_ns)
    ).select_from(tokens)
    every, revoked, newest = connection.execute(query).one()
    return every, revoked, newest


def revoke_token(connection: Connection, token_id: str, unix_ns: int) -> None:
    """Refuse a token from `unix_ns` on. One that was revoked already stays as it is."""
    is_valid = (tokens.c.id == token_id) & tokens.c.revoked_unix_ns.is_(None)
    connection.execute(tokens.update().where(is_valid).values(revoked_unix_ns=unix_ns))


def _read(rows: Any) -> list[tuple[AccessToken, bytes]]:  # noqa: ANN401 -- SQLAlchemy's result
    found = []
    for row in rows:
        try:
            found.append((_token(row), bytes(row.secret_sha256)))
        except UnreadableRow as error:
            log.warning("a token is refused: %s", error)
    return found


def _token(row: Row[Any]) -> AccessToken:
    with reading(f"token {row.id}"):
        return AccessToken(
            id=str(row.id),
            owner=str(row.owner),
            scopes=frozenset(map(Scope, parse(row.scopes))),
            created_unix_ns=int(row.created_unix_ns),
            expires_unix_ns=None if row.expires_unix_ns is None else int(row.expires_unix_ns),
            revoked_unix_ns=None if row.revoked_unix_ns is None else int(row.revoked_unix_ns),
            note=str(row.note),
        )
