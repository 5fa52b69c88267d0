"""A gRPC server interceptor that refuses calls without the server's token."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NoReturn

import grpc

from latlab.convert.error_interceptor import Continuation, Handler
from latlab.convert.errors import abort
from latlab.domain.errors import Unauthenticated


class TokenInterceptor(grpc.ServerInterceptor):
    """Refuses calls without `authorization: Bearer TOKEN`. None of their messages is awaited."""

    def __init__(self, is_token: Callable[[bytes], bool], public: Collection[str] = ()) -> None:
        """Make the interceptor, which must be the server's first.

        Args:
            is_token: Returns whether a text is the token, in a time that says nothing about it.
            public: The full names of methods that need no token.
        """
        self._is_token = is_token
        self._public = frozenset(public)

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the handler of the call, or one that refuses it."""
        if handler_call_details.method in self._public or self._is_in(handler_call_details):
            return continuation(handler_call_details)
        # The behavior of a handler of streams runs at once. That of another waits for the request.
        return grpc.stream_unary_rpc_method_handler(_refuse)

    def _is_in(self, details: grpc.HandlerCallDetails) -> bool:
        sent = dict(details.invocation_metadata).get("authorization", "")
        scheme, _, token = (sent if isinstance(sent, bytes) else sent.encode()).partition(b" ")
        return scheme == b"Bearer" and self._is_token(token)


def _refuse(_requests: object, context: grpc.ServicerContext) -> NoReturn:
    abort(context, Unauthenticated("the token is missing or wrong"))
