"""A gRPC server interceptor that answers errors with their statuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeAlias

import grpc

from latlab.convert.errors import Details, abort

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Handler | None]"
Behavior: TypeAlias = "Callable[..., Any]"


class ErrorInterceptor(grpc.ServerInterceptor):
    """Ends each call that raises an exception as `latlab.convert.errors.abort` describes.

    The daemon and the agents use it. Interceptors behind it must not call `context.abort`.
    """

    def __init__(self, details: Details | None = None) -> None:
        """Make the interceptor.

        Args:
            details: Returns the details that errors carry. None: they carry none.
        """
        self._details = details

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the call's gRPC handler, changed so that errors end the call with a status."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        guard = _guard_stream if handler.response_streaming else _guard
        return with_behavior(handler, lambda behavior: guard(behavior, self._details))


def with_behavior(handler: Handler, wrap: Callable[[Behavior], Behavior]) -> Handler:
    """Return a gRPC handler like `handler`, whose behavior (its function) `wrap` has wrapped."""
    coders = (handler.request_deserializer, handler.response_serializer)
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(wrap(handler.unary_unary), *coders)
    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(wrap(handler.unary_stream), *coders)
    if handler.stream_unary:
        return grpc.stream_unary_rpc_method_handler(wrap(handler.stream_unary), *coders)
    assert handler.stream_stream is not None
    return grpc.stream_stream_rpc_method_handler(wrap(handler.stream_stream), *coders)


def _guard(behavior: Behavior, details: Details | None) -> Behavior:
    def guarded(request: object, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        try:
            return behavior(request, context)
        except Exception as error:
            _end(context, error, details)

    return guarded


def _guard_stream(behavior: Behavior, details: Details | None) -> Behavior:
    def guarded(request: object, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from behavior(request, context)
        except Exception as error:
            _end(context, error, details)

    return guarded


def _end(context: grpc.ServicerContext, error: Exception, details: Details | None) -> NoReturn:
    """Abort the call, unless the error is gRPC's own, which says that the caller has left."""
    if isinstance(error, grpc.RpcError) and not context.is_active():
        raise error
    abort(context, error, details)
