"""Calls about jobs."""

from __future__ import annotations

import uuid

from latlab.client.connection.steps import UnaryCall
from latlab.convert.jobs import job_name, job_status_from_message
from latlab.convert.latency import spec_to_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.job import JobStatus
from latlab.domain.program import Program, ProgramFile, program_of
from latlab.v1 import latency_pb2


def create_measurement(
    target: str,
    program: ProgramFile | Program | str,
    spec: BenchmarkSpec | None,
    *,
    fresh: bool = False,
    priority: int = 0,
) -> UnaryCall[JobStatus]:
    """Ask for a measurement of a program that the lab has.

    The call has an id of its own, so it is one request however often it is sent.
    """
    request = latency_pb2.CreateMeasurementRequest(
        target=target,
        program_sha256=program if isinstance(program, str) else program_of(program).sha256,
        spec=None if spec is None else spec_to_message(spec),
        fresh=fresh,
        priority=priority,
        request_id=str(uuid.uuid4()),
    )
    return UnaryCall(
        lambda stubs: stubs.latency.CreateMeasurement, request, job_status_from_message
    )


def get_job(job: str) -> UnaryCall[JobStatus]:
    """Ask how far a job has come."""
    return UnaryCall(
        lambda stubs: stubs.latency.GetJob,
        latency_pb2.GetJobRequest(name=name_of(job)),
        job_status_from_message,
    )


def cancel_job(job: str) -> UnaryCall[JobStatus]:
    """Ask for the end of a job. A job that has ended stays as it is."""
    return UnaryCall(
        lambda stubs: stubs.latency.CancelJob,
        latency_pb2.CancelJobRequest(name=name_of(job)),
        job_status_from_message,
    )


def name_of(job: str) -> str:
    """Return the resource name of a job that is given by its name or its id."""
    return job if job.startswith(job_name("")) else job_name(job)
