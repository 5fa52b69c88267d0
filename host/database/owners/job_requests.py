"""Store which requests came with an id, so that a request that is sent twice is one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from host.database.schema import job_requests
from latlab.domain.errors import InvalidRequest

KEPT_NS = 7 * 24 * 3_600 * 10**9


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request for a job that came with an id.

    Attributes:
        owner: Who has sent it.
        request_id: The id, which the client has made up.
        fingerprint: The SHA-256 of everything else in the request.
    """

    owner: str
    request_id: str
    fingerprint: str


def find_job(connection: Connection, request: JobRequest) -> str | None:
    """Return the id of the job that was answered to this request; None if it is new.

    Raises InvalidRequest if its id came with another request.
    """
    query = select(job_requests).where(
        job_requests.c.owner == request.owner, job_requests.c.request_id == request.request_id
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise InvalidRequest(
            f"the request id {request.request_id} came with another request: make a new one for"
            " each request",
            "request_id",
        )
    return str(row.job_id)


def add_request(connection: Connection, request: JobRequest, job_id: str, now_unix_ns: int) -> None:
    """Store the job that is answered to a request, and forget requests that are too old.

    Raises sqlalchemy.exc.IntegrityError if the owner has sent a request with this id before.
    """
    connection.execute(job_requests.delete().where(job_requests.c.unix_ns < now_unix_ns - KEPT_NS))
    connection.execute(
        job_requests.insert().values(
            owner=request.owner,
            request_id=request.request_id,
            fingerprint=request.fingerprint,
            job_id=job_id,
            unix_ns=now_unix_ns,
        )
    )
