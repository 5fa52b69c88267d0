"""Convert errors to gRPC statuses and back. No other module knows both."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc

from latlab.common.telemetry.work import new_request_id, request_id
from latlab.domain.checks.text import cleaned
from latlab.domain.errors import (
    DatabaseBusy,
    DiskFull,
    ExportError,
    InvalidRequest,
    LabError,
    LeaseLost,
    LimitReached,
    NotFound,
    NotReady,
    PermissionDenied,
    StorageError,
    TokenChanged,
    TooLarge,
    TraceMismatch,
    Unauthenticated,
    Unavailable,
    UnknownKernelKinds,
    WrongOffset,
)

if TYPE_CHECKING:
    from latlab.convert.details.google_rpc import ErrorDetails

NOT_RUNNING = "the lab is not running: start it with `make lab-up` or `latlab lab up`"
MAX_MESSAGE_CHARS = 2_000  # gRPC sends messages as headers, whose size is limited

# Trailing metadata: the error's class, which is finer than a status, and its kernel kinds. Clients
# of version 0.2 read these alone.
_CLASS_KEY = "latlab-error"
_KINDS_KEY = "latlab-kernel-kinds-bin"
_DETAILS_KEY = "grpc-status-details-bin"

# Returns an error's `google.rpc.Status`: see `latlab.convert.details.google_rpc.details_of`.
Details: TypeAlias = Callable[[LabError, str, int, str], bytes]

# A class that is missing here has the status of its nearest base.
_STATUSES: Mapping[type[LabError], grpc.StatusCode] = {
    LabError: grpc.StatusCode.INTERNAL,
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    WrongOffset: grpc.StatusCode.OUT_OF_RANGE,
    NotFound: grpc.StatusCode.NOT_FOUND,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    LeaseLost: grpc.StatusCode.FAILED_PRECONDITION,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    StorageError: grpc.StatusCode.DATA_LOSS,
    DatabaseBusy: grpc.StatusCode.UNAVAILABLE,
    DiskFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ExportError: grpc.StatusCode.INVALID_ARGUMENT,
    TraceMismatch: grpc.StatusCode.INVALID_ARGUMENT,
}
# The class of a status that comes without a class's name: from gRPC itself, or an agent of
# version 0.1. CANCELLED is the answer to calls that are open while a channel closes.
_KINDS: Mapping[grpc.StatusCode, type[LabError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TooLarge,
    grpc.StatusCode.FAILED_PRECONDITION: NotReady,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.OUT_OF_RANGE: WrongOffset,
    grpc.StatusCode.DATA_LOSS: StorageError,
}

_log = logging.getLogger(__name__)


def status_of(error: LabError) -> grpc.StatusCode:
    """Return the gRPC status that a server answers with when it raises `error`."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


def abort(
    context: grpc.ServicerContext, error: Exception, details: Details | None = None
) -> NoReturn:
    """End a call with an error.

    A LabError travels as its status, its class, its message and, if `details` makes them, its
    details. Any other exception is a defect: the caller gets INTERNAL and a request id, under which
    the log holds the traceback.
    """
    if not isinstance(error, LabError):
        failed = request_id() or new_request_id()
        _log.error("request %s failed", failed, exc_info=error)
        message = f"internal error: the server's log explains it under request {failed}"
        context.abort(grpc.StatusCode.INTERNAL, message)
    if isinstance(error, StorageError):
        _log.error("%s", error)
    kind = next(base for base in type(error).__mro__ if base in _tree())
    metadata: list[tuple[str, str | bytes]] = [(_CLASS_KEY, kind.__name__)]
    if isinstance(error, UnknownKernelKinds):
        metadata.append((_KINDS_KEY, json.dumps(error.kinds).encode()))
    message = str(error)[:MAX_MESSAGE_CHARS].encode("utf-8", "backslashreplace").decode()
    status = status_of(error)
    if details is not None:
        number: int = status.value[0]
        metadata.append((_DETAILS_KEY, details(error, kind.__name__, number, message)))
    context.set_trailing_metadata(tuple(metadata))
    context.abort(status, message)


