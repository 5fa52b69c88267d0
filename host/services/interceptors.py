"""Refuse calls to the daemon that come without its token."""

from __future__ import annotations

import hmac
from typing import NoReturn

import grpc

from latlab.convert.error_interceptor import Continuation, Handler, with_behavior
from latlab.convert.errors import abort
from latlab.domain.errors import Unauthenticated


class TokenInterceptor(grpc.ServerInterceptor):
    """Refuses calls without `authorization: Bearer <token>`."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the handler of the call, or one that refuses it."""
        sent = dict(handler_call_details.invocation_metadata).get("authorization", "")
        handler = continuation(handler_call_details)
        if handler is None or hmac.compare_digest(_to_bytes(sent), self._expected):
            return handler

        def refuse(_request: object, context: grpc.ServicerContext) -> NoReturn:
            abort(context, Unauthenticated("the lab's token is missing or wrong"))

        return with_behavior(handler, lambda _behavior: refuse)


def _to_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
