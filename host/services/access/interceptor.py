"""A gRPC server interceptor that says who makes a call, and whether they may."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from host.database.connections.call_reads import begin_reads
from host.services.access.access import Access
from host.services.access.audit_log import resource_of
from host.services.access.authenticator import Metadata, TokenEnded
from host.services.access.caller import NOBODY, calling_context
from host.services.access.open_calls import OpenCall
from host.services.access.scopes import method_of, require
from latlab.common.telemetry.work import request_id
from latlab.convert.details.google_rpc import details_of
from latlab.convert.error_interceptor import Continuation, Handler
from latlab.convert.errors import abort
from latlab.domain.access.audit import AuditEntry
from latlab.domain.access.token import AccessToken
from latlab.domain.errors import LabError

_REFUSALS = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"})
# A longer first message, of a program with all its kernels say, is not kept for the audit log.
MAX_KEPT_BYTES = 1 << 16
_END = object()


class AccessInterceptor(grpc.ServerInterceptor):
    """Serves each call for the token that it was made with, or refuses it.

    None of the messages of a refused call is awaited. It must come before the other interceptors
    of the lab, and one behind it must make all requests streams, as
    `latlab.common.request_interceptor.RequestInterceptor` does.
    """

    def __init__(self, access: Access) -> None:
        """Make the interceptor."""
        self._access = access

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the handler of the call, which decides when it is called."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        metadata = tuple(handler_call_details.invocation_metadata or ())
        coders = (handler.request_deserializer, handler.response_serializer)
        if (behavior := handler.stream_stream) is not None:
            answer_many = behavior

            def stream(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
                with self._served(method, metadata, context) as served:
                    answers = served.run(answer_many, served.received(messages), served.call)
                    try:
                        while (answer := served.run(next, answers, _END)) is not _END:
                            yield answer
                    finally:
                        served.run(answers.close)
                    if served.call.refusal is not None:
                        abort(context, served.call.refusal, details_of)

            return grpc.stream_stream_rpc_method_handler(stream, *coders)
        answer_one = handler.stream_unary
        assert answer_one is not None, "a request is no stream"

        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            with self._served(method, metadata, context) as served:
                served.run(begin_reads, served.call.reads)
                answer = served.run(answer_one, served.received(messages), served.call)
                served.note(answer)
                return answer

        return grpc.stream_unary_rpc_method_handler(answer, *coders)

    @contextmanager
    def _served(
        self, method: str, metadata: Metadata, context: grpc.ServicerContext
    ) -> Iterator[_Served]:
        """Serve a call until the block ends, if it may be made, and write it to the audit log."""
        needed, token = method_of(method), NOBODY
        name = method.removeprefix("/").removeprefix("latlab.v1.")
        try:
            secret_sha256, token = self._access.authenticator.authenticate(metadata)
            require(token, needed.scope, name)
            self._access.call_rates.take(token.owner)
        except LabError as error:
            token = error.token if isinstance(error, TokenEnded) else token
            try:
                abort(context, error, details_of)
            finally:
                self._record(name, token, _status(context, "UNKNOWN"), needed.changes, None)
        call = OpenCall(context, secret_sha256)
        with self._access.open_calls.serving(call), calling_context(token) as variables:
            served = _Served(call, variables, needed.changes)
            try:
                yield served
            except BaseException:
                self._record(name, token, _status(context, "UNKNOWN"), served.changes, served)
                raise
            self._record(name, token, _status(context, "OK"), served.changes, served)

    def _record(
        self, name: str, token: AccessToken, status: str, changes: bool, served: _Served | None
    ) -> None:
        was_refused = status in _REFUSALS
        if not (changes or was_refused):
            return
        if status == "UNAUTHENTICATED" and not self._access.notes_strangers():
            return
        entry = AuditEntry(
            unix_ns=time.time_ns(),
            owner=token.owner,
            token_id=token.id,
            method=name,
            resource="" if served is None else served.resource,
            status=status,
            request_id=request_id(),
            was_refused=was_refused,
        )
        self._access.audit_log.put(entry, b"" if served is None else served.first)


class _Served:
    """A call that is served.

    Attributes:
        call: The call, as gRPC's context.
        first: Its first message, if the audit log needs it.
        resource: What its answer names; "" if it names nothing.
        changes: Whether it changes the lab, so that the audit log has it.
    """

    def __init__(self, call: OpenCall, variables: Any, changes: bool) -> None:  # noqa: ANN401
        self.call = call
        self.first = b""
        self.resource = ""
        self.run = variables.run
        self.changes = changes

    def received(self, messages: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the call's messages while its token is valid. Raises Unauthenticated."""
        is_first = self.changes
        for message in messages:
            if is_first and len(message) <= MAX_KEPT_BYTES:
                self.first = message
            is_first = False
            self.call.check()
            yield message

    def note(self, answer: Any) -> None:  # noqa: ANN401 -- generated types
        """Note what the answer names, such as the job that was made."""
        if queued_jobs := getattr(answer, "queued_jobs", ()):  # by a prediction
            self.changes, self.resource = True, queued_jobs[0]
        elif self.changes:
            self.resource = resource_of(answer)


def _status(context: Any, default: str) -> str:  # noqa: ANN401 -- its type lacks `code`
    """Return the name of the status that a call ends with; `default` if nobody has set one."""
    code = context.code()
    if code is not None:
        return str(code.name)
    return default if context.is_active() else "CANCELLED"
