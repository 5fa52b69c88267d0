"""The tables about access, which belong to `host.database.schema`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from host.database.schema import metadata

# With these tables, `metadata` is whole.
__all__ = ["audit", "metadata", "tokens"]

# The secret itself is stored nowhere.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("owner", String(100), nullable=False),
    Column("scopes", JSON, nullable=False),  # their names
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("expires_unix_ns", BigInteger),
    Column("revoked_unix_ns", BigInteger),
    Column("note", Text, nullable=False),
    Index(None, "created_unix_ns", "id"),
)

# Calls that changed something or were refused: the newest of each, as `access.audit` bounds them.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("unix_ns", BigInteger, nullable=False),
    Column("owner", String(100), nullable=False),
    Column("token_id", String(32), nullable=False),
    Column("method", String(128), nullable=False),
    Column("resource", Text, nullable=False),
    Column("status", String(32), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("was_refused", Boolean, nullable=False),
    Index(None, "owner", "id"),
    Index(None, "was_refused", "id"),
)
