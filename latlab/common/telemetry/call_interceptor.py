"""A gRPC server interceptor that gives each call an id, and reports how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc

from latlab.common.telemetry.activities import CALL, OUTCOME, Attributes, activity
from latlab.common.telemetry.work import begin_call, new_request_id, request_id

REQUEST_ID_KEY = "x-request-id"  # in the metadata of requests and in the trailing metadata
# The W3C's headers by which a client says which trace its call belongs to.
TRACE_KEYS = ("traceparent", "tracestate")
UNARY, STREAM = "unary", "stream"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class CallInterceptor(grpc.ServerInterceptor):
    """Notes what call a thread serves, and reports each call as an activity.

    It must be the first interceptor, and one behind it must make all requests streams, as
    `RequestInterceptor` does. The activity has the attributes `method`, which is the client's
    text, and `answers`, UNARY or STREAM. Its outcome is the name of a gRPC status.
    """

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the call's handler, which reports the call."""
        metadata = dict(handler_call_details.invocation_metadata or ())
        method = handler_call_details.method
        wanted = metadata.get(REQUEST_ID_KEY, "")
        begin_call(new_request_id(wanted if isinstance(wanted, str) else ""), method)
        traced = {key: str(metadata[key]) for key in TRACE_KEYS if key in metadata}
        handler = continuation(handler_call_details)
        if handler is None:
            with activity(CALL, method=method, answers=UNARY, **traced) as call:
                call[OUTCOME] = grpc.StatusCode.UNIMPLEMENTED.name
            return None
        if (streams := handler.stream_stream) is not None:

            def answer_many(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401
                with _reported(context, method=method, answers=STREAM, **traced):
                    yield from streams(requests, context)

            return grpc.stream_stream_rpc_method_handler(
                answer_many, handler.request_deserializer, handler.response_serializer
            )
        behavior = handler.stream_unary
        assert behavior is not None, "a request is no stream"

        def answer(requests: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            with _reported(context, method=method, answers=UNARY, **traced):
                return behavior(requests, context)

        return grpc.stream_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


@contextmanager
def _reported(context: grpc.ServicerContext, **attributes: str) -> Iterator[None]:
    """Report a call, and answer with its id in the trailing metadata."""
    with activity(CALL, **attributes) as call:
        try:
            yield
        except BaseException:
            _end(context, call, grpc.StatusCode.UNKNOWN)
            raise
        _end(context, call, grpc.StatusCode.OK)


def _end(context: Any, call: Attributes, default: grpc.StatusCode) -> None:  # noqa: ANN401 -- its type lacks getters
    """Note the call's status, which is `default` if nobody has set one."""
    code = context.code()
    if code is None and default is not grpc.StatusCode.OK and not context.is_active():
        code = grpc.StatusCode.CANCELLED  # the client has left
    call[OUTCOME] = (code or default).name
    answered = context.trailing_metadata() or ()
    context.set_trailing_metadata((*answered, (REQUEST_ID_KEY, request_id())))
