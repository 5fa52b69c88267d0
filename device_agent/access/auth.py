"""Refuse calls without the agent's token."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from device_agent.machine.conditions import read_text
from latlab.common.files import replacing
from latlab.convert.errors import abort
from latlab.domain.errors import Unauthenticated

# Health only says that the agent serves, and a supervisor of processes need not hold their secrets.
# Enrolment gives a host the token.
_OPEN_PREFIXES = ("/grpc.health.v1.Health/", "/latlab.v1.Enrolment/")


class Token:
    """The agent's secret, in a file of mode 0600 that is made if it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._value = read_text(path) or self.renew()

    def renew(self) -> str:
        """Replace the token on disk. The old one is refused from now on."""
        value = secrets.token_urlsafe(32)
        with replacing(self._path, mode=0o600) as draft:
            draft.write_bytes(value.encode())
        self._value = value
        return value

    def is_in(self, authorization: str | bytes) -> bool:
        given = authorization.encode() if isinstance(authorization, str) else authorization
        return hmac.compare_digest(given, f"Bearer {self._value}".encode())


class TokenInterceptor(grpc.ServerInterceptor):
    """Requires `authorization: Bearer TOKEN` of every call but health and enrolment.

    Calls without it are answered with UNAUTHENTICATED.
    """

    def __init__(self, token: Token) -> None:
        self._token = token

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        sent = dict(handler_call_details.invocation_metadata).get("authorization", "")
        if handler_call_details.method.startswith(_OPEN_PREFIXES) or self._token.is_in(sent):
            return continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(request: object, context: grpc.ServicerContext) -> object:
    abort(context, Unauthenticated("the token is missing or wrong"))
