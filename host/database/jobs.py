"""Store jobs and their visits, from the request to exactly one Measurement or Failure."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from host.database import raw
from host.database.raw import pack_int64, unpack_int64
from host.database.schema import failures, jobs, measurements, visits
from host.database.summaries import put_kernel_times
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.checks.text import cleaned
from latlab.domain.checks.visit import MAX_MESSAGE_LENGTH
from latlab.domain.errors import UnreadableRow
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.measurement import Conditions, KernelTrace, Visit


def add_job(connection: Connection, job: Job) -> None:
    """Store a new job."""
    connection.execute(
        jobs.insert().values(
            id=job.id,
            target_id=job.target_id,
            program_sha256=job.program_sha256,
            spec=spec_to_text(job.spec),
            created_unix_ns=job.created_unix_ns,
            is_sentinel=job.is_sentinel,
            priority=job.priority,
        )
    )


def set_priority(connection: Connection, job_id: str, priority: int) -> None:
    """Store a job's new priority."""
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(priority=priority))


def open_jobs(connection: Connection) -> list[Job]:
    """Return the jobs that have not ended and can be read, the oldest first."""
    query = select(jobs).where(jobs.c.ended_unix_ns.is_(None)).order_by(jobs.c.created_unix_ns)
    found = []
    for row in connection.execute(query):
        with contextlib.suppress(UnreadableRow):
            found.append(job_from_row(row))
    return found


def end_unreadable(connection: Connection, now_unix_ns: int) -> list[str]:
    """End each open job that cannot be read with a Failure, and return the reasons."""
    reasons = []
    for row in connection.execute(select(jobs).where(jobs.c.ended_unix_ns.is_(None))).all():
        try:
            job_from_row(row)
        except UnreadableRow as error:
            failure = Failure(FailureKind.AGENT_ERROR, f"{error}: measure the network again")
            _fail(connection, row.id, failure, now_unix_ns)
            reasons.append(str(error))
    return reasons


def ask_visit(
    connection: Connection,
    run_id: str,
    job_id: str,
    device_serial: str,
    traced: bool,
    now_unix_ns: int,
) -> None:
    """Record that a device is about to be asked for a run.

    After a crash the host knows from it which results to fetch.
    """
    connection.execute(
        visits.insert().values(
            run_id=run_id,
            job_id=job_id,
            device_serial=device_serial,
            traced=traced,
            asked_unix_ns=now_unix_ns,
        )
    )


def answer_visit(
    connection: Connection, run_id: str, outcome: Visit | Failure, now_unix_ns: int
) -> None:
    """Store the outcome of a run, unless another lab that held the device stored one before."""
    connection.execute(
        visits.update()
        .where(visits.c.run_id == run_id, visits.c.answered_unix_ns.is_(None))
        .values(answered_unix_ns=now_unix_ns, **_outcome_columns(outcome))
    )


class AskedVisit(NamedTuple):
    """A run that a device was asked for."""

    run_id: str
    job_id: str
    device_serial: str
    traced: bool


def visits_of_open_jobs(
    connection: Connection,
) -> Iterator[tuple[AskedVisit, Visit | Failure | None]]:
    """Yield each visit of the open jobs with its outcome, in the order of the requests.

    The outcome is None if the visit was never answered, and a Failure if it cannot be read.
    """
    query = (
        select(*VISIT_COLUMNS)
        .join(jobs, jobs.c.id == visits.c.job_id)
        .where(jobs.c.ended_unix_ns.is_(None))
        .order_by(visits.c.id)
    )
    for row in connection.execute(query):
        asked = AskedVisit(row.run_id, row.job_id, row.device_serial, row.traced)
        try:
            outcome = None if row.answered_unix_ns is None else outcome_from_row(row)
        except UnreadableRow as error:
            outcome = Failure(FailureKind.AGENT_ERROR, str(error))
        yield asked, outcome


def end_with_measurement(
    connection: Connection,
    job: Job,
    measurement_id: str,
    kernel_ns: Sequence[float] | None,
    now_unix_ns: int,
    suspect: bool = False,
) -> bool:
    """End the job with a measurement, whose summary is to be stored next.

    Args:
        connection: A connection that writes.
        job: The job.
        measurement_id: The measurement's id.
        kernel_ns: (kernels,) the times of the program's kernels; None without a traced visit.
        now_unix_ns: The time.
        suspect: Whether the sentinel had drifted.

    Returns:
        False, and nothing is written, if the job has ended already.
    """
    if not _end(connection, job.id, now_unix_ns):
        return False
    row = {"id": measurement_id, "job_id": job.id, "unix_ns": now_unix_ns, "suspect": suspect}
    learned = {"learned_target_id": job.learned_target_id}
    connection.execute(measurements.insert().values(row | learned))
    if kernel_ns is not None:
        put_kernel_times(connection, measurement_id, job.program_sha256, kernel_ns)
    return True


def end_with_failure(connection: Connection, job: Job, failure: Failure, now_unix_ns: int) -> bool:
    """End the job with a failure. Return False, and write nothing, if it has ended already."""
    return _fail(connection, job.id, failure, now_unix_ns)


