"""Convert jobs and how far they have come to and from protobuf messages."""

from __future__ import annotations

from latlab.convert.fields import enum_member, enum_number
from latlab.convert.latency import (
    estimate_from_message,
    estimate_to_message,
    measured_from_message,
    measured_to_message,
    spec_from_message,
    spec_to_message,
)
from latlab.convert.visits import failure_from_message, failure_to_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure
from latlab.domain.job import JobPhase, JobStatus, WaitReason
from latlab.v1 import latency_pb2

_PREFIX = "jobs/"


def job_name(job_id: str) -> str:
    """Return the resource name of a job."""
    return f"{_PREFIX}{job_id}"


def job_id_from_name(name: str) -> str:
    """Return the id of the job with this resource name. Raises InvalidRequest."""
    job_id = name.removeprefix(_PREFIX)
    is_name = name.startswith(_PREFIX) and job_id.isascii() and job_id.isalnum()
    if not is_name or len(job_id) > 64:
        raise InvalidRequest(f"{name[:80]!r} is not the name of a job: give it as jobs/ID")
    return job_id


def job_status_to_message(status: JobStatus) -> latency_pb2.Job:
    """Return the protobuf message for a job and how far it has come."""
    reason = status.wait_reason
    message = latency_pb2.Job(
        name=job_name(status.id),
        target=status.target_id,
        program_sha256=status.program_sha256,
        spec=spec_to_message(status.spec),
        priority=status.priority,
        created_unix_ns=status.created_unix_ns,
        state=enum_number(latency_pb2.JobState, status.phase),
        ahead=status.ahead,
        wait_reason=(
            latency_pb2.WAIT_REASON_UNSPECIFIED
            if reason is None
            else enum_number(latency_pb2.WaitReason, reason)
        ),
        waits_for=status.waits_for,
        visits_done=status.visits_done,
        ended_unix_ns=status.ended_unix_ns,
        owner=status.owner,
    )
    if status.provisional is not None:
        message.provisional.CopyFrom(estimate_to_message(status.provisional))
    match status.outcome:
        case MeasuredLatency():
            message.measured.CopyFrom(measured_to_message(status.outcome).measured)
        case Failure():
            message.failure.CopyFrom(failure_to_message(status.outcome))
    return message


def job_status_from_message(message: latency_pb2.Job) -> JobStatus:
    """Return the job that a protobuf message holds.

    Raises InvalidRequest if it has no proper name.
    """
    return JobStatus(
        id=job_id_from_name(message.name),
        target_id=message.target,
        program_sha256=message.program_sha256,
        spec=spec_from_message(message.spec),
        priority=message.priority,
        created_unix_ns=message.created_unix_ns,
        phase=_phase_of(message),
        owner=message.owner,
        ahead=message.ahead if message.HasField("ahead") else None,
        wait_reason=enum_member(latency_pb2.WaitReason, message.wait_reason, WaitReason),
        waits_for=message.waits_for,
        visits_done=message.visits_done,
        provisional=(
            estimate_from_message(message.provisional) if message.HasField("provisional") else None
        ),
        ended_unix_ns=message.ended_unix_ns if message.HasField("ended_unix_ns") else None,
        outcome=_outcome_of(message),
    )


def _phase_of(message: latency_pb2.Job) -> JobPhase:
    """Return the job's phase.

    A newer lab may send a state that this version does not know. Then the job counts as ended if
    it has an outcome, and else as queued.
    """
    known = enum_member(latency_pb2.JobState, message.state, JobPhase)
    if known is not None:
        return known
    by_outcome = {"measured": JobPhase.SUCCEEDED, "failure": JobPhase.FAILED}
    return by_outcome.get(message.WhichOneof("outcome") or "", JobPhase.QUEUED)


def _outcome_of(message: latency_pb2.Job) -> MeasuredLatency | Failure | None:
    match message.WhichOneof("outcome"):
        case "measured":
            event = latency_pb2.MeasureEvent(
                program_sha256=message.program_sha256, measured=message.measured
            )
            return measured_from_message(event)
        case "failure":
            return failure_from_message(message.failure)
        case _:
            return None
