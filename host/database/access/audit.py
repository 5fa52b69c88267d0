"""Store who did what: the newest calls that changed something, and the newest refused ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields

from sqlalchemy import Connection, select

from host.database.access.tables import audit
from latlab.domain.access.audit import AuditEntry

# They are bounded apart: whoever floods the lab with refused calls must not push out what was done.
KEPT_CHANGES = 100_000
KEPT_REFUSALS = 10_000

_FIELDS = tuple(field.name for field in fields(AuditEntry))


def add_entries(connection: Connection, entries: Iterable[AuditEntry]) -> None:
    """Store entries in their order."""
    rows = [asdict(entry) for entry in entries]
    if rows:
        connection.execute(audit.insert(), rows)


def drop_oldest(connection: Connection) -> None:
    """Drop the oldest entries, so that KEPT_CHANGES and KEPT_REFUSALS are kept."""
    for was_refused, kept in ((False, KEPT_CHANGES), (True, KEPT_REFUSALS)):
        is_kind = audit.c.was_refused.is_(was_refused)
        newest_dropped = (
            select(audit.c.id)
            .where(is_kind)
            .order_by(audit.c.id.desc())
            .offset(kept)
            .limit(1)
            .scalar_subquery()
        )
        # Without more than `kept` rows the subquery is null, and no id is up to null.
        connection.execute(audit.delete().where(is_kind, audit.c.id <= newest_dropped))


def list_entries(
    connection: Connection,
    limit: int,
    owner: str = "",
    since_unix_ns: int = 0,
    behind: int | None = None,
) -> list[tuple[int, AuditEntry]]:
    """Return entries with their places, the newest first.

    Args:
        connection: A connection to read with.
        limit: The most entries to return.
        owner: Whose entries to return; "" for everybody's.
        since_unix_ns: The earliest time of an entry.
        behind: The place after which the list goes on.
    """
    query = select(audit).where(audit.c.unix_ns >= since_unix_ns)
    if owner:
        query = query.where(audit.c.owner == owner)
    if behind is not None:
        query = query.where(audit.c.id < behind)
    rows = connection.execute(query.order_by(audit.c.id.desc()).limit(limit))
    return [(row.id, AuditEntry(**{name: row._mapping[name] for name in _FIELDS})) for row in rows]
