"""Choose the open jobs that somebody wants to cancel."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from host.jobs.job_state import JobState
from latlab.domain.errors import InvalidRequest, NotFound

MIN_PREFIX = 6
_BEGINNING = re.compile(f"[0-9a-f]{{{MIN_PREFIX},64}}")  # of a job's id or a SHA-256


def choose(
    states: Sequence[JobState],
    ids: Collection[str] = (),
    target_ids: Collection[str] | None = None,
    program: str = "",
) -> list[JobState]:
    """Return the open jobs that meet every condition.

    Args:
        states: The open jobs.
        ids: Ids of jobs, each whole or at least its first MIN_PREFIX characters; empty for all.
        target_ids: Targets; None for all.
        program: A program's SHA-256, or at least its first MIN_PREFIX digits; "" for all.

    Raises:
        NotFound: No open job has one of the ids.
        InvalidRequest: A prefix is too short, or several ids begin like it.
    """
    if program:
        _check("the SHA-256 of a program", program, "program_sha256")
    named = {_one(states, id_) for id_ in ids}
    return [
        state
        for state in states
        if (not ids or state in named)
        and (target_ids is None or state.job.target_id in target_ids)
        and state.job.program_sha256.startswith(program)
    ]


def _one(states: Sequence[JobState], prefix: str) -> JobState:
    """Return the one job whose id begins so."""
    _check("the id of a job", prefix, "ids")
    match [state for state in states if state.job.id.startswith(prefix)]:
        case [found]:
            return found
        case []:
            raise NotFound(f"no open job {prefix!r}: `latlab jobs` lists them")
        case _:
            raise InvalidRequest(
                f"several jobs begin with {prefix!r}: give more characters of the id", "ids"
            )


def _check(what: str, prefix: str, field: str) -> None:
    if not _BEGINNING.fullmatch(prefix):
        raise InvalidRequest(
            f"{prefix[:80]!r} is not {what}: give it, or at least its first {MIN_PREFIX} digits",
            field,
        )