def from_daemon(error: Any, advice: str = NOT_RUNNING) -> LabError:  # noqa: ANN401 -- grpc.RpcError
    """Return the error that the daemon raised, or Unavailable with advice if it does not answer."""
    raised = _raised(error)
    if raised is not None:
        return _with_details(raised, _metadata(error).get(_DETAILS_KEY, b""))
    kind = _KINDS.get(error.code(), LabError)
    if kind is Unavailable:
        return Unavailable(f"the lab does not answer ({error.details()}): {advice}")
    return kind(error.details())


def retry_s(error: Any) -> float | None:  # noqa: ANN401 -- as above
    """Return after how many seconds the server wants to be asked again; None if it does not say."""
    details = _metadata(error).get(_DETAILS_KEY)
    return _read_details(details).retry_s if isinstance(details, bytes) else None


def is_from_server(error: Any) -> bool:  # noqa: ANN401 -- as above
    """Return whether a server of ours raised the error, and not gRPC itself."""
    return _raised_kind(error) is not None


def from_agent(error: Any, address: str) -> LabError:  # noqa: ANN401 -- as above
    """Return the LabError for a gRPC call that failed at the agent at `address`.

    A refused token is TokenChanged: the device stays out of reach until it is enrolled again.
    """
    found = _at(error, address, {**_KINDS, grpc.StatusCode.FAILED_PRECONDITION: LeaseLost})
    if isinstance(found, Unauthenticated):
        return TokenChanged(f"{found} (its token has changed)")
    return found


def from_enrolment(error: Any, address: str) -> LabError:  # noqa: ANN401 -- as above
    """Return the LabError for an enrolment that failed at the agent at `address`."""
    return _at(error, address, _KINDS)


def _at(
    error: Any,  # noqa: ANN401 -- as above
    address: str,
    kinds: Mapping[grpc.StatusCode, type[LabError]],
) -> LabError:
    kind = _raised_kind(error) or kinds.get(error.code(), LabError)
    if kind is UnknownKernelKinds:  # no agent knows of predictors
        kind = InvalidRequest
    return kind(f"the agent at {address}: {cleaned(error.details() or '', MAX_MESSAGE_CHARS)}")


def _raised(error: Any) -> LabError | None:  # noqa: ANN401 -- as above
    """Return the error that a server of ours raised; None if the call failed otherwise."""
    kind = _raised_kind(error)
    if kind is UnknownKernelKinds:
        return UnknownKernelKinds(json.loads(_metadata(error).get(_KINDS_KEY, b"[]")))
    return None if kind is None else kind(error.details())


def _with_details(error: LabError, data: bytes) -> LabError:
    """Complete an error by its details. A lab of version 0.2 sends none."""
    if data:
        found = _read_details(data)
        if isinstance(error, InvalidRequest):
            error.field = found.field
        if isinstance(error, LimitReached) and found.retry_s is not None:
            error.retry_s = found.retry_s
    return error


def _read_details(data: bytes) -> ErrorDetails:
    # Not on top: the agents import this module, and run where `google.rpc` is not installed.
    from latlab.convert.details.google_rpc import read_details

    return read_details(data)


def _raised_kind(error: Any) -> type[LabError] | None:  # noqa: ANN401 -- as above
    """Return the class of the error that a server of ours raised; None for any other failure."""
    name = _metadata(error).get(_CLASS_KEY)
    return next((each for each in _tree() if each.__name__ == name), None)


def _metadata(error: Any) -> dict[str, Any]:  # noqa: ANN401 -- as above
    return dict(error.trailing_metadata() or ())


def _tree(kind: type[LabError] = LabError) -> Iterator[type[LabError]]:
    """Yield the classes of `latlab.domain.errors`."""
    if kind.__module__ == LabError.__module__:
        yield kind
        for narrower in kind.__subclasses__():
            yield from _tree(narrower)
