"""Calls of the lab: each with a deadline and the token, its errors turned back into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import grpc

from latlab.client.stream_timeout import heard
from latlab.convert.errors import from_daemon

MAX_MESSAGE_BYTES = 64 << 20
CALL_TIMEOUT_S = 30.0

T = TypeVar("T")
Event = TypeVar("Event", covariant=True)


class Stream(Protocol[Event]):
    """What gRPC answers a call with whose events come one by one."""

    def __iter__(self) -> Iterator[Event]: ...

    def cancel(self) -> bool: ...


class Calls:
    """Over one channel. Raises LabErrors: Unavailable when the lab does not answer."""

    def __init__(self, address: str, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)
        self.channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ],
        )

    def one(
        self, method: Callable[..., T], request: object, timeout_s: float = CALL_TIMEOUT_S
    ) -> T:
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
        """Ends where nothing came for `patience_s`."""
        call = method(request, timeout=timeout_s, metadata=self._metadata)
        try:
            yield from call if patience_s is None else heard(call, patience_s)
        except grpc.RpcError as error:
            raise from_daemon(error) from error
        finally:
            call.cancel()  # of no effect where it has ended
