"""The service about access: tokens, and who did what."""

from __future__ import annotations

import secrets
import time
import uuid

import grpc

from host.database.access import audit, tokens
from host.services.access.access import FLUSH_S, Access
from host.services.access.authenticator import hashed
from host.services.access.caller import LOCAL_TOKEN, caller
from host.services.requests.checks import check_text
from host.services.requests.page_tokens import PageTokens, page_size
from latlab.convert.access.messages import (
    entry_to_message,
    scopes_from_message,
    token_id_of,
    token_to_message,
)
from latlab.domain.access.owner import check_owner
from latlab.domain.access.token import AccessToken
from latlab.domain.errors import InvalidRequest, NotFound, NotReady
from latlab.v1 import access_pb2
from latlab.v1.access_pb2_grpc import AccessServiceServicer

# Tools that look for secrets in published sources find them by it.
SECRET_PREFIX = "latlab_"
SECRET_BYTES = 32
USUAL_PAGE, MAX_PAGE = 100, 1_000


class AccessServicer(AccessServiceServicer):
    """Serves access.proto. The interceptor has checked the caller's scope."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._database = access.database
        self._pages = PageTokens(access.database.id)

    def GetCaller(  # noqa: N802
        self, request: access_pb2.GetCallerRequest, context: grpc.ServicerContext
    ) -> access_pb2.AccessToken:
        return token_to_message(caller())

    def CreateToken(  # noqa: N802
        self, request: access_pb2.CreateTokenRequest, context: grpc.ServicerContext
    ) -> access_pb2.CreateTokenResponse:
        now_ns = time.time_ns()
        expires_ns = request.expires_unix_ns if request.HasField("expires_unix_ns") else None
        if expires_ns is not None and expires_ns <= now_ns:
            raise InvalidRequest("the token would have expired already", "expires_unix_ns")
        scopes = scopes_from_message(request.scopes)
        if not scopes:
            raise InvalidRequest("the token would allow nothing: give it a scope", "scopes")
        owner = check_owner(request.owner)
        note = check_text("the token's note", request.note, "note")
        secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        token = AccessToken(uuid.uuid4().hex[:16], owner, scopes, now_ns, expires_ns, note=note)
        with self._database.writing() as connection:
            tokens.add_token(connection, token, hashed(secret))
        self._access.authenticator.refresh()
        return access_pb2.CreateTokenResponse(token=token_to_message(token), secret=secret)

    def ListTokens(  # noqa: N802
        self, request: access_pb2.ListTokensRequest, context: grpc.ServicerContext
    ) -> access_pb2.ListTokensResponse:
        size = page_size(request.page_size, USUAL_PAGE, MAX_PAGE)
        behind = None
        if (position := self._pages.read(request, request.page_token)) is not None:
            behind = (int(position[0]), str(position[1]))
        with self._database.reading() as connection:
            listed = tokens.list_tokens(connection, size + 1, behind)
        found = [(token, (token.created_unix_ns, token.id)) for token in listed]
        page, next_page = self._pages.cut(request, found, size)
        return access_pb2.ListTokensResponse(
            tokens=map(token_to_message, page), next_page_token=next_page
        )

    def RevokeToken(  # noqa: N802
        self, request: access_pb2.RevokeTokenRequest, context: grpc.ServicerContext
    ) -> access_pb2.AccessToken:
        id_ = check_text("the token's name", token_id_of(request.name), "name")
        if id_ == LOCAL_TOKEN.id:
            raise NotReady(
                "this is the lab's own token, which lies in its folder: to change it, `latlab lab"
                " down`, remove the file `token`, and `latlab lab up`"
            )
        with self._database.writing() as connection:
            tokens.revoke_token(connection, id_, time.time_ns())
            token = tokens.get_token(connection, id_)
        if token is None:
            raise NotFound(f"there is no token {id_[:80]!r}: `latlab token list` shows them")
        self._access.authenticator.refresh()
        return token_to_message(token)

    def ListAuditEntries(  # noqa: N802
        self, request: access_pb2.ListAuditEntriesRequest, context: grpc.ServicerContext
    ) -> access_pb2.ListAuditEntriesResponse:
        size = page_size(request.page_size, USUAL_PAGE, MAX_PAGE)
        owner = check_text("the owner", request.owner, "owner")
        position = self._pages.read(request, request.page_token)
        behind = None if position is None else int(position[0])
        self._access.audit_log.flush(FLUSH_S)  # what has just been done is listed too
        with self._database.reading() as connection:
            listed = audit.list_entries(connection, size + 1, owner, request.since_unix_ns, behind)
        found = [(entry, [place]) for place, entry in listed]
        page, next_page = self._pages.cut(request, found, size)
        return access_pb2.ListAuditEntriesResponse(
            entries=map(entry_to_message, page), next_page_token=next_page
        )
