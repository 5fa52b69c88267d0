"""The part of the lab's service that lists its queue and its devices' conditions by page."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from host.database.listing.visit_pages import Period
from host.services.jobs.lab_jobs import LabJobs
from host.services.listing.lab_lists import LabLists
from host.services.requests.checks import check_text
from host.services.requests.page_tokens import PageTokens, page_size
from latlab.convert.jobs import job_status_to_message
from latlab.convert.visits import conditions_to_message
from latlab.domain.target import Target
from latlab.v1 import lab_pb2
from latlab.v1.lab_pb2_grpc import LabServiceServicer


class LabListsServicer(LabServiceServicer):
    """Lists the open jobs, and the conditions of devices."""

    _lists: LabLists
    _jobs: LabJobs
    _page_tokens: PageTokens
    _find_target: Callable[[str], Target]

    def ListConditions(  # noqa: N802
        self, request: lab_pb2.ListConditionsRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ListConditionsResponse:
        visits = max(1, page_size(request.page_size, 1_000, 10_000) // 2)
        position = self._page_tokens.read(request, request.page_token)
        behind = None if position is None else (int(position[0]), int(position[1]))
        period = Period(request.since_unix_ns, request.before_unix_ns)
        device = check_text("the device", request.device, "device")
        found = self._lists.conditions(device, period, visits + 1, behind)
        page, token = self._page_tokens.cut(request, found, visits)
        return lab_pb2.ListConditionsResponse(
            conditions=[conditions_to_message(each) for both in page for each in both],
            next_page_token=token,
        )

    def ListQueue(  # noqa: N802
        self, request: lab_pb2.ListQueueRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ListQueueResponse:
        size = page_size(request.page_size, 100, 1_000)
        position = self._page_tokens.read(request, request.page_token)
        behind = None
        if position is not None:
            behind = (int(position[0]), int(position[1]), str(position[2]))
        target_id = self._find_target(request.target).id if request.target else ""
        page = self._jobs.queue(lambda id_: target_id in ("", id_), size, behind)
        return lab_pb2.ListQueueResponse(
            jobs=[job_status_to_message(job) for job, _ in page.jobs],
            open=page.open_count,
            next_page_token=(
                "" if page.is_last else self._page_tokens.make(request, page.jobs[-1][1])
            ),
        )
