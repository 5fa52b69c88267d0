"""Turn errors into the statuses of refused requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from latlab.domain.errors import InvalidRequest, LabError, NotFound, StorageError, TooLarge

# What `latlab.common.program_store` raises where a program is none, or is missing.
PROGRAM_ERRORS = (InvalidRequest, NotFound, TooLarge)
_STATUSES: dict[type[LabError], grpc.StatusCode] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Refused(Exception):
    """The request cannot be served; the message says what can be."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status


class StatusInterceptor(grpc.ServerInterceptor):
    """Answers requests that raise Refused, or an error of storage, with its status.

    A full or failing disk is RESOURCE_EXHAUSTED. Every method with a single response is covered.
    """

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = continuation(handler_call_details)
        if handler is None or handler.response_streaming:
            return handler
        answer: Callable[[Any, grpc.ServicerContext], Any] | None
        if handler.request_streaming:
            make, answer = grpc.stream_unary_rpc_method_handler, handler.stream_unary
        else:
            make, answer = grpc.unary_unary_rpc_method_handler, handler.unary_unary
        assert answer is not None

        def guarded(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            try:
                return answer(request, context)
            except Refused as refused:
                context.abort(refused.status, str(refused))
            except (OSError, StorageError) as error:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the device's disk: {error}")
            except PROGRAM_ERRORS as error:
                context.abort(_STATUSES[type(error)], str(error))

        return make(guarded, handler.request_deserializer, handler.response_serializer)
