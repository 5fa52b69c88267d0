"""A gRPC server interceptor that gives each call an id, and reports how it ends."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import grpc

from latlab.common.telemetry.activities import CALL, OUTCOME, Attributes, activity
from latlab.common.telemetry.work import begin_call, new_request_id, request_id

REQUEST_ID_KEY = "x-request-id"  # in the metadata of requests and in the trailing metadata
# The W3C's headers by which a client says which trace its call belongs to.
TRACE_KEYS = ("traceparent", "tracestate")
UNARY, STREAM = "unary", "stream"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = "Callable[..., Any]"
Reported: TypeAlias = "Callable[[grpc.ServicerContext], AbstractContextManager[None]]"


class CallInterceptor(grpc.ServerInterceptor):
    """Notes what call a thread serves, and reports each call as an activity.

    It must be the first interceptor. The activity has the attributes `method`, which is a text of
    the client, and `answers`, UNARY or STREAM. Its outcome is the name of a gRPC status.
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
        answers = STREAM if handler.response_streaming else UNARY
        reported = functools.partial(_reported, {"method": method, "answers": answers, **traced})
        wrap = _streaming if handler.response_streaming else _single
        return _with_behavior(handler, wrap, reported)


def _single(behavior: Behavior, reported: Reported) -> Behavior:
    def answer(request: object, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        with reported(context):
            return behavior(request, context)

    return answer


def _streaming(behavior: Behavior, reported: Reported) -> Behavior:
    def answer(request: object, context: grpc.ServicerContext) -> Iterator[Any]:
        with reported(context):
            yield from behavior(request, context)

    return answer


def _with_behavior(
    handler: Handler, wrap: Callable[[Behavior, Reported], Behavior], reported: Reported
) -> Handler:
    """Return a handler like `handler`, whose calls are reported."""
    for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        if (behavior := getattr(handler, kind)) is not None:
            make = getattr(grpc, f"{kind}_rpc_method_handler")
            coders = (handler.request_deserializer, handler.response_serializer)
            reporting: Handler = make(wrap(behavior, reported), *coders)
            return reporting
    return handler


@contextmanager
def _reported(attributes: Attributes, context: grpc.ServicerContext) -> Iterator[None]:
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
