"""Read from a failed call when the server wants to be asked again: google.rpc.RetryInfo."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import any_pb2, duration_pb2, empty_pb2
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

_DETAILS_KEY = "grpc-status-details-bin"
_DETAILS_FIELD = 3  # of google.rpc.Status
_DELAY_FIELD = 1  # of google.rpc.RetryInfo
_TYPE = "type.googleapis.com/google.rpc.RetryInfo"


def retry_s(error: Any) -> float | None:  # noqa: ANN401 -- grpc.RpcError, which has no type for it
    """Return after how many seconds the server wants to be asked again; None if it does not say.

    What cannot be read counts as not said.
    """
    details = dict(error.trailing_metadata() or ()).get(_DETAILS_KEY)
    if not isinstance(details, bytes):
        return None
    try:
        for packed in _fields(details, _DETAILS_FIELD):
            detail = any_pb2.Any.FromString(packed)
            if detail.type_url == _TYPE:
                for delay in _fields(detail.value, _DELAY_FIELD):
                    told = duration_pb2.Duration.FromString(delay)
                    seconds = told.seconds + told.nanos / 1e9
                    return seconds if math.isfinite(seconds) and seconds >= 0 else None
                return 0.0  # a message without its field says zero
    except DecodeError:
        return None
    return None


def _fields(data: bytes, number: int) -> Iterator[bytes]:
    """Yield the fields of a number that hold bytes. Google's own types are no package of ours."""
    message = empty_pb2.Empty.FromString(data)
    for field in UnknownFieldSet(message):  # type: ignore[attr-defined]  # its stub is incomplete
        if field.field_number == number and isinstance(field.data, bytes):
            yield field.data
