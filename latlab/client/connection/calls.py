"""Call the lab with deadlines and the token, and turn its statuses back into errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import grpc

from latlab.client.connection.channels import open_channel
from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.failures import error_of
from latlab.client.connection.retries import Repeat, Retries
from latlab.client.connection.stream_timeout import until_silent

CALL_TIMEOUT_S = 30.0

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
        self._metadata = (("authorization", f"Bearer {endpoint.token}"),)

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
            request: Its request; an iterator of requests needs Repeat.NEVER.
            timeout_s: The deadline of all attempts together.
            repeat: Whether the call may be made again.
        """
        retries = Retries(timeout_s, repeat, reconnects=not self.endpoint.is_own)
        while True:
            try:
                return method(request, timeout=retries.left_s(), metadata=self._metadata)
            except grpc.RpcError as error:
                wait_s = retries.wait_s(error)
                if wait_s is None:
                    raise error_of(self.endpoint, error) from error
            time.sleep(wait_s)

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
            raise error_of(self.endpoint, error) from error
        finally:
            call.cancel()  # has no effect on a call that has ended
