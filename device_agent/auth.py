"""Who may ask: whoever can read the token file."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

_OPEN_PREFIX = "/grpc.health.v1.Health/"


def load_or_create_token(path: Path) -> str:
    """The token in `path`, a file of mode 0600 that is made where it is missing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        token = secrets.token_urlsafe(32)
        file.write(token)
    return token


class TokenInterceptor(grpc.ServerInterceptor):
    """Asks every call for `authorization: Bearer TOKEN`, and answers UNAUTHENTICATED else.

    Health is open to all: it tells that the agent serves and nothing more, and what
    supervises a process need not hold its secrets.
    """

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        if handler_call_details.method.startswith(_OPEN_PREFIX) or self._is_known(
            dict(handler_call_details.invocation_metadata).get("authorization", "")
        ):
            return continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)

    def _is_known(self, authorization: str | bytes) -> bool:
        given = authorization.encode() if isinstance(authorization, str) else authorization
        return hmac.compare_digest(given, self._expected)


def _refuse(request: object, context: grpc.ServicerContext) -> object:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong")
