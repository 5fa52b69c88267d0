"""Call the lab with deadlines and the token, and turn its statuses back into errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import grpc

from latlab.client.stream_timeout import until_silent
from latlab.common.channel import CHANNEL_OPTIONS, MAX_MESSAGE_BYTES
from latlab.convert.errors import from_daemon

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

    def __init__(self, address: str, token: str) -> None:
        """Open a channel. Nothing is sent before the first call.

        Args:
            address: The lab's host and port.
            token: The lab's token.
        """
        self._metadata = (("authorization", f"Bearer {token}"),)
        self.channel = grpc.insecure_channel(
            address,
            options=[
                *CHANNEL_OPTIONS,
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ],
        )

    def one(
        self, method: Callable[..., T], request: object, timeout_s: float = CALL_TIMEOUT_S
    ) -> T:
        """Call a gRPC method of the lab, and return its one answer."""
        try:
            return method(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_daemon(error) from error

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
            raise from_daemon(error) from error
        finally:
            call.cancel()  # has no effect on a call that has ended
