"""Convert errors to gRPC statuses and back. No other module knows both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from latlab.domain.errors import (
    ExportError,
    InvalidRequest,
    LabError,
    LeaseLost,
    NotFound,
    NotReady,
    StorageError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

ERROR_KEY = "latlab-error"  # trailing metadata: the class, which is finer than a status
NOT_RUNNING = "the lab is not running: start it with `make lab-up` or `latlab lab up`"

# A class that is not here travels as the nearest of its bases does.
_STATUSES: dict[type[LabError], grpc.StatusCode] = {
    LabError: grpc.StatusCode.INTERNAL,
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    LeaseLost: grpc.StatusCode.FAILED_PRECONDITION,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    StorageError: grpc.StatusCode.DATA_LOSS,
    ExportError: grpc.StatusCode.INVALID_ARGUMENT,
}
_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def status_of(error: LabError) -> grpc.StatusCode:
    """Return the status that the daemon answers with."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


def from_daemon(error: Any) -> LabError:  # noqa: ANN401 -- grpc.RpcError, which has no type for it
    """Return the error that the daemon raised: its class's name travels beside the status."""
    name = dict(error.trailing_metadata() or ()).get(ERROR_KEY)
    for kind in _kinds(LabError):
        if kind.__name__ == name:
            return kind(error.details())
    if error.code() in _NO_ANSWER:
        return Unavailable(f"the lab does not answer ({error.details()}): {NOT_RUNNING}")
    return LabError(error.details())


def from_agent(error: grpc.RpcError, address: str) -> LabError:
    """Return the error of a call to the agent at `address`."""
    details = f"the agent at {address}: {error.details()}"
    match error.code():
        case grpc.StatusCode.NOT_FOUND:
            return NotFound(details)
        case grpc.StatusCode.FAILED_PRECONDITION:
            return LeaseLost(details)
        case (
            grpc.StatusCode.UNAVAILABLE
            | grpc.StatusCode.DEADLINE_EXCEEDED
            | grpc.StatusCode.CANCELLED  # by close(), while the lab goes down
        ):
            return Unavailable(details)
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unavailable(f"{details} (its token has changed)")
        case _:
            return LabError(details)


def from_enrolment(error: grpc.RpcError, address: str) -> LabError:
    """Return the error of an enrolment with the agent at `address`."""
    details = f"the agent at {address}: {error.details()}"
    match error.code():
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unauthenticated(details)
        case grpc.StatusCode.FAILED_PRECONDITION:
            return NotReady(details)
        case _:
            return Unavailable(details)


def _kinds(kind: type[LabError]) -> Iterator[type[LabError]]:
    """Yield the errors of `latlab.domain.errors`. Other subclasses never leave their process."""
    if kind.__module__ == LabError.__module__:
        yield kind
        for narrower in kind.__subclasses__():
            yield from _kinds(narrower)
