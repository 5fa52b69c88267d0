"""Calls of the lab: each with a deadline and the token, its errors turned back into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import grpc

from latlab.client.stream_timeout import heard
from latlab.domain import errors
from latlab.domain.errors import ERROR_KEY, LabError, Unavailable

MAX_MESSAGE_BYTES = 64 << 20
CALL_TIMEOUT_S = 30.0
NOT_RUNNING = "the lab is not running: start it with `make lab-up` or `latlab lab up`"

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
            raise _to_lab_error(error) from error

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
            raise _to_lab_error(error) from error
        finally:
            call.cancel()  # of no effect where it has ended


def _to_lab_error(error: Any) -> LabError:  # noqa: ANN401
    """The error that the daemon raised, by its class's name beside the status."""
    name = dict(error.trailing_metadata() or ()).get(ERROR_KEY)
    kind = getattr(errors, str(name), None)
    if isinstance(kind, type) and issubclass(kind, LabError):
        return kind(error.details())
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable(f"the lab does not answer ({error.details()}): {NOT_RUNNING}")
    return LabError(error.details())