def spec_to_text(spec: BenchmarkSpec) -> str:
    """Return the canonical text of a benchmark spec: equal specs have equal texts.

    A half width of 0 is left out, as in the texts of versions that did not have it.
    """
    fields = asdict(spec)
    if not spec.half_width:
        del fields["half_width"]
    return json.dumps(fields, sort_keys=True)


@functools.lru_cache(maxsize=256)
def spec_from_text(text: str) -> BenchmarkSpec:
    """Read a benchmark spec from its stored text. Raises UnreadableRow."""
    with raw.reading("the benchmark spec"):
        fields = {"spacing_ns": 0, **raw.parse(text)}  # a field that old specs lack
        fields["visit"] = raw.noun(VisitSpec, fields["visit"])
        return raw.noun(BenchmarkSpec, fields)


def failure_from_row(kind: str, message: str | None) -> Failure:
    """Return a stored failure. An unknown kind becomes an AGENT_ERROR that names the kind."""
    try:
        return Failure(FailureKind(kind), message or "")
    except ValueError:
        return Failure(FailureKind.AGENT_ERROR, f"{kind}: {message or ''}")


# The columns that `outcome_from_row` reads.
VISIT_COLUMNS = raw.columns(visits)


def outcome_from_row(row: Row[Any]) -> Visit | Failure:
    """Read the outcome of a run from its row. Raises UnreadableRow."""
    if row.failure_kind is not None:
        return failure_from_row(row.failure_kind, row.failure_message)
    with raw.reading(f"visit {row.run_id}"):
        return _visit(row)


def _visit(row: Row[Any]) -> Visit:
    names = raw.parse(row.trace_names) or []
    durations = unpack_int64(row.trace_ns or b"").reshape(len(names), -1 if names else 0)
    instructions = raw.parse(row.trace_instructions) or [None] * len(names)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("the name of a traced kernel is not a text")
    for column in ("warmup_runs", "load_ns"):
        if not isinstance(row._mapping[column], int):
            raise ValueError(f"{column} is not an integer: {row._mapping[column]!r}")
    return Visit(
        run_id=row.run_id,
        traced=row.traced,
        wall_ns=tuple(unpack_int64(row.wall_ns).tolist()),
        cpu_ns=tuple(unpack_int64(row.cpu_ns).tolist()),
        involuntary_switches=tuple(unpack_int64(row.involuntary_switches).tolist()),
        warmup_runs=row.warmup_runs,
        load_ns=row.load_ns,
        peak_rss_bytes=row.peak_rss_bytes or None,  # older agents sent 0
        before=raw.noun(Conditions, raw.parse(row.conditions_before), ignore_unknown=True),
        after=raw.noun(Conditions, raw.parse(row.conditions_after), ignore_unknown=True),
        kernel_traces=tuple(
            KernelTrace(name, tuple(series), instruction)
            for name, series, instruction in zip(
                names, durations.tolist(), instructions, strict=True
            )
        ),
        first_run_ns=row.first_run_ns,
        planned_bytes=row.planned_bytes,
    )


def _outcome_columns(outcome: Visit | Failure) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {
            "failure_kind": outcome.kind.value,
            "failure_message": cleaned(outcome.message, MAX_MESSAGE_LENGTH),
        }
    return {
        "wall_ns": pack_int64(outcome.wall_ns),
        "cpu_ns": pack_int64(outcome.cpu_ns),
        "involuntary_switches": pack_int64(outcome.involuntary_switches),
        "warmup_runs": outcome.warmup_runs,
        "load_ns": outcome.load_ns,
        "peak_rss_bytes": outcome.peak_rss_bytes,
        "conditions_before": asdict(outcome.before),
        "conditions_after": asdict(outcome.after),
        "trace_names": [trace.name for trace in outcome.kernel_traces],
        "trace_ns": pack_int64([trace.durations_ns for trace in outcome.kernel_traces]),
        "trace_instructions": [trace.instruction for trace in outcome.kernel_traces],
        "first_run_ns": outcome.first_run_ns,
        "planned_bytes": outcome.planned_bytes,
    }


def job_from_row(row: Row[Any]) -> Job:
    """Read a job. Raises UnreadableRow."""
    with raw.reading(f"job {row.id}"):
        return Job(
            id=row.id,
            target_id=row.target_id,
            program_sha256=row.program_sha256,
            spec=spec_from_text(row.spec),
            created_unix_ns=row.created_unix_ns,
            is_sentinel=row.is_sentinel,
            priority=row.priority,
        )


def _fail(connection: Connection, job_id: str, failure: Failure, now_unix_ns: int) -> bool:
    if not _end(connection, job_id, now_unix_ns):
        return False
    connection.execute(
        failures.insert().values(
            job_id=job_id,
            unix_ns=now_unix_ns,
            kind=failure.kind.value,
            message=cleaned(failure.message, MAX_MESSAGE_LENGTH),
        )
    )
    return True


def _end(connection: Connection, job_id: str, now_unix_ns: int) -> bool:
    still_open = (jobs.c.id == job_id) & jobs.c.ended_unix_ns.is_(None)
    ended = connection.execute(jobs.update().where(still_open).values(ended_unix_ns=now_unix_ns))
    return ended.rowcount == 1
