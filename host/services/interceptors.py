"""Check the token of every call to the daemon, and turn errors into statuses."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeAlias

import grpc

from latlab.convert.errors import ERROR_KEY, status_of
from latlab.domain.errors import LabError, StorageError, Unauthenticated

log = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Handler | None]"


class TokenInterceptor(grpc.ServerInterceptor):
    """Refuses calls without `authorization: Bearer <token>`."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        sent = dict(handler_call_details.invocation_metadata).get("authorization", "")
        handler = continuation(handler_call_details)
        if handler is None or hmac.compare_digest(_to_bytes(sent), self._expected):
            return handler

        def refuse(_request: object, context: grpc.ServicerContext) -> NoReturn:
            _abort(
                context,
                Unauthenticated("the lab's token is missing or wrong"),
            )

        return _with_behavior(handler, lambda _behavior: refuse)


class ErrorInterceptor(grpc.ServerInterceptor):
    """Turns LabErrors into their status. Any other error is a defect: gRPC logs it."""

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        streams = handler.response_streaming
        return _with_behavior(handler, _guard_stream if streams else _guard)


def _guard(behavior: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(request: object, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        try:
            return behavior(request, context)
        except LabError as error:
            _abort(context, error)

    return guarded


def _guard_stream(behavior: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(request: object, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from behavior(request, context)
        except LabError as error:
            _abort(context, error)

    return guarded


def _abort(context: grpc.ServicerContext, error: LabError) -> NoReturn:
    if isinstance(error, StorageError):
        log.error("%s", error)
    context.set_trailing_metadata(((ERROR_KEY, type(error).__name__),))
    context.abort(status_of(error), str(error))


def _to_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _with_behavior(
    handler: Handler, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Handler:
    """Return the handler with its one behavior wrapped."""
    coders = (handler.request_deserializer, handler.response_serializer)
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(wrap(handler.unary_unary), *coders)
    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(wrap(handler.unary_stream), *coders)
    if handler.stream_unary:
        return grpc.stream_unary_rpc_method_handler(wrap(handler.stream_unary), *coders)
    assert handler.stream_stream is not None  # reflection's
    return grpc.stream_stream_rpc_method_handler(wrap(handler.stream_stream), *coders)
