"""Calls about the lab's queue and its devices, page by page."""

from __future__ import annotations

from typing import Any

from latlab.client.connection.steps import Page, Pages, UnaryCall
from latlab.convert.jobs import job_status_from_message
from latlab.convert.visits import conditions_from_message
from latlab.domain.job import JobStatus
from latlab.domain.measurement import Conditions
from latlab.v1 import lab_pb2


def list_queue(target: str) -> Pages[JobStatus]:
    """Ask for the open jobs: see `LatencyClient.queue`."""

    def ask(token: str) -> UnaryCall[Page[JobStatus]]:
        request = lab_pb2.ListQueueRequest(target=target, page_token=token)

        def convert(answer: Any) -> Page[JobStatus]:  # noqa: ANN401 -- its response
            return Page(tuple(map(job_status_from_message, answer.jobs)), answer.next_page_token)

        return UnaryCall(lambda stubs: stubs.lab.ListQueue, request, convert)

    return ask


def list_conditions(device: str, since_unix_ns: int, before_unix_ns: int) -> Pages[Conditions]:
    """Ask for the conditions around visits: see `LatencyClient.past_conditions`."""

    def ask(token: str) -> UnaryCall[Page[Conditions]]:
        request = lab_pb2.ListConditionsRequest(
            device=device,
            since_unix_ns=since_unix_ns,
            before_unix_ns=before_unix_ns,
            page_token=token,
        )

        def convert(answer: Any) -> Page[Conditions]:  # noqa: ANN401 -- its response
            found = map(conditions_from_message, answer.conditions)
            return Page(tuple(found), answer.next_page_token)

        return UnaryCall(lambda stubs: stubs.lab.ListConditions, request, convert)

    return ask
