"""Details of errors as `google.rpc` has them, which clients in all languages can read.

The daemon sends them. The agents of devices do not: they run where only gRPC is installed.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from latlab.domain.errors import (
    DatabaseBusy,
    InvalidRequest,
    LabError,
    LimitReached,
    Unavailable,
)

KEY = "grpc-status-details-bin"  # of the trailing metadata; gRPC's own name
DOMAIN = "latlab"
# When the same call may succeed if the lab does not know better.
RETRY_S = 1.0
# gRPC limits the size of all metadata, which holds the message twice.
MAX_MESSAGE_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """The details of an error.

    Attributes:
        reason: The name of the error's class; "" if they do not say.
        field: The field of the request that is wrong; "" if they do not say.
        retry_s: After how many seconds the same call may succeed; None if they do not say.
    """

    reason: str = ""
    field: str = ""
    retry_s: float | None = None


def details_of(error: LabError, reason: str, code: int, message: str) -> bytes:
    """Return the details of an error as a `google.rpc.Status`.

    Args:
        error: The error.
        reason: The name of its class.
        code: The number of its gRPC status.
        message: The message that the client gets.

    Returns:
        The bytes; none if the message leaves no room for them.
    """
    if len(message.encode()) > MAX_MESSAGE_BYTES:
        return b""
    status = status_pb2.Status(code=code, message=message)
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    status.details.add().Pack(info)
    if isinstance(error, InvalidRequest) and error.field:
        wrong = error_details_pb2.BadRequest()
        wrong.field_violations.add(field=error.field, description=message, reason=reason)
        status.details.add().Pack(wrong)
    if (retry_s := _retry_s(error)) is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(retry_s * 1e9))
        status.details.add().Pack(retry)
    return bytes(status.SerializeToString())


def read_details(data: bytes) -> ErrorDetails:
    """Return what the details of an error say. Those that cannot be read say nothing."""
    reason, field, retry_s = "", "", None
    info, wrong = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    try:
        for detail in status_pb2.Status.FromString(data).details:
            if detail.Unpack(info) and info.domain == DOMAIN:
                reason = info.reason
            elif detail.Unpack(wrong) and wrong.field_violations:
                field = wrong.field_violations[0].field
            elif detail.Unpack(retry):
                retry_s = max(0.0, retry.retry_delay.ToNanoseconds() / 1e9)
    except DecodeError:
        return ErrorDetails()
    return ErrorDetails(reason, field, retry_s)


def _retry_s(error: LabError) -> float | None:
    if isinstance(error, LimitReached):
        return error.retry_s
    return RETRY_S if isinstance(error, DatabaseBusy | Unavailable) else None
