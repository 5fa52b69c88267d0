"""Convert tokens and entries of the audit log to and from protobuf messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from latlab.convert.fields import enum_member, enum_number
from latlab.domain.access.audit import AuditEntry
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import InvalidRequest
from latlab.v1 import access_pb2

_PREFIX = "tokens/"


def token_name(token_id: str) -> str:
    """Return the resource name of a token; "" for no token."""
    return f"{_PREFIX}{token_id}" if token_id else ""


def token_id_of(name: str) -> str:
    """Return the id that a token's resource name holds. Raises InvalidRequest."""
    prefix, id_ = name[: len(_PREFIX)], name[len(_PREFIX) :]
    if prefix != _PREFIX or not id_:
        raise InvalidRequest(
            f"{name[:80]!r} is not the name of a token: write it as tokens/ID, as `latlab token"
            " list` shows the id",
            "name",
        )
    return id_


def scopes_to_message(scopes: Collection[Scope]) -> list[access_pb2.Scope.ValueType]:
    """Return the protobuf enum's numbers of scopes, in the enum's order."""
    return sorted(enum_number(access_pb2.Scope, scope) for scope in scopes)


def scopes_from_message(numbers: Iterable[int]) -> frozenset[Scope]:
    """Return the scopes of a request. Raises InvalidRequest if one is unknown."""
    given = set(numbers)
    known = _known(given)
    if len(known) < len(given):
        raise InvalidRequest(
            f"a scope is unknown to this lab: give some of {', '.join(s.value for s in Scope)}",
            "scopes",
        )
    return known


def token_to_message(token: AccessToken) -> access_pb2.AccessToken:
    """Return the protobuf message for a token."""
    return access_pb2.AccessToken(
        name=token_name(token.id),
        owner=token.owner,
        scopes=scopes_to_message(token.scopes),
        created_unix_ns=token.created_unix_ns,
        expires_unix_ns=token.expires_unix_ns,
        revoked_unix_ns=token.revoked_unix_ns,
        note=token.note,
    )


def token_from_message(message: access_pb2.AccessToken) -> AccessToken:
    """Return the token that a protobuf message holds, without scopes of newer versions."""
    has_expiry = message.HasField("expires_unix_ns")
    is_revoked = message.HasField("revoked_unix_ns")
    return AccessToken(
        id=token_id_of(message.name),
        owner=message.owner,
        scopes=_known(message.scopes),
        created_unix_ns=message.created_unix_ns,
        expires_unix_ns=message.expires_unix_ns if has_expiry else None,
        revoked_unix_ns=message.revoked_unix_ns if is_revoked else None,
        note=message.note,
    )


def entry_to_message(entry: AuditEntry) -> access_pb2.AuditEntry:
    """Return the protobuf message for an entry of the audit log."""
    return access_pb2.AuditEntry(
        unix_ns=entry.unix_ns,
        owner=entry.owner,
        token=token_name(entry.token_id),
        method=entry.method,
        resource=entry.resource,
        status=entry.status,
        request_id=entry.request_id,
        refused=entry.was_refused,
    )


def entry_from_message(message: access_pb2.AuditEntry) -> AuditEntry:
    """Return the entry of the audit log that a protobuf message holds."""
    return AuditEntry(
        unix_ns=message.unix_ns,
        owner=message.owner,
        token_id=token_id_of(message.token) if message.token else "",
        method=message.method,
        resource=message.resource,
        status=message.status,
        request_id=message.request_id,
        was_refused=message.refused,
    )


def _known(numbers: Iterable[int]) -> frozenset[Scope]:
    scopes = (enum_member(access_pb2.Scope, number, Scope) for number in numbers)
    return frozenset(scope for scope in scopes if scope is not None)
