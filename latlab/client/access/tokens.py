"""Make, list and revoke tokens, and read the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from latlab.client.connection.calls import Calls
from latlab.convert.access.messages import (
    entry_from_message,
    scopes_to_message,
    token_from_message,
    token_name,
)
from latlab.domain.access.audit import AuditEntry
from latlab.domain.access.token import AccessToken, Scope
from latlab.v1 import access_pb2
from latlab.v1.access_pb2_grpc import AccessServiceStub

PAGE_SIZE = 1_000


class AccessClient:
    """Who may use the lab, and what they have done, as `LatencyClient.access`.

    All methods but `caller` need a token with the scope `admin`.
    """

    def __init__(self, calls: Calls) -> None:
        """Use the channel of a client."""
        self._calls = calls
        self._access = AccessServiceStub(calls.channel)

    def caller(self) -> AccessToken:
        """Return the client's own token."""
        request = access_pb2.GetCallerRequest()
        return token_from_message(self._calls.one(self._access.GetCaller, request))

    def create_token(
        self,
        owner: str,
        scopes: Collection[Scope],
        *,
        expires_unix_ns: int | None = None,
        note: str = "",
    ) -> tuple[AccessToken, str]:
        """Make a token.

        Args:
            owner: Whose jobs, limits and turns its calls count for.
            scopes: What it allows.
            expires_unix_ns: From when on it is refused, in ns since 1970. None: never.
            note: What it is for.

        Returns:
            The token, and its secret, which the lab does not keep.

        Raises:
            InvalidRequest: The owner is no name, there is no scope, or the expiry is past.
        """
        request = access_pb2.CreateTokenRequest(
            owner=owner,
            scopes=scopes_to_message(scopes),
            expires_unix_ns=expires_unix_ns,
            note=note,
        )
        response = self._calls.one(self._access.CreateToken, request)
        return token_from_message(response.token), response.secret

    def tokens(self) -> Iterator[AccessToken]:
        """Yield all tokens, the newest first, those that expired or were revoked too."""
        request = access_pb2.ListTokensRequest(page_size=PAGE_SIZE)
        while True:
            response = self._calls.one(self._access.ListTokens, request)
            yield from map(token_from_message, response.tokens)
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    def revoke_token(self, token_id: str) -> AccessToken:
        """Refuse a token from now on, and return it. Streams that it has opened end.

        Raises:
            NotFound: There is no such token.
            NotReady: It is the lab's own.
        """
        request = access_pb2.RevokeTokenRequest(name=token_name(token_id))
        return token_from_message(self._calls.one(self._access.RevokeToken, request))

    def audit(self, owner: str = "", since_unix_ns: int = 0) -> Iterator[AuditEntry]:
        """Yield the entries of the audit log, the newest first.

        Args:
            owner: Whose entries; "" for everybody's.
            since_unix_ns: The earliest time, in ns since 1970.
        """
        request = access_pb2.ListAuditEntriesRequest(
            owner=owner, since_unix_ns=since_unix_ns, page_size=PAGE_SIZE
        )
        while True:
            response = self._calls.one(self._access.ListAuditEntries, request)
            yield from map(entry_from_message, response.entries)
            request.page_token = response.next_page_token
            if not request.page_token:
                return
