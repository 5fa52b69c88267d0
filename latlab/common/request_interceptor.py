"""Receive and parse the requests of gRPC calls, each within a deadline.

grpc.server would let the thread of a call wait for its request for ever, and it would answer a
request that cannot be parsed with INTERNAL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc

from latlab.domain.errors import InvalidRequest

# How long a caller may take for its only request, for the next request of a stream, and for all
# requests of a stream.
REQUEST_S = 20.0
SILENCE_S = 60.0
STREAM_S = 600.0
_POLL_S = 1.0

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class RequestInterceptor(grpc.ServerInterceptor):
    """Receives the requests of each call. Callers that are too slow find their call cancelled.

    It must be the last interceptor. Requests that cannot be parsed raise InvalidRequest in the
    behavior of the handler.
    """

    def __init__(self, patient: Collection[str] = ()) -> None:
        """Start to watch calls.

        Args:
            patient: The full names of methods whose callers may take any time.
        """
        self._patient = frozenset(patient)
        self._deadlines = _Deadlines()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler of the call, which receives a stream of raw requests."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        behavior: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        is_patient = handler_call_details.method in self._patient

        def call(messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            if is_patient:
                received = messages
            elif handler.request_streaming:
                received = self._received(messages, context, STREAM_S, SILENCE_S)
            else:
                received = self._received(messages, context, REQUEST_S, REQUEST_S)
            requests = (_parsed(message, handler) for message in received)
            return behavior(requests if handler.request_streaming else _one(requests), context)

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                call, response_serializer=handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(
            call, response_serializer=handler.response_serializer
        )

    def _received(
        self,
        messages: Iterator[bytes],
        context: grpc.ServicerContext,
        total_s: float,
        silence_s: float,
    ) -> Iterator[bytes]:
        end_s = time.monotonic() + total_s
        while True:
            with self._deadlines.until(min(end_s, time.monotonic() + silence_s), context):
                message = next(messages, None)
            if message is None:
                return
            yield message


class _Deadlines:
    """Cancels calls whose deadlines have passed, up to _POLL_S late.

    While no call has a deadline, its thread sleeps.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due_s: dict[grpc.ServicerContext, float] = {}
        threading.Thread(target=self._watch, name="call-deadlines", daemon=True).start()

    @contextmanager
    def until(self, due_s: float, context: grpc.ServicerContext) -> Iterator[None]:
        """Cancel the call if the block takes until this time of `time.monotonic`."""
        with self._changed:
            self._due_s[context] = due_s
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._due_s[context]

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._due_s:
                    self._changed.wait()
                now_s = time.monotonic()
                late = [context for context, due_s in self._due_s.items() if due_s <= now_s]
            for context in late:
                context.cancel()
            time.sleep(_POLL_S)


def _parsed(message: bytes, handler: Handler) -> Any:  # noqa: ANN401 -- generated types
    if handler.request_deserializer is None:
        return message
    try:
        return handler.request_deserializer(message)
    except Exception as error:  # protobuf's DecodeError; this package knows no protobuf
        raise InvalidRequest("the request is no message of the method's type") from error


def _one(requests: Iterator[Any]) -> Any:  # noqa: ANN401 -- generated types
    for request in requests:
        return request
    raise InvalidRequest("the call ended without a request")
