"""Call the lab with deadlines and the token, and turn its statuses back into errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import grpc

from latlab.client.connection.channels import open_channel
from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.failures import error_of
from latlab.client.connection.retries import Repeat
from latlab.client.connection.steps import (
    CALL_TIMEOUT_S,
    Attempt,
    Method,
    Pages,
    Steps,
    Stubs,
    UnaryCall,
    Wait,
)
from latlab.client.connection.stream_timeout import until_silent
from latlab.domain.errors import LabError
from latlab.v1.lab_pb2_grpc import LabServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub

T = TypeVar("T")
Event = TypeVar("Event", covariant=True)


class Stream(Protocol[Event]):
    """A gRPC call whose events come one by one."""

    def __iter__(self) -> Iterator[Event]:
        """Yield the events."""
        ...

    def cancel(self) -> bool:
        """End the gRPC call, also before all its events have come."""
        ...


class Calls:
    """Calls the lab over one gRPC channel. Raises LabErrors: Unavailable if it does not answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open a channel. Nothing is sent before the first call."""
        self.endpoint = endpoint
        self.channel = open_channel(endpoint)
        self._stubs = Stubs(LatencyServiceStub(self.channel), LabServiceStub(self.channel))
        self._metadata = (("authorization", f"Bearer {endpoint.token}"),)

    @property
    def reconnects(self) -> bool:
        """True if a lab that does not answer may be back at the same address."""
        return not self.endpoint.is_own

    def make(self, call: UnaryCall[T]) -> T:
        """Make a call, and return its answer."""
        return self.take(call.steps(reconnects=self.reconnects))

    def pages(self, ask: Pages[T]) -> Iterator[T]:
        """Yield the entries of all pages, each of which is asked for when it is needed."""
        token, is_first = "", True
        while token or is_first:
            page = self.make(ask(token))
            yield from page.entries
            token, is_first = page.next_token, False

    def take(self, steps: Steps[T]) -> T:
        """Take steps to their end, and return their result."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._do(step)
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # it is the T of the steps
        except grpc.RpcError as error:
            raise self.explained(error) from error

    def _do(self, step: Attempt | Wait) -> Any:  # noqa: ANN401 -- any answer
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            return None
        method = step.method(self._stubs)
        return method(step.request, timeout=step.timeout_s, metadata=self._metadata)

    def explained(self, error: grpc.RpcError) -> LabError:
        """Return the error that the lab raised, or why it could not be reached."""
        return error_of(self.endpoint, error)

    def one(
        self,
        method: Callable[..., T],
        request: object,
        timeout_s: float = CALL_TIMEOUT_S,
        repeat: Repeat = Repeat.IF_REFUSED,
    ) -> T:
        """Call a gRPC method of the lab, and return its one answer.

        Args:
            method: A method with one answer.
            request: Its request.
            timeout_s: The deadline of all attempts together.
            repeat: Whether the call may be made again.
        """
        call: UnaryCall[T] = UnaryCall(lambda _: method, request, _as_it_is, timeout_s, repeat)
        return self.make(call)

    def open(self, method: Method, request: object, timeout_s: float) -> Iterator[Any]:
        """Yield the answers of a gRPC method. Raises gRPC's own errors."""
        call = method(self._stubs)(request, timeout=timeout_s, metadata=self._metadata)
        try:
            yield from call
        finally:
            call.cancel()  # has no effect on a call that has ended

    def stream(
        self,
        method: Callable[..., Stream[T]],
        request: object,
        timeout_s: float,
        patience_s: float | None = None,
    ) -> Iterator[T]:
        """Call a gRPC method of the lab, and yield its answers.

        Args:
            method: A method that answers a stream.
            request: Its request, or an iterator of requests.
            timeout_s: The deadline of the whole call.
            patience_s: The call ends if no answer came for so many seconds. None: it waits.
        """
        call = method(request, timeout=timeout_s, metadata=self._metadata)
        try:
            yield from call if patience_s is None else until_silent(call, patience_s)
        except grpc.RpcError as error:
            raise self.explained(error) from error
        finally:
            call.cancel()  # has no effect on a call that has ended


def _as_it_is(answer: Any) -> Any:  # noqa: ANN401 -- any answer
    return answer
