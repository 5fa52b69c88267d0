"""The audit log: who did what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A call that changed the lab, or that was refused.

    Attributes:
        unix_ns: When it ended, in ns since 1970.
        owner: Whose token it was made with; "" if the token is missing or wrong.
        token_id: The token's id; "" as above.
        method: The method, as "LatencyService/CreateMeasurement".
        resource: The name of the job, program or device that it was about; may be empty.
        status: The name of the gRPC status that it ended with.
        request_id: Under this id the log says more.
        was_refused: Whether the caller may not make the call, or not so soon.
    """

    unix_ns: int
    owner: str
    token_id: str
    method: str
    resource: str
    status: str
    request_id: str
    was_refused: bool = False
