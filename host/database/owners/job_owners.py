"""Store who has asked for which job, and in what order jobs have ended for their owners.

Each end gets a number that is higher than all before it. A client that has heard of the ends up to
one number is told of those behind it. The numbers are given by the transaction that ends the job,
so that an end with a lower number never appears after one with a higher number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from host.database.schema import job_owners, jobs


@dataclass(frozen=True, slots=True)
class JobOwner:
    """An owner of a job.

    Attributes:
        job_id: The job's id.
        owner: Who has asked for it.
        waits: Whether the owner waits for it without a stream.
        cancelled_unix_ns: When the owner has cancelled it; None if the owner has not.
    """

    job_id: str
    owner: str
    waits: bool
    cancelled_unix_ns: int | None


@dataclass(frozen=True, slots=True)
class JobEnd:
    """The end of a job for one of its owners."""

    number: int
    owner: str
    job_id: str


def add_owner(
    connection: Connection, job_id: str, owner: str, *, waits: bool, now_unix_ns: int
) -> None:
    """Store that an owner asks for a job, which may have ended.

    An owner who has cancelled the job and asks again waits for it as before.
    """
    is_row = (job_owners.c.job_id == job_id) & (job_owners.c.owner == owner)
    row = connection.execute(select(job_owners).where(is_row)).one_or_none()
    has_cancelled = row is not None and row.cancelled_unix_ns is not None
    if row is not None and not has_cancelled and row.waits >= waits:
        return
    ended = select(jobs.c.ended_unix_ns).where(jobs.c.id == job_id)
    values = {
        "asked_unix_ns": now_unix_ns,
        "waits": waits,
        "cancelled_unix_ns": None,
        "end_number": None
        if connection.execute(ended).scalar_one() is None
        else _next_number(connection),
    }
    if row is None:
        connection.execute(job_owners.insert().values(job_id=job_id, owner=owner, **values))
    else:
        connection.execute(job_owners.update().where(is_row).values(**values))


def end_for_owners(connection: Connection, job_id: str) -> None:
    """Store that a job has ended for those of its owners who have not cancelled it."""
    is_open = (job_owners.c.job_id == job_id) & job_owners.c.end_number.is_(None)
    connection.execute(
        job_owners.update().where(is_open).values(end_number=_next_number(connection))
    )


def end_for_one(connection: Connection, job_id: str, owner: str, now_unix_ns: int) -> None:
    """Store that an owner has cancelled a job, which goes on for others."""
    is_open = (
        (job_owners.c.job_id == job_id)
        & (job_owners.c.owner == owner)
        & job_owners.c.end_number.is_(None)
    )
    connection.execute(
        job_owners.update()
        .where(is_open)
        .values(cancelled_unix_ns=now_unix_ns, end_number=_next_number(connection))
    )


def end_missing(connection: Connection) -> None:
    """Store the ends of jobs that have ended and whose owners were not told so."""
    query = (
        select(job_owners.c.job_id)
        .join(jobs, jobs.c.id == job_owners.c.job_id)
        .where(job_owners.c.end_number.is_(None), jobs.c.ended_unix_ns.is_not(None))
        .distinct()
    )
    for job_id in connection.scalars(query).all():
        end_for_owners(connection, job_id)


def owners_of_open_jobs(connection: Connection) -> Mapping[str, list[JobOwner]]:
    """Return the owners who have not cancelled, by the ids of the open jobs."""
    query = (
        select(job_owners)
        .join(jobs, jobs.c.id == job_owners.c.job_id)
        .where(job_owners.c.end_number.is_(None), jobs.c.ended_unix_ns.is_(None))
    )
    found: dict[str, list[JobOwner]] = defaultdict(list)
    for row in connection.execute(query):
        owner = JobOwner(row.job_id, row.owner, row.waits, row.cancelled_unix_ns)
        found[row.job_id].append(owner)
    return found


def owners_of(connection: Connection, job_id: str) -> list[JobOwner]:
    """Return all owners of a job, those who have cancelled it too, the first one first."""
    query = (
        select(job_owners)
        .where(job_owners.c.job_id == job_id)
        .order_by(job_owners.c.asked_unix_ns, job_owners.c.owner)
    )
    return [
        JobOwner(row.job_id, row.owner, row.waits, row.cancelled_unix_ns)
        for row in connection.execute(query)
    ]


def newest_number(connection: Connection) -> int:
    """Return the number of the last end; 0 if there is none."""
    newest = select(func.coalesce(func.max(job_owners.c.end_number), 0))
    return int(connection.execute(newest).scalar_one())


def ends_after(
    connection: Connection, number: int, limit: int, owner: str = ""
) -> Sequence[JobEnd]:
    """Return the first ends behind a number, in order, at most `limit`.

    Args:
        connection: A connection to the database.
        number: A number of an end, or 0.
        limit: The most ends.
        owner: For whom the jobs have ended; "" for all owners.
    """
    query = (
        select(job_owners.c.end_number, job_owners.c.owner, job_owners.c.job_id)
        .where(job_owners.c.end_number > number)
        .order_by(job_owners.c.end_number, job_owners.c.owner)
        .limit(limit)
    )
    if owner:
        query = query.where(job_owners.c.owner == owner)
    return [JobEnd(row.end_number, row.owner, row.job_id) for row in connection.execute(query)]


def _next_number(connection: Connection) -> int:
    return newest_number(connection) + 1
