"""The request, job or run to which the present work belongs. The log names it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

# Clients' ids of requests stand in logs and in the database.
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Work:
    """The request, job and run of the present thread. A field is empty where there is none.

    Attributes:
        request_id: The id of the gRPC call.
        method: The call's full name, "/latlab.v1.LatencyService/Predict" for example.
        owner: Who makes the call.
        job_id: The job that is served.
        run_id: The visit that is under way.
    """

    request_id: str = ""
    method: str = ""
    owner: str = ""
    job_id: str = ""
    run_id: str = ""


_present: ContextVar[Work] = ContextVar("work", default=Work())  # noqa: B039 -- it is frozen


def present_work() -> Work:
    """Return what the work of this thread belongs to.

    A thread that a servicer starts does not inherit it.
    """
    return _present.get()


def request_id() -> str:
    """Return the id of the gRPC call that this thread serves; "" outside of calls."""
    return _present.get().request_id


def new_request_id(wanted: str = "") -> str:
    """Return the id that a client wants for its call, or a new one if that is none to log."""
    return wanted if _SANE_ID.fullmatch(wanted) else uuid.uuid4().hex


def begin_call(request_id: str, method: str) -> None:
    """Note which call this thread serves. gRPC gives each call a context variable of its own."""
    _present.set(Work(request_id, method))


@contextmanager
def working(*, owner: str = "", job_id: str = "", run_id: str = "") -> Iterator[None]:
    """Add to what the work belongs to, until the block ends. Empty fields change nothing."""
    given = {"owner": owner, "job_id": job_id, "run_id": run_id}
    before = _present.get()
    token = _present.set(replace(before, **{name: text for name, text in given.items() if text}))
    try:
        yield
    finally:
        _present.reset(token)
